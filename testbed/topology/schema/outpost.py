"""Outposts, as the topology file has them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.topology.addresses import Address, Cidr, Interface
from testbed.topology.model import Storage
from testbed.topology.schema.base import Form
from testbed.topology.schema.placement import CapacityForm
from testbed.topology.schema.server import LocalPortForm, SwitchPortForm
from testbed.topology.values import (
    CustomerAsn,
    FormFactorName,
    GatewayTarget,
    Name,
    OutpostAsn,
    PublicKey,
    Vlan,
)

Speed = Literal["1G", "10G", "40G", "100G"]
MAX_LAGS = 16  # more than any form factor has
MAX_DOMAINS = 10  # L3
MAX_VRF = 15  # the kernel's name of it


class UplinksForm(Form):
    """The physical links of each LAG of an Outpost networking device."""

    speed: Speed = Field("10G", description="The speed of each link. Default: 10G.")
    per_device: int = Field(
        1,
        ge=1,
        le=16,
        description="Links per LAG, of which most Outpost networking devices have one. 1G: 1, 2,"
        " 4, 6, 8; 10G: 1, 2, 4, 8, 12, 16; 40G and 100G: 1, 2, 4. Default: 1.",
    )
    bfd: bool = Field(
        default=False, description="Whether BFD guards the BGP sessions. Default: false."
    )


class VifForm(Form):
    """A virtual interface: the VLAN and the eBGP session of one LAG, as on AWS's order form.

    It says its `device`, its `lag`, or both.
    """

    device: int | None = Field(
        None,
        ge=1,
        le=MAX_LAGS,
        description="The Outpost networking device, from 1. Default: that of the LAG.",
    )
    lag: int | None = Field(
        None,
        ge=1,
        le=MAX_LAGS,
        description="The LAG, from 1, where a networking device has several. Default: the"
        " device's only one.",
    )
    vlan: Vlan | None = Field(None, description="The VLAN ID. Default: derived.")
    local_address: Interface | None = Field(
        None,
        description="The Outpost's address, with /30 or /31. Default: the other one of the"
        " peer's subnet, else derived.",
    )
    peer_address: Interface | None = Field(
        None,
        description="The customer's address, with /30 or /31. Default: the other one of the"
        " local subnet, else derived.",
    )
    local_bgp_asn: OutpostAsn | None = Field(
        None, description="The Outpost's ASN; must be the `asn` above, which is the default."
    )
    peer_bgp_asn: CustomerAsn | None = Field(
        None, description="The customer's ASN. Default: the customer device's."
    )


Vifs = Annotated[list[VifForm], Field(max_length=MAX_LAGS)]


class ServiceLinkForm(Form):
    """The service link, the encrypted path to the Region."""

    asn: OutpostAsn | None = Field(None, description="The Outpost's ASN. Default: derived.")
    infrastructure_cidr: Cidr | None = Field(
        None,
        description="The infrastructure subnet, a /26; of a second-generation rack a /24. Default:"
        " derived from 10.200.0.0/16.",
    )
    infrastructure_cidrs: list[Cidr] | None = Field(
        None,
        min_length=1,
        description="The infrastructure subnets of a first-generation Outpost of several compute"
        " racks, a /26 each. Default: derived from 10.200.0.0/16.",
    )
    vifs: Vifs = Field(default=[], description="The virtual interfaces. Default: derived.")
    connectivity: Literal["public", "private"] = Field(
        "public",
        description="How it reaches the Region: at public addresses, over the internet or a Direct"
        " Connect public virtual interface, or through a VPC. Default: public.",
    )
    vpc: Name | None = Field(
        None, description="With private connectivity, the VPC, which serves no other purpose."
    )
    subnet: Name | None = Field(
        None,
        description="With private connectivity, the subnet of the VPC that the anchors are in.",
    )
    segment: Name | None = Field(
        None,
        description="The segment that a server's service link port is in (servers only,"
        " **required** there).",
    )
    dhcp: bool | None = Field(
        None,
        description="Whether a server gets its address by DHCP (servers only). Default: true if"
        " there is no address.",
    )
    address: Address | None = Field(
        None, description="A server's static address (servers only). Default: by DHCP."
    )
    gateway: Address | None = Field(
        None,
        description="With a static address, its gateway (servers only). Default: the segment's.",
    )
    name_servers: list[Address] | None = Field(
        None,
        max_length=3,
        description="With a static address, its name servers (servers only). Default: the"
        " internet's resolver.",
    )
    switch_port: SwitchPortForm | None = Field(
        None,
        description="A server's switch port (servers only). Default: as AWS asks for it.",
    )
    key: Literal["right", "wrong"] = Field(
        "right",
        description="Whether the key with which a server is installed is the one that AWS knows"
        " (servers only). Default: right.",
    )
    tunnel1_public_key: PublicKey | None = Field(
        None,
        description="The public key that AWS knows of a server's first tunnel, as the API's"
        " StartConnection sets it (servers only). Default: the one of the server's own key.",
    )
    tunnel2_public_key: PublicKey | None = Field(
        None,
        description="The same of its second tunnel (servers only). Default: the one of the server's"
        " own key.",
    )


class GatewayRouteForm(Form):
    """A static route of the local gateway's route table."""

    destination: Cidr = Field(description="The destination CIDR block.")
    target: GatewayTarget = Field(
        "vif-group",
        description="The target: vif-group, INSTANCE.instance or INTERFACE.network-interface."
        " Default: vif-group.",
    )


class CoipPoolForm(Form):
    """A pool of customer-owned IP addresses, announced in CoIP mode."""

    cidrs: list[Cidr] = Field(
        default=[],
        description="Its CIDR blocks, /26 or larger, public or private. Default: none yet.",
    )


class RouteTableAndVifGroupForm(Form):
    """A local gateway route table, and the VIF group that it is associated with."""

    asn: OutpostAsn | None = Field(None, description="The Outpost's ASN. Default: derived.")
    mode: Literal["direct-vpc-routing", "coip"] = Field(
        "direct-vpc-routing",
        description="The route table's mode; changing it replaces the table, and traffic stops"
        " meanwhile. Default: direct-vpc-routing.",
    )
    vif_group: bool = Field(
        default=True,
        description="Whether the route table is associated with the VIF group. Default: true.",
    )
    vpcs: list[Name] | None = Field(
        None,
        description="The VPCs associated with the route table. Default: those that have a subnet"
        " on this Outpost.",
    )
    routes: list[GatewayRouteForm] | None = Field(
        None, description="The static routes. Default: 0.0.0.0/0 to the VIF group."
    )
    coip_pools: dict[Name, CoipPoolForm] = Field(
        default={},
        description="The customer-owned IP pools, by name; at most 10. Default: none.",
    )
    vifs: Vifs | None = Field(
        None,
        description="The virtual interfaces; of a second-generation rack, whose customer makes"
        " them, there are no others. Default: derived, one on each LAG.",
    )


class RoutingDomainForm(RouteTableAndVifGroupForm):
    """A routing domain of a second-generation rack's local gateway."""

    vpcs: list[Name] = Field(
        default=[],
        description="The VPCs associated with the route table; each is in one domain only."
        " Default: none.",
    )
    vlan: Vlan | None = Field(
        None, description="The VLAN ID of its virtual interfaces. Default: derived, one for each."
    )
    vrf: Name | None = Field(
        None,
        max_length=MAX_VRF,
        description="The customer devices' VRF that its VLANs are in. Default: its name.",
    )


class LocalGatewayForm(RouteTableAndVifGroupForm):
    """The rack's local gateway and its route table, or its routing domains."""

    routing_domains: dict[Name, RoutingDomainForm] = Field(
        default={},
        max_length=MAX_DOMAINS,
        description="The routing domains of a second-generation rack, by name; at most 10. They"
        " have what is else written beside this key. Default: one without a name.",
    )


class OutpostForm(Form):
    """An Outpost."""

    form_factor: FormFactorName = Field(
        "rack",
        description="rack (first generation), rack-with-ace (first generation, with an ACE rack),"
        " rack-2nd-generation (with a network rack), single-rack-2nd-generation, server-1u,"
        " server-2u, or server, which is 2U. Default: rack.",
    )
    compute_racks: int = Field(
        1, ge=1, le=32, description="The racks that have servers (racks only). Default: 1."
    )
    zone: Name | None = Field(
        None, description="The Availability Zone that it is anchored to. Default: the first zone."
    )
    uplinks: UplinksForm = Field(
        UplinksForm(), description="The physical links. Default: one 10G link per device."
    )
    devices: list[Name] | None = Field(
        None,
        min_length=2,
        max_length=MAX_LAGS,
        description="The customer devices of the LAGs, in turn; of a first-generation rack those"
        " of Outpost networking devices 1 and 2, and the same name twice means one device for both."
        " Default: the site's, if it has as many as the rack can have.",
    )
    service_link: ServiceLinkForm = Field(
        ServiceLinkForm(), description="The service link. Default: all derived."
    )
    capacity: CapacityForm | None = Field(
        None, description="The capacity of its servers. Default: there is always room."
    )
    storage: list[Storage] = Field(
        default=[],
        description="Its storage in addition to instance store: ebs, s3 (racks only). It is"
        " checked, but has no effect on the network. Default: none.",
    )
    resolver: bool = Field(
        default=False,
        description="Whether it has a Route 53 Resolver, which answers from its cache while the"
        " service link is down. Default: false.",
    )
    local_gateway: LocalGatewayForm | None = Field(
        None, description="The local gateway (racks only). Default: all derived."
    )
    local_network_interface: LocalPortForm | None = Field(
        None,
        description="Where the LNI leg of its breakout cable is plugged in (servers only). Default:"
        " nowhere.",
    )
    drained: list[Annotated[int, Field(ge=1, le=MAX_LAGS)]] = Field(
        default=[],
        description="The Outpost networking devices that AWS has shifted traffic away from, as for"
        " maintenance. Default: none.",
    )
