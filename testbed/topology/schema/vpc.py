"""VPCs, as the topology file has them."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.schema.base import Form
from testbed.topology.schema.dns import DhcpOptionsForm
from testbed.topology.values import Cidr, Name, Target


class SubnetForm(Form):
    """A VPC subnet: in a zone of the Region, or on an Outpost."""

    cidr: Cidr = Field(description="Its CIDR block, /16 to /28, inside the VPC's.")
    outpost: Name | None = Field(None, description="The Outpost it is on. Default: in the Region.")
    zone: Name | None = Field(
        None, description="Its Availability Zone. Default: its Outpost's, else the first zone."
    )


class RouteForm(Form):
    """A route of a VPC route table."""

    destination: Cidr = Field(description="The destination CIDR block.")
    target: Target = Field(
        description="Where to: OUTPOST.local-gateway, INSTANCE.instance,"
        " INTERFACE.network-interface, local."
    )


class RouteTableForm(Form):
    """A VPC route table; the local route for the VPC's CIDR block is implicit."""

    subnets: list[Name] = Field(
        default=[], description="The subnets associated with it. Default: none."
    )
    routes: list[RouteForm] = Field(
        default=[], max_length=1000, description="Its routes beside the local one. Default: none."
    )


class VpcForm(Form):
    """A VPC."""

    cidr: Cidr = Field(description="Its CIDR block, /16 to /28.")
    enable_dns_support: bool = Field(
        default=True,
        description="Whether it has AWS's DNS resolver, at its base address plus two and at"
        " 169.254.169.253. Default: true.",
    )
    dhcp_options: DhcpOptionsForm = Field(
        DhcpOptionsForm(),
        description="Its DHCP option set. Default: the Region's domain, AWS's DNS.",
    )
    subnets: dict[Name, SubnetForm] = Field(default={}, description="Its subnets, by name.")
    route_tables: dict[Name, RouteTableForm] = Field(
        default={},
        description="Its route tables, by name. `main` is the main route table, for the subnets"
        " that no other table names; it exists even when it is left out.",
    )
