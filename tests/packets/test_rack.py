"""One rack with the addresses of AWS's own example; one customer device runs FRR."""

from __future__ import annotations

import pytest

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/rack.yaml")]


def test_bird_and_frr_devices_are_up(testbed: Testbed) -> None:
    """Sessions of both daemons are Established and everything else is ok."""
    status = testbed.status()
    assert status["ok"], [row for key in ("bgp", "lags", "routes") for row in status[key]]
    frr = [session for session in status["bgp"] if session["node"] == "cnd2"]
    assert {session["state"] for session in frr} == {"Established"}
    assert len(frr) == 5
    assert all(session["imported"] >= 1 for session in frr)


def test_addresses_of_the_example(testbed: Testbed) -> None:
    """VLANs A to D with their /30 (facts: R1)."""
    for device, interface, address in (
        ("op.ond1", "bond0.1001", "10.0.0.1/30"),
        ("op.ond1", "bond0.2001", "172.16.0.1/30"),
        ("op.ond2", "bond0.1002", "10.0.0.5/30"),
        ("op.ond2", "bond0.2002", "172.16.0.5/30"),
        ("cnd1", "op.1001", "10.0.0.2/30"),
        ("cnd2", "op.2002", "172.16.0.6/30"),
    ):
        shown = testbed[device].run(["ip", "-br", "address", "show", "dev", interface]).text
        assert address in shown.split()


def test_reachability(testbed: Testbed) -> None:
    """The rack reaches the Region over the service link and the LAN over the local gateway."""
    assert testbed["web"].ping("10.1.1.20", count=2).received == 2
    assert testbed["desk"].ping("10.1.3.112", count=2).received == 2
    assert "client 192.168.10.10" in testbed["desk"].http("http://10.1.3.112/").text


def test_lan_does_not_reach_the_vpc_in_the_region(testbed: Testbed) -> None:
    """The local gateway announces its subnet only, and leads nowhere else (R1 tip, L2)."""
    assert testbed["desk"].ping("10.1.1.20", count=1).received == 0
