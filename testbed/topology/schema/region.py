"""The Region, as the topology file has it."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.addresses import Address, Cidr, Cidr6
from testbed.topology.model import Service
from testbed.topology.schema.base import Form
from testbed.topology.schema.transit import TransitGatewayForm, VpcPeeringConnectionForm
from testbed.topology.values import CustomerAsn, Delay, Name


class InternetHostForm(Form):
    """A machine on the internet."""

    address: Address | None = Field(
        None, description="Its address. Default: the first free one from the cidr's .10 on."
    )
    services: list[Service] = Field(
        default=[], description="Its services: http, echo. Default: nothing."
    )


class InternetForm(Form):
    """A small internet, behind the internet gateways and the Region's edge."""

    cidr: Cidr | None = Field(
        None, description="The addresses of its hosts, /8 to /28. Default: 192.0.2.0/24."
    )
    ipv6_cidr: Cidr6 | None = Field(
        None, description="The IPv6 addresses of its hosts, a /64. Default: 2001:db8:ffff::/64."
    )
    hosts: dict[Name, InternetHostForm] = Field(
        default={}, description="Its hosts, by name. Default: none."
    )


class RegionForm(Form):
    """The Region that the Outposts are homed to."""

    name: Name = Field(description="The Region's name, such as us-west-2.")
    zones: list[Name] | None = Field(
        None,
        min_length=1,
        max_length=26,
        description="Its Availability Zones. Default: the Region's name followed by a, b and c.",
    )
    asn: CustomerAsn = Field(7224, description="The ASN of the Region's edge.")
    public_cidr: Cidr | None = Field(
        None, description="The Region's public addresses. Default: 198.51.100.0/24."
    )
    anchors: dict[Name, Address] | None = Field(
        None,
        description="The two service link anchors, name to address, inside public_cidr."
        " Default: anchor1 and anchor2, public_cidr's base plus 11 and plus 12.",
    )
    elastic_ip_cidr: Cidr | None = Field(
        None, description="The range of Elastic IP addresses. Default: 203.0.113.0/24."
    )
    zone_delay: Delay = Field(
        0.5, description="One-way delay between two Availability Zones. Default: 0.5ms."
    )
    api: bool = Field(
        default=False,
        description="Whether ec2.REGION.amazonaws.com and AWS's other endpoints are there, which"
        " testbed api serves inside the testbed, too (docs/api.md). Default: false.",
    )
    internet: InternetForm | None = Field(
        None,
        description="The internet. Default: none, or an empty one if a VPC has an internet"
        " gateway.",
    )
    prefix_lists: dict[Name, list[Cidr]] = Field(
        default={},
        description="The customer-managed prefix lists: name to CIDR blocks. AWS's own are"
        " com.amazonaws.REGION.s3 and com.amazonaws.REGION.dynamodb. Default: none.",
    )
    metrics_period: int = Field(
        60,
        ge=1,
        le=300,
        description="How often the Outposts send metrics, in seconds. Default: 60.",
    )
    vpc_peering_connections: dict[Name, VpcPeeringConnectionForm] = Field(
        default={}, description="The VPC peering connections, by name. Default: none."
    )
    transit_gateways: dict[Name, TransitGatewayForm] = Field(
        default={}, description="The transit gateways, by name. Default: none."
    )
