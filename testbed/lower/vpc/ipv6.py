"""IPv6 in VPCs, beside IPv4: the same routers, marks and ports.

An instance has its address as a /128 and everything else behind its router,
so that nothing is asked on the link. Next hops are fe80::1 and fe80::2, known
by permanent neighbour entries: the ends of a link that nobody sees need no
addresses. Over the service link IPv6 goes as IPv4 does; a local gateway has
none of it (facts: botocore).
"""

from __future__ import annotations

from ipaddress import IPv6Interface, IPv6Network

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.ipv6 import (
    DEFAULT,
    HOST_SYSCTLS,
    LOWER,
    ROUTER_SYSCTLS,
    UPPER,
    NextHop,
    route,
    towards,
)
from testbed.lower.vpc import gateways, interfaces, overlay
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.checks import TableRouteCheck
from testbed.plan.model import Neighbor, Route, Rule
from testbed.topology.model import (
    NetworkInterface,
    Target,
    Topology,
)

NOT_FORWARDED = IPv6Network("fd00:ec2::/32")  # facts: V route tables
PRIORITY_ROUTE_TABLE = 100
PRIORITY_SECONDARY = 200
FIRST_SECONDARY_TABLE = 1000


def add(draft: Draft, topology: Topology, routers: list[VpcRouter]) -> None:
    """Add a VPC's IPv6 to its routers (the Region's comes first), and to its instances."""
    region, *others = routers
    cidr = region.vpc.ipv6_cidr
    if cidr is None:
        return
    for router in routers:
        node = router.node
        node.sysctls |= ROUTER_SYSCTLS
        for subnet in router.subnets.values():
            if subnet.ipv6_cidr is not None:
                node.address("lo", IPv6Interface((subnet.ipv6_cidr[1], 128)))
        route(node, cidr, None)
        for interface in router.interfaces:
            _attach(draft, router, interface)
        _admit(router)
    for router in others:
        _over_service_link(region, router)
    for router in routers:
        _add_tables(topology, router, region)
    _expect(draft, topology, routers)


def _attach(draft: Draft, router: VpcRouter, interface: NetworkInterface) -> None:
    address = interface.ipv6_address
    if address is None or interface.instance is None:
        return
    node, port = draft.nodes[interface.instance], interfaces.port(interface)
    inside, hardware = interfaces.device(interface), interfaces.mac(interface)
    node.sysctls |= HOST_SYSCTLS
    node.address(inside, IPv6Interface((address, 128)))
    hop = towards(node, inside, (router.node.name, port), up=True)
    if interface.device_index:
        table = FIRST_SECONDARY_TABLE + interface.device_index
        route(node, DEFAULT, hop, table)
        priority = PRIORITY_SECONDARY + interface.device_index
        node.rules.append(Rule(priority, table, source=f"{address}/128", family="ipv6"))
    else:
        route(node, DEFAULT, hop)
    router.node.routes.append(Route(f"{address}/128", dev=port))
    router.node.neighbors.append(Neighbor(port, str(address), hardware))
    if interface.source_destination_check:
        router.ruleset.sources6.append(f'"{port}" . {hardware} . {address}')
        router.ruleset.addresses6.append(f'"{port}" . {address}')


def _admit(router: VpcRouter) -> None:
    ruleset = router.ruleset
    ruleset.sets["interface_sources6"] = (
        "type ifname . ether_addr . ipv6_addr",
        ruleset.sources6,
    )
    ruleset.sets["interface_addresses6"] = ("type ifname . ipv6_addr", ruleset.addresses6)


def _links(region: VpcRouter, router: VpcRouter) -> tuple[NextHop, NextHop]:
    """The next hops over the service link: to the Region, and to the Outpost."""
    assert router.outpost is not None
    port = overlay.far_port(router.outpost)
    return (
        towards(router.node, names.OVERLAY_PORT, (region.node.name, port), up=True),
        towards(region.node, port, (router.node.name, names.OVERLAY_PORT), up=False),
    )


def _over_service_link(region: VpcRouter, router: VpcRouter) -> None:
    up, down = _links(region, router)
    for subnet in region.vpc.subnets:
        if subnet.ipv6_cidr is None:
            continue
        if subnet.name in router.subnets:
            route(region.node, subnet.ipv6_cidr, down)
        else:
            route(router.node, subnet.ipv6_cidr, up)


def _add_tables(topology: Topology, router: VpcRouter, region: VpcRouter) -> None:
    """The same tables by the same marks; what is not routed is dropped."""
    node, cidr = router.node, router.vpc.ipv6_cidr
    assert cidr is not None
    for table in router.vpc.route_tables:
        if not [subnet.name for subnet in router.vpc.users_of(table)]:
            continue
        mark = table.number
        node.rules.append(Rule(PRIORITY_ROUTE_TABLE, mark, fwmark=mark, family="ipv6"))
        destinations = {entry.destination for entry in table.ipv6_routes}
        if cidr not in destinations:
            node.routes.append(Route(str(cidr), type="throw", table=mark))
        if DEFAULT not in destinations:
            route(node, DEFAULT, None, mark)
        if any(NOT_FORWARDED.subnet_of(destination) for destination in destinations):
            route(node, NOT_FORWARDED, None, mark)
        for entry in table.ipv6_routes:
            if entry.target.kind == "local":
                node.routes.append(Route(str(entry.destination), type="throw", table=mark))
            else:
                hop = _next_hop(topology, router, region, entry.target)
                route(node, entry.destination, hop, mark)


def _next_hop(
    topology: Topology, router: VpcRouter, region: VpcRouter, target: Target
) -> NextHop | None:
    if target.kind in {"instance", "network-interface"}:
        interface = topology.network_interfaces[target.name]
        if interface.ipv6_address is None or not topology.attached(interface):
            return None
        if interface in router.interfaces:
            return interface.ipv6_address, interfaces.port(interface)
        place = topology.place_of(interface)
        if router.outpost is None and place is not None:
            return LOWER, overlay.far_port(topology.outposts[place])
    elif target not in region.gateways:
        return None
    elif router.outpost is None:
        return UPPER, region.gateways[target][1]
    return UPPER, names.OVERLAY_PORT


def connect_gateway(
    router: VpcRouter, gateway: tuple[NodeDraft, str], port: str, mark: int
) -> None:
    """Add IPv6 to the link of a gateway of the VPC's, as `gateways.connect` does for IPv4."""
    cidr = router.vpc.ipv6_cidr
    if cidr is None:
        return
    node, device = gateway
    node.sysctls |= ROUTER_SYSCTLS
    up = towards(router.node, port, (node.name, device), up=True)
    route(node, cidr, towards(node, device, (router.node.name, port), up=False))
    router.node.rules.append(Rule(gateways.PRIORITY, mark, fwmark=mark, family="ipv6"))
    router.node.routes.append(Route(str(cidr), type="throw", table=mark))
    route(router.node, DEFAULT, up, mark)


def _expect(draft: Draft, topology: Topology, routers: list[VpcRouter]) -> None:
    region = routers[0]
    vpc = region.vpc
    for table in vpc.route_tables:
        users = {subnet.name for subnet in vpc.users_of(table)}
        router = next((entry for entry in routers if users & entry.subnets.keys()), None)
        if router is None:
            continue
        entries = [(entry.destination, entry.target) for entry in table.ipv6_routes]
        assert vpc.ipv6_cidr is not None
        if all(destination != vpc.ipv6_cidr for destination, _ in entries):
            entries.insert(0, (vpc.ipv6_cidr, Target("local")))
        for destination, target in entries:
            leads = target.kind == "local" or _next_hop(topology, router, region, target)
            draft.checks.append(
                TableRouteCheck(
                    node=router.node.name,
                    table=table.number,
                    destinations=(str(destination),),
                    owner=vpc.name,
                    route_table=table.name,
                    destination=str(destination),
                    target=str(target),
                    origin="CreateRouteTable" if destination == vpc.ipv6_cidr else "CreateRoute",
                    title=f"VPC {vpc.name}, route table {table.name}: {destination} to {target}",
                    state="active" if leads else "blackhole",
                )
            )
