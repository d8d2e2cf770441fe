"""Customer-owned IP addresses: the local gateway's 1:1 address translation for one VPC.

Each VPC association of a local gateway in CoIP mode has a namespace between
the local gateway and the VPC's router. It translates private addresses to
customer-owned ones and back (facts: R1, L4), what is inside ICMP errors
included. Beyond it there are only customer-owned addresses: VPCs with
the same CIDR block are told apart by them, and each has connection tracking
of its own, so that a packet between two of them is translated twice.

What a static route sends to a network interface is not translated
(facts: L2). Everything else of the VPC has no way through.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.rack import gateway_table, inner
from testbed.lower.templating import environment
from testbed.plan.model import TABLE_MAIN, Rule
from testbed.plan.roles import Role
from testbed.topology.model import Rack, RoutingDomain, Topology, Vpc

TO_GATEWAY, TO_VPC = "lgw", "vpc"
TABLE_INWARD = 1
PRIORITY_LOCAL, PRIORITY_INWARD, PRIORITY_NOTHING = 100, 200, 210


def addresses(
    topology: Topology, outpost: Rack, domain: RoutingDomain, vpc: Vpc
) -> dict[IPv4Address, IPv4Address]:
    """The customer-owned addresses of the VPC's interfaces here, and what they stand for.

    Without those that a static route of the local gateway leads elsewhere.
    """
    table = gateway_table.entries(topology, outpost, domain)
    places = {subnet.name: subnet.outpost for subnet in vpc.subnets}
    found: dict[IPv4Address, IPv4Address] = {}
    for interface in topology.network_interfaces.values():
        address = interface.customer_owned_ip
        here = interface.vpc == vpc.name and places[interface.subnet] == outpost.name
        if address is None or not here or not topology.attached(interface):
            continue
        route = gateway_table.lookup(table, address)
        if route is not None and route.kind == "coip-pool":
            found[address] = interface.address
    return found


def attach(
    draft: Draft,
    topology: Topology,
    table: tuple[Rack, RoutingDomain],
    vpc: Vpc,
    gateway: tuple[NodeDraft, str],
) -> tuple[NodeDraft, str]:
    """Add the translation for a VPC, connected to the local gateway's interface.

    Returns the end for the VPC's router.
    """
    outpost, domain = table
    title = f"{outpost.name} customer-owned IP addresses of VPC {vpc.name}"
    node = draft.router(names.coip(outpost, vpc), Role.COIP, outpost.name, title)
    gateway_end, own_end = inner.coip_link(vpc)
    draft.cable(gateway, (node, TO_GATEWAY), addresses=(gateway_end, own_end))
    node.route("0.0.0.0/0", via=gateway_end.ip, dev=TO_GATEWAY)
    router = inner.gateway_link(outpost, vpc)[1].ip
    inward = TABLE_INWARD
    node.rules += [
        Rule(PRIORITY_LOCAL, inward, iif="lo"),
        Rule(PRIORITY_INWARD, inward, iif=TO_GATEWAY),
        Rule(PRIORITY_NOTHING, TABLE_MAIN, iif=TO_GATEWAY, action="blackhole"),
    ]
    preserved = _preserved(topology, outpost, domain, vpc)
    for destination in (vpc.cidr, *preserved):
        node.route(destination, via=router, dev=TO_VPC, table=inward)
    node.nftables = _ruleset(title, addresses(topology, outpost, domain, vpc), preserved)
    return node, TO_VPC


def _preserved(
    topology: Topology, outpost: Rack, domain: RoutingDomain, vpc: Vpc
) -> list[IPv4Network]:
    """What static routes lead to interfaces of the VPC; never the VPC's own addresses."""
    table = gateway_table.entries(topology, outpost, domain)
    return [
        network
        for entry in table
        if entry.kind == "interface" and entry.vpc == vpc.name
        for network in gateway_table.without(gateway_table.own_range(table, entry), [vpc.cidr])
    ]


def _ruleset(
    title: str, owned: dict[IPv4Address, IPv4Address], preserved: list[IPv4Network]
) -> str:
    """Translation in both directions, and nothing through that is not for it.

    A connection that was translated by an association which is gone has no
    way through either: `associations` has what holds now.
    """
    return environment.get_template("coip.nft.j2").render(
        title=title,
        to_gateway=TO_GATEWAY,
        to_vpc=TO_VPC,
        private_addresses=[f"{public} : {private}" for public, private in owned.items()],
        customer_owned_addresses=[f"{private} : {public}" for public, private in owned.items()],
        owners=list(owned.values()),
        associations=[f"{private} . {public}" for public, private in owned.items()],
        not_translated=preserved,
    )
