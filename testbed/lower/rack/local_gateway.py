"""The rack's local gateway: VIF group, route table, VPC associations.

It learns the customer's routes from both ONDs and balances over them. What
comes from a VPC may use them as far as the route table's static routes to the
VIF group allow (facts: L1, L3), and goes nowhere else but to customer-owned
addresses of the same Outpost: propagated routes and routes to network
interfaces lead inward only. What comes from the customer finds these,
and never its way back. What has no route is dropped silently.
"""

from __future__ import annotations

from testbed.lower import bgp, names
from testbed.lower.builder import Draft, NodeDraft, interface_name
from testbed.lower.rack import TO_LOCAL_GATEWAY, coip, gateway_table, inner
from testbed.plan.checks import GatewayPort, GatewayRoute, LocalGatewayCheck, RouteState
from testbed.plan.model import TABLE_MAIN, Route, Rule
from testbed.plan.roles import Role
from testbed.topology.model import LocalGatewayMode, Outpost, Topology, Vpc

# Another mode is another table: the routes of the old one go before those of the new one come.
TABLES: dict[LocalGatewayMode, tuple[int, int]] = {  # inward, outward
    "direct-vpc-routing": (1004, 1005),
    "coip": (1006, 1007),
}
PRIORITY_OWN, PRIORITY_OWN_INWARD = 100, 110
PRIORITY_INWARD, PRIORITY_NOTHING_INWARD = 200, 210
PRIORITY_OUTWARD, PRIORITY_LEARNED, PRIORITY_NOTHING = 300, 310, 320


def lower(draft: Draft, topology: Topology, outpost: Outpost) -> None:
    """Add the local gateway, its links to both ONDs, and its route table.

    The links to the VPC routers come with those (`testbed.lower.vpc`).
    """
    title = f"{outpost.name} local gateway"
    node = draft.router(names.local_gateway(outpost), Role.LOCAL_GATEWAY, outpost.name, title)
    sessions = []
    for lag in outpost.lags:
        interface = f"ond{lag.device}"
        ond_end, own_end = inner.rack_link(outpost, lag.device, gateway=True)
        draft.cable(
            (draft.nodes[names.ond(outpost, lag.device)], TO_LOCAL_GATEWAY),
            (node, interface),
            addresses=(ond_end, own_end),
        )
        sessions.append(
            bgp.Session(
                name=interface,
                interface=interface,
                local=str(own_end.ip),
                neighbor=str(ond_end.ip),
                remote_asn=outpost.local_gateway.asn,
                title=f"{title} - OND{lag.device} (inside the rack)",
            )
        )
    instance = bgp.Instance(
        name="t_vif_group",
        vrf=None,
        table=names.TABLE_VIF_GROUP,
        asn=outpost.local_gateway.asn,
        sessions=tuple(sessions),
        static=tuple(map(str, topology.announced(outpost))),
        install_static=False,
    )
    router_id = str(inner.rack_link(outpost, 1, gateway=True)[1].ip)
    bgp.configure(draft, node, bgp.Router(router_id, (instance,)))
    _add_rules(node, outpost)
    _add_routes(topology, outpost, node)
    draft.checks.append(_check(topology, outpost, node))


def _add_rules(node: NodeDraft, outpost: Outpost) -> None:
    inward, outward = TABLES[outpost.local_gateway.mode]
    node.rules += [
        Rule(PRIORITY_OWN, TABLE_MAIN, iif="lo"),
        Rule(PRIORITY_OWN_INWARD, inward, iif="lo"),
    ]
    for lag in outpost.lags:
        port = f"ond{lag.device}"
        node.rules.append(Rule(PRIORITY_INWARD, inward, iif=port))
        node.rules.append(Rule(PRIORITY_NOTHING_INWARD, TABLE_MAIN, iif=port, action="blackhole"))
    node.rules += [
        Rule(PRIORITY_OUTWARD, outward),
        Rule(PRIORITY_LEARNED, names.TABLE_VIF_GROUP),
        Rule(PRIORITY_NOTHING, TABLE_MAIN, action="blackhole"),
    ]


def _port(outpost: Outpost, vpc: str) -> str:
    """The local gateway's interface towards a VPC."""
    prefix = "coip-" if outpost.local_gateway.mode == "coip" else "vpc-"
    return interface_name(prefix, vpc)


def _add_routes(topology: Topology, outpost: Outpost, node: NodeDraft) -> None:
    inward, outward = TABLES[outpost.local_gateway.mode]
    table = gateway_table.entries(topology, outpost)
    for entry in table:
        destination = str(entry.destination)
        if entry.kind == "vif-group":
            node.routes += [
                Route(destination, type="throw", table=number) for number in (inward, outward)
            ]
        elif entry.vpc is None:
            node.routes.append(Route(destination, type="blackhole", table=inward))
        else:
            _lead(topology, outpost, node, destination, entry.vpc, owned=entry.kind == "coip-pool")
    if all(entry.destination.prefixlen or entry.kind != "vif-group" for entry in table):
        node.routes.append(Route("0.0.0.0/0", type="blackhole", table=outward))
    if outpost.local_gateway.mode == "coip":
        for name in outpost.local_gateway.vpcs[1:]:  # the first has the pools' routes
            for address in coip.addresses(topology, outpost, topology.vpcs[name]):
                _lead(topology, outpost, node, f"{address}/32", name, owned=True)


def _lead(
    topology: Topology,
    outpost: Outpost,
    node: NodeDraft,
    destination: str,
    vpc: str,
    *,
    owned: bool,
) -> None:
    """Route to a VPC what comes from the customer, and from VPCs if it is customer-owned."""
    inward, outward = TABLES[outpost.local_gateway.mode]
    if outpost.local_gateway.mode == "coip":
        via = inner.coip_link(topology.vpcs[vpc])[1].ip
    else:
        via = inner.gateway_link(outpost, topology.vpcs[vpc])[1].ip
    for table in (inward, outward) if owned else (inward,):
        node.route(destination, via=via, dev=_port(outpost, vpc), table=table)


def attach(draft: Draft, topology: Topology, outpost: Outpost, vpc: Vpc, router: NodeDraft) -> None:
    """Connect a VPC's router to the local gateway, as the VPC association does."""
    near = (draft.nodes[names.local_gateway(outpost)], _port(outpost, vpc.name))
    if outpost.local_gateway.mode == "coip":
        near = coip.attach(draft, topology, outpost, vpc, near)
    draft.cable(near, (router, "lgw"), addresses=inner.gateway_link(outpost, vpc))


def _check(topology: Topology, outpost: Outpost, node: NodeDraft) -> LocalGatewayCheck:
    """What `status` shows of the route table, and `up` waits for."""
    gateway = outpost.local_gateway
    inward, outward = TABLES[gateway.mode]
    ports = [
        GatewayPort(
            role="vif",
            name=f"VLAN {lag.local_gateway.vlan} on OND{lag.device}",
            node=names.ond(outpost, lag.device),
            interface=f"{names.OND_BOND}.{lag.local_gateway.vlan}",
            protocol="customer_local_gateway",
        )
        for lag in outpost.lags
        if gateway.vif_group
    ]
    ports += [GatewayPort("vpc", vpc, node.name, _port(outpost, vpc)) for vpc in gateway.vpcs]
    listed = gateway_table.entries(topology, outpost)
    if gateway.lacks:
        listed = gateway_table.static_entries(topology, outpost)
    active: RouteState = "pending" if gateway.lacks else "active"
    routes = tuple(
        GatewayRoute(
            destination=str(entry.destination),
            target=entry.target,
            origin="static" if entry.static else "propagated",
            table=outward if entry.kind == "vif-group" else inward,
            expected="blackhole" if entry.blackhole and not gateway.lacks else active,
            through="vif" if entry.kind == "vif-group" else "",
        )
        for entry in listed
    )
    title = f"{outpost.name} local gateway route table"
    return LocalGatewayCheck(node.name, title, gateway.mode, tuple(ports), routes, gateway.lacks)
