"""`testbed trace` on real testbeds: the way of a packet, and each reason to drop it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from scapy.layers.inet import IP

from testbed.control.protocol import Frame, control_socket, message_of, pack_message
from testbed.testing import Testbed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.probes.trace import Hop, Protocol, Trace
    from testbed.probes.trace import Path as Way

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/two-racks.yaml")]

SERVICE_LINK = ["op-a.sl", "op-a.host", "op-a.sl", "op-a.ond", "cnd", "region.edge"]
INTERNET_HOST = "192.0.2.99"


def names(way: Way) -> list[str]:
    """The nodes of the way, without which of two it was."""
    return [hop.node.rstrip("12") for hop in way.hops]


def at(trace: Trace, node: str) -> Hop:
    """The first hop at a node."""
    return next(hop for hop in trace.hops if hop.node == node)


def tables(testbed: Testbed) -> list[str]:
    """The tables that traces have left behind."""
    return [
        line
        for node in ("op-a.vpc-app", "op-a.host1", "region.vpc-app")
        for line in testbed[node].run(["nft", "list", "tables"]).text.splitlines()
        if "trace" in line
    ]


@pytest.fixture
def restored(testbed: Testbed) -> Iterator[None]:
    """What a test changes by hand at instances `a` and `b` is put back."""
    yield
    for node, router in (("a", "10.77.7.1"), ("b", "10.77.11.1")):
        testbed[node].run(["ip", "link", "set", "eth0", "up"])
        testbed[node].run(["ip", "route", "replace", "default", "via", router])


def test_from_the_office_over_the_local_gateway(testbed: Testbed) -> None:
    trace = testbed.trace("desk", "a", protocol="tcp", port=80)
    assert trace.ok
    assert trace.answer is not None
    assert trace.answer.what == "TCP SYN, ACK"
    way = ["desk", "site.lan-office", "cnd", "op-a.ond", "op-a.lgw", "op-a.vpc-app", "a"]
    assert names(trace.request) == way
    device = trace.hops[2]
    vlan = 2000 + int(device.node.removeprefix("cnd"))
    assert {port.vlan for port in device.leaves} == {None, vlan}
    assert device.leaves[0].interface == f"op-a.{vlan}"
    assert device.route.startswith("VRF lgw: 10.77.7.0/24")
    assert at(trace, "op-a.lgw").route.startswith("op-a local gateway route table: 10.77.7.0/24")
    assert trace.hops[-1].ttl == 64 - 4
    assert not tables(testbed)


def test_over_the_service_link(testbed: Testbed) -> None:
    """The packet is inside VXLAN inside WireGuard, which hides it; both ways are seen."""
    trace = testbed.trace("a", "c", protocol="tcp", port=80)
    assert trace.ok
    region = ["region.anchor", "region.anchor", "region.fabric", "region.vpc-app", "c"]
    assert names(trace.request) == ["a", "op-a.vpc-app", *SERVICE_LINK, *region]
    layers = [hop.layer for hop in trace.hops]
    assert layers == ["packet"] * 2 + ["vxlan"] + ["wireguard"] * 6 + ["vxlan"] * 2 + ["packet"] * 2
    assert at(trace, "region.fabric").leaves == ()
    assert trace.answer is not None
    assert names(trace.answer)[0] == "c"
    assert [hop.node for hop in trace.answer.hops][-2:] == ["op-a.vpc-app", "a"]
    peer = [hop.tunnel for hop in trace.hops if hop.tunnel and "WireGuard" in hop.tunnel]
    assert peer[0].startswith("into WireGuard peer anchor")
    assert peer[1] == "out of WireGuard peer op-a"


def test_from_outpost_to_outpost(testbed: Testbed) -> None:
    trace = testbed.trace("a", "b")
    assert trace.ok
    rack_a, rack_b = ["a", "op-a.vpc-app", "op-a.lgw", "op-a.ond"], ["op-b.ond", "op-b.lgw"]
    assert [name.rstrip("34") for name in names(trace.request)] == [
        *rack_a, "cnd", "site.wan", "cnd", *rack_b, "op-b.vpc-app", "b",
    ]  # fmt: skip
    chosen = at(trace, "op-a.vpc-app")
    assert chosen.route.startswith("route table rack-a of VPC app: 10.77.11.0/24")
    assert chosen.decision is not None
    assert chosen.decision.rule == "100: from all fwmark 0x2"


def test_the_same_as_a_capture_shows(testbed: Testbed) -> None:
    """tcpdump beside it, at three interfaces: the same addresses and time to live."""
    places = [("op-a.vpc-app", "lgw"), ("op-b.vpc-app", "eni-b"), ("site.wan", "cust-cnd4")]
    places.append(("site.wan", "cust-cnd3"))
    captures = [testbed[node].capture(port, "icmp[0] == 8") for node, port in places]
    with captures[0], captures[1], captures[2], captures[3]:
        trace = testbed.trace("a", "b", size=256)
    compared = 0
    for (node, port), capture in zip(places, captures, strict=True):
        hop = at(trace, node)
        expected = [hop.ttl_out] if port in {out.interface for out in hop.leaves} else []
        assert [packet[IP].ttl for packet in capture.packets] == expected
        assert all(packet[IP].len == 256 for packet in capture.packets)
        compared += len(expected)
    assert compared == 3


def test_too_large_for_the_service_link(testbed: Testbed) -> None:
    assert testbed.trace("a", "c", size=1300, df=True).ok
    trace = testbed.trace("a", "c", size=1301, df=True)
    assert not trace.delivered
    assert trace.dropped_at == "op-a.vpc-app"
    assert trace.error is not None
    assert (trace.error.error.mtu, trace.error.address) == (1300, "10.77.7.1")
    assert trace.error.received
    assert trace.reason is not None
    assert trace.reason.startswith("its 1301 bytes are more than the MTU of sl, 1300, and DF")
    own = testbed.trace("a", "c", size=9002, df=True)
    assert (own.dropped_at, own.hops) == ("a", ())


def test_no_route_in_a_route_table(testbed: Testbed) -> None:
    trace = testbed.trace("c", INTERNET_HOST)
    assert (trace.delivered, trace.dropped_at) == (False, "region.vpc-app")
    route = f"route table main of VPC app: no route to {INTERNET_HOST} (blackhole 0.0.0.0/0)"
    assert trace.reason == route
    office = testbed.trace("desk", INTERNET_HOST)
    assert office.dropped_at is not None
    assert office.dropped_at.startswith("cnd")
    assert office.error is not None
    assert office.error.error.text == "ICMP host unreachable"


@pytest.mark.usefixtures("restored")
def test_a_source_that_is_not_the_interfaces(testbed: Testbed) -> None:
    """The source/destination check of an instance that sends from another address."""
    a = testbed["a"]
    a.run(["ip", "address", "add", "10.99.0.1/32", "dev", "lo"])
    try:
        a.run(["ip", "route", "replace", "default", "via", "10.77.7.1", "src", "10.99.0.1"])
        trace = testbed.trace("a", "b")
    finally:
        a.run(["ip", "route", "replace", "default", "via", "10.77.7.1"])
        a.run(["ip", "address", "del", "10.99.0.1/32", "dev", "lo"])
    assert trace.dropped_at == "op-a.vpc-app"
    assert trace.reason == "source/destination check: a source that is not the interface's"


@pytest.mark.usefixtures("restored")
def test_a_link_that_is_down(testbed: Testbed) -> None:
    testbed["b"].run(["ip", "link", "set", "eth0", "down"])
    trace = testbed.trace("a", "b")
    assert trace.dropped_at == "op-b.vpc-app"
    assert trace.reason is not None
    assert trace.reason.endswith("; eni-b is down")
    own = testbed.trace("b", "a")
    assert own.dropped_at == "b"
    assert own.reason is not None
    assert "Network is unreachable" in own.reason


@pytest.mark.usefixtures("restored")
def test_no_way_back(testbed: Testbed) -> None:
    """The packet arrives; its answer has no route."""
    testbed["b"].run(["ip", "route", "del", "default"])
    trace = testbed.trace("a", "b")
    assert trace.delivered
    assert not trace.ok
    assert (trace.dropped_at, trace.reason) == ("b", "no route to 10.77.7.88")


def test_a_neighbour_that_is_silent(testbed: Testbed) -> None:
    trace = testbed.trace("desk", "192.168.10.77")
    assert trace.dropped_at == "desk"
    assert trace.reason == "no answer to ARP for 192.168.10.77 on eth0"


def test_a_service_link_that_is_cut(testbed: Testbed) -> None:
    """Silently at first; then BFD has noticed, and there is no route to the other end."""
    with testbed.fault("service-link-cut", "op-a"):
        assert testbed.trace("a", "c").dropped_at == "op-a.sl"

        def without_route() -> Trace | None:
            trace = testbed.trace("a", "c")
            return trace if "are down" in str(trace.reason) else None

        trace = testbed.eventually(without_route, timeout=20)
    assert trace is not None
    assert trace.dropped_at == "op-a.sl"
    tunnels = "wg1 to anchor1: BFD Down; wg2 to anchor2: BFD Down"
    assert trace.reason == f"both tunnels of the op-a service link are down ({tunnels})"


def test_a_queue_that_loses(testbed: Testbed) -> None:
    """All of it: what netem drops leaves no trace but its counter."""
    desk = testbed["desk"]
    desk.run(["tc", "qdisc", "add", "dev", "eth0", "root", "netem", "loss", "100%"])
    try:
        trace = testbed.trace("desk", "192.168.10.2")
    finally:
        desk.run(["tc", "qdisc", "del", "dev", "eth0", "root"])
    assert trace.dropped_at == "desk"
    assert trace.reason is not None
    assert trace.reason.startswith("the queue of eth0, dropped ")


def test_udp_to_a_closed_port_is_delivered(testbed: Testbed) -> None:
    trace = testbed.trace("desk", "a", protocol="udp", port=9)
    assert trace.delivered
    assert trace.answered
    assert trace.error is not None
    assert trace.error.error.text == "ICMP port unreachable"
    closed = testbed.trace("desk", "a", protocol="tcp", port=9)
    assert closed.answer is not None
    assert closed.answer.what == "TCP RST, ACK"


def test_nothing_stays_when_the_client_dies(testbed: Testbed) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control_socket(testbed.name)))
        request = {"op": "trace", "node": "desk", "destination": "192.168.10.77", "size": 84}
        client.sendall(pack_message(request))
        testbed.eventually(lambda: len(tables(testbed)) == 3)
    testbed.eventually(lambda: not tables(testbed))


def test_while_the_testbed_changes(testbed: Testbed) -> None:
    """A change of the ruleset in the middle of a trace takes the trace's table, and no more."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control_socket(testbed.name)))
        request = {"op": "trace", "node": "desk", "destination": "192.168.10.77", "size": 84}
        client.sendall(pack_message(request))
        testbed.eventually(lambda: tables(testbed))
        testbed.apply("topologies/two-racks-blocked.yaml")
        blocked = testbed.trace("a", "b")
        record = _answer(client)
    assert record["result"]["sent"]["error"] == ""
    assert blocked.dropped_at == "region.vpc-app"
    assert blocked.reason == "the Region lets nothing through from one Outpost to another"
    assert at(blocked, "op-a.vpc-app").route.startswith("the VPC's local route: 10.77.11.0/24")
    assert not tables(testbed)


def _answer(client: socket.socket) -> dict[str, Any]:
    """The message that the keeper answers with."""
    client.settimeout(30)
    with client.makefile("rb") as stream:
        head = stream.read(5)
        assert head[0] == Frame.MESSAGE
        return message_of(stream.read(int.from_bytes(head[1:], "big")))


@pytest.mark.topology("topologies/coip.yaml")
def test_customer_owned_ip_addresses(testbed: Testbed) -> None:
    trace = testbed.trace("desk", "172.20.0.2", protocol="tcp", port=80)
    assert trace.ok
    there = at(trace, "op.coip-app")
    assert there.translated
    assert (there.addresses.destination, str(there.addresses_out)) == (
        "172.20.0.2",
        "192.168.10.10 -> 10.0.3.112",
    )
    assert trace.answer is not None
    back = next(hop for hop in trace.answer.hops if hop.node == "op.coip-app")
    assert (back.addresses.source, str(back.addresses_out)) == (
        "10.0.3.112",
        "172.20.0.2 -> 192.168.10.10",
    )


@pytest.mark.topology("topologies/coip.yaml")
@pytest.mark.testbed(time="virtual", seed=1)
def test_in_virtual_time(testbed: Testbed) -> None:
    """Nothing takes time but the links; the order is that of the cables."""
    before = testbed.elapsed()
    trace = testbed.trace("cloud", "web", protocol="tcp", port=80)
    assert trace.ok
    assert [hop.node for hop in trace.hops][:2] == ["cloud", "region.vpc-app"]
    assert [hop.node for hop in trace.hops][-2:] == ["op.vpc-app", "web"]
    assert [hop.at_ms for hop in trace.hops] == sorted(hop.at_ms for hop in trace.hops)
    assert testbed.elapsed() - before < 2


@pytest.mark.topology("topologies/security-groups.yaml")
def test_security_groups_and_network_acls(testbed: Testbed) -> None:
    allowed = testbed.trace("desk", "web", protocol="tcp", port=80)
    assert allowed.ok
    comments = [entry.comment for entry in at(allowed, "op.vpc-app").filters if entry.comment]
    assert comments == ["security group web, ingress"]
    refused = testbed.trace("guest", "web", protocol="tcp", port=80)
    assert refused.dropped_at == "op.vpc-app"
    assert refused.reason == "no ingress rule of security groups app, web allows it"
    assert not refused.hops[-1].leaves
    acl = testbed.trace("web", "db")
    assert acl.dropped_at == "region.vpc-app"
    assert acl.reason == "network ACL data, ingress rule 90"
    assert testbed.trace("web", "db", protocol="tcp", port=7).ok


def test_a_rule_of_a_device_with_vrfs(testbed: Testbed) -> None:
    """What is forwarded in a VRF has come in by the VRF, as far as rules know."""
    with (
        testbed.fault("firewall", "cnd1", protocol="icmp"),
        testbed.fault("firewall", "cnd2", protocol="icmp", name="other"),
    ):
        trace = testbed.trace("desk", "a")
    assert trace.dropped_at in {"cnd1", "cnd2"}
    assert "ipv6-icmp } drop" in str(trace.reason)
    assert "chain forward of customer network device cnd" in str(trace.reason)


def test_to_itself(testbed: Testbed) -> None:
    """By the loopback interface, of which no route table knows."""
    cases: tuple[tuple[Protocol, int, str], ...]
    cases = (("icmp", 0, "ICMP echo reply"), ("tcp", 9, "TCP RST, ACK"))
    for protocol, port, answer in cases:
        trace = testbed.trace("desk", "desk", protocol=protocol, port=port)
        assert (trace.ok, trace.answered, len(trace.hops)) == (True, True, 1)
        assert trace.answer is not None
        assert trace.answer.what == answer
    udp = testbed.trace("desk", "desk", protocol="udp", port=9)
    assert (udp.ok, udp.answered) == (True, True)


@pytest.mark.topology("tests/packets/narrow-route.yaml")
def test_an_answer_that_leaves_by_another_way(testbed: Testbed) -> None:
    """The NAT gateway has no translation for it; nothing untranslated leaves it."""
    assert testbed.trace("clerk", "app", protocol="tcp", port=80).ok
    trace = testbed.trace("till", "app", protocol="tcp", port=80)
    assert (trace.delivered, trace.dropped_at) == (True, "region.nat-app.nat")
    reason = "the NAT gateway has no translation for it: its connection did not begin there"
    assert trace.reason == reason
    assert trace.answer is not None
    assert "op.sl" in [hop.node for hop in trace.answer.hops]
    assert testbed.trace("app", "www", protocol="tcp", port=80).ok


@pytest.mark.topology("tests/packets/firewall.yaml")
def test_fragments_inside_and_outside_the_tunnels(testbed: Testbed) -> None:
    """Whole, or named with the part that is missing and the rule that took it."""
    for size in (1301, 4000):
        assert testbed.trace("web", "db", size=size).ok
        assert testbed.trace("web", "db", protocol="udp", port=4789, size=size).delivered
    with testbed.fault("mtu", "fw1:region", mtu=1300, ends="both"):
        outside = testbed.trace("web", "db", size=1280)
        assert outside.ok
        table = "table ip stateless { chain forward { type filter hook forward priority 0; "
        rule = "ip frag-off & 0x1fff != 0 drop; }; }"
        for node, way in (("region.edge", "request"), ("cnd1", "answer"), ("cnd2", "answer")):
            testbed[node].run(["nft", f"{table}{rule}"])
            trace = testbed.trace("web", "db", size=1280)
            testbed[node].run(["nft", "delete", "table", "ip", "stateless"])
            if trace.ok:  # the other device has carried it
                continue
            assert (trace.dropped_at, trace.delivered) == (node, way == "answer")
            assert "its fragment from byte " in str(trace.reason)
            assert "in table ip stateless, chain forward" in str(trace.reason)
    with testbed.fault("impair", "db:eth0", loss="100%"):
        assert testbed.trace("web", "db", size=1301).dropped_at == "db"


@pytest.mark.topology("tests/packets/firewall.yaml")
def test_a_firewall_of_the_customers(testbed: Testbed, tmp_path: Path) -> None:
    """It drops what is encrypted, on its way there and on its way back; and translates."""
    there = testbed.trace("web", "db", size=1000)
    assert there.ok
    assert at(there, "fw1").translated
    firewall = testbed["fw1"]
    for condition, way in (("oif region", "request"), ("iif region", "answer")):
        rule = f"insert rule inet firewall forward {condition} meta length gt 900 drop"
        firewall.run(["nft", *rule.split()])
        trace = testbed.trace("web", "db", size=1000)
        handles = firewall.run(["nft", "-a", "list", "chain", "inet", "firewall", "forward"]).text
        handle = next(line for line in handles.splitlines() if "> 900" in line).split()[-1]
        firewall.run(["nft", "delete", "rule", "inet", "firewall", "forward", "handle", handle])
        assert trace.dropped_at == "fw1"
        assert trace.delivered == (way == "answer")
        assert not trace.ok
        assert trace.reason is not None
        assert "meta length > 900 drop" in trace.reason
        assert trace.reason.endswith("of customer firewall fw1 (inside WireGuard)")
    started = time.monotonic()
    assert testbed.trace("web", "db", size=1000).ok, f"after {time.monotonic() - started:.1f} s"
