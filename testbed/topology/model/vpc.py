"""VPCs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Literal

from testbed.topology.model.dns import DhcpOptions
from testbed.topology.model.security import NetworkAcl, SecurityGroup

MAX_ROUTE_TABLES = 200  # per VPC (V limits)


@dataclass(frozen=True, slots=True)
class Subnet:
    """A VPC subnet, in an Availability Zone of the Region or on an Outpost.

    Its network interfaces get addresses of `customer_owned_ip_pool`, where it
    names one.
    """

    name: str
    vpc: str
    cidr: IPv4Network
    zone: str
    outpost: str | None
    customer_owned_ip_pool: str | None = None
    network_acl: str = "default"
    ipv6_cidr: IPv6Network | None = None

    @property
    def router(self) -> IPv4Address:
        """The VPC router's address, the subnet's base plus one (facts: V subnet-sizing)."""
        return self.cidr.network_address + 1


TargetKind = Literal[
    "egress-only-internet-gateway",
    "instance",
    "internet-gateway",
    "local",
    "local-gateway",
    "nat-gateway",
    "network-interface",
    "transit-gateway",
    "virtual-private-gateway",
    "vpc-endpoint",
    "vpc-peering-connection",
]


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a route: a kind of AWS's and the name of the object.

    `name` is the Outpost's for a local gateway, and empty for what a VPC has
    only one of: its internet gateways, its virtual private gateway, `local`.
    """

    kind: TargetKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name}.{self.kind}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class VpcRoute:
    """A custom route of a VPC route table; the local route is implicit.

    A route to a prefix list is one of these for each of its entries.
    """

    destination: IPv4Network
    target: Target
    prefix_list: str = ""


@dataclass(frozen=True, slots=True)
class Ipv6Route:
    """A custom route for IPv6; the local route is implicit."""

    destination: IPv6Network
    target: Target


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A VPC route table: the main one, or a custom one associated with subnets.

    `number` is its own in the VPC, from 1 to MAX_ROUTE_TABLES. `propagate` says whether
    it has what the virtual private gateway learns.
    """

    name: str
    number: int
    main: bool
    subnets: tuple[str, ...]
    routes: tuple[VpcRoute, ...]
    propagate: bool = False
    ipv6_routes: tuple[Ipv6Route, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualPrivateGateway:
    """A VPC's virtual private gateway: its end of Direct Connect private virtual interfaces."""

    asn: int


@dataclass(frozen=True, slots=True)
class NatGateway:
    """A public NAT gateway; routes to one that is deleted are blackholes.

    `interface` is the name of its network interface.
    """

    name: str
    vpc: str
    subnet: str
    interface: str
    state: Literal["available", "deleted"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A VPC endpoint for a service of the Region's.

    `route_tables` are those of a gateway endpoint, `interfaces` the names of
    an interface endpoint's network interfaces, `dns_names` what leads to them
    in the VPC's DNS.
    """

    name: str
    vpc: str
    service: str
    type: Literal["gateway", "interface"]
    route_tables: tuple[str, ...]
    interfaces: tuple[str, ...]
    security_groups: tuple[str, ...]
    dns_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC; `number` is its own for as long as it exists, from 1 to MAX_VPCS.

    Without security groups nothing is filtered at its network interfaces.
    """

    name: str
    number: int
    cidr: IPv4Network
    subnets: tuple[Subnet, ...]
    route_tables: tuple[RouteTable, ...]
    dhcp_options: DhcpOptions
    dns_support: bool = True
    ipv6_cidr: IPv6Network | None = None
    egress_only_internet_gateway: bool = False
    internet_gateway: bool = False
    nat_gateways: tuple[NatGateway, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    network_acls: tuple[NetworkAcl, ...] = ()
    virtual_private_gateway: VirtualPrivateGateway | None = None

    @property
    def resolver(self) -> IPv4Address:
        """The address of AWS's DNS resolver: the VPC's base plus two (facts: V vpc-dns)."""
        return self.cidr.network_address + 2

    def nat_gateway(self, name: str) -> NatGateway:
        """The NAT gateway `name`."""
        return next(gateway for gateway in self.nat_gateways if gateway.name == name)

    def endpoint(self, name: str) -> Endpoint:
        """The VPC endpoint `name`."""
        return next(endpoint for endpoint in self.endpoints if endpoint.name == name)

    def users_of(self, table: RouteTable) -> tuple[Subnet, ...]:
        """The subnets that use a route table."""
        if not table.main:
            own = set(table.subnets)
            return tuple(subnet for subnet in self.subnets if subnet.name in own)
        others = {name for other in self.route_tables if not other.main for name in other.subnets}
        return tuple(subnet for subnet in self.subnets if subnet.name not in others)

    def table_of(self, subnet: str) -> RouteTable:
        """The route table that is associated with `subnet`: its own, else the main one."""
        for table in self.route_tables:
            if subnet in table.subnets:
                return table
        return next(table for table in self.route_tables if table.main)
