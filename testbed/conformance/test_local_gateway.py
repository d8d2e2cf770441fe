"""The local gateway in direct VPC routing: what the local network reaches, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scapy.layers.inet import IP

from testbed.conformance.expectation import Measurement, expect
from testbed.conformance.permissions import Permissions
from testbed.conformance.probing import captures
from testbed.conformance.rack_subjects import DomainSubject, VifSubject
from testbed.conformance.requesting import Request, answered, send
from testbed.conformance.site import Site
from testbed.conformance.subjects import InstanceSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.watching import (
    between,
    came,
    counts,
    echo_request,
    emulated,
    members,
    pairs,
    send_frames,
    tunnels,
    untagged_between,
    vlans,
)
from testbed.conformance.ways import Way, WayEnd, Ways
from testbed.lower import names
from testbed.plan.model import Place
from testbed.topology.model import RoutingDomain

pytestmark = pytest.mark.follows(*CONNECTIVITY)
MTU = 1500  # facts: P
CONNECTIONS = 64  # enough that a hash sends some of them each way
SHARE = 5.0  # percent of them, at least, through each OND
FIRST_PORT = 33000
FORWARDED_S = 0.5  # for packets that must not come, once they have got to the local gateway


def outside(ways: Ways, end: WayEnd) -> list[tuple[WayEnd, Way]]:
    """What reaches an instance through its local gateway: LAN hosts, else other Outposts' ends."""
    found: dict[str, list[tuple[WayEnd, Way]]] = {"local-gateway": [], "local-gateways": []}
    for other in ways.ends:
        way = ways.way(other, end)
        if other != end and way is not None and way.kind in found:
            found[way.kind].append((other, way))
    return found["local-gateway"] or found["local-gateways"]


def require_direct(domain: RoutingDomain | None) -> None:
    """Leave out routing domains in CoIP mode: they have a suite of their own."""
    if domain is not None and domain.mode == "coip":
        pytest.skip("the local gateway translates addresses: see the suite coip")


def announced(site: Site, domain: DomainSubject, end: WayEnd) -> bool:
    """Whether an instance is in a subnet that the local gateway announces in a domain."""
    subnets = site.topology.announced_subnets(*domain.gateway)
    return end.place == domain.outpost.name and any(
        end.interface is not None and (s.vpc, s.name) == (end.vpc, end.interface.subnet)
        for s in subnets
    )


def test_reached(site: Site, instance: InstanceSubject) -> None:
    """The local network and an instance reach each other through the local gateway.

    Every LAN host asks the instance and vice versa, if filters allow it. Without LAN hosts,
    instances of other Outposts with a path through both local gateways do.

    Expected: every request is answered.
    Source: L1, L2, R1 (direct VPC routing); A9, A14 (T1)
    Remedy: the instance's subnet needs a route to the local gateway; the local gateway's route
    table needs an association with the VPC and a route to the VIF group; the customer's devices
    need routes to the subnet and to the local network.
    """
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    end = ways.end(instance.instance.name)
    if end.place is None:
        pytest.skip("it is in the Region")
    require_direct(site.topology.domain(end.place, end.vpc))
    requests = []
    for other, way in outside(ways, end):
        back = ways.way(end, other)
        requests += [permissions.request(other, end, way)]
        requests += [permissions.request(end, other, back) if back else None]
    wanted = [request for request in requests if request]
    if not wanted:
        pytest.skip("nothing on the local network can reach it through the filters")
    for request, answer in answered(site, wanted).items():
        expect(answer.ok, request, expected="an answer", seen=answer)


def _example(site: Site, domain: DomainSubject) -> tuple[WayEnd, WayEnd, Way]:
    """An instance of the domain's, somebody outside that it reaches by ping, and the way."""
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    for end in ways.instances:
        if not announced(site, domain, end):
            continue
        for other, _ in outside(ways, end):
            way = ways.way(end, other)
            if way is not None and permissions.allows(end, other, way, "icmp", 0):
                return end, other, way
    pytest.skip("no instance of it may ping anything on the local network")


@pytest.mark.after("local-gateway.reached")
def test_path(site: Site, domain: DomainSubject) -> None:
    """Traffic through the local gateway is on its VLAN, unchanged, and nowhere else.

    Pings of 1500 bytes with DF are observed on every member of the Outpost's LAGs, in its tunnels
    and at both ends.

    Expected: requests and answers have unchanged addresses on the LAGs, the VLAN tag of the local
    gateway's VIF, and a TTL that decreases by one at each router; none of them is in the tunnels.
    Source: R1, R2 (VLANs), P (MTU 1500), H3, L1: it does not use the service link
    Remedy: compare the VLANs of both ends, and look for a router that translates or tunnels.
    """
    require_direct(domain.domain)
    end, other, way = _example(site, domain)
    wires = {place: vif for vif in domain.vifs for place in members(site, vif.on)}
    inside = tunnels(site, domain.outpost)
    receiver = (other.name, "eth0")
    request = Request(end.name, str(way.to), size=MTU)
    places = [*wires, *inside, receiver, (end.name, "eth0")]
    untagged = {place: untagged_between(end.address, way.to) for place in inside}
    with captures(site, places, between(end.address, way.to), untagged) as seen:
        (answer,) = answered(site, [request]).values()
    expect(answer.ok, request, expected="an answer", seen=answer)
    on_wire = {place: seen[place] for place in wires}
    for place, vif in wires.items():
        _expect_vlan(vif, place, vlans(seen[place].packets))
    crossed = {pair for capture in on_wire.values() for pair in pairs(capture.packets)}
    both = {(str(end.address), str(way.to)), (str(way.to), str(end.address))}
    expect(
        both <= crossed,
        f"{domain} LAGs",
        expected=f"packets between {end.address} and {way.to}, both ways",
        seen=counts(on_wire),
    )
    for node, name in inside:
        number = len(seen[node, name].packets)
        expect(not number, f"{node} {name}", expected="none of it", seen=f"{number} packets")
    _expect_ttls(
        f"{end} to {other}",
        [
            _ttls(seen[end.name, "eth0"].packets, end, way),
            set().union(*(_ttls(capture.packets, end, way) for capture in on_wire.values())),
            _ttls(seen[receiver].packets, end, way),
        ],
    )


def _expect_vlan(vif: VifSubject, place: Place, tags: set[int | None]) -> None:
    """What was seen on a LAG's member is of the local gateway's VLAN; nothing may be seen there."""
    vlan = vif.vif.vlan
    expect(
        tags <= {vlan},
        f"{vif.name} at {' '.join(place)}",
        expected=f"frames tagged {vlan}",
        seen=f"frames tagged {sorted(map(str, tags))}",
    )


def _ttls(packets: object, end: WayEnd, way: Way) -> set[int]:
    """The TTLs of the requests."""
    wanted = (str(end.address), str(way.to))
    return {p[IP].ttl for p in packets if IP in p and (p[IP].src, p[IP].dst) == wanted}  # type: ignore[attr-defined]


def _expect_ttls(subject: str, places: list[set[int]]) -> None:
    """TTLs go down from the sender to the wire and on to the receiver."""
    lowest, highest = [min(t, default=0) for t in places], [max(t, default=0) for t in places]
    falls = all(low > high > 0 for low, high in zip(lowest, highest[1:], strict=False))
    seen = ", ".join(str(sorted(ttls)) for ttls in places)
    expect(falls, subject, expected="a TTL that falls from router to router", seen=seen)


def test_only_announced(site: Site, domain: DomainSubject) -> None:
    """The local gateway accepts only traffic for subnets with a route to it.

    Frames to each instance of the Outpost, to the VPC's resolver and to instances in the Region are
    put on the VIF directly, whatever the customer's routes say.

    Expected: frames to announced subnets reach the VPC's router, others do not.
    Source: R1 tip, L2: only subnets on the Outpost whose route table targets the local gateway
    Remedy: check the routes of the local gateway's route table.
    """
    require_direct(domain.domain)
    vif, ways = emulated(site, domain), Ways(site.topology)
    if vif is None:
        pytest.skip("its customer devices are real: the check cannot send frames from them")
    gateway, lag = domain.domain, vif.on
    static = [route.destination for route in gateway.routes if route.interface]
    source = ways.hosts[0].address if ways.hosts else vif.vif.peer_address.ip
    hardware = site.plan.node(lag.ond).interface(lag.ond_bond).mac
    for name in gateway.vpcs:
        vpc = site.topology.vpcs[name]
        ends = [end for end in ways.instances if end.vpc == name]
        targets = {end.address: announced(site, domain, end) for end in ends}
        targets = {a: ok for a, ok in targets.items() if not any(a in cidr for cidr in static)}
        targets[vpc.resolver] = False
        router = (names.outpost_vpc(domain.outpost, name), "lgw")
        entrance = (domain.node, f"ond{lag.lag.device}")
        frames = [echo_request(source, address, dst=hardware) for address in targets]
        with captures(site, [router, entrance], f"icmp and src host {source}") as seen:
            send_frames(site, (lag.device, vif.device_interface), frames)
            came(site, seen[entrance], len(frames))
            came(site, seen[router], sum(targets.values()))
            came(site, seen[router], len(targets), within=FORWARDED_S)
        got = {destination for _, destination in pairs(seen[entrance].packets)}
        arrived = {destination for _, destination in pairs(seen[router].packets)}
        for address, let_in in targets.items():
            expect(
                str(address) in got,
                f"{address} at {entrance[0]} {entrance[1]}",
                expected="the frame, led there by the networking device",
                seen=counts(seen),
            )
            expect(
                (str(address) in arrived) == let_in,
                f"{address} at {router[0]}",
                expected="let in" if let_in else "kept out",
                seen="let in" if str(address) in arrived else "kept out",
            )


@pytest.mark.after("local-gateway.reached", every=True)
def test_shared(site: Site, domain: DomainSubject, measure: Callable[..., Measurement]) -> None:
    """Traffic that leaves the Outpost is shared among all its networking devices.

    Expected: some of 64 connections leave through each OND, but none through a drained one.
    Source: R1, H1: equal prefixes on all ONDs, load balanced over all uplinks; AS path of length 4
    and outbound shift during maintenance
    Remedy: the customer must announce equal prefixes with equal attributes to all ONDs.
    """
    require_direct(domain.domain)
    onds = {vif.on.lag.device: vif.on.ond for vif in domain.vifs}
    if len(onds) == 1:
        pytest.skip("it has only one networking device")
    end, other, way = _example(site, domain)
    permissions = Permissions(site.topology)
    protocol, port = permissions.outgoing(end, way.to) or ("icmp", 0)
    if protocol == "icmp":
        pytest.skip(f"{end} may send neither UDP nor TCP to {other}")
    first = Request(end.name, str(way.to), protocol, port)
    requests = [replace(first, source_port=FIRST_PORT + n) for n in range(CONNECTIONS)]
    ports: dict[Place, int] = {(domain.node, f"ond{device}"): device for device in onds}
    filter_ = f"{protocol} and src host {end.address} and dst host {way.to}"
    with captures(site, ports, filter_) as seen:
        send(site, requests)
    flows = {place: {p.sport for p in seen[place].packets} for place in ports}
    for place, device in ports.items():
        drained = device in domain.outpost.drained
        share = 100 * len(flows[place]) / CONNECTIONS
        limit = {"at_most": 0.0} if drained else {"at_least": SHARE}
        found = measure(f"{onds[device]}: share of what leaves", share, "%", **limit)
        expect(
            found.ok,
            f"{domain} {onds[device]}",
            expected=f"{found.limit} of {CONNECTIONS} connections",
            seen=f"{len(flows[place])} of {CONNECTIONS}",
        )
