"""What connects VPCs in the Region: peering connections and transit gateways."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class VpcPeeringConnection:
    """A VPC peering connection; `number` is its own for as long as it exists, from 0."""

    name: str
    number: int
    requester: str
    accepter: str

    def peer(self, vpc: str) -> str:
        """The VPC at the other end from `vpc`."""
        return self.accepter if vpc == self.requester else self.requester


@dataclass(frozen=True, slots=True)
class TransitGatewayAttachment:
    """An attachment; `number` is its own among those of all transit gateways, from 0.

    A VPC's has `vpc`; a Direct Connect gateway's is called as the connection
    and has None. `subnets` are where the transit gateway has its network interfaces, one in
    each Availability Zone that it serves.
    """

    name: str
    number: int
    vpc: str | None
    subnets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TransitGatewayRoute:
    """A static route; `attachment` None is a blackhole."""

    destination: IPv4Network
    attachment: str | None


@dataclass(frozen=True, slots=True)
class TransitGatewayRouteTable:
    """A transit gateway route table.

    `number` is its own in the transit gateway, from 1. `associations` are the
    attachments whose packets use it, `propagations` those whose prefixes it learns.
    """

    name: str
    number: int
    associations: tuple[str, ...]
    propagations: tuple[str, ...]
    routes: tuple[TransitGatewayRoute, ...]


@dataclass(frozen=True, slots=True)
class TransitGateway:
    """A transit gateway: a regional router between VPCs."""

    name: str
    asn: int
    attachments: tuple[TransitGatewayAttachment, ...]
    route_tables: tuple[TransitGatewayRouteTable, ...]

    def attachment_of(self, vpc: str) -> TransitGatewayAttachment | None:
        """The attachment of a VPC; it has at most one."""
        return next((entry for entry in self.attachments if entry.vpc == vpc), None)
