"""Transit gateways: a router in the Region between VPCs, with route tables of its own.

The route table that an attachment is associated with decides where its
packets go: a static route before a propagated one, the longest prefix first;
without an association, or a route, a packet is dropped (AWS: how transit
gateways work). A VPC's packets come in from the Availability Zones that the
attachment has a subnet in, and what leaves the transit gateway for a VPC uses
the route table of that subnet, as from any other network interface.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from testbed.lower import bgp, names
from testbed.lower.builder import LAST_METRIC, Draft, NodeDraft, interface_name
from testbed.lower.rack import inner
from testbed.lower.site import direct_connect
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.bird import symbol
from testbed.plan.checks import RouteCheck
from testbed.plan.model import TABLE_MAIN, Route, Rule
from testbed.plan.roles import REGION, Role
from testbed.topology.model import (
    Target,
    Topology,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
)

MTU = 8500  # AWS: transit gateway quotas
PRIORITY_TABLE = 100
PRIORITY_OWN = 150  # the links themselves, for BGP
PRIORITY_NOTHING = 200


def lower(draft: Draft, topology: Topology) -> None:
    """Add the transit gateways with their route tables; the VPCs come with their routers."""
    for gateway in topology.region.transit_gateways.values():
        title = f"transit gateway {gateway.name}"
        node = draft.router(names.transit_gateway(gateway), Role.TRANSIT_GATEWAY, REGION, title)
        marks = []
        for table in gateway.route_tables:
            ports = (_port(topology, gateway, name) for name in table.associations)
            marks += [f'"{port}" : {table.number}' for port in ports]
            node.rules.append(Rule(PRIORITY_TABLE, table.number, fwmark=table.number))
            _add_table(topology, gateway, node, table)
        node.rules.append(Rule(PRIORITY_OWN, TABLE_MAIN))
        node.rules.append(Rule(PRIORITY_NOTHING, TABLE_MAIN, action="blackhole"))
        node.nftables = _ruleset(title, marks)
        _terminate(draft, topology, gateway, node)


def _ruleset(title: str, marks: list[str]) -> str:
    elements = f"elements = {{ {', '.join(marks)} }}" if marks else ""
    return f"""\
# {title}
table inet transit_gateway {{
  map associations {{
    type ifname : mark
    {elements}
  }}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    meta mark set iifname map @associations
  }}
}}
"""


def _add_table(
    topology: Topology,
    gateway: TransitGateway,
    node: NodeDraft,
    table: TransitGatewayRouteTable,
) -> None:
    mark = table.number
    attachments = {entry.name: entry for entry in gateway.attachments}
    routes: dict[IPv4Network, TransitGatewayAttachment | None] = {
        route.destination: attachments[route.attachment] if route.attachment else None
        for route in table.routes
    }
    for name in table.propagations:
        if vpc := attachments[name].vpc:  # a Direct Connect gateway's come by BGP
            routes.setdefault(topology.vpcs[vpc].cidr, attachments[name])
    for destination, attachment in routes.items():
        if attachment is None:
            node.routes.append(Route(str(destination), type="blackhole", table=mark))
        else:
            via = _neighbor(topology, gateway, attachment)
            node.route(
                destination, via=via, dev=_port(topology, gateway, attachment.name), table=mark
            )
    nothing = Route("0.0.0.0/0", type="blackhole", table=mark, metric=LAST_METRIC)
    node.routes.append(nothing)


def _neighbor(
    topology: Topology, gateway: TransitGateway, attachment: TransitGatewayAttachment
) -> IPv4Address:
    """The router at the other end of an attachment."""
    for connection, entry in direct_connect.endings(topology, "transit", gateway.name):
        if connection.name == attachment.name:
            return entry.customer_address.ip
    return inner.transit_link(attachment)[1].ip


def _terminate(draft: Draft, topology: Topology, gateway: TransitGateway, node: NodeDraft) -> None:
    """Let transit virtual interfaces end here, by a Direct Connect gateway with an ASN of its own.

    It announces the allowed prefixes, and what it learns is propagated to the
    route tables that name the connection.
    """
    instances = []
    for connection, entry in direct_connect.endings(topology, "transit", gateway.name):
        tables = [t for t in gateway.route_tables if connection.name in t.propagations]
        for table in tables:
            for prefix in direct_connect.expected(topology, "transit", gateway.name):
                check = f"{node.title}: {prefix} in the route table {table.name}"
                draft.checks.append(RouteCheck(node.name, table.number, str(prefix), check))
        session = direct_connect.terminate(draft, topology, node, connection, entry)
        instances.append(
            bgp.Instance(
                name=f"t_{symbol(connection.name)}",
                vrf=None,
                table=None,
                asn=entry.amazon_asn,
                sessions=(session,),
                static=tuple(map(str, entry.prefixes)),
                propagated=tuple(table.number for table in tables),
            )
        )
    if instances:
        router_id = instances[0].sessions[0].local
        bgp.configure(draft, node, bgp.Router(router_id, tuple(instances)))


def attach(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Connect a VPC's router in the Region to the transit gateways that it is attached to."""
    for gateway in topology.region.transit_gateways.values():
        attachment = gateway.attachment_of(router.vpc.name)
        if attachment is None:
            continue
        port = _vpc_port(gateway)
        draft.cable(
            (
                draft.nodes[names.transit_gateway(gateway)],
                _port(topology, gateway, attachment.name),
            ),
            (router.node, port),
            addresses=inner.transit_link(attachment),
            mtu=MTU,
        )
        target = Target("transit-gateway", gateway.name)
        router.gateways[target] = (inner.transit_link(attachment)[0].ip, port)
        router.contain()
        router.enter_by(port, attachment.subnets[0])
        # what the router answers to a packet from there goes by the same route table
        router.node.sysctls["net/ipv4/fwmark_reflect"] = "1"
        others = (topology.vpcs[entry.vpc] for entry in gateway.attachments if entry.vpc)
        router.keep_outposts_apart(topology, (vpc for vpc in others if vpc is not router.vpc))
        zones = {topology.subnet(router.vpc.name, name).zone for name in attachment.subnets}
        router.refuse_other_zones(topology, port, zones)


def _port(topology: Topology, gateway: TransitGateway, attachment: str) -> str:
    """The transit gateway's interface of an attachment."""
    for connection, _ in direct_connect.endings(topology, "transit", gateway.name):
        if connection.name == attachment:
            return names.connection_port(connection)
    return interface_name("att-", attachment)


def _vpc_port(gateway: TransitGateway) -> str:
    """A VPC router's interface towards a transit gateway."""
    return interface_name("tgw-", gateway.name)
