"""Direct VPC routing: what is announced, what reaches what, and draining a device.

web 10.0.3.4 and apart 10.0.4.4 in one VPC, other 10.8.3.4 in another; desk on the LAN.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from observing import Flow, bgp_paths, captured, ends
from scapy.layers.inet import IP

from packets.mutations import with_own
from testbed.plan.files import files_of
from testbed.plan.model import Plan
from testbed.testing import Testbed

FILE = Path(__file__).parents[2] / "topologies" / "direct-vpc-routing.yaml"
pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/direct-vpc-routing.yaml")]

Apply = Callable[..., None]

WEB, APART, OTHER, CLOUD = "10.0.3.4", "10.0.4.4", "10.8.3.4", "10.0.1.4"
DESK = "192.168.10.10"
VIFS = {1: ("cnd1", "op.2001"), 2: ("cnd2", "op.2002")}
UPLINKS = {1: ("op.ond1", "bond0"), 2: ("op.ond2", "bond0")}
SUBNETS = {"10.0.3.0/24", "10.8.3.0/24"}
OP = "outposts: {op: {}}"


@pytest.fixture
def apply_changed(testbed: Testbed, tmp_path: Path) -> Apply:
    """Apply the topology with the Outpost's object replaced."""

    def apply(outpost: str) -> None:
        text = FILE.read_text()
        assert text.count(OP) == 1
        file = tmp_path / "changed.yaml"
        file.write_text(text.replace(OP, f"outposts: {{op: {outpost}}}"))
        testbed.apply(file)

    return apply


def paths_to(prefixes: Iterable[str], path: list[int]) -> dict[str, list[int]]:
    """The same AS path for each prefix."""
    return dict.fromkeys(prefixes, path)


def test_private_addresses_reach_the_local_network_as_they_are(testbed: Testbed) -> None:
    with captured(testbed, VIFS.values(), "ip") as seen:
        assert f"client {WEB}:" in testbed["web"].http(f"http://{DESK}/").text
        assert f"client {DESK}:" in testbed["desk"].http(f"http://{WEB}/").text
    assert {(WEB, DESK), (DESK, WEB)} <= {pair for c in seen.values() for pair in ends(c)}


@pytest.mark.parametrize("device", ["cnd1", "cnd2"])
def test_announcements(testbed: Testbed, device: str) -> None:
    """Subnets with a route to the local gateway: not `apart`, no VPC, nothing of the Region."""
    paths = bgp_paths(testbed, device, "op_local_gateway")
    assert paths == paths_to(SUBNETS, [64513])


def test_what_is_not_announced_is_not_reached(testbed: Testbed) -> None:
    """Even if the customer routes it to the Outpost."""
    device, desk = testbed["cnd1"], testbed["desk"]
    device.run(["ip", "route", "add", "10.0.0.0/16", "via", "198.19.0.0", "vrf", "lgw"])
    desk.run(["ip", "route", "add", "10.0.0.0/16", "via", "192.168.10.2"])
    try:
        with captured(testbed, [("op.lgw", "vpc-app"), VIFS[1]], "icmp") as seen:
            for address in (APART, CLOUD, "10.0.0.1"):
                assert desk.ping(address, count=1).received == 0
        assert not seen["op.lgw", "vpc-app"].packets
        assert {packet[IP].src for packet in seen[VIFS[1]].packets} == {DESK}
    finally:
        device.run(["ip", "route", "del", "10.0.0.0/16", "via", "198.19.0.0", "vrf", "lgw"])
        desk.run(["ip", "route", "del", "10.0.0.0/16"])
    assert testbed["apart"].ping(DESK, count=1).received == 0
    assert testbed["apart"].ping(WEB, count=1).received == 1  # the local route is there


def test_vpcs_are_apart_on_the_outpost(testbed: Testbed) -> None:
    """The customer announces no route to the other VPC: its packets end in the local gateway."""
    places = [("other", "eth0"), ("op.lgw", "vpc-other"), ("op.lgw", "ond1"), ("op.lgw", "ond2")]
    with captured(testbed, places, "icmp") as seen:
        assert testbed["web"].ping(OTHER, count=3).received == 0
    assert not [place for place in places if seen[place].packets]


def with_default_route(plan: Plan) -> Plan:
    """The plan in which the customer's devices announce a default route, and lead it back."""
    route = "protocol static back { ipv4 { table t_lgw; }; route 0.0.0.0/0 unreachable; }\n"
    nodes = tuple(
        with_own(node, "bird.conf", files_of(node)["bird.conf"] + route)
        if node.name in {"cnd1", "cnd2"}
        else node
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def test_the_customers_network_may_connect_two_vpcs(testbed: Testbed) -> None:
    """With a default route of the customer's, the packet leaves the Outpost and comes back."""
    testbed.apply(with_default_route(testbed.plan))
    gateway = testbed["op.lgw"]
    testbed.eventually(
        lambda: gateway.run(["ip", "route", "show", "default", "table", "1003"]).text
    )
    with captured(testbed, [*VIFS.values(), ("other", "eth0")], "icmp") as seen:
        assert testbed.eventually(lambda: testbed["web"].ping(OTHER, count=2).received == 2)
    crossed = [pair for place in VIFS.values() for pair in ends(seen[place])]
    assert {(WEB, OTHER), (OTHER, WEB)} <= set(crossed)
    requests = [
        packet
        for place in VIFS.values()
        for packet in seen[place].packets
        if IP in packet and packet[IP].src == WEB
    ]
    arrived = [packet for packet in seen["other", "eth0"].packets if packet[IP].src == WEB]
    assert len(requests) >= 2 * len(arrived) > 0  # each one is there twice: out and in
    # VPC router, local gateway, OND, device, OND, local gateway, VPC router
    assert {packet[IP].ttl for packet in arrived} == {64 - 7}


@pytest.mark.parametrize(
    ("gateway", "lacks"),
    [
        ("{vif_group: false}", "VIF group association"),
        ("{routes: []}", "static route to the VIF group"),
        (
            "{routes: [{destination: 10.9.0.0/16, target: web.instance}]}",
            "static route to the VIF group",
        ),
    ],
)
def test_an_inactive_table_announces_and_forwards_nothing(
    testbed: Testbed, apply_changed: Apply, gateway: str, lacks: str
) -> None:
    """Facts: L1, L3."""
    apply_changed(f"{{local_gateway: {gateway}}}")
    for device in ("cnd1", "cnd2"):
        testbed.eventually(lambda: not bgp_paths(testbed, device, "op_local_gateway"))  # noqa: B023
    (table,) = testbed.status()["local_gateways"]
    assert table["state"] == f"inactive: no {lacks}"
    assert {route["state"] for route in table["routes"]} <= {"pending"}
    with captured(testbed, VIFS.values(), "icmp") as seen:
        assert testbed["web"].ping(DESK, count=2).received == 0
    assert not [place for place in seen if seen[place].packets]


def test_a_static_route_bounds_what_can_be_reached(testbed: Testbed, apply_changed: Apply) -> None:
    """What BGP has learned is used as far as a static route to the VIF group covers it."""
    route = "{destination: 192.168.10.8/29}"
    apply_changed(f"{{local_gateway: {{routes: [{route}]}}}}")
    assert testbed["web"].ping(DESK, count=1).received == 1
    apply_changed(f"{{local_gateway: {{routes: [{route.replace('10.8', '10.16')}]}}}}")
    assert testbed["web"].ping(DESK, count=1).received == 0


def test_a_static_route_beats_an_equal_propagated_one(
    testbed: Testbed, apply_changed: Apply
) -> None:
    """And a longer one: what matches a route to the VIF group is not led into the VPC (L2)."""
    default = "{destination: 0.0.0.0/0}"
    for destination in ("10.0.3.0/24", "10.0.3.0/28"):
        route = f"{{destination: {destination}}}"
        apply_changed(f"{{local_gateway: {{routes: [{default}, {route}]}}}}")
        assert testbed["desk"].ping(WEB, count=1).received == 0
        assert testbed["desk"].ping(OTHER, count=1).received == 1


def test_draining_a_device_shifts_traffic_without_loss(
    testbed: Testbed, apply_changed: Apply
) -> None:
    """Path length 4, on the service link too (R1, H1), and back again; nothing is lost."""
    flows = {("desk", WEB), ("web", DESK), ("desk", OTHER), ("web", CLOUD)}
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(Flow(testbed, node, address, count=400))
            for node, address in sorted(flows)
        ]
        for flow in running:
            flow.wait_for(5)
        apply_changed("{drained: [1]}")
        drained_is_quiet(testbed, drained=1)
        assert bgp_paths(testbed, "cnd1", "op_local_gateway") == paths_to(SUBNETS, [64513] * 4)
        assert bgp_paths(testbed, "cnd2", "op_local_gateway") == paths_to(SUBNETS, [64513])
        halves = ("10.200.0.0/27", "10.200.0.32/27")
        assert bgp_paths(testbed, "cnd1", "op_service_link") == paths_to(halves, [64512] * 4)
        assert bgp_paths(testbed, "cnd2", "op_service_link") == paths_to(halves, [64512])
        apply_changed("{drained: [2]}")
        drained_is_quiet(testbed, drained=2)
        apply_changed("{}")
        gaps = {flow.longest_gap() for flow in running}
    assert gaps == {0}
    assert bgp_paths(testbed, "cnd1", "op_local_gateway") == paths_to(SUBNETS, [64513])


def drained_is_quiet(testbed: Testbed, *, drained: int) -> None:
    """Wait until nothing but BGP and LACP is on the drained device's LAG."""
    other = 3 - drained
    traffic = "vlan and (icmp or udp)"  # instances' pings, and the tunnels

    def quiet() -> bool:
        with captured(testbed, [UPLINKS[drained], UPLINKS[other]], traffic) as seen:
            assert testbed["desk"].ping(WEB, count=3).received == 3
            assert testbed["web"].ping(CLOUD, count=3).received == 3
        busy = len(seen[UPLINKS[other]].packets)
        return busy >= 12 and not seen[UPLINKS[drained]].packets

    testbed.eventually(quiet, 20)
