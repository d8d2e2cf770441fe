"""What `testbed trace` makes of what was recorded on real testbeds."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from testbed.lower import lower
from testbed.plan.model import Plan, Vxlan, WireGuard
from testbed.probes.trace import Trace, analyse
from testbed.render.dot import to_dot, to_mermaid
from testbed.render.picture import Visit, draw, visited
from testbed.render.trace import lines
from testbed.topology import load

ROOT = Path(__file__).parents[3]
RECORDED = Path(__file__).with_name("recorded")
TOPOLOGY = {
    "service-link": "topologies/two-racks.yaml",
    "mtu": "topologies/two-racks.yaml",
    "arp": "topologies/two-racks.yaml",
    "coip": "topologies/coip.yaml",
    "firewall": "tests/packets/firewall.yaml",
}


@cache
def plan_of(file: str) -> Plan:
    return lower(load(ROOT / file))


def record_of(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return record


def traced(name: str, record: dict[str, Any] | None = None) -> Trace:
    return analyse(record or record_of(name), plan_of(TOPOLOGY[name]))


def text_of(trace: Trace, *, both: bool = False) -> str:
    return "\n".join(line.plain for line in lines(trace, trace.destination, both=both))


def test_layers_of_the_service_link() -> None:
    trace = traced("service-link")
    assert trace.ok
    assert [(hop.node, hop.layer) for hop in trace.hops][:4] == [
        ("a", "packet"),
        ("op-a.vpc-app", "packet"),
        ("op-a.sl", "vxlan"),
        ("op-a.host2", "wireguard"),
    ]
    assert trace.answer is not None
    assert {hop.node for hop in trace.answer.hops} >= {"c", "region.fabric", "op-a.sl", "a"}
    assert trace.sentence == "delivered, and answered by ICMP echo reply"


@pytest.mark.parametrize("name", ["service-link", "coip", "firewall"])
def test_the_order_needs_no_clock(name: str) -> None:
    """In virtual time nothing tells but the cables; a wrong clock is not believed either."""
    expected = [(hop.node, hop.enters, hop.leaves) for hop in traced(name).hops]
    record = record_of(name)
    for packet in record["packets"]:
        packet["at"] = 10**18
    found = [(hop.node, hop.enters, hop.leaves) for hop in traced(name, record).hops]
    assert found == expected


def test_each_cable_has_two_ends() -> None:
    """Every hop comes in where the one before it has left, but for those into tunnels."""
    for name in ("service-link", "coip"):
        for one, other in zip(traced(name).hops, traced(name).hops[1:], strict=False):
            if not one.leaves or not other.enters or one.layer != other.layer:
                continue
            interface = plan_of(TOPOLOGY[name]).node(one.node).interface(one.leaves[-1].interface)
            peer = getattr(interface.device, "peer", None)
            assert peer in {None, other.enters[0].interface}


def test_translation_and_route_tables_in_awss_words() -> None:
    trace = traced("coip")
    translating = next(hop for hop in trace.hops if hop.translated)
    assert translating.node == "op.coip-app"
    assert str(translating.addresses_out) == "192.168.10.10 -> 10.0.3.112"
    gateway = next(hop for hop in trace.hops if hop.node == "op.lgw")
    assert gateway.route.startswith("op local gateway route table: 172.20.0.0/26 via")
    assert trace.answer is not None
    assert trace.answer.what == "TCP SYN, ACK"
    router = next(hop for hop in trace.answer.hops if hop.node == "op.vpc-app")
    assert router.route.startswith("route table rack of VPC app: 0.0.0.0/0 via")


def test_an_icmp_error_tells_why() -> None:
    trace = traced("mtu")
    assert (trace.delivered, trace.answered, trace.dropped_at) == (False, False, "op-a.vpc-app")
    assert trace.error is not None
    assert trace.error.error.text == "ICMP fragmentation needed (MTU 1300)"
    assert trace.sentence == (
        "dropped at op-a.vpc-app: its 1301 bytes are more than the MTU of sl, 1300, and DF is set: "
        "ICMP fragmentation needed (MTU 1300) sent from 10.77.7.1"
    )


def test_a_silent_neighbour() -> None:
    sentence = "dropped at desk: no answer to ARP for 192.168.10.77 on eth0"
    assert traced("arp").sentence == sentence
    forgotten = record_of("arp")
    forgotten["nodes"]["desk"]["neighbors"] = []
    assert traced("arp", forgotten).sentence == sentence


def test_an_answer_that_a_firewall_drops_encrypted() -> None:
    trace = traced("firewall")
    assert trace.delivered
    assert not trace.ok
    assert not trace.answered
    assert trace.dropped_at == "fw1"
    assert trace.answer is not None
    last = trace.answer.hops[-1]
    assert (last.node, last.layer, last.leaves) == ("fw1", "wireguard", ())
    assert last.dropped_by is not None
    assert last.dropped_by.rule == 'iif "region" meta length > 900 drop'
    assert trace.sentence.startswith("delivered, but its answer dropped at fw1: ")


def test_nothing_seen_is_not_delivered() -> None:
    """No data is never a pass, and never a bug either."""
    record = record_of("service-link") | {"packets": [], "steps": [], "nodes": {}, "chains": []}
    trace = traced("service-link", record)
    assert (trace.delivered, trace.ok, trace.answer) == (False, False, None)
    assert trace.sentence == "not seen again after a: the packet was not seen to leave"


@pytest.mark.parametrize("name", list(TOPOLOGY))
def test_whatever_is_missing_is_not_delivered(name: str) -> None:
    """Without what was seen from some node on: never delivered, always with a reason."""
    whole = record_of(name)
    for hop in traced(name).hops[1:]:
        record = copy.deepcopy(whole)
        record["packets"] = [p for p in record["packets"] if p["node"] != hop.node]
        record["steps"] = [s for s in record["steps"] if s["node"] != hop.node]
        trace = traced(name, record)
        json.dumps(trace.to_json())
        assert text_of(trace, both=True)
        if hop is traced(name).hops[-1]:
            assert not trace.delivered
        assert trace.ok or trace.reason
        assert trace.ok or (trace.dropped_at is None) != (trace.last_seen is None)


def test_text() -> None:
    text = text_of(traced("coip"))
    assert text.startswith("desk -> 172.20.0.2: TCP SYN to port 80, 40 bytes\n#  node ")
    assert "NAT: 192.168.10.10 -> 172.20.0.2 becomes 192.168.10.10 -> 10.0.3.112" in text
    assert "bond0.2002 (uplink1, VLAN 2002)" in text or "bond0.2001 (uplink1, VLAN 2001)" in text
    assert text.endswith("\n\ndelivered, and answered by TCP SYN, ACK")
    assert "inside" not in text
    assert "back to desk" not in text
    assert "TCP SYN, ACK, back to desk" in text_of(traced("coip"), both=True)
    lost = record_of("coip") | {"lost": ["cnd1"]}
    assert "too much traffic: hops may be missing in cnd1" in text_of(traced("coip", lost))


def test_json_is_plain() -> None:
    data = json.loads(json.dumps(traced("mtu").to_json()))
    assert data["icmp_error"]["mtu"] == 1300
    assert [hop["hop"] for hop in data["request"]["hops"]] == [1, 2]
    assert data["request"]["hops"][1]["route"]["table"] == 254
    assert data["answer"] is None


def test_the_way_is_drawn_on_the_picture() -> None:
    picture = draw(plan_of(TOPOLOGY["service-link"]))
    visits = [
        Visit("a", ("eth0",)),
        Visit("op-a.vpc-app", ("lgw",)),
        Visit("op-a.lgw", dropped=True),
    ]
    dot = to_dot(visited(picture, visits))
    assert dot.count("after hop") == 2
    assert "hop 3: dropped" in dot
    assert "after hop 2" in to_mermaid(visited(picture, visits))
    assert "hop" not in to_dot(picture)


def without_tunnel(**sessions: float | None) -> Trace:
    """The trace through a tunnel of which only what went in was seen; ages of its sessions."""
    whole = record_of("service-link")
    way_in = next(hop for hop in traced("service-link").hops if hop.layer == "vxlan")
    name = way_in.leaves[0].interface
    packets = [p for p in whole["packets"] if p["node"] in {"a", "op-a.vpc-app", "op-a.sl"}]
    packets = [p for p in packets if not is_wireguard(p) and p["interface"] != "sl"]
    packets += [p for p in whole["packets"] if p["interface"] == "sl" and p["kind"] == 4]
    record = whole | {"packets": packets, "steps": [], "nodes": copy.deepcopy(whole["nodes"])}
    device = plan_of(TOPOLOGY["service-link"]).node(way_in.node).interface(name).device
    assert isinstance(device, WireGuard)
    ages = {peer.public_key: sessions["age"] for peer in device.peers} if sessions else None
    record["nodes"][way_in.node]["wireguard"] = {name: ages} if ages else {}
    return traced("service-link", record)


def is_wireguard(packet: dict[str, Any]) -> bool:
    return bytes.fromhex(packet["data"])[28:32] == b"\4\0\0\0"


def test_what_is_not_found_behind_a_tunnel_is_not_dropped() -> None:
    """Only a session that is none is a reason; without knowledge of it there is none either."""
    for trace in (without_tunnel(age=7.0), without_tunnel()):
        assert (trace.delivered, trace.dropped_at, trace.last_seen) == (False, None, "op-a.sl")
        assert "was not recognised" in trace.sentence
        assert trace.sentence.startswith("not seen again after op-a.sl: it went into wg")
    for age in (None, 181.0):
        gone = without_tunnel(age=age)
        assert (gone.dropped_at, gone.last_seen) == ("op-a.sl", None)
        assert str(gone.reason).startswith("WireGuard has no session with anchor")


def test_a_service_link_that_is_down_is_told_by_its_tunnels() -> None:
    """Not by addresses inside, which nobody knows."""
    plan = plan_of(TOPOLOGY["service-link"])
    device = plan.node("op-a.vpc-app").interface("sl").device
    assert isinstance(device, Vxlan)
    whole = record_of("service-link")
    refused = {"source": device.local, "destination": device.remote, "iif": None, "mark": 0}
    refused |= {"asked": device.remote, "route": None, "refusal": "no route"}
    node = whole["nodes"]["op-a.sl"] | {"decisions": [refused], "routes": {}, "rules": []}
    packets = [p for p in whole["packets"] if p["node"] in {"a", "op-a.vpc-app"}]
    packets = [p for p in packets if p["interface"] != "sl" or p["kind"] == 4]
    text = "100.96.255.254  wg1  Down  12:00:00  1.000 0.000\n100.97.255.254 wg2 Init 1 1 1\n"
    record = whole | {"packets": packets, "steps": [], "bfd": {"op-a.sl": text}}
    record["nodes"] = whole["nodes"] | {"op-a.sl": node}
    tunnels = "wg1 to anchor1: BFD Down; wg2 to anchor2: BFD Init"
    assert traced("service-link", record).sentence == (
        f"dropped at op-a.sl: both tunnels of the op-a service link are down ({tunnels})"
    )
