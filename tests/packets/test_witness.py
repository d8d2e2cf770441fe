"""The witness catches what disturbs a site: what a check must not do, done."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from witness import Witness

from testbed.conformance import runner
from testbed.conformance.probing import connect, ping
from testbed.conformance.rack_subjects import LagSubject, VifSubject
from testbed.conformance.requesting import Request, send
from testbed.conformance.site import Site
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed

FILE = Path(__file__).with_name("mixed.yaml")
RULE = ("ip", "rule")
UPDATE_S = 3.0  # for daemons to act
Act = Callable[[Site], object]

pytestmark = [pytest.mark.packets, pytest.mark.topology(FILE)]


@pytest.fixture
def site(testbed: Testbed) -> Site:
    return Site(testbed, load_topology(FILE, {}))


def vif(site: Site, device: str) -> VifSubject:
    outpost = site.topology.racks["op"]
    lag = next(lag for lag in outpost.lags if lag.customer_device == device)
    return VifSubject(LagSubject(outpost, lag), "service-link")


def connect_as_the_neighbour(site: Site) -> object:
    """What bgp.port has done: to BIRD a neighbour with graceful restart that connects anew."""
    found = vif(site, "east")
    place = (found.on.device, found.device_interface)
    return connect(site, place, found.vif.local_address.ip, 179)


def restart_a_session(site: Site) -> object:
    command = ["birdc", "-s", "/run/node/west/bird.ctl", "restart", "op_service_link"]
    return site.testbed["west"].run(command)


def learn_a_path_mtu(site: Site) -> object:
    return site.testbed["inner"].ping("10.9.1.4", size=1273, df=True, count=2)


def leave_a_rule(site: Site) -> object:
    return site.testbed["inner"].run([*RULE, "add", "pref", "77", "lookup", "77"])


def seek_nobody(site: Site) -> object:
    return ping(site, ("bench", "eth0"), IPv4Address("192.168.40.99"), wait_s=4.0)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (connect_as_the_neighbour, "sessions: gone"),
        (restart_a_session, "bird.log: says"),
        (learn_a_path_mtu, "inner: exceptions: new: 10.9.1.4"),
        (leave_a_rule, "inner: rules: new"),
        (seek_nobody, "bench: neighbours: 192.168.40.99"),
    ],
)
def test_what_disturbs_is_told(site: Site, act: Act, told: str) -> None:
    with Witness(site.testbed, site.topology) as witness:
        before = witness.look()
        act(site)
        site.testbed.advance(UPDATE_S)
        found = witness.differences(before, witness.look())
    site.testbed["inner"].run([*RULE, "del", "pref", "77"], check=False)
    assert [line for line in found if told in line], found


def test_what_is_forgotten_is_told(site: Site) -> None:
    learn_a_path_mtu(site)
    with Witness(site.testbed, site.topology) as witness:
        before = witness.look()
        site.testbed["inner"].run(["ip", "route", "flush", "cache"])
        found = witness.differences(before, witness.look())
    assert found == ["inner: exceptions: gone: 10.9.1.4/32 table 254 mtu 1300"]


def test_a_probe_in_a_table_of_its_own_is_not(site: Site) -> None:
    too_large = Request("inner", "10.9.1.4", size=1301)
    with Witness(site.testbed, site.topology) as witness:
        before = witness.look()
        answer = send(site, [too_large])[too_large]
        found = witness.differences(before, witness.look())
    assert (answer.error, answer.mtu) == ("EMSGSIZE", 1300)
    assert not found


def test_another_state_of_a_tunnels_flow_is_told(site: Site) -> None:
    flow = ["10.200.0.10", "198.51.100.11", 17, 443, 443]
    other = ["10.200.0.10", "198.51.100.12", 17, 443, 443]
    with Witness(site.testbed, site.topology) as witness:
        now = witness.look()
        before = {**now, "nodes": {name: {**node} for name, node in now["nodes"].items()}}
        now["nodes"]["wall"]["connections"] = [[*flow, 2, 100]]
        before["nodes"]["wall"]["connections"] = [[*flow, 0, 100], [*other, 0, 1]]
        found = witness.differences(before, now)
    assert len(found) == 2, found
    assert all(line.startswith("wall: connections: ") for line in found)


def test_the_probe_for_a_path_mtu_leaves_none(site: Site) -> None:
    with site.testbed.fault("mtu", "wall:region", mtu=1400, ends="both"):
        with Witness(site.testbed, site.topology) as witness:
            checks = ("service-link.underlay-mtu", "service-link.encrypted", "firewalls")
            report = runner.run(
                site.testbed, site.topology, checks, disruptive=False, on_result=witness.after
            )
        failed = report.of("failed")
        assert {result.check for result in failed} == {"service-link.underlay-mtu"}
        assert all("MTU 1400" in result.seen for result in failed)
        # The management agent's own connection has found the link, too.
        own = f"exceptions: new: {site.topology.region.outposts_address}/32"
        told = [change for change in witness.told if own not in change.what]
        assert not told, "\n".join(map(str, told))
