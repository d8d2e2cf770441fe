"""The Region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from testbed.topology.model.base import Service
from testbed.topology.model.transit import TransitGateway, VpcPeeringConnection

OUTPOSTS_ENDPOINT, PUBLIC_RESOLVER = 30, 2  # where their addresses are in public_cidr


@dataclass(frozen=True, slots=True)
class Anchor:
    """A service link anchor in the Region: where the Outpost's tunnels end (facts: H2)."""

    name: str
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class PublicService:
    """A service of AWS's with public addresses: those in `prefix`, of which it answers one."""

    name: str
    prefix: IPv4Network

    @property
    def address(self) -> IPv4Address:
        """The address that answers."""
        return self.prefix.network_address + 1


@dataclass(frozen=True, slots=True)
class InternetHost:
    """A machine on the internet; it has an IPv6 address where a VPC has IPv6."""

    name: str
    address: IPv4Interface
    ipv6_address: IPv6Interface | None
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Internet:
    """A small internet, behind the internet gateways and the Region's edge.

    `ipv6_cidr` is None where no VPC has IPv6.
    """

    cidr: IPv4Network
    ipv6_cidr: IPv6Network | None
    hosts: tuple[InternetHost, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """The Region that the Outposts are homed to.

    `zone_delay_ms` is one way between two zones. `public_services` are those
    that have gateway endpoints (S3 and DynamoDB). `prefix_lists` are the
    customer's and AWS's own, by name. `internet` is None where nobody needs
    one.
    """

    name: str
    zones: tuple[str, ...]
    asn: int
    public_cidr: IPv4Network
    anchors: tuple[Anchor, ...]
    elastic_ip_cidr: IPv4Network
    zone_delay_ms: float
    public_services: tuple[PublicService, ...]
    prefix_lists: Mapping[str, tuple[IPv4Network, ...]]
    internet: Internet | None
    vpc_peering_connections: Mapping[str, VpcPeeringConnection] = field(default_factory=dict)
    transit_gateways: Mapping[str, TransitGateway] = field(default_factory=dict)
    metrics_period_s: int = 60

    @property
    def outposts_address(self) -> IPv4Address:
        """The public address of the Outposts endpoint, where management channels end."""
        return self.public_cidr.network_address + OUTPOSTS_ENDPOINT

    @property
    def public_resolver(self) -> IPv4Address:
        """The public address of the internet's DNS resolver."""
        return self.public_cidr.network_address + PUBLIC_RESOLVER

    def prefix_list_of(self, service: str) -> str:
        """The name of the AWS-managed prefix list of a service."""
        return f"com.amazonaws.{self.name}.{service}"

    @property
    def internal_domain(self) -> str:
        """The domain of the instances' private names (facts: V vpc-dns)."""
        return "ec2.internal" if self.name == "us-east-1" else f"{self.name}.compute.internal"

    def peering_of(self, vpc: str) -> tuple[VpcPeeringConnection, ...]:
        """The peering connections of a VPC."""
        connections = self.vpc_peering_connections.values()
        return tuple(entry for entry in connections if vpc in (entry.requester, entry.accepter))
