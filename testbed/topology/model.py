"""The resolved topology: an AWS Outposts installation in AWS's own words.

Everything here is explicit and checked: what the file left out has been
derived, names have been resolved, and no value contradicts another. The
classes know nothing of Linux. `testbed.topology.load` makes a `Topology`;
`testbed.lower` turns it into a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

Daemon = Literal["bird", "frr"]
Service = Literal["http", "echo"]
FormFactor = Literal["rack", "server"]
LocalGatewayMode = Literal["direct-vpc-routing", "coip"]

# Where the testbed's addresses inside AWS come from: no other range may overlap it.
INTERNAL = IPv4Network("100.96.0.0/12")


@dataclass(frozen=True, slots=True)
class Quality:
    """What a link does to packets: one-way `delay_ms`, `rate_mbps` (0: unlimited), `mtu` bytes."""

    delay_ms: float = 0.0
    rate_mbps: float = 0.0
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Anchor:
    """A service link anchor in the Region: where the Outpost's tunnels end (facts: H2)."""

    name: str
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Region:
    """The Region that the Outposts are homed to."""

    name: str
    zones: tuple[str, ...]
    asn: int
    public_cidr: IPv4Network
    anchors: tuple[Anchor, ...]


@dataclass(frozen=True, slots=True)
class Subnet:
    """A VPC subnet, in an Availability Zone of the Region or on an Outpost."""

    name: str
    vpc: str
    cidr: IPv4Network
    zone: str
    outpost: str | None

    @property
    def router(self) -> IPv4Address:
        """The VPC router's address, the subnet's base plus one (facts: V subnet-sizing)."""
        return self.cidr.network_address + 1


@dataclass(frozen=True, slots=True)
class VpcRoute:
    """A custom route of a VPC route table; the local route is implicit.

    `target_kind` is ``local-gateway`` and `target` the Outpost that has it.
    """

    destination: IPv4Network
    target_kind: Literal["local-gateway"]
    target: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A VPC route table: the main one, or a custom one associated with subnets."""

    name: str
    main: bool
    subnets: tuple[str, ...]
    routes: tuple[VpcRoute, ...]


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC; `number` counts from 1 in the file's order and never repeats."""

    name: str
    number: int
    cidr: IPv4Network
    subnets: tuple[Subnet, ...]
    route_tables: tuple[RouteTable, ...]

    def table_of(self, subnet: str) -> RouteTable:
        """The route table that is associated with `subnet`: its own, else the main one."""
        for table in self.route_tables:
            if subnet in table.subnets:
                return table
        return next(table for table in self.route_tables if table.main)


@dataclass(frozen=True, slots=True)
class Vif:
    """A virtual interface: one VLAN and one eBGP session on one LAG (facts: R1, B).

    `local_*` is the Outpost's side, `peer_*` the customer's.
    """

    vlan: int
    local_address: IPv4Interface
    peer_address: IPv4Interface
    local_bgp_asn: int
    peer_bgp_asn: int


@dataclass(frozen=True, slots=True)
class Lag:
    """The LAG of one Outpost networking device (OND) to one customer device."""

    device: int  # which OND: 1 or 2
    customer_device: str
    members: int
    speed_gbps: int
    bfd: bool
    service_link: Vif
    local_gateway: Vif


@dataclass(frozen=True, slots=True)
class ServiceLink:
    """The encrypted path to the Region; each OND owns one half of `infrastructure_cidr`."""

    asn: int
    infrastructure_cidr: IPv4Network

    def own_prefix(self, device: int) -> IPv4Network:
        """The /27 that OND `device` announces with path length 1 (facts: R1, R2)."""
        return list(self.infrastructure_cidr.subnets(prefixlen_diff=1))[device - 1]


@dataclass(frozen=True, slots=True)
class LocalGateway:
    """A rack's local gateway with its one route table.

    `vpcs` are the VPC associations; `static_routes` the destinations that are
    routed to the VIF group (without one, nothing is forwarded; facts: L3).
    """

    asn: int
    mode: LocalGatewayMode
    vpcs: tuple[str, ...]
    static_routes: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Outpost:
    """An Outposts rack; `number` counts from 1 in the file's order."""

    name: str
    number: int
    form_factor: FormFactor
    zone: str
    lags: tuple[Lag, ...]
    service_link: ServiceLink
    local_gateway: LocalGateway


@dataclass(frozen=True, slots=True)
class Device:
    """A customer network device (CND): router, LAG peer and VRF owner.

    `config` is the text of the customer's own daemon configuration, which
    then replaces the generated one.
    """

    name: str
    asn: int
    daemon: Daemon
    config: str | None = None


@dataclass(frozen=True, slots=True)
class SiteLink:
    """A routed link between two customer devices, in one of their VRFs.

    `addresses` are the ends' addresses, in the order of `devices`.
    """

    devices: tuple[str, str]
    vrf: Literal["sl", "lgw"]
    addresses: tuple[IPv4Interface, IPv4Interface]
    quality: Quality


@dataclass(frozen=True, slots=True)
class Uplink:
    """A customer device's link to a router that stands for a whole network.

    `addresses` are (the device's, the router's).
    """

    device: str
    addresses: tuple[IPv4Interface, IPv4Interface]
    quality: Quality


@dataclass(frozen=True, slots=True)
class Wan:
    """The customer's WAN between data centres: one router, eBGP to every device (VRF lgw)."""

    asn: int
    uplinks: tuple[Uplink, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A LAN: one broadcast domain in the devices' VRF lgw.

    `routers` are the devices' addresses on it, (device, address with prefix length).
    """

    name: str
    cidr: IPv4Network
    routers: tuple[tuple[str, IPv4Interface], ...]


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the customer's on a LAN segment."""

    name: str
    segment: str
    address: IPv4Interface
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """What the customer owns; `region_uplinks` lead to the Region's edge (VRF sl)."""

    devices: tuple[Device, ...]
    links: tuple[SiteLink, ...]
    region_uplinks: tuple[Uplink, ...]
    wan: Wan | None
    segments: tuple[Segment, ...]
    hosts: tuple[Host, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance with one network interface."""

    name: str
    vpc: str
    subnet: str
    address: IPv4Address
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole installation. Mappings are keyed by name, in the file's order."""

    name: str
    region: Region
    vpcs: Mapping[str, Vpc]
    outposts: Mapping[str, Outpost]
    site: Site
    instances: Mapping[str, Instance]

    def subnet(self, vpc: str, name: str) -> Subnet:
        """The subnet `name` of `vpc`."""
        return next(subnet for subnet in self.vpcs[vpc].subnets if subnet.name == name)

    def announced_subnets(self, outpost: Outpost) -> tuple[Subnet, ...]:
        """The subnets that `outpost`'s local gateway announces in direct VPC routing.

        Only subnets on this Outpost, of an associated VPC, whose route table
        has a route that targets this local gateway (facts: R1 tip, L2).
        """
        found: list[Subnet] = []
        for vpc in (self.vpcs[name] for name in outpost.local_gateway.vpcs):
            for subnet in vpc.subnets:
                routes = vpc.table_of(subnet.name).routes
                targets = {route.target for route in routes}
                if subnet.outpost == outpost.name and outpost.name in targets:
                    found.append(subnet)
        return tuple(found)
