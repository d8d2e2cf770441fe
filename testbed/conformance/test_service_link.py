"""The service link: the rack's encrypted tunnels to the Region, and the network below them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

from testbed.conformance.apart import unheard
from testbed.conformance.expectation import Measurement, expect
from testbed.conformance.probing import captures, connect, inject, neighbour, ping
from testbed.conformance.rack_subjects import OutpostSubject, TunnelSubject
from testbed.conformance.service_link_ways import anchor_place, on_the_way, overlays, uplinks_of
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.transfer import transfer
from testbed.lower import names
from testbed.lower.rack import inner
from testbed.lower.rack.inner import SERVICE_LINK_PORT as PORT
from testbed.lower.rack.inner import management_endpoint, server_address
from testbed.plan.model import Place
from testbed.topology.model import INTERNAL

MTU = 1500
HEADERS = 28  # of IPv4 and UDP
HIGHEST_RTT_MS = 175.0
LEAST_MBPS = 500.0
BUSY = 0.6  # of the processors' time: then they, and not the network, are the limit
ANY_MACHINE_MBPS = 10.0  # what the slowest and busiest machine carries through its tunnels
MARK = b"in the clear"
ARRIVES_S = 4.0
REFUSED_S = 0.6
FAILS_OVER_S = 10.0
NEW_PORT = 50443
# What the tunnels and the management channel stand on.
BELOW = (
    *("lag.carrier", "lag.members", "vlan.tagged", "vlan.addresses", "vlan.peer-answers"),
    *("bgp.port", "bgp.asns", "bgp.established", "bgp.outpost-announces", "bgp.route-to-rack"),
    *("site.powered", "site.cables", "site.daemons", "site.link", "site.peer-answers"),
    *("site.established",),
    *("site.accepted", "bgp.way-to-region", "isp.link", "isp.peer-answers", "isp.established"),
    *("isp.routes", "isp.way-out", "direct-connect.link", "direct-connect.peer-answers"),
    *("direct-connect.prefix-limit", "direct-connect.established", "direct-connect.received"),
    *("direct-connect.advertised", "direct-connect.endpoint-filters", "direct-connect.all-paths"),
    *("firewalls.symmetric", "firewalls.passes-answers"),
)


def _datagram(source: object, destination: object, dport: int, mark: bytes, number: int) -> Any:
    """A UDP packet of 1500 bytes, from port 443, that must not be fragmented."""
    payload = mark.ljust(MTU - HEADERS, b".")
    ip = IP(src=str(source), dst=str(destination), flags="DF", id=number)
    return ip / UDP(sport=PORT, dport=dport) / Raw(payload)


def _marked(packets: Any, mark: bytes) -> list[Any]:
    return [packet for packet in packets if mark in bytes(packet)]


def _sent(site: Site, sender: Place, receiver: Place, packet: Any, mark: bytes) -> tuple[Any, str]:
    """A packet as it has arrived (or None), and where it got lost, in words."""
    with captures(site, [receiver], f"udp and greater {MTU}") as heard:
        problem = inject(site, sender, packet, mac=neighbour(site, sender))
        site.settled(
            lambda: _marked(heard[receiver].packets, mark), lambda m: m or problem, ARRIVES_S
        )
    arrived = _marked(heard[receiver].packets, mark)
    return (arrived[0], "") if arrived else (None, problem)


def _lost(site: Site, tunnel: TunnelSubject, sender: Place, packet: Any, mark: bytes) -> str:
    """How far a packet gets, and what the sender is told, in words."""
    places = on_the_way(site, tunnel)
    with captures(site, [*places, sender], "udp or icmp") as heard:
        inject(site, sender, packet, mac=neighbour(site, sender))
        site.settled(lambda: _marked(heard[places[-1]].packets, mark), bool, ARRIVES_S)
    seen = [" ".join(place) for place in heard if _marked(heard[place].packets, mark)]
    errors = [p for p in heard[sender].packets if p.haslayer("ICMP") and p["ICMP"].type == 3]
    told = ""
    if errors:
        error = errors[0]["ICMP"]
        mtu = f", MTU {error.nexthopmtu}" if error.code == 4 else ""
        told = f"; ICMP unreachable, code {error.code}{mtu} from {errors[0][IP].src}"
    return f"lost; seen only at {', '.join(seen) or 'no place'}{told}"


@pytest.mark.after("site.powered")
@pytest.mark.follows(*BELOW, "firewalls.passes-udp", "site.default-route")
def test_handshake(site: Site, tunnel: TunnelSubject) -> None:
    """The tunnel has a recent handshake, and UDP 443 is answered now.

    Expected: a handshake no older than 180 s, and packets that come back from the anchor.
    Source: S1, S4; B7, C5, D13 (T1): UDP 443 to 443, out and, if stateless, in
    Remedy: allow UDP 443 to 443 on the whole path between the infrastructure subnet and AWS.
    """
    node = names.service_link(tunnel.outpost)
    row = site.settled(
        lambda: site.row("tunnels", node=node, interface=tunnel.interface),
        lambda row: row["ok"],
        SETTLE_S,
    )
    seen = f"{row['state']}; {row['reason']}" if row.get("reason") else row["state"]
    expect(row["ok"], tunnel, expected="a handshake", seen=seen)
    before = row["rx_bytes"]
    later = site.settled(  # BFD inside asks several times a second
        lambda: site.row("tunnels", node=node, interface=tunnel.interface).get("rx_bytes", 0),
        lambda now: now > before,
        SETTLE_S,
    )
    seen = f"{later - before} bytes" if later > before else "nothing comes back"
    expect(later > before, tunnel, expected="answers from the anchor", seen=seen)


@pytest.mark.after("service-link.handshake")
@pytest.mark.follows("vlan.mtu", "site.mtu", *BELOW)
def test_underlay_mtu(site: Site, tunnel: TunnelSubject) -> None:
    """Packets of 1500 bytes pass unfragmented between rack server and anchor, both ways.

    Expected: UDP packets from port 443 to 443, of 1500 bytes with the bit Don't Fragment, arrive.
    Source: S1: the path must carry 1500 bytes; S4; A13, A14, B13, C8, D16, G12 (T1, T2)
    Remedy: raise the MTU of the link that drops them to 1500; allow UDP 443 to 443.
    """
    host, place = (tunnel.host, "eth0"), anchor_place(site, tunnel)
    source, mark = server_address(tunnel.outpost, tunnel.index), f"out {tunnel.name}".encode()
    # The tunnel itself would keep what it hears of the path's MTU.
    with unheard(site, host[0], place[0]) as number:
        out = _datagram(source, tunnel.anchor_address, PORT, mark, number)
        arrived, problem = _sent(site, host, place, out, mark)
        if arrived is None:
            seen = problem or _lost(site, tunnel, host, out, mark)
            name = f"{tunnel.host} to {tunnel.anchor}"
            expect(False, name, expected=f"{MTU} bytes at {place[0]}", seen=seen)
        mark = f"back {tunnel.name}".encode()
        ends = (tunnel.anchor_address, arrived[IP].src)
        back = _datagram(*ends, arrived[UDP].sport, mark, number)
        returned, problem = _sent(site, place, host, back, mark)
        seen = "arrived"
        if returned is None:
            seen = problem or _lost(site, tunnel, place, back, mark)
        name = f"{tunnel.anchor} to {tunnel.host}"
        expect(returned is not None, name, expected=f"{MTU} bytes at {host[0]}", seen=seen)


@pytest.mark.after("isp.way-out", "isp.established", every=True)
@pytest.mark.follows(*BELOW, "firewalls.passes-tcp", "site.default-route")
def test_region_reachable(site: Site, outpost: OutpostSubject) -> None:
    """The infrastructure subnet can reach the Region's public addresses.

    Expected: the Outposts endpoint answers TCP 443 from a server of the rack.
    Source: D2, D9, D16 (T1)
    Remedy: follow the packets (testbed trace): on-premises, at the provider, or beyond.
    """
    rack = outpost.outpost
    if rack.private_anchors:
        pytest.skip(f"{rack.name} has private connectivity: it does not use the provider")
    source, address = server_address(rack, 0), management_endpoint(site.topology, rack)
    place = (names.outpost_host(rack, 0), "eth0")
    seen = site.settled(
        lambda: connect(site, place, address, PORT, source=str(source)),
        lambda seen: seen == "connected",
        SETTLE_S,
    )
    name = f"{place[0]} to {address} TCP {PORT}"
    expect(seen == "connected", name, expected="connected", seen=seen)


@pytest.mark.after("service-link.region-reachable")
@pytest.mark.follows(*BELOW, "firewalls.passes-tcp")
def test_management(site: Site, outpost: OutpostSubject) -> None:
    """The management channel works: TCP from an ephemeral port to 443.

    Expected: a server of the rack can connect to the Region's endpoint, which says that the Outpost
    is connected.
    Source: S4; B7, C5, D13 (T1): TCP 1025-65535 to 443; H2; G1 (T2)
    Remedy: allow TCP 1025-65535 to 443, from the infrastructure subnet to AWS.
    """
    rack = outpost.outpost
    address, source = (
        management_endpoint(site.topology, rack),
        str(server_address(rack, 0)),
    )
    host = (names.outpost_host(rack, 0), "eth0")
    name = f"{host[0]} to {address} TCP {PORT}"
    seen = connect(site, host, address, PORT, source=source)
    expect(seen == "connected", name, expected="connected", seen=seen)
    row = site.settled(
        lambda: site.row("management", subject=rack.name), lambda row: row["ok"], SETTLE_S
    )
    expect(row["ok"], outpost, expected="connected", seen=row["state"])


@pytest.mark.after("service-link.handshake")
def test_rtt(site: Site, tunnel: TunnelSubject, measure: Callable[..., Measurement]) -> None:
    """The round trip between Outpost and Region through the tunnel takes at most 175 ms.

    Expected: pings through the tunnel are answered, the slowest in at most 175 ms.
    Source: S1
    Remedy: find the link with the delay (testbed trace); use another path or provider.
    """
    place = (names.service_link(tunnel.outpost), tunnel.interface)
    result = ping(site, place, inner.tunnel_anchor(tunnel.index).ip, count=3)
    times = result.rtt_ms
    expect(times, tunnel, expected="answers", seen=result.error or times)
    rtt = measure("RTT", times.max if times else 0.0, "ms", at_most=HIGHEST_RTT_MS)
    expect(rtt.ok, tunnel, expected=rtt.limit, seen=rtt)


@pytest.mark.after("service-link.handshake", every=True)
@pytest.mark.follows("service-link.underlay-mtu", *BELOW)
def test_inner_mtu(site: Site, outpost: OutpostSubject) -> None:
    """Between the Outpost's and the Region's part of a VPC the MTU is exactly 1300.

    Expected: 1300 bytes pass unfragmented; for 1301 bytes ICMP reports the MTU of 1300.
    Source: S1
    Remedy: the underlying path must carry 1500 bytes (service-link.underlay-mtu); find out what
    adds headers on it.
    """
    found = overlays(site.topology, outpost.outpost)
    if not found:
        pytest.skip("no VPC has a subnet on the Outpost")
    limit = inner.SERVICE_LINK_MTU
    for name, place, far in found:
        fits = ping(site, place, far, size=limit, df=True)
        expect(fits.ok, name, expected=f"{limit} bytes pass", seen=fits.error or "an answer")
        larger = ping(site, place, far, size=limit + 1, df=True)
        error = larger.error or "an answer"
        told = f"mtu={limit}" in error.replace(" ", "")
        expect(told, name, expected=f"MTU {limit} told for {limit + 1} bytes", seen=error)


@pytest.mark.after("service-link.handshake", every=True)
@pytest.mark.follows("service-link.underlay-mtu", "service-link.rtt", *BELOW)
def test_throughput(
    site: Site, outpost: OutpostSubject, measure: Callable[..., Measurement]
) -> None:
    """The service link carries at least 500 Mbit/s.

    The check does not apply if this machine is too slow, or in virtual time.

    Expected: a one-second TCP transfer through the tunnels reaches 500 Mbit/s.
    Source: S1, H2: 500 Mbit/s to 1 Gbit/s for each compute rack
    Remedy: order a faster link; look for loss, and for a limit on the path (testbed capture).
    """
    if site.testbed.is_virtual:
        pytest.skip("in virtual time a transfer takes no processor time, so its rate means nothing")
    source, own = names.service_link(outpost.outpost), inner.overlay_endpoint(outpost.outpost)
    mbps, busy = transfer(site, source, own, names.FABRIC, inner.FABRIC_ENDPOINT)
    rate = measure("throughput", mbps, "Mbit/s", at_least=LEAST_MBPS)
    if not rate.ok and busy > BUSY and mbps > ANY_MACHINE_MBPS:
        pytest.skip(f"this machine is the limit: {rate} with its processors {busy:.0%} busy")
    expect(rate.ok, outpost, expected=rate.limit, seen=f"{rate}, processors {busy:.0%} busy")


@pytest.mark.after("service-link.handshake", every=True)
def test_encrypted(site: Site, outpost: OutpostSubject) -> None:
    """On the customer's wires the service link is only UDP 443 to 443 and TCP 443.

    Expected: while a marked packet crosses, the wires show the tunnels' packets, but neither its
    content nor an address inside the tunnels.
    Source: S1: an encrypted set of VPN connections; S4
    Remedy: look for a route that bypasses the tunnels.
    """
    rack = outpost.outpost
    places, found = uplinks_of(site, rack), overlays(site.topology, rack)
    if not found:
        pytest.skip("no VPC has a subnet on the Outpost: nothing crosses")
    with captures(site, places, "ip") as heard:
        for _, place, far in found:
            ping(site, place, far, mark=MARK)
        site.settled(
            lambda: [p for c in heard.values() for p in c.packets if UDP in p and _is_tunnel(p)],
            bool,
            ARRIVES_S,
        )
    expect(heard, outpost, expected="wires to listen on", seen=len(heard) or None)
    number, inside = 0, rack.service_link.infrastructure_cidrs
    tunnels = {_datagram_of(p) for c in heard.values() for p in c.packets if _is_tunnel(p)}
    for (node, interface), capture in heard.items():
        for packet in capture.packets:
            ends = [IPv4Address(packet[IP].src), IPv4Address(packet[IP].dst)]
            ours = any(end in cidr for end in ends for cidr in inside)
            fragment = packet[IP].frag and _datagram_of(packet) in tunnels
            known = bool(_is_tunnel(packet) or fragment)
            number += ours or known
            clear = MARK in bytes(packet) or any(end in INTERNAL for end in ends)
            # What a fragment without its first one is of, nobody can tell.
            other = ours and not known and not packet[IP].frag
            expect(
                not clear and not other,
                f"{node} {interface}",
                expected=f"UDP {PORT} to {PORT} or TCP {PORT}",
                seen=f"{packet.summary()}{' with the marked content' if clear else ''}",
            )
    name = f"{outpost}: {', '.join(' '.join(place) for place in heard)}"
    expect(number, name, expected="the tunnels' packets", seen=f"{number} packets")


def _is_tunnel(packet: Any) -> bool:
    """Whether a packet is of a tunnel or management channel, or an ICMP error about one."""
    if UDP in packet or TCP in packet:
        layer = packet[UDP] if UDP in packet else packet[TCP]
        return PORT in (layer.sport, layer.dport)
    return "ICMP" in packet and packet["ICMP"].type in {3, 11}


def _datagram_of(packet: Any) -> tuple[Any, ...]:
    """What all fragments of one datagram have in common (RFC 791)."""
    ip = packet[IP]
    return ip.src, ip.dst, ip.proto, ip.id


@pytest.mark.after("service-link.handshake")
@pytest.mark.follows("bgp.equal", *BELOW)
def test_two_paths(site: Site, outpost: OutpostSubject) -> None:
    """Answers to each tunnel come through the OND that its server's address belongs to.

    Expected: packets to the servers of both halves of the infrastructure subnet arrive at their
    ONDs; where every OND announces all with path length 1, at any of them.
    Source: S1: redundant; R1: each OND announces its own /27 with path length 1; M2
    Remedy: let the devices prefer the shorter AS path; see bgp.route-to-rack.
    """
    rack = outpost.outpost
    if rack.drained:
        pytest.skip("an OND is drained: all traffic is on the other one")
    for index, _ in enumerate(site.topology.anchors(rack)):
        address = server_address(rack, index)
        entry = next(e for e in rack.service_link.prefixes if address in e.prefix)
        lags = [lag for lag in outpost.lags if lag.lag.device in entry.owners]
        places = [(lag.ond, lag.service_link.ond_interface) for lag in lags]
        with captures(site, places, f"dst host {address} and udp port {PORT}") as heard:
            number = site.settled(
                lambda heard=heard: sum(len(capture.packets) for capture in heard.values()),  # type: ignore[misc]
                bool,
                ARRIVES_S,
            )
        where = " or ".join(" ".join(place) for place in places)
        name = f"{where}: {address}"
        expect(number, name, expected="the tunnel's packets", seen=f"{number} packets")


@pytest.mark.after("service-link.underlay-mtu")
@pytest.mark.follows("firewalls.refuses-inbound")
def test_initiated_from_the_outpost(site: Site, tunnel: TunnelSubject) -> None:
    """The Region's side can open nothing: neither TCP connections nor its own UDP flows.

    Expected: a new connection from the anchor to the rack's server gets no answer.
    Source: S1: always initiated from the Outpost; S4: all that is initiated inbound may be denied
    Remedy: deny connections from outside, at the firewall and on the path to the infrastructure
    subnet.
    """
    place, address = anchor_place(site, tunnel), server_address(tunnel.outpost, tunnel.index)
    name = f"{tunnel.anchor} to {tunnel.host} ({address})"
    own = tunnel.anchor_address
    with captures(site, [place], f"src host {address} and udp dst port {NEW_PORT}") as heard:
        probe = IP(src=own, dst=str(address)) / UDP(sport=NEW_PORT, dport=PORT) / Raw(MARK)
        problem = inject(site, place, probe)
        expect(not problem, name, expected="a packet sent", seen=problem or "sent")
        seen = connect(site, (place[0], ""), address, PORT, source=own, wait_s=REFUSED_S)
    answered = seen in {"connected", "Connection refused"}
    expect(not answered, f"{name} TCP {PORT}", expected="no answer", seen=seen)
    answers = len(heard[place].packets)
    expect(
        not answers,
        f"{name} UDP {PORT}",
        expected="no answer",
        seen=f"{answers} answers",
    )


@pytest.mark.disruptive
@pytest.mark.after("service-link.handshake", "service-link.inner-mtu")
def test_redundancy(site: Site, outpost: OutpostSubject) -> None:
    """Either tunnel alone carries the service link.

    Expected: with one tunnel cut, the Outpost's and the Region's part of a VPC reach each other
    again within seconds, and so they do with the other one cut.
    Source: S1: redundant; H1: size each path so that it can carry all; E7 (T1): a test of each path
    Remedy: repair the tunnel that fails: see the lower checks of its path.
    """
    found = overlays(site.topology, outpost.outpost)
    if not found:
        pytest.skip("no VPC has a subnet on the Outpost: nothing crosses")
    _, place, far = found[0]
    number = len(site.topology.anchors(outpost.outpost))
    expect(number > 1, outpost, expected="two tunnels", seen=f"{number} tunnels")
    for cut in range(1, number + 1):
        with site.testbed.fault("service-link-cut", outpost.outpost.name, tunnel=cut):
            result = site.settled(
                lambda: ping(site, place, far, wait_s=0.3), lambda r: r.ok, FAILS_OVER_S
            )
        alone = ", ".join(str(n) for n in range(1, number + 1) if n != cut)
        name = f"{outpost}: tunnel {alone} alone"
        seen = result.error or "an answer"
        expect(result.ok, name, expected=f"an answer within {FAILS_OVER_S:g} s", seen=seen)
