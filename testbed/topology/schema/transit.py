"""What connects VPCs in the Region, as the topology file has it."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.addresses import Cidr
from testbed.topology.schema.base import Form
from testbed.topology.values import Name, OutpostAsn


class VpcPeeringConnectionForm(Form):
    """A VPC peering connection."""

    requester: Name = Field(description="The VPC that requested it.")
    accepter: Name = Field(description="The VPC that accepted it.")


class TransitGatewayAttachmentForm(Form):
    """A VPC's attachment to a transit gateway."""

    vpc: Name = Field(description="The VPC.")
    subnets: list[Name] | None = Field(
        None,
        min_length=1,
        description="The subnets with the transit gateway's network interfaces, one in each"
        " Availability Zone. Default: the first in each zone that the VPC has in the Region.",
    )


class TransitGatewayRouteForm(Form):
    """A static route of a transit gateway route table."""

    destination: Cidr = Field(description="The destination CIDR block.")
    attachment: Name | None = Field(
        None, description="The attachment that it leads to. Default: none, for a blackhole."
    )


class TransitGatewayRouteTableForm(Form):
    """A transit gateway route table."""

    associations: list[Name] = Field(
        default=[], description="The attachments whose packets use it. Default: none."
    )
    propagations: list[Name] = Field(
        default=[], description="The attachments whose prefixes it learns. Default: none."
    )
    routes: list[TransitGatewayRouteForm] = Field(
        default=[], max_length=10_000, description="Its static routes. Default: none."
    )


class TransitGatewayForm(Form):
    """A transit gateway."""

    asn: OutpostAsn = Field(64512, description="Its ASN. Default: 64512.")
    attachments: dict[Name, TransitGatewayAttachmentForm] = Field(
        default={}, description="Its attachments, by name. Default: none."
    )
    route_tables: dict[Name, TransitGatewayRouteTableForm] | None = Field(
        None,
        description="Its route tables, by name. Default: one, `default`, that all attachments are"
        " associated with and propagate to.",
    )
