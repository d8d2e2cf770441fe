"""Which ways AWS's rules give a packet between two machines, from the topology alone.

Only route tables, local gateways, peering, transit gateways and the
customer's network are looked at; what filters allow is `permissions`. Where a
packet passes machines of the user's (an appliance, a NAT, a Direct Connect
gateway) nothing is said: the way is "other".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from typing import Literal

from testbed.predict.packet import Dropped, NotPredicted
from testbed.predict.routes import INTERFACES, check_destination, inward_interface, target_of
from testbed.predict.site import CustomerNetwork, Place
from testbed.topology.model import (
    Gateway,
    NetworkInterface,
    Target,
    Topology,
    TransitGateway,
)

WayKind = Literal[
    "inside",  # one VPC, in one place: on one Outpost, or in the Region
    "service-link",  # one end on an Outpost, the other in the Region
    "local-gateway",  # between an Outpost and the local network
    "local-gateways",  # between two Outposts, through the customer's network
    "hairpin",  # between two customer-owned addresses of one local gateway
    "peering",
    "transit",
    "lan",  # between hosts of the customer's
    "other",
]
MTU: dict[WayKind, int] = {  # facts: EC2 mtu, S1, P; docs/fidelity.md
    "inside": 9001,
    "service-link": 1300,
    "local-gateway": 1500,
    "local-gateways": 1500,
    "peering": 9001,
    "transit": 8500,
}


@dataclass(frozen=True, slots=True)
class WayEnd:
    """A machine that sends and answers: a running instance, or a host of the customer's.

    `interface` is an instance's primary network interface, `place` its Outpost
    (None: the Region), `segment` a host's LAN segment.
    """

    name: str
    address: IPv4Address
    interface: NetworkInterface | None = None
    place: str | None = None
    segment: str | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def vpc(self) -> str:
        """The VPC of an instance; empty for a host."""
        return self.interface.vpc if self.interface else ""

    @property
    def owned(self) -> IPv4Address | None:
        """Its customer-owned IP address."""
        return self.interface.customer_owned_ip if self.interface else None

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """What it may be reached at."""
        return (self.address, *([self.owned] if self.owned else []))


@dataclass(frozen=True, slots=True)
class Way:
    """A way that has an answer: to the address `to`; the other end sees the address `seen`.

    `mtu` is None where it is not known.
    """

    kind: WayKind
    to: IPv4Address
    seen: IPv4Address
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class _Hop:
    """Where one packet gets: None for what nothing is said of."""

    kind: WayKind
    end: WayEnd | None
    seen: IPv4Address
    crosses: bool = False  # the service link


class Ways:
    """The ways of one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.customer = CustomerNetwork(topology)

    @cached_property
    def instances(self) -> list[WayEnd]:
        """All instances that run."""
        found = []
        for instance in self.topology.instances.values():
            if instance.state == "running":
                interface = self.topology.network_interfaces[instance.name]
                place = self.topology.place_of(interface)
                found.append(WayEnd(instance.name, instance.address, interface, place))
        return found

    @cached_property
    def hosts(self) -> list[WayEnd]:
        """All hosts on LAN segments."""
        hosts = self.topology.site.hosts
        return [WayEnd(host.name, host.address.ip, segment=host.segment) for host in hosts]

    @property
    def ends(self) -> list[WayEnd]:
        """Everything that can send and answer."""
        return [*self.instances, *self.hosts]

    def end(self, name: str) -> WayEnd:
        """The instance or host of that name."""
        return next(end for end in self.ends if end.name == name)

    def way(self, source: WayEnd, destination: WayEnd, to: IPv4Address | None = None) -> Way | None:
        """The way there and back, to any of its addresses or to this one; None: there is none."""
        for address in [to] if to else destination.addresses:
            there = self._send(source, address)
            if there is None or (there.end is not None and there.end != destination):
                continue
            back = self._send(destination, there.seen)
            if back is None or (back.end is not None and back.end != source):
                continue
            if there.end is None or back.end is None:
                return Way("other", address, there.seen)
            mtu = MTU.get(there.kind)
            if there.crosses or back.crosses:
                mtu = MTU["service-link"]
            return Way(there.kind, address, there.seen, mtu)
        return None

    def leads_nowhere(self, source: WayEnd, to: IPv4Address) -> bool:
        """Whether no packet of the source's may get to anybody at that address."""
        return self._send(source, to) is None

    def _send(self, source: WayEnd, to: IPv4Address) -> _Hop | None:
        if source.interface is None:
            islands = self.customer.of_segment(source.segment or "")
            return self._customer(islands, to, source.address, "local-gateway")
        try:
            target = target_of(self.topology, source.interface, to)
            return self._follow(source, target, to)
        except Dropped:
            return None
        except NotPredicted:
            return _Hop("other", None, source.address)

    def _follow(self, source: WayEnd, target: Target, to: IPv4Address) -> _Hop | None:
        """From an instance to the target of its route."""
        if target.kind in INTERFACES:
            check_destination(self.topology, self.topology.network_interfaces[target.name], to)
        if target.kind in {"local", *INTERFACES}:
            return self._inside(source, source.vpc, to, "inside")
        if target.kind == "local-gateway":
            return self._outward(source, target.name, to)
        if target.kind == "vpc-peering-connection":
            connection = self.topology.region.vpc_peering_connections.get(target.name)
            if connection is None:
                return None
            return self._inside(source, connection.peer(source.vpc), to, "peering")
        if target.kind == "transit-gateway":
            return self._transit(source, self.topology.region.transit_gateways[target.name], to)
        return _Hop("other", None, source.address)

    def _inside(self, source: WayEnd, vpc: str, to: IPv4Address, kind: WayKind) -> _Hop | None:
        """To an address of a VPC: never from one Outpost to another (facts: S4, H5)."""
        for end in self.instances:
            if end.vpc == vpc and end.interface and to in end.interface.addresses:
                if None not in {source.place, end.place} and source.place != end.place:
                    return None
                crosses = source.place != end.place
                if crosses and kind == "inside":
                    kind = "service-link"
                return _Hop(kind, end, source.address, crosses or self._via_region(source, vpc))
        return None

    def _via_region(self, source: WayEnd, vpc: str) -> bool:
        """Whether a peering connection is only in the Region, for want of subnets here."""
        if source.place is None or vpc == source.vpc:
            return False
        return all(s.outpost != source.place for s in self.topology.vpcs[vpc].subnets)

    def _outward(self, source: WayEnd, outpost: str, to: IPv4Address) -> _Hop | None:
        """Through the local gateway (facts: L1 to L3); in CoIP mode with a CoIP only (R1)."""
        domain = self.topology.domain(outpost, source.vpc)
        assert source.interface is not None
        if source.place != outpost or domain is None or domain.lacks:
            return None
        gateway = (self.topology.racks[outpost], domain)
        seen = source.address
        if domain.mode == "coip":
            if source.owned is None:
                return None
            seen = source.owned
            if any(to in cidr for cidr in domain.pool_cidrs):
                end = self._owner(gateway, to)
                return _Hop("hairpin", end, seen) if end else None
        if not any(to in r.destination for r in domain.routes if r.interface is None):
            return None
        islands = self.customer.of_gateway(gateway)
        return self._customer(islands, to, seen, "local-gateways", origin=gateway)

    def _customer(
        self,
        islands: set[Place],
        to: IPv4Address,
        seen: IPv4Address,
        kind: WayKind,
        origin: Gateway | None = None,
    ) -> _Hop | None:
        """Through the customer's network, to a host or to what a local gateway announces."""
        for host in self.hosts:
            if host.address == to:
                here = self.customer.of_segment(host.segment or "") & islands
                way: WayKind = "local-gateway" if origin else "lan"
                return _Hop(way, host, seen) if here else None
        gateway = self.customer.gateway_for(to, islands)
        if gateway is None:
            return self._direct_connect(islands, to, seen)
        if gateway == origin:
            return None
        try:
            if interface := inward_interface(self.topology, gateway, to):
                check_destination(self.topology, interface, to)
        except Dropped:
            return None
        except NotPredicted:
            return _Hop("other", None, seen)
        end = self._owner(gateway, to)
        return _Hop(kind, end, seen) if end else None

    def _owner(self, gateway: Gateway, to: IPv4Address) -> WayEnd | None:
        """Who has the address at a local gateway."""
        outpost, domain = gateway
        coip = domain.mode == "coip"
        subnets = {(s.vpc, s.name) for s in self.topology.announced_subnets(*gateway)}
        for end in self.instances:
            interface = end.interface
            if interface is None or end.place != outpost.name:
                continue
            if coip and interface.customer_owned_ip == to and end.vpc in domain.vpcs:
                return end
            if not coip and to in interface.addresses and (end.vpc, interface.subnet) in subnets:
                return end
        return None

    def _direct_connect(
        self, islands: set[Place], to: IPv4Address, seen: IPv4Address
    ) -> _Hop | None:
        """What a private or transit virtual interface announces; nothing more is said of it."""
        announced = (
            prefix
            for connection in self.topology.site.direct_connects
            if self.customer.of_device(connection.device) in islands
            for vif in connection.virtual_interfaces
            if vif.vrf == "lgw"
            for prefix in vif.prefixes
        )
        return _Hop("other", None, seen) if any(to in prefix for prefix in announced) else None

    def _transit(self, source: WayEnd, gateway: TransitGateway, to: IPv4Address) -> _Hop | None:
        """By the route table that the VPC's attachment is associated with."""
        own = gateway.attachment_of(source.vpc)
        assert source.interface is not None
        if own is None:
            return None
        zones = {self.topology.subnet(source.vpc, name).zone for name in own.subnets}
        zone = self.topology.subnet(source.vpc, source.interface.subnet).zone
        table = next((t for t in gateway.route_tables if own.name in t.associations), None)
        if table is None or zone not in zones:
            return None
        vpcs = {entry.name: entry.vpc for entry in gateway.attachments}
        routes = {
            self.topology.vpcs[vpc].cidr: name
            for name in reversed(table.propagations)
            if (vpc := vpcs.get(name))
        }
        static = {route.destination: route.attachment for route in table.routes}
        found = [
            (prefix.prefixlen, name) for prefix, name in (routes | static).items() if to in prefix
        ]
        others = [name for name in table.propagations if vpcs.get(name) is None]
        length, name = max(found, key=lambda entry: entry[0], default=(0, None))
        learned = bool(others) and (not found or length < self._customers_prefix(others, to))
        vpc = vpcs.get(name or "")
        if learned or (name is not None and vpc is None):
            return _Hop("other", None, source.address)
        if vpc is None:
            return None
        hop = self._inside(source, vpc, to, "transit")
        crosses = source.place is not None or (hop is not None and _is_on_outpost(hop.end))
        return _Hop("transit", hop.end, source.address, crosses) if hop else None

    def _customers_prefix(self, connections: list[str], to: IPv4Address) -> int:
        """The longest prefix of an address that the customer may announce to transit gateways."""
        site = self.topology.site
        devices = {entry.device for entry in site.direct_connects if entry.name in connections}
        islands = {self.customer.of_device(device) for device in devices}
        gateway = self.customer.gateway_for(to, islands)
        prefixes = [*(self.topology.announced(*gateway) if gateway else ())]
        prefixes += [
            segment.cidr
            for segment in site.segments
            if self.customer.of_segment(segment.name) & islands
        ]
        return max((prefix.prefixlen for prefix in prefixes if to in prefix), default=0)


def _is_on_outpost(end: WayEnd | None) -> bool:
    return end is not None and end.place is not None
