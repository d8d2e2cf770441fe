"""VPC route tables.

A router's main routing table is the VPC's local route: a host route for each
network interface here, a route over the service link for each subnet
elsewhere, nothing else of the VPC's CIDR. Each VPC route table is a table of
its own, chosen by a mark that a packet gets where it comes from a network
interface, and keeps on its way over the service link: its custom routes, a
`throw` for the VPC's CIDR that leads on to the local route, a blackhole for
everything else. A custom route that is more specific than the local route
wins by being the longer prefix (facts: V, L2).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from testbed.lower.builder import LAST_METRIC, Draft
from testbed.lower.rack import gateway_table, inner
from testbed.lower.vpc import interfaces, overlay
from testbed.lower.vpc.router import NextHop, VpcRouter
from testbed.plan.checks import TableRouteCheck
from testbed.plan.model import TABLE_MAIN, Route, Rule
from testbed.topology.model import (
    NetworkInterface,
    Rack,
    RouteTable,
    RoutingDomain,
    Subnet,
    Target,
    Topology,
    VpcRoute,
)

PRIORITY_INGRESS = 80
PRIORITY_SAME_SUBNET = 90
PRIORITY_ROUTE_TABLE = 100
TABLE_INGRESS = 2000
BETWEEN_VPCS = {"transit-gateway", "vpc-peering-connection"}
NOT_FORWARDED = IPv4Network("169.254.168.0/22")  # facts: V route tables
DEFAULT = IPv4Network("0.0.0.0/0")


def add_tables(topology: Topology, router: VpcRouter, region: VpcRouter) -> None:
    """Add the VPC's route tables to one of its routers, and the choice between them.

    `region` is the VPC's router in the Region, where most targets are.
    """
    ports: dict[str, list[str]] = {}
    for interface in router.interfaces:
        ports.setdefault(interface.subnet, []).append(interfaces.port(interface))
    for table in router.vpc.route_tables:
        users = {subnet.name: subnet for subnet in router.vpc.users_of(table)}
        if not users:
            continue
        for subnet in users:
            marks = (f'"{port}" : {table.number}' for port in ports.get(subnet, ()))
            router.ruleset.marks.extend(marks)
        _add_table(topology, router, region, table)
        _add_same_subnet(router, table, users.values())


def _add_table(topology: Topology, router: VpcRouter, region: VpcRouter, table: RouteTable) -> None:
    node, mark = router.node, table.number
    node.rules.append(Rule(PRIORITY_ROUTE_TABLE, mark, fwmark=mark))
    destinations = {route.destination for route in table.routes}
    if router.vpc.cidr not in destinations:
        node.routes.append(Route(str(router.vpc.cidr), type="throw", table=mark))
    if DEFAULT not in destinations:
        # a propagated default route comes by BGP, and is better than this
        metric = LAST_METRIC if table.propagate else 0
        nothing = Route(str(DEFAULT), type="blackhole", table=mark, metric=metric)
        node.routes.append(nothing)
    if any(NOT_FORWARDED.subnet_of(destination) for destination in destinations):
        node.routes.append(Route(str(NOT_FORWARDED), type="blackhole", table=mark))
    for route in table.routes:
        if route.target.kind == "local":
            node.routes.append(Route(str(route.destination), type="throw", table=mark))
        elif hop := _next_hop(topology, router, region, route.target):
            via, dev = hop
            source = router.address if route.target.kind in BETWEEN_VPCS else None
            node.route(route.destination, via=via, dev=dev, table=mark, source=source)
        else:
            node.routes.append(Route(str(route.destination), type="blackhole", table=mark))


def _add_same_subnet(router: VpcRouter, table: RouteTable, users: Iterable[Subnet]) -> None:
    """What stays in its subnet follows no route, however specific (facts: V)."""
    for subnet in users:
        inside = [
            route
            for route in table.routes
            if route.target.kind != "local"
            and route.destination.subnet_of(router.vpc.cidr)
            and route.destination.overlaps(subnet.cidr)
        ]
        if inside:
            cidr = str(subnet.cidr)
            rule = Rule(PRIORITY_SAME_SUBNET, TABLE_MAIN, source=cidr, destination=cidr)
            router.node.rules.append(rule)


def add_ingress(topology: Topology, router: VpcRouter, gateway: tuple[Rack, RoutingDomain]) -> None:
    """Lead to network interfaces what the local gateway's static routes send to them (facts: L2).

    The local gateway has chosen this VPC by the longest prefix of its whole
    table; of that, what leads into this VPC is enough to choose again.
    """
    table = [
        entry for entry in gateway_table.entries(topology, *gateway) if entry.vpc == router.vpc.name
    ]
    if all(entry.interface is None for entry in table):
        return
    router.node.rules.append(Rule(PRIORITY_INGRESS, TABLE_INGRESS, iif="lgw"))
    if gateway[1].mode == "coip":  # what was translated is for an instance
        router.node.routes.append(Route(str(router.vpc.cidr), type="throw", table=TABLE_INGRESS))
    for entry in table:
        if entry.kind == "subnet":
            route = Route(str(entry.destination), type="throw", table=TABLE_INGRESS)
            router.node.routes.append(route)
        if entry.interface is None:
            continue
        hop = _to_interface(topology, router, entry.interface)
        assert hop is not None
        router.node.route(entry.destination, via=hop[0], dev=hop[1], table=TABLE_INGRESS)


def _next_hop(
    topology: Topology, router: VpcRouter, region: VpcRouter, target: Target
) -> NextHop | None:
    """Where a router sends what a route's target is for; None: nowhere, it is a blackhole."""
    if target.kind == "local-gateway":
        # A local gateway serves only interfaces of its own Outpost (facts: L2).
        if router.outpost and router.outpost.name == target.name:
            return inner.gateway_link(router.outpost, router.vpc)[0].ip, "lgw"
        return None
    if target.kind in {"instance", "network-interface"}:
        return _to_interface(topology, router, topology.network_interfaces[target.name])
    if target.kind == "nat-gateway":
        gateway = router.vpc.nat_gateway(target.name)
        interface = topology.network_interfaces.get(gateway.interface)
        return _to_interface(topology, router, interface) if interface else None
    if target in region.gateways and target not in router.gateways:
        return overlay.to_region(router)
    return router.gateways.get(target)


def _to_interface(
    topology: Topology, router: VpcRouter, interface: NetworkInterface
) -> NextHop | None:
    """A blackhole unless the interface is attached to an instance that runs (facts: V, L2)."""
    if not topology.attached(interface):
        return None
    if interface in router.interfaces:
        return interface.address, interfaces.port(interface)
    if router.outpost:
        return overlay.to_region(router)
    place = topology.place_of(interface)
    if place is None:
        return None
    outpost = topology.outposts[place]
    return inner.overlay_link(outpost, router.vpc)[0].ip, overlay.far_port(outpost)


def expect(draft: Draft, topology: Topology, routers: list[VpcRouter]) -> None:
    """Check each route of the tables that subnets use, at a router where one of them is."""
    region = routers[0]
    vpc = region.vpc
    for table in vpc.route_tables:
        users = {subnet.name: subnet for subnet in vpc.users_of(table)}
        router = next((entry for entry in routers if users.keys() & entry.subnets.keys()), None)
        if router is None:
            continue
        wanted: dict[tuple[str, Target], list[VpcRoute]] = {}
        if all(route.destination != vpc.cidr for route in table.routes):
            local = VpcRoute(vpc.cidr, Target("local"))
            wanted[str(vpc.cidr), local.target] = [local]
        for route in table.routes:
            key = route.prefix_list or str(route.destination)
            wanted.setdefault((key, route.target), []).append(route)
        for (destination, target), routes in wanted.items():
            own = destination == str(vpc.cidr)
            leads = target.kind == "local" or _next_hop(topology, router, region, target)
            draft.checks.append(
                TableRouteCheck(
                    node=router.node.name,
                    table=table.number,
                    destinations=tuple(str(route.destination) for route in routes),
                    owner=vpc.name,
                    route_table=table.name,
                    destination=destination,
                    target=str(target),
                    origin="CreateRouteTable" if own else "CreateRoute",
                    title=f"VPC {vpc.name}, route table {table.name}: {destination} to {target}",
                    state="active" if leads else "blackhole",
                )
            )
