"""EC2 instances and their network interfaces, as the topology file has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.topology.addresses import Address, Ipv6Address, PublicAddress
from testbed.topology.model import Resource, Service
from testbed.topology.schema.base import Form
from testbed.topology.schema.process import ProcessForm
from testbed.topology.schema.server import LanNetworkForm
from testbed.topology.values import InstanceType, Name, SubnetName

SUBNET = "Its subnet: the name, or VPC/SUBNET if several VPCs use the name."
ADDRESS = "Its primary private address. Default: the subnet's first free one from .4 on."
SECONDARY = "Its secondary private addresses, inside the subnet. Default: none."
CHECK = (
    "Whether the VPC drops packets neither from nor to the interface's own addresses; false for"
    " routers, NAT and other appliances. Default: true."
)
COIP = (
    "Its customer-owned IP address: auto, an address of the Outpost's pools, or the name of one"
    " of addresses; it maps to the primary private address. Default: none, or what its subnet"
    " assigns."
)

ELASTIC_IP = (
    "The Elastic IP address of its primary private address; auto: one from elastic_ip_cidr; or the"
    " name of one of addresses. Default: none."
)
IPV6 = "Its IPv6 address, or auto: the subnet's first free one from ::4 on. Default: none."
ELASTIC_IPS = (
    "Elastic IP addresses of its secondary private ones: private address to Elastic IP, auto"
    " or name."
)
GROUPS = "Its security groups, at most 5. Default: the VPC's `default` group."


class MetadataOptionsForm(Form):
    """The options of an instance's metadata service."""

    http_endpoint: Literal["enabled", "disabled"] = Field(
        "enabled", description="Whether it answers: enabled or disabled. Default: enabled."
    )
    http_tokens: Literal["required", "optional"] = Field(
        "required",
        description="Whether it requires session tokens (IMDSv2): required or optional. Default:"
        " required.",
    )
    http_put_response_hop_limit: int = Field(
        1, ge=1, le=64, description="How many hops a token's packets travel, 1 to 64. Default: 1."
    )


class _InterfaceForm(Form):
    """What every network interface has."""

    subnet: SubnetName = Field(description=SUBNET)
    address: Address | None = Field(None, description=ADDRESS)
    secondary_addresses: list[Address] = Field(default=[], description=SECONDARY)
    ipv6_address: Ipv6Address | None = Field(None, description=IPV6)
    elastic_ip: PublicAddress | None = Field(None, description=ELASTIC_IP)
    elastic_ips: dict[Address, PublicAddress] = Field(
        default={}, description=f"{ELASTIC_IPS} Default: none."
    )
    source_destination_check: bool = Field(default=True, description=CHECK)
    customer_owned_ip: PublicAddress | None = Field(None, description=COIP)
    security_groups: list[Name] | None = Field(None, min_length=1, description=GROUPS)


class InstanceForm(_InterfaceForm):
    """An EC2 instance; subnet, addresses and check are those of its primary network interface."""

    type: InstanceType = Field(
        "c5.large",
        description="Its instance type. Default: c5.large; on a server c6id.large, on one of 1U"
        " c6gd.large.",
    )
    resource: Resource = Field(
        "ec2",
        description="Its kind of AWS resource: ec2, ecs, app-mesh, greengrass; on racks only:"
        " eks-node, rds, elasticache, emr, alb. Default: ec2.",
    )
    placement_group: Name | None = Field(
        None, description="The placement group that it is in. Default: none."
    )
    metadata_options: MetadataOptionsForm = Field(
        MetadataOptionsForm(), description="Its metadata service. Default: IMDSv2 only, one hop."
    )
    state: Literal["running", "stopped"] = Field(
        "running", description="running or stopped. Default: running."
    )
    services: list[Service] = Field(
        default=[], description="Its services: http, echo. Default: nothing."
    )
    ami_snapshots: int = Field(
        1,
        ge=1,
        le=20,
        description="How many EBS snapshots its AMI has; on a server it can be one only. Default:"
        " 1.",
    )
    processes: dict[Name, ProcessForm] = Field(
        default={}, description="The processes that run in it (containers), by name."
    )


class NetworkInterfaceForm(_InterfaceForm):
    """An elastic network interface other than the instances' primary ones."""

    instance: Name | None = Field(
        None, description="The instance that it is attached to. Default: none, it is detached."
    )
    device_index: int | None = Field(
        None,
        ge=1,
        le=15,
        description="Its device index: 1 is eth1 in the instance. Default: the first free one.",
    )
    local: bool | None = Field(
        None,
        description="Whether it is a local network interface; it is if its device index is the"
        " subnet's `enable_lni_at_device_index`, and this can only say the same. Default: as it"
        " is.",
    )
    lan: list[LanNetworkForm] = Field(
        default=[],
        description="What the instance's system has on a local network interface. Default: a lease"
        " of the DHCP server, untagged.",
    )
