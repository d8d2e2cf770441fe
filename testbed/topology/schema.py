"""The topology file's form: pydantic models, and the JSON Schema made from them.

These classes hold what the file says; `None` means that the file leaves it
out and `testbed.topology.derive` fills it in.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from testbed.topology.model import Service
from testbed.topology.values import (
    Address,
    Cidr,
    CustomerAsn,
    Delay,
    Interface,
    Mtu,
    Name,
    OutpostAsn,
    Rate,
    SubnetName,
    Target,
    Vlan,
)

Speed = Literal["1G", "10G", "40G", "100G"]


class Form(BaseModel):
    """Base of all forms: no unknown keys, no coercion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    target: Target = Field(description="Where to: OUTPOST.local-gateway.")


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
    subnets: dict[Name, SubnetForm] = Field(default={}, description="Its subnets, by name.")
    route_tables: dict[Name, RouteTableForm] = Field(
        default={},
        description="Its route tables, by name. `main` is the main route table, for the subnets"
        " that no other table names; it exists even when it is left out.",
    )


class UplinksForm(Form):
    """The physical links of each Outpost networking device."""

    speed: Speed = Field("10G", description="The speed of each link. Default: 10G.")
    per_device: int = Field(
        1,
        ge=1,
        le=16,
        description="Links per Outpost networking device. 1G: 1, 2, 4, 6, 8; 10G: 1, 2, 4, 8, 12,"
        " 16; 40G and 100G: 1, 2, 4. Default: 1.",
    )
    bfd: bool = Field(
        default=False, description="Whether the BGP sessions are guarded by BFD. Default: false."
    )


class VifForm(Form):
    """A virtual interface: the VLAN and the eBGP session of one LAG, as on AWS's order form."""

    device: Literal[1, 2] = Field(description="Which Outpost networking device: 1 or 2.")
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


Vifs = Annotated[list[VifForm], Field(max_length=2)]


class ServiceLinkForm(Form):
    """The service link, the encrypted path to the Region."""

    asn: OutpostAsn | None = Field(None, description="The Outpost's ASN. Default: derived.")
    infrastructure_cidr: Cidr | None = Field(
        None, description="The infrastructure subnet, a /26. Default: derived from 10.200.0.0/16."
    )
    vifs: Vifs = Field(default=[], description="The virtual interfaces. Default: derived.")


class GatewayRouteForm(Form):
    """A static route of the local gateway's route table."""

    destination: Cidr = Field(description="The destination CIDR block.")
    target: Literal["vif-group"] = Field(
        "vif-group", description="Where to: the VIF group. Default: vif-group."
    )


class LocalGatewayForm(Form):
    """The rack's local gateway and its route table."""

    asn: OutpostAsn | None = Field(None, description="The Outpost's ASN. Default: derived.")
    mode: Literal["direct-vpc-routing", "coip"] = Field(
        "direct-vpc-routing",
        description="The route table's mode. Default: direct-vpc-routing. coip comes later.",
    )
    vpcs: list[Name] | None = Field(
        None,
        description="The VPCs associated with the route table. Default: those that have a subnet"
        " on this Outpost.",
    )
    routes: list[GatewayRouteForm] | None = Field(
        None,
        max_length=100,
        description="The static routes. Default: 0.0.0.0/0 to the VIF group.",
    )
    vifs: Vifs = Field(default=[], description="The virtual interfaces. Default: derived.")


class OutpostForm(Form):
    """An Outpost."""

    form_factor: Literal["rack", "server"] = Field(
        "rack", description="rack (first generation) or server. Default: rack. server comes later."
    )
    zone: Name | None = Field(
        None, description="The Availability Zone it is anchored to. Default: the first zone."
    )
    uplinks: UplinksForm = Field(
        UplinksForm(), description="The physical links. Default: one 10G link per device."
    )
    devices: list[Name] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="The customer devices of Outpost networking device 1 and 2; one name twice"
        " means one device for both. Default: the site's, where it has one or two.",
    )
    service_link: ServiceLinkForm = Field(
        ServiceLinkForm(), description="The service link. Default: all derived."
    )
    local_gateway: LocalGatewayForm | None = Field(
        None, description="The local gateway (racks only). Default: all derived."
    )


class DeviceForm(Form):
    """A customer network device: router, LAG peer and VRF owner."""

    asn: CustomerAsn | None = Field(
        None,
        description="Its ASN. Default: one for all devices that share Outposts, 65000 for the"
        " first such group, 65001 for the next.",
    )
    daemon: Literal["bird", "frr"] = Field(
        "bird", description="The routing daemon it runs. Default: bird."
    )
    config: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="A file with its own daemon configuration, instead of a generated one; a"
        " path relative to the topology file, not above it.",
    )


class LinkForm(Form):
    """A link between two customer devices; carries the VRFs of service link and local gateway."""

    devices: list[Name] = Field(
        min_length=2, max_length=2, description="The two devices that it connects."
    )
    delay: Delay = Field(0.0, description="One-way delay. Default: none.")
    rate: Rate = Field(0.0, description="Rate in each direction. Default: unlimited.")
    mtu: Mtu = Field(1500, description="MTU in bytes. Default: 1500.")


class RegionLinkForm(Form):
    """The way from the customer's devices to the Region's edge (VRF of the service link)."""

    devices: list[Name] | None = Field(
        None, min_length=1, description="The devices that have one. Default: all."
    )
    delay: Delay = Field(10.0, description="One-way delay. Default: 10ms.")
    rate: Rate = Field(1000.0, description="Rate in each direction. Default: 1G.")
    mtu: Mtu = Field(1500, description="MTU in bytes. Default: 1500.")


class WanForm(Form):
    """The customer's WAN between data centres: one router (VRF of the local gateway)."""

    asn: CustomerAsn = Field(65500, description="The WAN router's ASN. Default: 65500.")
    devices: list[Name] | None = Field(
        None, min_length=1, description="The devices that connect to it. Default: all."
    )
    delay: Delay = Field(1.0, description="One-way delay of each connection. Default: 1ms.")
    rate: Rate = Field(1000.0, description="Rate in each direction. Default: 1G.")
    mtu: Mtu = Field(1500, description="MTU in bytes. Default: 1500.")


class SegmentForm(Form):
    """A LAN segment, with the customer's devices as its routers."""

    cidr: Cidr = Field(description="Its CIDR block, /8 to /29.")
    devices: list[Name] = Field(min_length=1, description="The devices that are its routers.")
    addresses: dict[Name, Address] = Field(
        default={},
        description="The devices' addresses on it, device to address. Default: the first free"
        " ones from .2 on.",
    )


class HostForm(Form):
    """A machine on a LAN segment."""

    segment: Name = Field(description="The segment it is on.")
    address: Address | None = Field(
        None, description="Its address. Default: the first free one from .10 on."
    )
    services: list[Service] = Field(
        default=[], description="What it runs to be reached: http, echo. Default: nothing."
    )


class SiteForm(Form):
    """What the customer owns."""

    devices: dict[Name, DeviceForm] | None = Field(
        None, description="The customer network devices, by name. Default: cnd1 and cnd2."
    )
    links: list[LinkForm] | None = Field(
        None,
        description="The links between devices. Default: one between the two devices of each"
        " Outpost.",
    )
    region_link: RegionLinkForm = Field(
        RegionLinkForm(), description="The way to the Region. Default: every device has one."
    )
    wan: WanForm | None = Field(None, description="The WAN between data centres. Default: none.")
    segments: dict[Name, SegmentForm] = Field(default={}, description="The LAN segments, by name.")
    hosts: dict[Name, HostForm] = Field(default={}, description="The hosts on them, by name.")
    link_cidr: Cidr | None = Field(
        None,
        description="Where the addresses of links, Region links and WAN connections come from,"
        " /8 to /20. Default: 100.64.0.0/14.",
    )


class InstanceForm(Form):
    """An EC2 instance with one network interface."""

    subnet: SubnetName = Field(
        description="Its subnet: the name, or vpc/subnet where two VPCs use the name."
    )
    address: Address | None = Field(
        None, description="Its address. Default: the subnet's first free one from .4 on."
    )
    services: list[Service] = Field(
        default=[], description="What it runs to be reached: http, echo. Default: nothing."
    )


class TopologyForm(Form):
    """An AWS Outposts installation: a topology file of the Outposts testbed."""

    testbed: Literal[1] = Field(description="The version of this file's form: 1.")
    name: Name = Field(description="The testbed's name.")
    region: RegionForm = Field(description="The Region.")
    vpcs: dict[Name, VpcForm] = Field(default={}, description="The VPCs, by name.")
    outposts: dict[Name, OutpostForm] = Field(default={}, description="The Outposts, by name.")
    site: SiteForm = Field(SiteForm(), description="What the customer owns.")
    instances: dict[Name, InstanceForm] = Field(default={}, description="The instances, by name.")


def json_schema() -> dict[str, Any]:
    """The topology file's JSON Schema (draft 2020-12), for editors and other tools."""
    schema: dict[str, Any] = _tidy(TopologyForm.model_json_schema())
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Outposts testbed topology",
    }
    return head | schema


def _tidy(schema: Any) -> Any:
    """Drop what pydantic adds for its own sake: titles, nulls, defaults in internal units."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    alternatives = [item for item in schema.get("anyOf", []) if item != {"type": "null"}]
    if len(alternatives) == 1:
        schema = {**alternatives[0], **{k: v for k, v in schema.items() if k != "anyOf"}}
    tidy = {key: _tidy(value) for key, value in schema.items() if not _noise(key, value)}
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


def _noise(key: str, value: Any) -> bool:
    return key == "default" or (key == "title" and isinstance(value, str))
