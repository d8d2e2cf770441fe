"""The customer's firewalls on the way of the service link: what they pass, refuse and translate.

Packets are put on the cables before and behind the firewall, so that each is looked at alone,
whichever one the tunnels use now and whatever the routes beside it say. They are of no flow that
the site has: from one tunnel's server to the other's anchor, from ports that no kernel chooses.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from testbed.conformance.expectation import expect
from testbed.conformance.probing import captures, exists, inject, neighbour
from testbed.conformance.rack_subjects import TunnelSubject
from testbed.conformance.region_ways import taken, ways_of
from testbed.conformance.site import Site
from testbed.conformance.subjects import NodeSubject, behind
from testbed.lower import names
from testbed.lower.rack.inner import SERVICE_LINK_PORT as PORT
from testbed.lower.rack.inner import server_address
from testbed.plan.model import Place
from testbed.topology.model import Firewall

ARRIVES_S = 4.0
FORWARDED_S = 0.5  # for what must not come, once it has got to the firewall
ANSWERED_S = 8.0  # a tunnel that is not answered tries again after 5 s
EPHEMERAL = (1025, 20000, 65535)
FLOWS = 24  # of one server, all at once: each needs a port of its own where addresses are shared
SOURCES = 10000  # the first of their source ports
FILTER = f"udp port {PORT} or tcp port {PORT} or icmp"
SYN, SYN_ACK = "S", "SA"
# What the way to a firewall, and on from it, stands on.
BELOW = (
    *("site.powered", "site.cables", "site.daemons", "site.link", "site.peer-answers"),
    *("site.established",),
    *("isp.link", "isp.peer-answers", "isp.established", "isp.routes", "isp.way-out"),
)


@dataclass(frozen=True, slots=True)
class _Way:
    """How the service link of an Outpost goes through a firewall: its places, and two ends.

    `before` and `beyond` are the other ends of the firewall's cables, to a device and to the
    Region; answers may come out to any of its devices, `insides`.
    """

    before: Place
    inside: Place
    insides: tuple[Place, ...]
    outside: Place
    beyond: Place
    server: str
    anchor: str
    endpoint: str


def _firewall(site: Site, firewall: NodeSubject) -> Firewall:
    return next(w for w in site.topology.site.firewalls if w.name == firewall.name)


def _way(site: Site, firewall: NodeSubject) -> _Way:
    """The way through the firewall; the test is skipped where no service link takes it."""
    wall, racks = _firewall(site, firewall), behind(site.topology, firewall.name)
    devices = [link.device for link in wall.inside if exists(site, link.device)]
    if not racks or not devices:
        pytest.skip("no emulated device, or no Outpost with public connectivity, is behind it")
    return _Way(
        before=(devices[0], "region"),
        inside=(wall.name, names.inside_port(devices[0])),
        insides=tuple((wall.name, names.inside_port(link.device)) for link in wall.inside),
        outside=(wall.name, names.REGION_PORT),
        beyond=(names.EDGE, names.customer_port(wall.outside)),
        server=str(server_address(racks[0], 0)),
        anchor=str(site.topology.anchors(racks[0])[-1].address),
        endpoint=str(site.topology.region.outposts_address),
    )


def _same(packet: Any, probe: Any) -> bool:
    """Whether a packet is the probe, whatever has been translated."""
    if UDP in probe and UDP in packet:
        return bytes(packet[UDP].payload).startswith(probe[Raw].load)
    if TCP in probe and TCP in packet:
        return bool(packet[TCP].seq == probe[TCP].seq and packet[TCP].flags == probe[TCP].flags)
    return ICMP in probe and ICMP in packet and bool(packet[ICMP].id == probe[ICMP].id)


def _through(
    site: Site, sender: Place, near: Place, far: Sequence[Place], probes: list[Any]
) -> tuple[list[Any], list[Any]]:
    """What of the probes is seen on the near side of the firewall, and where they may come out."""

    def found(*places: Place) -> list[Any]:
        packets = [packet for place in places for packet in heard[place].packets]
        pairs = ((probe, packet) for probe in probes for packet in packets)
        seen: dict[int, Any] = {}
        for probe, packet in pairs:
            if _same(packet, probe):
                seen.setdefault(id(probe), packet)
        return list(seen.values())

    with captures(site, [near, *far], FILTER) as heard:
        problem = inject(site, sender, *probes, mac=neighbour(site, sender))
        expect(not problem, " ".join(sender), expected="packets sent", seen=problem or "sent")
        site.settled(lambda: found(*far), lambda seen: len(seen) == len(probes), ARRIVES_S)
    return found(near), found(*far)


def _out(way: _Way, number: int = 0) -> Any:
    mark = f"through the firewall {number}".encode()
    return IP(src=way.server, dst=way.anchor) / UDP(sport=PORT, dport=PORT) / Raw(mark)


def _syn(way: _Way, port: int) -> Any:
    ip = IP(src=way.server, dst=way.endpoint)
    return ip / TCP(sport=port, dport=PORT, flags=SYN, seq=0x10000 + port)


def _unknown_port() -> int:
    """Return a source port of no flow that a firewall may still know of an earlier check."""
    return SOURCES + secrets.randbelow(SOURCES)


def _expect_passed(
    firewall: NodeSubject, what: str, near: list[Any], far: list[Any], number: int
) -> None:
    name = f"{firewall}: {what}"
    expect(near, name, expected="a packet before it", seen=f"{len(near)} of {number}")
    seen = f"{len(near)} packets before it, {len(far)} behind it"
    expect(len(far) == number, name, expected=f"{number} behind it", seen=seen)


@pytest.mark.follows(*BELOW)
def test_passes_udp(site: Site, firewall: NodeSubject) -> None:
    """The firewall allows the tunnels' outgoing packets: UDP from port 443 to 443.

    Expected: a UDP packet from a server of the rack to an anchor is seen before and behind the
    firewall.
    Source: B7, B8, B10, D13, D16 (T1); S4
    Remedy: allow UDP 443 to 443 from the infrastructure subnet to AWS's ranges; check its routes
    and, if it translates addresses, whether ports are free.
    """
    way = _way(site, firewall)
    near, far = _through(site, way.before, way.inside, [way.outside], [_out(way)])
    _expect_passed(firewall, f"UDP {PORT} to {PORT}", near, far, 1)


@pytest.mark.follows(*BELOW)
def test_passes_tcp(site: Site, firewall: NodeSubject) -> None:
    """The firewall allows the management channel: TCP from ports 1025 to 65535 to 443.

    Expected: connections from the lowest, the highest and another such port are seen behind it.
    Source: B7, B8, B10, D13, D16 (T1); S4
    Remedy: allow TCP 1025-65535 to 443 from the infrastructure subnet to AWS's ranges.
    """
    way = _way(site, firewall)
    for port in EPHEMERAL:
        near, far = _through(site, way.before, way.inside, [way.outside], [_syn(way, port)])
        _expect_passed(firewall, f"TCP {port} to {PORT}", near, far, 1)


@pytest.mark.follows(*BELOW, "firewalls.passes-udp")
def test_symmetric(site: Site, tunnel: TunnelSubject) -> None:
    """Both directions of a tunnel take the same path if a firewall is on one of them.

    Paths are the firewalls, links to the Region's edge, and public virtual interfaces. If the
    directions differ, the check does not apply if the firewall accepts packets of flows that it has
    not seen leave.

    Expected: the packets between server and anchor take the same path out and back.
    Source: E1, E2, E3, E4, E7 (T1): two firewalls with asymmetric routing
    Remedy: revert the routing change; prefer one path by BGP in both directions (local preference
    for outgoing traffic, AS path for returning traffic), or shut one down; translate addresses;
    clear the state of the flow; relax the tracking of UDP 443 to 443.
    """
    ways = ways_of(site.topology, tunnel.outpost)
    if len(ways) < 2 or not any(way.firewall for way in ways):
        pytest.skip("the service link has no second path beside a firewall")
    walls = {way.name for way in ways if way.firewall}
    out, back = site.settled(
        lambda: taken(site, tunnel, ways),
        lambda seen: bool(seen[0]) and seen[0] == seen[1],
        ANSWERED_S,
    )
    seen = f"out by {', '.join(out) or 'none'}, back by {', '.join(back) or 'none'}"
    same = out == back and len(out) == 1
    if out and back and not same:
        between = [wall for wall in site.topology.site.firewalls if wall.name in walls & {*back}]
        if not walls & {*out, *back} or (between and _let_in(site, tunnel, between)):
            pytest.skip(f"{seen}: no firewall there keeps state")
    expect(same, tunnel, expected="the same path out and back", seen=seen)


@pytest.mark.after("firewalls.passes-udp", "firewalls.passes-tcp")
@pytest.mark.follows(*BELOW, "firewalls.symmetric", "firewalls.translates")
def test_passes_answers(site: Site, firewall: NodeSubject) -> None:
    """Answers come back in, to the address and port that asked.

    Expected: UDP 443 to 443, and TCP 443 to the ephemeral port, are seen inside with the server's
    own address and port.
    Source: B9, B12, C6, D13, D15 (T1): stateless also inbound, address translation correct; S4
    Remedy: on a stateless firewall, allow the mirror of outgoing traffic; on a stateful one, check
    its connection table.
    """
    way = _way(site, firewall)
    for probe in (_out(way), _syn(way, _unknown_port())):
        kind = UDP if UDP in probe else TCP
        _, far = _through(site, way.before, way.inside, [way.outside], [probe])
        what = f"{kind.__name__} {PORT} to {probe[kind].sport}"
        expect(far, f"{firewall}: {what}", expected="the question behind it", seen=f"{len(far)}")
        asked = far[0]
        ip = IP(src=asked[IP].dst, dst=asked[IP].src)
        if kind is UDP:
            answer = ip / UDP(sport=PORT, dport=asked[UDP].sport) / Raw(b"back through it")
        else:
            ports = {"sport": PORT, "dport": asked[TCP].sport}
            answer = ip / TCP(flags=SYN_ACK, seq=0x77000000, ack=asked[TCP].seq + 1, **ports)
        near, back = _through(site, way.beyond, way.outside, way.insides, [answer])
        _expect_passed(firewall, what, near, back, 1)
        seen = f"{back[0][IP].dst} port {back[0][kind].dport}"
        wanted = f"{way.server} port {probe[kind].sport}"
        expect(seen == wanted, f"{firewall}: {what}", expected=wanted, seen=seen)


@pytest.mark.after("firewalls.passes-udp")
def test_refuses_inbound(site: Site, firewall: NodeSubject) -> None:
    """Connections that begin outside are refused.

    Expected: a TCP connection, a UDP packet and a ping to a server of the rack stay outside.
    Source: S1, S4: all that is initiated inbound may be denied
    Remedy: deny connections from outside; a stateless firewall should allow answers from port 443
    only.
    """
    way = _way(site, firewall)
    ip = IP(src=way.anchor, dst=way.server)
    new = _unknown_port()
    probes = [
        ip / TCP(sport=new, dport=PORT, flags=SYN, seq=new),
        ip / UDP(sport=new, dport=PORT) / Raw(b"begun outside"),
        ip / ICMP(id=new) / Raw(b"begun outside"),
    ]
    barrier = _out(way, 1)
    with captures(site, [way.outside, *way.insides], FILTER) as heard:
        problem = inject(site, way.beyond, *probes, mac=neighbour(site, way.beyond))
        problem = problem or inject(site, way.before, barrier, mac=neighbour(site, way.before))
        expect(not problem, firewall, expected="packets sent", seen=problem or "sent")
        site.settled(
            lambda: [p for p in heard[way.outside].packets if _same(p, barrier)], bool, ARRIVES_S
        )
    for probe in probes:
        kind = next(layer.__name__ for layer in (TCP, UDP, ICMP) if layer in probe)
        name = f"{firewall}: {kind} from outside"
        came = [p for p in heard[way.outside].packets if _same(p, probe)]
        expect(came, name, expected="a packet outside", seen=f"{len(came)} packets")
        inside = [p for at in way.insides for p in heard[at].packets if _same(p, probe)]
        seen = f"{len(inside)} packets inside"
        expect(not inside, name, expected="refused", seen=seen)


@pytest.mark.after("firewalls.passes-udp")
def test_translates(site: Site, firewall: NodeSubject) -> None:
    """If the firewall translates addresses, it does so correctly, with ports for many flows.

    Expected: many new flows all leave with one address of the firewall, each with its own port.
    Source: B11, B12, D14, D15 (T1): NAT not overloaded, with free ports, translating correctly; R2
    Remedy: add addresses or ports to the translation's pool; shorten its timeouts.
    """
    way = _way(site, firewall)
    probes = [
        IP(src=way.server, dst=way.anchor)
        / UDP(sport=PORT, dport=PORT)
        / Raw(b"only whether it translates")
    ]
    _, far = _through(site, way.before, way.inside, [way.outside], probes)
    if far and far[0][IP].src == way.server:
        pytest.skip("it does not translate: the server's own address is seen outside")
    first = _unknown_port()
    probes = [_syn(way, first + number) for number in range(FLOWS)]
    _, far = _through(site, way.before, way.inside, [way.outside], probes)
    name = f"{firewall}: address translation"
    seen = f"{len(far)} of {FLOWS} flows came out"
    expect(len(far) == FLOWS, name, expected=f"{FLOWS} flows at once", seen=seen)
    own = str(_firewall(site, firewall).outside.addresses[0].ip)
    addresses = sorted({packet[IP].src for packet in far})
    wanted = f"the address {own}"
    expect(addresses == [own], name, expected=wanted, seen=", ".join(addresses))
    ports = {packet[TCP].sport for packet in far}
    expect(len(ports) == FLOWS, name, expected="a port for each flow", seen=f"{len(ports)} ports")


def _let_in(site: Site, tunnel: TunnelSubject, walls: list[Firewall]) -> bool:
    """Whether firewalls let in what looks like an anchor's answer, though nobody has asked.

    It is for an address of the infrastructure subnet that no server has: of that no flow is known.
    """
    nobody = str(tunnel.outpost.service_link.infrastructure_cidrs[0].broadcast_address - 1)
    ip = IP(src=tunnel.anchor_address, dst=nobody)
    answer = ip / UDP(sport=PORT, dport=PORT) / Raw(b"an answer to nobody")
    inner = [(w.name, names.inside_port(link.device)) for w in walls for link in w.inside]
    outer = [(w.name, names.REGION_PORT) for w in walls]
    with captures(site, [*inner, *outer], FILTER) as heard:

        def came(places: list[Place]) -> int:
            return sum(_same(p, answer) for place in places for p in heard[place].packets)

        for wall in walls:
            beyond = (names.EDGE, names.customer_port(wall.outside))
            mac = site.plan.node(wall.name).interface(names.REGION_PORT).mac
            inject(site, beyond, answer, mac=mac)
        site.settled(lambda: came(outer), lambda number: number == len(walls), ARRIVES_S)
        return bool(site.settled(lambda: came(inner), bool, FORWARDED_S))
