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

from ipaddress import IPv4Address

from testbed.lower import inner
from testbed.lower.vpc import interfaces, overlay
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.model import Route, Rule
from testbed.topology.model import NetworkInterface, RouteTable, Target, Topology, VpcRoute

PRIORITY_ROUTE_TABLE = 100
FIRST_MARK = 1

NextHop = tuple[IPv4Address, str]
"""A neighbour's address and the router's interface that leads to it."""


def add_tables(topology: Topology, router: VpcRouter) -> None:
    """Add the VPC's route tables to one of its routers, and the choice between them."""
    for mark, table in enumerate(router.vpc.route_tables, FIRST_MARK):
        users = {s.name for s in router.vpc.subnets if router.vpc.table_of(s.name) is table}
        if not users:
            continue
        for interface in router.interfaces:
            if interface.subnet in users:
                router.ruleset.marks.append(f'"{interfaces.port(interface)}" : {mark}')
        _add_table(topology, router, mark, table)


def _add_table(topology: Topology, router: VpcRouter, mark: int, table: RouteTable) -> None:
    router.node.rules.append(Rule(PRIORITY_ROUTE_TABLE, mark, fwmark=mark))
    destinations = {route.destination for route in table.routes}
    if router.vpc.cidr not in destinations:
        router.node.routes.append(Route(str(router.vpc.cidr), type="throw", table=mark))
    if all(destination.prefixlen for destination in destinations):
        router.node.routes.append(Route("0.0.0.0/0", type="blackhole", table=mark))
    for route in table.routes:
        _add_route(topology, router, mark, route)


def _add_route(topology: Topology, router: VpcRouter, mark: int, route: VpcRoute) -> None:
    if route.target.kind == "local":
        router.node.routes.append(Route(str(route.destination), type="throw", table=mark))
        return
    hop = _next_hop(topology, router, route.target)
    if hop is None:
        router.node.routes.append(Route(str(route.destination), type="blackhole", table=mark))
    else:
        via, dev = hop
        router.node.route(route.destination, via=via, dev=dev, table=mark)


def _next_hop(topology: Topology, router: VpcRouter, target: Target) -> NextHop | None:
    """Where a router sends what a route's target is for; None: nowhere, it is a blackhole."""
    if target.kind == "local-gateway":
        # A local gateway serves only interfaces of its own Outpost (facts: L2).
        if router.outpost and router.outpost.name == target.name:
            return inner.gateway_link(router.outpost, router.vpc)[0].ip, "lgw"
        return None
    if target.kind in {"instance", "network-interface"}:
        interface = topology.network_interfaces[target.name]
        return _to_interface(topology, router, interface)
    raise NotImplementedError(f"routes to a {target.kind}")  # refused when the file is checked


def _to_interface(
    topology: Topology, router: VpcRouter, interface: NetworkInterface
) -> NextHop | None:
    """A blackhole unless the interface is attached to an instance that runs (facts: V, L2)."""
    if not topology.attached(interface):
        return None
    if interface in router.interfaces:
        return interface.address, interfaces.port(interface)
    if router.outpost:
        return inner.overlay_link(router.outpost, router.vpc)[1].ip, overlay.NEAR
    place = topology.subnet(interface.vpc, interface.subnet).outpost
    if place is None:
        return None
    outpost = topology.outposts[place]
    return inner.overlay_link(outpost, router.vpc)[0].ip, overlay.far_port(outpost)
