"""Route tables: of VPCs and of local gateways, their states and where packets go by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from itertools import permutations

import pytest

from testbed.conformance.expectation import expect
from testbed.conformance.one_way import asked_of
from testbed.conformance.permissions import Permissions
from testbed.conformance.probing import captures
from testbed.conformance.rack_subjects import DomainSubject
from testbed.conformance.requesting import Request, answered, send
from testbed.conformance.site import Site
from testbed.conformance.subjects import InstanceSubject, VpcSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.watching import pairs, ports
from testbed.conformance.ways import WayEnd, Ways
from testbed.lower import names
from testbed.plan.model import Place
from testbed.predict import WayKind, World
from testbed.predict.routes import INTERFACES
from testbed.probes import reach
from testbed.probes.capture import Capture
from testbed.topology.model import (
    Ipv6Route,
    NetworkInterface,
    RouteTable,
    Topology,
    Vpc,
    VpcRoute,
)

pytestmark = pytest.mark.follows(*CONNECTIVITY)
SETTLE_S = 5.0
ANY = "any"  # of a node's interfaces
TEST_NET = IPv4Address("203.0.113.201")  # RFC 5737: nobody's, for default routes
MORE = 997  # steps through a range when looking for an address without a longer route


def _routes(table: RouteTable) -> Iterator[VpcRoute | Ipv6Route]:
    yield from table.routes
    yield from table.ipv6_routes


def _destination(route: VpcRoute | Ipv6Route) -> str:
    """How the route's destination is named: a prefix list has a name."""
    named = route.prefix_list if isinstance(route, VpcRoute) else None
    return named or str(route.destination)


def expected_state(topology: Topology, vpc: Vpc, route: VpcRoute | Ipv6Route) -> str:
    """The state of a route: a blackhole where what it leads to does not run (facts: V, EC2 eni)."""
    kind, name = route.target.kind, route.target.name
    if kind in INTERFACES:
        interface = topology.network_interfaces.get(name)
        return "active" if interface and topology.attached(interface) else "blackhole"
    if kind == "nat-gateway":
        name = name.rpartition(".")[2]
        return "active" if vpc.nat_gateway(name).state == "available" else "blackhole"
    return "active"


def test_states(site: Site, vpc: VpcSubject) -> None:
    """Every route of the VPC's route tables is in the state that AWS would show.

    The check examines the kernel's routes on the VPC's routers in the Region and on Outposts.

    Expected: active; blackhole if the target is stopped, detached or deleted.
    Source: V (route tables), botocore (State)
    Remedy: check the target of the route, and what changed the router's table.
    """
    wanted = {
        (table.name, _destination(route)): (
            str(route.target),
            expected_state(site.topology, vpc.vpc, route),
        )
        for table in vpc.vpc.route_tables
        if vpc.vpc.users_of(table)
        for route in _routes(table)
    }
    rows = site.settled(
        lambda: site.rows("route_tables", owner=vpc.vpc.name),
        lambda rows: all(row["ok"] for row in rows),
        SETTLE_S,
    )
    states: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        states.setdefault((row["route_table"], row["destination"]), set()).add(row["state"])
    for (table, destination), (target, state) in wanted.items():
        name = f"route table {table}: {destination} to {target}"
        seen = states.get((table, destination), {"no such route"})
        expect(seen == {state}, name, expected=state, seen=" and ".join(sorted(seen)))
    for row in rows:
        name = f"route table {row['route_table']}: {row['destination']} to {row['target']}"
        expect(row["ok"], name, expected="active", seen=row["state"])
    expect(rows, vpc, expected="its local routes at least", seen=f"{len(rows)} routes")


def test_within_vpc(site: Site, vpc: VpcSubject) -> None:
    """The instances of a VPC reach each other, if filters allow it.

    On one Outpost, in the Region, and between an Outpost and the Region over the service link.

    Expected: every request is answered.
    Source: V: the local route of every route table; S1, H3: over the service link
    Remedy: if one end is on an Outpost, check its service link first.
    """
    _expect_answers(site, vpc, {"inside", "service-link", "local-gateways"}, same=True)


def test_between_vpcs(site: Site, vpc: VpcSubject) -> None:
    """Instances reach those of other VPCs over peering connections and transit gateways.

    Expected: every request is answered.
    Source: H6; AWS: VPC peering, how transit gateways work
    Remedy: both VPCs need a route; a transit gateway needs the association and the propagation, and
    an attachment in the zone of the instance.
    """
    _expect_answers(site, vpc, {"peering", "transit", "hairpin"}, same=False)


def _expect_answers(site: Site, vpc: VpcSubject, kinds: set[WayKind], *, same: bool) -> None:
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    requests = []
    for source, other in permutations(ways.instances, 2):
        if source.vpc != vpc.vpc.name or (other.vpc == source.vpc) != same:
            continue
        way = ways.way(source, other)
        if way is not None and way.kind in kinds:
            request = permissions.request(source, other, way)
            requests += [request] if request else []
    if not requests:
        pytest.skip("filters leave no such path between two instances")
    for request, answer in answered(site, requests).items():
        expect(answer.ok, request, expected="an answer", seen=answer)


def test_ipv6(site: Site, vpc: VpcSubject) -> None:
    """By IPv6 the VPC's instances reach exactly whom the rules allow.

    Each other, including over the service link, and machines on the internet through an internet
    gateway or an egress-only one: with ping and TCP 80, if routes, security groups and network ACLs
    allow requests and answers. The other reachability checks send IPv4.

    Expected: an answer or a refused connection if the rules allow it, else nothing.
    Source: V (route tables, egress-only internet gateways, security groups, network ACLs)
    Remedy: check the route tables' routes for IPv6, and rules that name only IPv6 blocks or none.
    """
    if vpc.vpc.ipv6_cidr is None:
        pytest.skip("the VPC has no IPv6 CIDR block")
    world = World(site.topology)
    wanted = [
        request
        for request in reach.requests(world.endpoints(), world.endpoints(), tcp=[80], icmp=True)
        if request.address.version == 6
        and vpc.vpc.name
        in {_vpc_of(site.topology, n) for n in (request.source, request.destination)}
    ]
    rows = reach.compare(site.testbed.client, world, wanted) if wanted else []
    if all(row.predicted is None for row in rows):
        pytest.skip("there are no two machines with IPv6, one of them in the VPC")
    for row in rows:
        subject = f"{row.request.source} to {row.request.address}, {row.request.kind}"
        said = "an answer" if row.predicted else f"no answer: {row.reason}"
        expect(row.agrees, subject, expected=said, seen=row.measured)


def _vpc_of(topology: Topology, name: str) -> str | None:
    interface = topology.network_interfaces.get(name)
    return interface.vpc if interface else None


@dataclass(frozen=True, slots=True)
class _Lead:
    """A packet that has to get to a place by a route."""

    table: str
    route: VpcRoute
    source: str  # the instance's address; nothing translates it on the way to a target
    request: Request
    places: tuple[Place, ...]

    @property
    def where(self) -> str:
        """The nodes of the places."""
        return " or ".join(dict.fromkeys(node for node, _ in self.places))

    def __str__(self) -> str:
        return f"route table {self.table}: {self.route.destination} to {self.route.target}"


@pytest.mark.after("routing.states")
def test_targets(site: Site, vpc: VpcSubject) -> None:
    """Packets that match a route reach the route's target.

    For each active route of a subnet with an instance, one packet to an address that no longer
    prefix covers must be seen at the target: the local gateway, the appliance's interface (with
    source/destination check, its own address), the gateway or endpoint in the Region, or the other
    VPC's router.

    Expected: the packet is at the target.
    Source: V: the longest prefix decides; L2, H3
    Remedy: follow the packet with testbed trace, starting from the instance.
    """
    leads = list(_leads(site, vpc.vpc))
    if not leads:
        pytest.skip("no instance may send to a route other than the local one")
    places = dict.fromkeys(place for lead in leads for place in lead.places)
    addresses = " or ".join(f"dst host {lead.request.to}" for lead in leads)
    with captures(site, places, addresses) as seen:
        send(site, [lead.request for lead in leads], 0.0)
        for lead in leads:
            there = site.settled(partial(_arrived, lead, seen), bool, SETTLE_S)
            expect(
                there,
                lead,
                expected=f"{lead.request} at {lead.where}",
                seen="it does not arrive",
            )


def _arrived(lead: _Lead, seen: Mapping[Place, Capture]) -> bool:
    packets = [packet for place in lead.places for packet in seen[place].packets]
    return (lead.source, lead.request.to) in pairs(packets)


def _leads(site: Site, vpc: Vpc) -> Iterator[_Lead]:
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    for end in ways.instances:
        if end.vpc != vpc.name or end.interface is None:
            continue
        table = vpc.table_of(end.interface.subnet)
        for route in table.routes:
            if expected_state(site.topology, vpc, route) != "active":
                continue
            places = tuple(
                port
                for node, name in _places(site.topology, vpc, end, route)
                for port in (ports(site, node) if name == ANY else [(node, name)])
            )
            own = site.topology.subnet(vpc.name, end.interface.subnet).cidr
            address = sample(vpc, table, route, own, checked_address(site.topology, route))
            if not places or address is None:
                continue
            if found := permissions.outgoing(end, address):
                request = Request(end.name, str(address), *found)
                yield _Lead(table.name, route, str(end.address), request, places)


def checked_address(topology: Topology, route: VpcRoute) -> IPv4Address | None:
    """The one address of a route's target that lets no packets for others in."""
    if route.target.kind not in INTERFACES:
        return None
    interface = topology.network_interfaces[route.target.name]
    return interface.address if interface.source_destination_check else None


def sample(
    vpc: Vpc, table: RouteTable, route: VpcRoute, own: IPv4Network, only: IPv4Address | None = None
) -> IPv4Address | None:
    """An address that a route is for and no longer one, best one that nobody has.

    What is inside the sender's own subnet follows no route.
    """
    longer = [
        other.destination
        for other in table.routes
        if other.destination.prefixlen > route.destination.prefixlen
    ]
    if vpc.cidr.prefixlen > route.destination.prefixlen:
        longer.append(vpc.cidr)
    longer.append(own)
    first, size = int(route.destination.network_address), route.destination.num_addresses
    offsets = (size - 2 - (MORE * n) % size for n in range(64))
    candidates = [IPv4Address(first + max(offset, 0)) for offset in offsets]
    if route.destination == IPv4Network("0.0.0.0/0"):
        candidates = [TEST_NET]
    if only is not None:
        candidates = [only] if only in route.destination else []
    return next((a for a in candidates if not any(a in prefix for prefix in longer)), None)


def _places(topology: Topology, vpc: Vpc, end: WayEnd, route: VpcRoute) -> tuple[Place, ...]:
    """Where a packet by the route has to be seen; none where that is not looked at."""
    kind, name = route.target.kind, route.target.name
    assert end.interface is not None
    if kind == "local-gateway":
        return ((names.outpost_vpc(topology.outposts[name], vpc.name), "lgw"),)
    if kind in INTERFACES:
        return _interface(topology.network_interfaces[name], end)
    if kind == "transit-gateway":
        gateway = topology.region.transit_gateways[name]
        attachment = gateway.attachment_of(vpc.name)
        zone = topology.subnet(vpc.name, end.interface.subnet).zone
        subnets = attachment.subnets if attachment else ()
        zones = {topology.subnet(vpc.name, subnet).zone for subnet in subnets}
        return ((names.transit_gateway(gateway), ANY),) if zone in zones else ()
    if kind == "vpc-peering-connection":
        peer = topology.region.vpc_peering_connections[name].peer(vpc.name)
        places = [names.region_vpc(peer)]
        if end.place and any(s.outpost == end.place for s in topology.vpcs[peer].subnets):
            places = [names.outpost_vpc(topology.outposts[end.place], peer)]
        return tuple((place, ANY) for place in places)
    nodes = {
        "internet-gateway": names.internet_gateway(vpc.name),
        "nat-gateway": names.nat_gateway(f"{vpc.name}.{name.rpartition('.')[2]}"),
        "virtual-private-gateway": names.virtual_private_gateway(vpc.name),
        "vpc-endpoint": names.endpoint(f"{vpc.name}.{name.rpartition('.')[2]}"),
    }
    return ((nodes[kind], ANY),) if kind in nodes else ()


def _interface(interface: NetworkInterface, end: WayEnd) -> tuple[Place, ...]:
    if interface.instance is None or interface.instance == end.name:
        return ()
    return ((interface.instance, f"eth{interface.device_index}"),)


def test_answers(site: Site, instance: InstanceSubject) -> None:
    """Whoever may ask the instance, by routes and filters, gets an answer.

    The check follows the rules for TCP from every instance and LAN host, and sends a request from
    one of each kind that they let in, preferably one whose answer they lead astray.

    Expected: an answer.
    Source: V (route tables; security groups are stateful, network ACLs are not), L2
    Remedy: add a route back to those who may ask to the subnet's route table, or stop letting them
    in with the security group or network ACL.
    """
    requests = asked_of(site.topology, instance.instance.name)
    if not requests:
        pytest.skip("the rules let nobody ask it")
    for request, answer in answered(site, list(requests)).items():
        reason = requests[request]
        seen = f"{answer}: the request is let in, but {reason}" if reason else answer
        expect(answer.ok, request, expected="an answer, or a refused request", seen=seen)


def test_local_gateway(site: Site, domain: DomainSubject) -> None:
    """The local gateway's route table has its routes, in the states that AWS would show.

    Expected: static routes to the VIF group and to interfaces of running instances are active,
    static routes to other interfaces are blackholes; there is a propagated route for each announced
    subnet or CoIP pool, and for nothing else; routes are pending while an association or the route
    to the VIF group is missing.
    Source: L2, L3, R1
    Remedy: associate the route table with the VIF group and the VPC, and add the static route
    0.0.0.0/0 to the VIF group.
    """
    gateway = domain.domain
    wanted: dict[str, str] = {}
    for cidr in site.topology.announced(*domain.gateway):
        wanted[str(cidr)] = "active"
    for route in gateway.routes:
        interface = site.topology.network_interfaces.get(route.interface or "")
        attached = route.interface is None or (interface and site.topology.attached(interface))
        state = "active" if attached else "blackhole"
        if route.interface is None and not domain.vifs:
            state = "pending"
        wanted[str(route.destination)] = "pending" if gateway.lacks else state
    node = domain.node
    row = site.settled(
        lambda: site.row("local_gateways", node=node), lambda row: row["ok"], SETTLE_S
    )
    found = {route["destination"]: route["state"] for route in row.get("routes") or ()}
    for destination in sorted({*wanted, *found}):
        state = wanted.get(destination, "no such route")
        seen = found.get(destination, "no such route")
        name = f"{domain} local gateway route table: {destination}"
        expect(seen == state, name, expected=state, seen=seen)
    expect(row["ok"], f"{domain} local gateway route table", expected="active", seen=row["state"])
