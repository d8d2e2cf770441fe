"""The rack's local gateway: VIF groups, route tables, VPC associations.

Each routing domain, a route table with its VIF group, is a node of its own, so that equal
addresses of two domains never meet (facts: L3); a first-generation rack has just the one. It
learns the customer's routes from all ONDs and balances over them. What
comes from a VPC may use them as far as the route table's static routes to the
VIF group allow (facts: L1, L3), and goes nowhere else but to customer-owned
addresses of the same domain: propagated routes and routes to network
interfaces lead inward only. What comes from the customer finds these,
and never its way back. What has no route is dropped silently.
"""

from __future__ import annotations

from testbed.lower import bgp, names
from testbed.lower.builder import Draft, NodeDraft, interface_name
from testbed.lower.rack import coip, gateway_table, inner
from testbed.plan.bird import symbol
from testbed.plan.checks import GatewayPort, GatewayRoute, LocalGatewayCheck, RouteState
from testbed.plan.model import TABLE_MAIN, Route, Rule
from testbed.plan.roles import Role
from testbed.topology.model import Lag, LocalGatewayMode, Rack, RoutingDomain, Topology, Vpc

# Another mode is another table: the routes of the old one go before those of the new one come.
TABLES: dict[LocalGatewayMode, tuple[int, int]] = {  # inward, outward
    "direct-vpc-routing": (1004, 1005),
    "coip": (1006, 1007),
}
PRIORITY_OWN, PRIORITY_OWN_INWARD = 100, 110
PRIORITY_INWARD, PRIORITY_NOTHING_INWARD = 200, 210
PRIORITY_OUTWARD, PRIORITY_LEARNED, PRIORITY_NOTHING = 300, 310, 320


def lower(draft: Draft, topology: Topology, rack: Rack, domain: RoutingDomain) -> None:
    """Add a routing domain of the local gateway, its links to all ONDs, and its route table.

    The links to the VPC routers come with those (`testbed.lower.vpc`).
    """
    title = domain.title(rack.name)
    node = draft.router(names.local_gateway(rack, domain), Role.LOCAL_GATEWAY, rack.name, title)
    sessions = []
    for device in rack.devices:
        interface = f"ond{device}"
        ond_end, own_end = inner.rack_link(draft.numbers, rack, device, domain)
        draft.cable(
            (draft.nodes[names.ond(rack, device)], names.to_local_gateway(domain)),
            (node, interface),
            addresses=(ond_end, own_end),
        )
        sessions.append(
            bgp.Session(
                name=interface,
                interface=interface,
                local=str(own_end.ip),
                neighbor=str(ond_end.ip),
                remote_asn=domain.asn,
                title=f"{title} - OND{device} (inside the rack)",
            )
        )
    instance = bgp.Instance(
        name="t_vif_group",
        vrf=None,
        table=names.TABLE_VIF_GROUP,
        asn=domain.asn,
        sessions=tuple(sessions),
        static=tuple(map(str, topology.announced(rack, domain))),
        install_static=False,
    )
    bgp.configure(draft, node, bgp.Router(sessions[0].local, (instance,)))
    _add_rules(node, rack, domain)
    _add_routes(topology, rack, domain, node)
    draft.checks.append(_check(topology, rack, domain, node))


def _add_rules(node: NodeDraft, rack: Rack, domain: RoutingDomain) -> None:
    inward, outward = TABLES[domain.mode]
    node.rules += [
        Rule(PRIORITY_OWN, TABLE_MAIN, iif="lo"),
        Rule(PRIORITY_OWN_INWARD, inward, iif="lo"),
    ]
    for device in rack.devices:
        port = f"ond{device}"
        node.rules.append(Rule(PRIORITY_INWARD, inward, iif=port))
        node.rules.append(Rule(PRIORITY_NOTHING_INWARD, TABLE_MAIN, iif=port, action="blackhole"))
    node.rules += [
        Rule(PRIORITY_OUTWARD, outward),
        Rule(PRIORITY_LEARNED, names.TABLE_VIF_GROUP),
        Rule(PRIORITY_NOTHING, TABLE_MAIN, action="blackhole"),
    ]


def _port(domain: RoutingDomain, vpc: str) -> str:
    """The local gateway's interface towards a VPC."""
    return interface_name("coip-" if domain.mode == "coip" else "vpc-", vpc)


def _add_routes(topology: Topology, rack: Rack, domain: RoutingDomain, node: NodeDraft) -> None:
    inward, outward = TABLES[domain.mode]
    table = gateway_table.entries(topology, rack, domain)
    for entry in table:
        destination = str(entry.destination)
        if entry.kind == "vif-group":
            node.routes += [
                Route(destination, type="throw", table=number) for number in (inward, outward)
            ]
        elif entry.vpc is None:
            node.routes.append(Route(destination, type="blackhole", table=inward))
        else:
            vpc, owned = topology.vpcs[entry.vpc], entry.kind == "coip-pool"
            _lead(rack, domain, node, destination, vpc, owned=owned)
    if all(entry.destination.prefixlen or entry.kind != "vif-group" for entry in table):
        node.routes.append(Route("0.0.0.0/0", type="blackhole", table=outward))
    if domain.mode == "coip":
        for name in domain.vpcs[1:]:  # the first has the pools' routes
            vpc = topology.vpcs[name]
            for address in coip.addresses(topology, rack, domain, vpc):
                _lead(rack, domain, node, f"{address}/32", vpc, owned=True)


def _lead(
    rack: Rack,
    domain: RoutingDomain,
    node: NodeDraft,
    destination: str,
    vpc: Vpc,
    *,
    owned: bool,
) -> None:
    """Route to a VPC what comes from the customer, and from VPCs if it is customer-owned."""
    inward, outward = TABLES[domain.mode]
    if domain.mode == "coip":
        via = inner.coip_link(vpc)[1].ip
    else:
        via = inner.gateway_link(rack, vpc)[1].ip
    for table in (inward, outward) if owned else (inward,):
        node.route(destination, via=via, dev=_port(domain, vpc.name), table=table)


def attach(
    draft: Draft,
    topology: Topology,
    table: tuple[Rack, RoutingDomain],
    vpc: Vpc,
    router: NodeDraft,
) -> None:
    """Connect a VPC's router to a routing domain, as the VPC association does."""
    rack, domain = table
    near = (draft.nodes[names.local_gateway(rack, domain)], _port(domain, vpc.name))
    if domain.mode == "coip":
        near = coip.attach(draft, topology, table, vpc, near)
    draft.cable(near, (router, "lgw"), addresses=inner.gateway_link(rack, vpc))


def _check(
    topology: Topology, rack: Rack, domain: RoutingDomain, node: NodeDraft
) -> LocalGatewayCheck:
    """What `status` shows of the route table, and `up` waits for."""
    inward, outward = TABLES[domain.mode]
    ports = [
        GatewayPort(
            role="vif",
            name=f"VLAN {vif.vlan} on {_place(rack, lag)}",
            node=names.ond(rack, lag.device),
            interface=f"{names.ond_bond(lag)}.{vif.vlan}",
            protocol=symbol(names.ond_session(lag, vif)),
        )
        for lag in rack.lags
        for vif in lag.local_gateways
        if domain.vif_group and vif.domain == domain.name
    ]
    ports += [GatewayPort("vpc", vpc, node.name, _port(domain, vpc)) for vpc in domain.vpcs]
    listed = gateway_table.entries(topology, rack, domain)
    if domain.lacks:
        listed = gateway_table.static_entries(topology, domain)
    active: RouteState = "pending" if domain.lacks else "active"
    group = rack.vif_group_state(domain.name)
    out: RouteState = "pending" if group == "pending" else active
    routes = tuple(
        GatewayRoute(
            destination=str(entry.destination),
            target=entry.target,
            origin="static" if entry.static else "propagated",
            table=outward if entry.kind == "vif-group" else inward,
            expected="blackhole"
            if entry.blackhole and not domain.lacks
            else (out if entry.kind == "vif-group" else active),
            through="vif" if entry.kind == "vif-group" else "",
        )
        for entry in listed
    )
    title = f"{domain.title(rack.name)} route table"
    return LocalGatewayCheck(
        node.name, title, domain.mode, tuple(ports), routes, domain.lacks, group
    )


def _place(rack: Rack, lag: Lag) -> str:
    """How `status` calls a LAG: by its OND, if that has only the one."""
    one = len(rack.lags_of(lag.device)) == 1
    return f"OND{lag.device}" if one else f"OND{lag.device}, LAG {lag.number}"
