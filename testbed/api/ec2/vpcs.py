"""VPCs and their attributes."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks, returning
from testbed.api.records import values
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Vpc

ALIASES = {
    "cidr": "CidrBlock",
    "dhcp-options-id": "DhcpOptionsId",
    "cidr-block-association.cidr-block": "CidrBlockAssociationSet.CidrBlock",
    "cidr-block-association.association-id": "CidrBlockAssociationSet.AssociationId",
    "cidr-block-association.state": "CidrBlockAssociationSet.CidrBlockState.State",
    "ipv6-cidr-block-association.ipv6-cidr-block": "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock",
}
HOSTNAMES: Final = "EnableDnsHostnames"


def describe(world: World, vpc: Vpc) -> dict[str, Any]:
    """Return a VPC as answers have it."""
    id_ = world.id("vpc", vpc.name)
    state = {"State": "associated"}
    row = {
        "VpcId": id_,
        "CidrBlock": str(vpc.cidr),
        "State": world.state(id_),
        "DhcpOptionsId": dhcp_options_id(world, vpc.name),
        "InstanceTenancy": "default",
        "IsDefault": False,
        "OwnerId": ACCOUNT,
        "Tags": world.tags(id_),
        "CidrBlockAssociationSet": [
            {
                "AssociationId": world.id("vpc-cidr-block-association", vpc.name),
                "CidrBlock": str(vpc.cidr),
                "CidrBlockState": state,
            }
        ],
        "Ipv6CidrBlockAssociationSet": [],
    }
    if vpc.ipv6_cidr is not None:
        row["Ipv6CidrBlockAssociationSet"] = [
            {
                "AssociationId": world.id("vpc-cidr-block-association", vpc.name, "ipv6"),
                "Ipv6CidrBlock": str(vpc.ipv6_cidr),
                "Ipv6CidrBlockState": state,
                "Ipv6Pool": "Amazon",
                "NetworkBorderGroup": world.region,
            }
        ]
    return row


def dhcp_options_id(world: World, vpc: str) -> str:
    """Return the identifier of a VPC's DHCP option set."""
    given = world.value(world.id("vpc", vpc), "dhcp_options")
    return str(given) if given else id_of("dhcp-options", "default")


@looks("DescribeVpcs")
def describe_vpcs(ask: Ask) -> Result:
    """Describe VPCs."""
    rows = [describe(ask.world, vpc) for vpc in ask.world.topology.vpcs.values()]
    return {"Vpcs": select(ask, rows, "Vpcs", ids=("VpcIds", "VpcId", "vpc"), aliases=ALIASES)}


@changes("CreateVpc")
def create_vpc(ask: Ask) -> Work:
    """Create a VPC: as in AWS, with a default security group, and so with filters."""
    cidr = ask.given("CidrBlock", "Ipv4IpamPoolId")
    if ask.get("InstanceTenancy", "default") != "default":
        raise ApiError("UnsupportedOperation", "Dedicated tenancy is not emulated here.")
    tags = ask.tags("vpc")
    name = ask.new_name("vpc", tags.get("Name"))
    six = _free_block(ask.world) if ask.get("AmazonProvidedIpv6CidrBlock") else None
    return Work(
        change=edit(
            editing.create_vpc(vpc=name, cidr_block=cidr, ipv6_cidr_block=six),
            editing.enable_security_groups(vpc=name),
        ),
        creates=(Created(id_of("vpc", name), tags),),
        answer=lambda world: {"Vpc": describe(world, world.topology.vpcs[name])},
    )


def _free_block(world: World) -> str:
    """Return a /56 that no VPC has, of a block that stands for Amazon's."""
    used = {str(vpc.ipv6_cidr) for vpc in world.topology.vpcs.values()}
    blocks = (f"2001:db8:{number:x}:{low:x}00::/56" for number in range(1, 0xFFF) for low in (0, 1))
    return next(block for block in blocks if block.replace(":000::", "::") not in used)


@changes("DeleteVpc")
def delete_vpc(ask: Ask) -> Work:
    """Delete a VPC that has nothing but its defaults."""
    name = ask.name("vpc", "VpcId")
    return Work(
        change=edit(editing.delete_vpc(vpc=name)), deletes={ask["VpcId"]: {}}, answer=lambda _: {}
    )


@changes("ModifyVpcAttribute")
def modify_vpc_attribute(ask: Ask) -> Work:
    """Change whether a VPC has AWS's resolver; that it names instances is only kept."""
    name = ask.name("vpc", "VpcId")
    support = ask.get("EnableDnsSupport", {}).get("Value")
    steps = []
    if HOSTNAMES in ask.parameters:
        steps.append(values(ask["VpcId"], **{HOSTNAMES: ask[HOSTNAMES]["Value"]}))
    change = editing.modify_vpc_attribute(vpc=name, enable_dns_support=support)
    return Work(change=edit(change), steps=tuple(steps), answer=lambda _: {})


@looks("DescribeVpcAttribute")
def describe_vpc_attribute(ask: Ask) -> Result:
    """Describe one attribute of a VPC."""
    vpc = ask.world.topology.vpcs[ask.name("vpc", "VpcId")]
    id_ = ask["VpcId"]
    found: dict[str, Any] = {
        "enableDnsSupport": ("EnableDnsSupport", vpc.dns_support),
        "enableDnsHostnames": ("EnableDnsHostnames", ask.world.value(id_, HOSTNAMES, False)),
        "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", False),
    }
    member, value = found[ask["Attribute"]]
    return {"VpcId": id_, member: {"Value": value}}


@changes("AssociateVpcCidrBlock")
def associate_vpc_cidr_block(ask: Ask) -> Work:
    """Give a VPC an IPv6 block; a VPC has one IPv4 block here."""
    name = ask.name("vpc", "VpcId")
    if "CidrBlock" in ask.parameters:
        message = "Secondary IPv4 CIDR blocks are not emulated here."
        raise ApiError("UnsupportedOperation", message)
    six = ask.get("Ipv6CidrBlock") or _free_block(ask.world)

    def answer(world: World) -> Result:
        row = describe(world, world.topology.vpcs[name])["Ipv6CidrBlockAssociationSet"][0]
        return {"VpcId": ask["VpcId"], "Ipv6CidrBlockAssociation": row}

    change = editing.associate_vpc_cidr_block(vpc=name, ipv6_cidr_block=six)
    return Work(change=edit(change), answer=answer)


@changes("DisassociateVpcCidrBlock")
def disassociate_vpc_cidr_block(ask: Ask) -> Work:
    """Take a VPC's IPv6 block away."""
    for vpc in ask.world.topology.vpcs.values():
        row = describe(ask.world, vpc)
        for association in row["Ipv6CidrBlockAssociationSet"]:
            if association["AssociationId"] == ask["AssociationId"]:
                gone = {**association, "Ipv6CidrBlockState": {"State": "disassociating"}}
                result = {"VpcId": row["VpcId"], "Ipv6CidrBlockAssociation": gone}
                change = editing.disassociate_vpc_cidr_block(vpc=vpc.name)
                return Work(change=edit(change), answer=returning(result))
    message = f"The vpc CIDR block association ID '{ask['AssociationId']}' does not exist"
    raise ApiError("InvalidVpcCidrBlockAssociationID.NotFound", message)


@changes("AssociateDhcpOptions")
def associate_dhcp_options(ask: Ask) -> Work:
    """Give a VPC a DHCP option set, or the default one."""
    name = ask.name("vpc", "VpcId")
    wanted = ask["DhcpOptionsId"]
    chosen: dict[str, Any] = {}
    if wanted not in ("default", id_of("dhcp-options", "default")):
        ask.find("dhcp-options", wanted)
        chosen = ask.world.records[wanted]["values"]
    change = editing.associate_dhcp_options(
        vpc=name,
        domain_name=chosen.get("domain-name"),
        domain_name_servers=chosen.get("domain-name-servers"),
    )
    kept = values(ask["VpcId"], dhcp_options=wanted if chosen else None)
    return Work(change=edit(change), steps=(kept,), answer=lambda _: {})


def _no_classic() -> ApiError:
    message = "The functionality you requested is not available in this region."
    return ApiError("UnsupportedOperation", message)


@looks("DescribeVpcClassicLink")
def describe_vpc_classic_link(_: Ask) -> Result:
    """Refuse, as AWS does since EC2-Classic has ended; Terraform's provider wants these words."""
    raise _no_classic()


@looks("DescribeVpcClassicLinkDnsSupport")
def describe_vpc_classic_link_dns_support(_: Ask) -> Result:
    """Refuse, as AWS does since EC2-Classic has ended."""
    raise _no_classic()
