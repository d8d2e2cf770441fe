"""A VPC's router at one place, while it is being lowered."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.vpc.ruleset import Ruleset
from testbed.plan.model import Route
from testbed.topology.model import NetworkInterface, Outpost, Subnet, Target, Topology, Vpc

NextHop = tuple[IPv4Address, str]
"""A neighbour's address and the router's interface that leads to it."""


@dataclass
class VpcRouter:
    """The router of `vpc` on `outpost`, or in the Region where that is None.

    `subnets` are those at this place, by name; `interfaces` the network
    interfaces that are here, attached to an instance that runs or to what AWS
    made them for. `gateways` are the targets of routes that are at this place,
    and where they are.
    """

    node: NodeDraft
    vpc: Vpc
    outpost: Outpost | None
    subnets: dict[str, Subnet]
    interfaces: list[NetworkInterface]
    gateways: dict[Target, NextHop] = field(default_factory=dict)
    ruleset: Ruleset = field(default_factory=Ruleset)

    @classmethod
    def add(cls, draft: Draft, topology: Topology, vpc: Vpc, outpost: Outpost | None) -> VpcRouter:
        """Add the router's node, with nothing but its own addresses."""
        if outpost:
            name, group = names.outpost_vpc(outpost, vpc.name), outpost.name
            title = f"{outpost.name} router of VPC {vpc.name}"
        else:
            name, group = names.region_vpc(vpc.name), "region"
            title = f"Region router of VPC {vpc.name}"
        place = outpost.name if outpost else None
        subnets = {subnet.name: subnet for subnet in vpc.subnets if subnet.outpost == place}
        node = draft.router(name, "vpc-router", group, title)
        node.loopback(*(subnet.router for subnet in subnets.values()))
        # Nothing of the VPC's CIDR beyond its interfaces and its other routers' subnets.
        node.routes.append(Route(str(vpc.cidr), type="blackhole"))
        interfaces = [
            interface
            for interface in topology.network_interfaces.values()
            if interface.vpc == vpc.name
            and topology.place_of(interface) == place
            and topology.attached(interface)
        ]
        return cls(node, vpc, outpost, subnets, interfaces)
