"""A VPC's router at one place, while it is being lowered."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from testbed.lower import names
from testbed.lower.builder import LAST_METRIC, Draft, NodeDraft, interface_name
from testbed.lower.vpc.ruleset import Ruleset, comment
from testbed.plan.model import Route, Rule
from testbed.plan.roles import REGION, Role
from testbed.topology.model import NetworkInterface, Outpost, Subnet, Target, Topology, Vpc

NextHop = tuple[IPv4Address, str]
"""A neighbour's address and the router's interface that leads to it."""

TABLE_OWN = 900  # beyond the marks, which are the numbers of a VPC's route tables
PRIORITY_OWN = 50
BETWEEN_OUTPOSTS = "the Region lets nothing through from one Outpost to another"


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
            name, group = names.region_vpc(vpc.name), REGION
            title = f"Region router of VPC {vpc.name}"
        place = outpost.name if outpost else None
        subnets = {subnet.name: subnet for subnet in vpc.subnets if subnet.outpost == place}
        node = draft.router(name, Role.VPC_ROUTER, group, title)
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

    def contain(self) -> None:
        """Drop silently what comes from another router and is for nothing in the VPC."""
        nothing = Route("0.0.0.0/0", type="blackhole", metric=LAST_METRIC)
        if nothing not in self.node.routes:
            self.node.routes.append(nothing)

    def keep_outposts_apart(self, topology: Topology, others: Iterable[Vpc]) -> None:
        """Let nothing from one Outpost's subnets of `others` go on to another Outpost."""
        for vpc in others:
            for subnet in vpc.subnets:
                for name in topology.outposts if subnet.outpost else ():
                    if name != subnet.outpost and any(s.outpost == name for s in self.vpc.subnets):
                        port = interface_name("op-", name)
                        self._drop_between_outposts(f'"{port}" . {subnet.cidr}')

    def _drop_between_outposts(self, item: str) -> None:
        kind = "type ifname . ipv4_addr; flags interval"
        items = self.ruleset.sets.setdefault("between_outposts", (kind, []))[1]
        if not items:
            why = comment(BETWEEN_OUTPOSTS)
            rule = f"oifname . ip saddr @between_outposts counter drop{why}"
            self.ruleset.forward.append(rule)
        if item not in items:
            items.append(item)

    @property
    def address(self) -> IPv4Address | None:
        """An address of the VPC's that the router answers from; None where it has no subnet."""
        return next((subnet.router for subnet in self.subnets.values()), None)

    def mark_of(self, subnet: str) -> int:
        """The mark, and number, of the route table that a subnet uses."""
        return self.vpc.table_of(subnet).number

    def enter_by(self, port: str, subnet: str) -> None:
        """Have what comes in by `port` use the route table of a subnet."""
        self.ruleset.gateway_marks.append(f'"{port}" : {self.mark_of(subnet)}')

    def refuse_other_zones(self, topology: Topology, port: str, zones: Collection[str]) -> None:
        """Drop what goes to `port` from Availability Zones other than `zones`."""
        refused = [
            f"eni-{interface.name}"
            for interface in self.interfaces
            if topology.subnet(interface.vpc, interface.subnet).zone not in zones
        ]
        refused += [
            f"op-{outpost.name}"
            for outpost in topology.outposts.values()
            if outpost.zone not in zones
            and any(s.outpost == outpost.name for s in self.vpc.subnets)
        ]
        if refused:
            items = [f'"{_short(name)}" . "{port}"' for name in refused]
            self.ruleset.sets.setdefault("unattached", ("type ifname . ifname", []))[1].extend(
                items
            )
            why = comment("the gateway has no attachment in the packet's Availability Zone")
            rule = f"iifname . oifname @unattached counter drop{why}"
            if rule not in self.ruleset.forward:
                self.ruleset.forward.append(rule)

    def answer_to(self, peer: Vpc, via: IPv4Address, port: str) -> None:
        """Let the router's own packets, ICMP errors, reach a VPC that its local route does not."""
        rule = Rule(PRIORITY_OWN, TABLE_OWN, iif="lo")
        if rule not in self.node.rules:
            self.node.rules.append(rule)
        if all(
            (route.destination, route.table) != (str(peer.cidr), TABLE_OWN)
            for route in self.node.routes
        ):
            self.node.route(peer.cidr, via=via, dev=port, table=TABLE_OWN, source=self.address)


def _short(name: str) -> str:
    prefix, _, rest = name.partition("-")
    return interface_name(f"{prefix}-", rest)
