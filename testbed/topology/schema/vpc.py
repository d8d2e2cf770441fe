"""VPCs, as the topology file has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.topology.addresses import Address, Cidr, Cidr6, Destination, PublicAddress
from testbed.topology.schema.base import Form
from testbed.topology.schema.dns import DhcpOptionsForm
from testbed.topology.schema.security import NetworkAclForm, SecurityGroupForm
from testbed.topology.values import Name, OutpostAsn, ServiceName, Target


class SubnetForm(Form):
    """A VPC subnet: in a zone of the Region, or on an Outpost."""

    cidr: Cidr = Field(description="Its CIDR block, /16 to /28, inside the VPC's.")
    outpost: Name | None = Field(
        None, description="The Outpost that it is on. Default: in the Region."
    )
    ipv6_cidr: Cidr6 | None = Field(
        None, description="Its IPv6 CIDR block, a /64 inside the VPC's. Default: none."
    )
    zone: Name | None = Field(
        None, description="Its Availability Zone. Default: its Outpost's, else the first zone."
    )
    map_customer_owned_ip_on_launch: Name | None = Field(
        None,
        description="The pool of the Outpost's local gateway from which each of its network"
        " interfaces gets a customer-owned IP address. Default: none.",
    )
    enable_lni_at_device_index: int | None = Field(
        None,
        ge=1,
        le=15,
        description="The device index, 1 to 15, at which its network interfaces are local ones, on"
        " the customer's LAN (subnets on servers only). Default: none are.",
    )
    network_acl: Name | None = Field(
        None, description="Its network ACL. Default: `default`, which allows everything."
    )


class RouteForm(Form):
    """A route of a VPC route table."""

    destination: Destination = Field(
        description="The destination: a CIDR block, or the name of a prefix list."
    )
    target: Target = Field(
        description="The target: OUTPOST.local-gateway, internet-gateway, NAT.nat-gateway,"
        " virtual-private-gateway, INSTANCE.instance, INTERFACE.network-interface,"
        " NAME.vpc-peering-connection, NAME.transit-gateway, local."
    )


class RouteTableForm(Form):
    """A VPC route table; the local route for the VPC's CIDR block is implicit."""

    subnets: list[Name] = Field(
        default=[], description="The subnets associated with it. Default: none."
    )
    routes: list[RouteForm] = Field(
        default=[],
        max_length=1000,
        description="Its routes other than the local one. Default: none.",
    )
    propagate: bool = Field(
        default=False,
        description="Whether it gets the routes that the virtual private gateway learns."
        " Default: false.",
    )


class VirtualPrivateGatewayForm(Form):
    """A VPC's virtual private gateway."""

    asn: OutpostAsn = Field(64512, description="Its ASN. Default: 64512.")


class NatGatewayForm(Form):
    """A public NAT gateway, in a subnet of the Region."""

    subnet: Name = Field(description="The subnet that it is in, whose route table it uses.")
    elastic_ip: PublicAddress = Field(
        "auto",
        description="Its Elastic IP address, or the name of one of addresses. Default: auto,"
        " derived from elastic_ip_cidr.",
    )
    address: Address | None = Field(
        None,
        description="Its private address. Default: the subnet's last free one.",
    )
    state: Literal["available", "deleted"] = Field(
        "available",
        description="available, or deleted: then routes to it are blackholes. Default: available.",
    )


class EndpointForm(Form):
    """A VPC endpoint: the path from a VPC to a service of the Region."""

    service: ServiceName = Field(
        description="The service, without com.amazonaws.REGION: such as s3, ec2 or ecr.api."
    )
    type: Literal["gateway", "interface"] = Field(
        description="gateway (s3 and dynamodb only) or interface."
    )
    route_tables: list[Name] = Field(
        default=[],
        description="The route tables that get a route to it (gateway only). Default: none.",
    )
    subnets: list[Name] = Field(
        default=[],
        description="The subnets with its network interfaces (interface only), one in each zone."
        " Default: none.",
    )
    security_groups: list[Name] = Field(
        default=[],
        description="The security groups of its network interfaces (interface only)."
        " Default: the VPC's default group.",
    )
    private_dns: bool = Field(
        default=True,
        description="Whether the service's own name resolves to it inside the VPC (interface only)."
        " Default: true.",
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
        " that no other table names; it exists even if it is left out.",
    )
    ipv6_cidr: Cidr6 | None = Field(None, description="Its IPv6 CIDR block, a /56. Default: none.")
    egress_only_internet_gateway: bool = Field(
        default=False,
        description="Whether it has an egress-only internet gateway, for IPv6. Default: false.",
    )
    internet_gateway: bool = Field(
        default=False, description="Whether an internet gateway is attached to it. Default: false."
    )
    nat_gateways: dict[Name, NatGatewayForm] = Field(
        default={}, description="Its NAT gateways, by name. Default: none."
    )
    endpoints: dict[Name, EndpointForm] = Field(
        default={}, description="Its VPC endpoints, by name. Default: none."
    )
    routes_per_route_table: int = Field(
        50,
        ge=50,
        le=1000,
        description="The quota of routes in each of its route tables, 50 to 1000. Default: 50.",
    )
    security_groups: dict[Name, SecurityGroupForm] | None = Field(
        None,
        description="Its security groups, by name. Default: no filtering at all; with this key,"
        " even empty, every network interface has groups, as in AWS.",
    )
    network_acls: dict[Name, NetworkAclForm] = Field(
        default={}, description="Its network ACLs, by name. Default: only `default`."
    )
    virtual_private_gateway: VirtualPrivateGatewayForm | None = Field(
        None, description="Its virtual private gateway. Default: none."
    )
