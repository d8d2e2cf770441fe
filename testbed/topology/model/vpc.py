"""VPCs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from testbed.topology.model.dns import DhcpOptions


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
    """A custom route of a VPC route table; the local route is implicit."""

    destination: IPv4Network
    target: Target


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
    dhcp_options: DhcpOptions
    dns_support: bool = True

    @property
    def resolver(self) -> IPv4Address:
        """The address of AWS's DNS resolver: the VPC's base plus two (facts: V vpc-dns)."""
        return self.cidr.network_address + 2

    def table_of(self, subnet: str) -> RouteTable:
        """The route table that is associated with `subnet`: its own, else the main one."""
        for table in self.route_tables:
            if subnet in table.subnets:
                return table
        return next(table for table in self.route_tables if table.main)
