"""Customers' own integrated frr.conf files are in effect as a whole: VRFs, leaks, statics, OSPF."""

from __future__ import annotations

import pytest

from testbed.conformance import runner
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed

FILE = "tests/packets/own-configurations/leaking.yaml"
pytestmark = [pytest.mark.packets, pytest.mark.topology(FILE)]


def routes(testbed: Testbed, device: str, vrf: str) -> dict[str, str]:
    """The routes of a VRF: the rest of the line by destination, the last one of several."""
    lines = testbed[device].run(["ip", "route", "show", "vrf", vrf]).text.splitlines()
    rows = (line.removeprefix("unreachable ").removeprefix("blackhole ") for line in lines)
    return {row.split()[0]: row for row in rows if "metric 4278198272" not in row}


def test_the_sessions_that_the_files_have_are_waited_for(testbed: Testbed) -> None:
    """The devices' own side, too, whatever VRF a session is in."""
    rows = testbed.status()["bgp"]
    own = {(row["node"], row["neighbor"]) for row in rows if row["node"] in {"edge1", "edge2"}}
    assert own == {
        *(("edge1", neighbor) for neighbor in ("10.0.0.1", "172.16.0.1", "100.64.0.1")),
        ("edge1", "100.65.0.1"),
        *(("edge2", neighbor) for neighbor in ("10.0.0.5", "172.16.0.5", "100.64.0.0")),
    }
    assert all(row["ok"] for row in rows)


def test_leaks_and_static_routes_are_in_the_kernel(testbed: Testbed) -> None:
    link = routes(testbed, "edge1", "sl")
    assert "via 100.65.0.1 dev region proto bgp" in link["default"]  # from VRF inet
    assert "via 100.65.0.1 dev region proto static" in link["192.0.2.0/24"]
    provider = routes(testbed, "edge1", "inet")
    assert "dev op.1001 proto bgp" in provider["10.200.0.0/27"]  # from VRF sl
    assert "proto static" in provider["10.200.0.0/26"]
    assert "proto bgp" in routes(testbed, "edge2", "sl")["default"]  # by iBGP


def test_the_sites_routes_are_ospfs(testbed: Testbed) -> None:
    testbed.eventually(lambda: "192.168.10.0/24" in routes(testbed, "edge1", "lgw"), 30)
    assert "proto ospf" in routes(testbed, "edge1", "lgw")["192.168.10.0/24"]


def test_packets_take_all_of_it(testbed: Testbed) -> None:
    assert testbed["web"].ping("db").ok
    assert testbed["desk"].ping("web").ok
    with testbed.fault("link-down", "op.ond2:bond0"):  # all by edge1 and OSPF
        testbed.eventually(lambda: testbed["desk"].ping("web", count=1).ok, 60)


def test_no_check_fails(testbed: Testbed) -> None:
    suites = ["lag", "vlan", "bgp", "isp", "site"]
    report = runner.run(testbed, load_topology(FILE, {}), suites, disruptive=False)
    assert report.exit_code == 0, report.diagnosis
