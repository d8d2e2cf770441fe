"""What must not reach each other, and what no instance may send."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from itertools import permutations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from testbed.conformance.expectation import expect
from testbed.conformance.permissions import Permissions
from testbed.conformance.probing import captures
from testbed.conformance.rack_subjects import OutpostSubject
from testbed.conformance.requesting import Request, send
from testbed.conformance.site import Site
from testbed.conformance.subjects import InstanceSubject, VpcSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.watching import came, echo_request, ports, send_frames
from testbed.conformance.ways import WayEnd, Ways
from testbed.lower import names
from testbed.plan.model import Place
from testbed.probes.capture import Capture

pytestmark = pytest.mark.follows(*CONNECTIVITY)
FOREIGN_MAC = "02:00:5e:00:53:01"  # documentation (RFC 7042)
FOREIGN = "203.0.113.202"  # RFC 5737
FORWARDED_S = 3.0
ARRIVAL_S = 0.3  # for what must not come, after what was sent has left
MULTICAST, MULTICAST_MAC = "224.0.0.251", "01:00:5e:00:00:fb"
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"


def test_outposts(site: Site, outpost: OutpostSubject) -> None:
    """No packet gets from one Outpost to another through the Region.

    They may only use both local gateways and the customer's network, if the routes say so; the
    check leaves out these instances.

    Expected: nothing that an instance sends arrives at those of other Outposts.
    Source: S4, H5: Outposts-to-Outposts traffic routing through the Region is blocked
    Remedy: check the VPC's router in the Region, which must drop packets from another Outpost.
    """
    pairs = [
        (source, other)
        for source, other in permutations(Ways(site.topology).instances, 2)
        if source.place == outpost.outpost.name and other.place not in {None, source.place}
    ]
    _expect_apart(site, pairs, "no instance of another Outpost is without a way to it")


def test_vpcs(site: Site, vpc: VpcSubject) -> None:
    """Packets get from one VPC to another only by peering, transit gateway or the customer.

    Expected: nothing that an instance sends arrives at those of VPCs without such a path.
    Source: V: a VPC is isolated; H3, H6 for VPCs on one Outpost
    Remedy: check the routes of the routers that carry packets of both VPCs.
    """
    own = vpc.vpc
    pairs = [
        (source, other)
        for source, other in permutations(Ways(site.topology).instances, 2)
        if source.vpc == own.name != other.vpc and other.address not in own.cidr
    ]
    _expect_apart(site, pairs, "no instance of another VPC is without a way to it")


def _expect_apart(site: Site, pairs: list[tuple[WayEnd, WayEnd]], otherwise: str) -> None:
    """What the first of a pair sends does not arrive at the second, where no way leads there."""
    ways = Ways(site.topology)
    apart = [(one, other) for one, other in pairs if ways.leads_nowhere(one, other.address)]
    if not apart:
        pytest.skip(otherwise)
    requests = [
        Request(source.name, str(other.address), protocol, 80)
        for source, other in apart
        for protocol in ("icmp", "tcp", "udp")
    ]
    places = dict.fromkeys((end.name, "eth0") for pair in apart for end in pair)
    with captures(site, places, "ip") as seen:
        send(site, requests, ARRIVAL_S)
    for source, other in apart:
        wanted = (str(source.address), str(other.address))
        sent, arrived = (
            [p for p in seen[end.name, "eth0"].packets if IP in p and _ends(p) == wanted]
            for end in (source, other)
        )
        name = f"{source} to {other} ({other.address})"
        expect(sent, name, expected="packets that leave", seen=f"{len(sent)} packets")
        seen_there = f"{len(arrived)} packets" if arrived else "none"
        expect(not arrived, name, expected=f"none at {other}", seen=seen_there)


def _ends(packet: Ether) -> tuple[str, str]:
    return packet[IP].src, packet[IP].dst


def router_of(site: Site, end: WayEnd) -> str:
    """The node of the VPC router that an instance is connected to."""
    outpost = site.topology.outposts.get(end.place or "")
    return names.outpost_vpc(outpost, end.vpc) if outpost else names.region_vpc(end.vpc)


def test_spoofing(site: Site, instance: InstanceSubject) -> None:
    """An instance can send only from its own MAC and IP addresses.

    The check sends frames with another source address of its subnet, with a nonexistent one, and
    with a foreign MAC address, to a destination to which its own frames are forwarded.

    Expected: the VPC's router forwards the instance's own frames, and none of the others; without
    source/destination check, also those with foreign IP addresses.
    Source: V (anti-spoofing), EC2 eni (source/destination check), 3P (Nitro drops packets with
    an invalid source)
    Remedy: leave the source/destination check on, unless the instance is an appliance.
    """
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    end = ways.end(instance.instance.name)
    assert end.interface is not None
    target = next(
        (
            way.to
            for other in ways.ends
            if other != end
            and (way := ways.way(end, other))
            and permissions.allows(end, other, way, "icmp", 0)
        ),
        None,
    )
    if target is None:
        pytest.skip("it may ping nobody")
    own, forged = _own_and_forged(site, end, target)
    frames = [own, *forged.values()]
    for number, frame in enumerate(frames, start=1):
        frame[ICMP].id = number
    router = router_of(site, end)
    wanted = f"icmp[icmptype] = 8 and dst host {target}"
    with captures(site, ports(site, router), wanted) as seen:
        send_frames(site, (end.name, "eth0"), [*frames[1:], own])
        site.settled(lambda: _all(seen), lambda packets: len(packets) > len(frames), FORWARDED_S)
    identifiers = [packet[ICMP].id for packet in _all(seen)]
    times = [identifiers.count(number) for number, _ in enumerate(frames, start=1)]
    name = f"{end} at {router}"
    expect(times[0] > 1, name, expected="its own frames forwarded", seen=f"{times[0] - 1} frames")
    for what, number in zip(forged, times[1:], strict=True):
        expect(number, name, expected=f"a frame with {what} that arrives", seen=number)
        how = "forwarded" if number > 1 else "dropped"
        expect(number == 1, f"{name}: a frame with {what}", expected="dropped", seen=how)


def _own_and_forged(site: Site, end: WayEnd, target: IPv4Address) -> tuple[Ether, dict[str, Ether]]:
    """An instance's own echo request, and those that it must not send, by what is wrong."""
    assert end.interface is not None
    subnet = site.topology.subnet(end.vpc, end.interface.subnet)
    neighbour = next(a for a in reversed(list(subnet.cidr.hosts())) if a != end.address)
    ends = {
        "src": str(site.plan.node(end.name).interface("eth0").mac),
        "dst": _gateway_mac(site, end),
    }
    foreign = ends | {"src": FOREIGN_MAC}
    forged = {"a foreign MAC address": echo_request(end.address, target, **foreign)}
    if end.interface.source_destination_check:
        forged["an address of the subnet's"] = echo_request(neighbour, target, **ends)
        forged["an address of nobody's"] = echo_request(FOREIGN, target, **ends)
    return echo_request(end.address, target, **ends), forged


def _all(seen: Mapping[Place, Capture]) -> list[Ether]:
    return [packet for capture in seen.values() for packet in capture.packets]


def _gateway_mac(site: Site, end: WayEnd) -> str:
    """The MAC address of an instance's default gateway, from its own neighbour table."""
    subnet = site.topology.subnet(end.vpc, end.interface.subnet if end.interface else "")
    node = site.testbed[end.name]

    def look() -> str:
        node.ping(str(subnet.router), count=1)
        argv = ["ip", "neigh", "show", "to", str(subnet.router), "dev", "eth0"]
        words = node.run(argv, check=False).text.split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    mac = site.settled(look, bool, 3.0)
    expect(mac, f"{end} gateway {subnet.router}", expected="an ARP entry", seen=mac)
    return mac


def test_broadcast(site: Site, vpc: VpcSubject) -> None:
    """A VPC has no broadcast domain: an instance's broadcasts and multicasts reach no other.

    Expected: no frame to the limited broadcast address, the subnet's, or a multicast group arrives
    at another instance.
    Source: V (subnet sizing: no broadcast; DHCPOptionSet: multicast is not supported)
    Remedy: look for a bridge between network interfaces.
    """
    ends = [end for end in Ways(site.topology).instances if end.vpc == vpc.vpc.name]
    if len(ends) == 1:
        pytest.skip("it has only one instance")
    places: list[Place] = [(end.name, "eth0") for end in ends]
    with captures(site, places, "icmp and (broadcast or multicast)") as seen:
        for end in ends:
            subnet = site.topology.subnet(end.vpc, end.interface.subnet if end.interface else "")
            send_frames(
                site,
                (end.name, "eth0"),
                [
                    echo_request(end.address, "255.255.255.255", dst=BROADCAST_MAC),
                    echo_request(end.address, subnet.cidr.broadcast_address, dst=BROADCAST_MAC),
                    echo_request(end.address, MULTICAST, dst=MULTICAST_MAC),
                ],
            )
        for place in places:
            came(site, seen[place], 3)
    for end in ends:
        packets = seen[end.name, "eth0"].packets
        foreign = [packet for packet in packets if packet[IP].src != str(end.address)]
        own = len(packets) - len(foreign)
        expect(own, end, expected="its own frames on their way", seen=own or "none")
        sources = ", ".join(sorted({packet[IP].src for packet in foreign}))
        text = f"frames from {sources}" if foreign else "none"
        expect(not foreign, f"{vpc}: {end}", expected="none of another's", seen=text)
