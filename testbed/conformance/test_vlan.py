"""The VLANs of virtual interfaces: tagged and addressed as ordered, ending on their device."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from testbed.conformance.expectation import expect
from testbed.conformance.probing import call_out, captures, exists, ping
from testbed.conformance.rack_subjects import LagSubject, VifSubject, vifs
from testbed.conformance.site import SETTLE_S, Site
from testbed.plan.model import Place

MTU = 1500
BROADCAST = "ether broadcast"
NOT_LACP = "not ether proto 0x8809"
ARRIVES_S = 4.0


def _inside(lag: LagSubject) -> list[Place]:
    """The ports of a LAG at its OND."""
    return [(lag.ond, own) for own, _ in lag.members]


def _outside(lag: LagSubject) -> list[Place]:
    """The ports of a LAG at its customer device."""
    return [(lag.device, far) for _, far in lag.members]


def _sender(packet: Any) -> str:
    """The address of who sent an IP or ARP packet."""
    if IP in packet:
        return str(packet[IP].src)
    return str(packet[ARP].psrc) if ARP in packet else ""


def _tags(packets: Iterable[Any], source: object = None) -> list[str]:
    """How frames are tagged, in words, without repetition; those of one sender, or all."""
    tags = {
        f"frames tagged {packet[Dot1Q].vlan}" if Dot1Q in packet else "untagged frames"
        for packet in packets
        if _sender(packet) and source in {None, _sender(packet)}
    }
    return sorted(tags)


def _addresses(site: Site) -> set[str]:
    """The addresses of both ends of every virtual interface."""
    found = (vif.vif for vif in vifs(site.topology))
    return {str(end.ip) for vif in found for end in (vif.local_address, vif.peer_address)}


def _hear(
    site: Site,
    sender: Place,
    places: list[Place],
    *,
    real: bool,
    target: object,
    others: Collection[str],
) -> tuple[list[Any], str]:
    """What is heard when an end calls out (a real one: answers), and why it could not call.

    What comes from `others`, who call by themselves at any time, is left out.
    """

    def packets() -> list[Any]:
        found = (packet for capture in heard.values() for packet in capture.packets)
        return [packet for packet in found if _sender(packet) not in others]

    with captures(site, places, NOT_LACP if real else BROADCAST) as heard:
        problem = (ping(site, sender, target).error or "") if real else call_out(site, sender)
        site.settled(packets, lambda found: found or problem, ARRIVES_S)
    return packets(), problem


@pytest.mark.after("site.powered")
@pytest.mark.follows("lag.carrier", "lag.fast-rate", "lag.members")
def test_tagged(site: Site, vif: VifSubject) -> None:
    """Frames of the VIF carry its VLAN id on the LAG's cables, in both directions.

    Expected: the frames of both ends are tagged (IEEE 802.1Q) with the ordered VLAN id.
    Source: A13 (T1); R1: each LAG is an 802.1Q trunk; R2: VLAN ids 1-4094, tagged
    Remedy: give the VLAN interface of the port channel the ordered VLAN id.
    """
    lag, wanted = vif.on, f"frames tagged {vif.vif.vlan}"
    own, peer = vif.vif.local_address.ip, vif.vif.peer_address.ip
    real = not exists(site, lag.device)
    inside, outside = (lag.ond, vif.ond_interface), (lag.device, vif.device_interface)
    ends = (
        (outside, peer, inside if real else outside, _inside(lag)),
        (inside, own, inside, _inside(lag) if real else _outside(lag)),
    )
    known = _addresses(site)
    for place, address, caller, places in ends:
        others = known - {str(address)}
        asks = real and caller != place
        packets, problem = _hear(site, caller, places, real=asks, target=peer, others=others)
        tags = _tags(packets, str(address)) or _tags(packets)
        seen = ", ".join(tags) or f"no frames at {places[0][0]}; {problem or 'nothing arrived'}"
        expect(tags == [wanted], " ".join(place), expected=wanted, seen=seen)


@pytest.mark.follows("site.powered", "lag.carrier", "lag.members", "vlan.tagged")
def test_not_bridged(site: Site) -> None:
    """Each VLAN ends on its customer device: none of its frames appear on another LAG.

    Expected: a broadcast of an OND on a VLAN arrives at that VLAN's device, and on no other LAG.
    Source: R1, H1: VLANs exist only between Outpost and device; do not bridge between devices
    Remedy: terminate the VLAN on the device with a routed interface; remove it from other trunks.
    """
    found = vifs(site.topology)
    if not found:
        pytest.skip("not declared: the topology has no virtual interface")
    lags = list({vif.on.name: vif.on for vif in found}.values())
    ports = [place for lag in lags for place in _inside(lag)]
    with captures(site, ports, BROADCAST) as heard:
        for vif in found:
            place = (vif.on.ond, vif.ond_interface)
            problem = call_out(site, place)
            expect(not problem, " ".join(place), expected="a broadcast", seen=problem or "sent")
        for vif in found:  # what was bridged comes before the answer to this
            ping(site, (vif.on.ond, vif.ond_interface), vif.vif.peer_address.ip)
    for vif in found:
        source, mac = str(vif.vif.local_address.ip), set()
        name = f"VLAN {vif.vif.vlan} of {vif.on.ond}"
        own = _inside(vif.on)
        for place in own:
            mac |= {p[Ether].src for p in heard[place].packets if _sender(p) == source}
        expect(mac, name, expected="a broadcast on its way out", seen=f"{len(mac)} frames")
        leaks = [
            " ".join(place)
            for place in ports
            if place not in own and _tags(heard[place].packets, source)
        ]
        seen = f"also at {', '.join(leaks)}" if leaks else "nowhere else"
        expect(not leaks, name, expected=f"only on the LAG to {vif.on.device}", seen=seen)


@pytest.mark.after("vlan.tagged")
@pytest.mark.follows("lag.carrier", "lag.fast-rate", "lag.members")
def test_addresses(site: Site, vif: VifSubject) -> None:
    """Both ends of the VIF use the ordered addresses.

    Expected: each end's packets on the VLAN come from its address of the point-to-point subnet.
    Source: A8 (T1); R1: a point-to-point subnet for each VLAN
    Remedy: set the address and prefix length of the VLAN interface to the ordered ones.
    """
    lag = vif.on
    real = not exists(site, lag.device)
    inside, outside = (lag.ond, vif.ond_interface), (lag.device, vif.device_interface)
    listener = inside if real else outside
    known = {str(vif.vif.local_address.ip), str(vif.vif.peer_address.ip)}
    for place, caller, heard_at, address in (
        (outside, inside if real else outside, inside, vif.vif.peer_address.ip),
        (inside, inside, listener, vif.vif.local_address.ip),
    ):
        others = known - {str(address)}
        asks = real and place == outside
        packets, problem = _hear(site, caller, [heard_at], real=asks, target=address, others=others)
        sources = sorted({_sender(packet) for packet in packets} - {""})
        seen = f"packets from {', '.join(sources)}" if sources else problem or "no packets"
        expect(
            sources == [str(address)],
            " ".join(place),
            expected=f"packets from {address}",
            seen=seen,
        )


@pytest.mark.after("vlan.tagged", "vlan.addresses")
@pytest.mark.follows("lag.carrier", "lag.fast-rate", "lag.members")
def test_peer_answers(site: Site, vif: VifSubject) -> None:
    """The two ends of the VIF answer each other's pings.

    Expected: the customer device answers the OND's ping on the VLAN, and the OND the device's.
    Source: A1, A14 (T1)
    Remedy: check ARP, the prefix lengths of both ends, and filters for ICMP on the interface.
    """
    lag, own, peer = vif.on, vif.vif.local_address.ip, vif.vif.peer_address.ip
    for place, answerer, address in (
        ((lag.ond, vif.ond_interface), f"{lag.device} {vif.device_interface}", peer),
        ((lag.device, vif.device_interface), f"{lag.ond} {vif.ond_interface}", own),
    ):
        if exists(site, place[0]):
            result = _answers(site, place, address)
            seen = result.error or "an answer"
            expect(result.ok, answerer, expected=f"{address} answers {place[0]}", seen=seen)


@pytest.mark.after("vlan.tagged", "vlan.addresses", "vlan.peer-answers")
@pytest.mark.follows("lag.carrier", "lag.fast-rate", "lag.members")
def test_mtu(site: Site, vif: VifSubject) -> None:
    """Packets of 1500 bytes pass the VIF unfragmented, in both directions.

    Expected: pings of 1500 bytes with the bit Don't Fragment are answered, from either end.
    Source: S1, P: the paths of the service link and of the local gateway carry 1500 bytes
    Remedy: set the MTU of the port channel and its VLAN interfaces to 1500 or more, at both ends.
    """
    lag, own, peer = vif.on, vif.vif.local_address.ip, vif.vif.peer_address.ip
    for place, far in (
        ((lag.device, vif.device_interface), own),
        ((lag.ond, vif.ond_interface), peer),
    ):
        if exists(site, place[0]):
            result = _answers(site, place, far, size=MTU, df=True)
            wanted, seen = f"{MTU} bytes answered by {far}", result.error or "an answer"
            expect(result.ok, " ".join(place), expected=wanted, seen=seen)


def _answers(site: Site, place: Place, address: object, **options: Any) -> Any:
    return site.settled(
        lambda: ping(site, place, address, **options), lambda result: result.ok, SETTLE_S
    )
