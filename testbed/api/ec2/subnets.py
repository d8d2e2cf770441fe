"""Subnets, in the Region and on Outposts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks, returning
from testbed.api.racks import pool_of
from testbed.api.records import values
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.document import Document
from testbed.topology.editing import implied
from testbed.topology.editing.change import Change
from testbed.topology.editing.tree import put
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Subnet

RESERVED = 5  # addresses (facts: V subnet-sizing)
ALIASES = {
    "cidr": "CidrBlock",
    "availabilityZone": "AvailabilityZone",
    "ipv6-cidr-block-association.ipv6-cidr-block": "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock",
}
ATTRIBUTES = {
    "MapPublicIpOnLaunch": False,
    "AssignIpv6AddressOnCreation": False,
}


def describe(world: World, subnet: Subnet) -> dict[str, Any]:
    """Return a subnet as answers have it."""
    id_ = world.id("subnet", subnet.vpc, subnet.name)
    interfaces = world.topology.network_interfaces.values()
    used = sum(
        len(i.addresses) for i in interfaces if (i.vpc, i.subnet) == (subnet.vpc, subnet.name)
    )
    row: dict[str, Any] = {
        "SubnetId": id_,
        "SubnetArn": world.arn("subnet", id_),
        "VpcId": world.id("vpc", subnet.vpc),
        "CidrBlock": str(subnet.cidr),
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": world.zone_id(subnet.zone),
        "AvailableIpAddressCount": subnet.cidr.num_addresses - RESERVED - used,
        "State": world.state(id_),
        "DefaultForAz": False,
        "MapCustomerOwnedIpOnLaunch": subnet.customer_owned_ip_pool is not None,
        "Ipv6CidrBlockAssociationSet": [],
        "Ipv6Native": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "OwnerId": ACCOUNT,
        "Tags": world.tags(id_),
    }
    row |= {key: world.value(id_, key, default) for key, default in ATTRIBUTES.items()}
    written = world.data["vpcs"][subnet.vpc]["subnets"][subnet.name] or {}
    if (index := written.get("enable_lni_at_device_index")) is not None:
        row["EnableLniAtDeviceIndex"] = index
    if subnet.outpost is not None:
        row["OutpostArn"] = world.outpost_arn(subnet.outpost)
    if subnet.customer_owned_ip_pool and subnet.outpost:
        table, pool = pool_of(world.topology, subnet.outpost, subnet.customer_owned_ip_pool)
        row["CustomerOwnedIpv4Pool"] = world.id("coip-pool", table.name, pool.name)
    if subnet.ipv6_cidr is not None:
        row["Ipv6CidrBlockAssociationSet"] = [_six(world, subnet)]
    return row


def _six(world: World, subnet: Subnet, state: str = "associated") -> dict[str, Any]:
    return {
        "AssociationId": world.id("subnet-cidr-block-association", subnet.vpc, subnet.name),
        "Ipv6CidrBlock": str(subnet.ipv6_cidr),
        "Ipv6CidrBlockState": {"State": state},
    }


@looks("DescribeSubnets")
def describe_subnets(ask: Ask) -> Result:
    """Describe subnets."""
    rows = [describe(ask.world, subnet) for _, subnet in ask.world.subnets()]
    ids = ("SubnetIds", "SubnetId", "subnet")
    return {"Subnets": select(ask, rows, "Subnets", ids=ids, aliases=ALIASES)}


def keeping_associations(change: Change) -> Change:
    """Return a change that leaves local gateways their VPCs.

    A file associates a VPC that has a subnet on an Outpost; AWS's API never does so by itself.
    """

    def apply(document: Document) -> Document:
        data = dict(document.data)
        racks = [name for name, entry in (data.get("outposts") or {}).items() if _is_rack(entry)]
        changed = change(document)
        for outpost in changed.data.get("outposts") or {}:
            path = ("outposts", outpost, "local_gateway", "vpcs")
            gateway = (data["outposts"][outpost] or {}).get("local_gateway") or {}
            before = implied.local_gateway_vpcs(data, outpost)
            after = implied.local_gateway_vpcs(dict(changed.data), outpost)
            written = gateway.get("vpcs") is not None or "routing_domains" in gateway
            if not written and before != after and outpost in racks:
                changed = replace(changed, data=put(dict(changed.data), path, before))
        return changed

    return replace(change, apply=apply)


def _is_rack(entry: dict[str, Any] | None) -> bool:
    return (entry or {}).get("form_factor") != "server"


def outpost_of(ask: Ask, arn: str) -> str:
    """Return the name of the Outpost with an Amazon Resource Name."""
    for outpost in ask.world.topology.outposts:
        if arn == ask.world.outpost_arn(outpost):
            ask.named[outpost] = arn
            return outpost
    message = f"The Outpost ARN '{arn}' does not exist or is not owned by your account."
    raise ApiError("InvalidOutpostArn.NotFound", message)


@changes("CreateSubnet")
def create_subnet(ask: Ask) -> Work:
    """Create a subnet; one on an Outpost has the Outpost's Availability Zone."""
    vpc = ask.name("vpc", "VpcId")
    outpost = outpost_of(ask, ask["OutpostArn"]) if ask.get("OutpostArn") else None
    zone = ask.zone()
    if outpost is not None:
        own = ask.world.topology.outposts[outpost].zone
        if zone is None:  # facts: section 7
            message = "OutpostArn requires the parameter AvailabilityZone"
            raise ApiError("MissingParameter", message)
        if zone != own:
            message = f"The Outpost {ask['OutpostArn']} is not in the Availability Zone {zone}"
            raise ApiError("InvalidParameterValue", message)
    tags = ask.tags("subnet")
    name = ask.new_name("subnet", tags.get("Name"), vpc)
    change = editing.create_subnet(
        vpc=vpc,
        subnet=name,
        cidr_block=ask.given("CidrBlock"),
        outpost=outpost,
        availability_zone=None if outpost else zone,
        ipv6_cidr_block=ask.get("Ipv6CidrBlock"),
    )
    return Work(
        change=edit(keeping_associations(change)),
        creates=(Created(id_of("subnet", vpc, name), tags),),
        answer=lambda world: {"Subnet": describe(world, world.topology.subnet(vpc, name))},
    )


@changes("DeleteSubnet")
def delete_subnet(ask: Ask) -> Work:
    """Delete a subnet without network interfaces."""
    vpc, name = ask.names("subnet", "SubnetId")
    change = keeping_associations(editing.delete_subnet(vpc=vpc, subnet=name))
    return Work(change=edit(change), deletes={ask["SubnetId"]: {}}, answer=lambda _: {})


@changes("ModifySubnetAttribute")
def modify_subnet_attribute(ask: Ask) -> Work:
    """Change how network interfaces of a subnet get customer-owned addresses, and what is kept."""
    vpc, name = ask.names("subnet", "SubnetId")
    given = {key: each["Value"] for key, each in ask.parameters.items() if isinstance(each, dict)}
    kept = {key: given.pop(key) for key in ATTRIBUTES if key in given}
    change = None
    if "MapCustomerOwnedIpOnLaunch" in given:
        pool = None
        if ask.get("CustomerOwnedIpv4Pool"):
            pool = ask.name("coip-pool", "CustomerOwnedIpv4Pool")
        change = edit(
            editing.modify_subnet_attribute(
                vpc=vpc,
                subnet=name,
                map_customer_owned_ip_on_launch=given.pop("MapCustomerOwnedIpOnLaunch"),
                customer_owned_ipv4_pool=pool,
            )
        )
    if "EnableLniAtDeviceIndex" in ask.parameters or given.get("DisableLniAtDeviceIndex"):
        given.pop("DisableLniAtDeviceIndex", None)
        index = ask.get("EnableLniAtDeviceIndex")
        change = edit(
            editing.modify_subnet_lni(vpc=vpc, subnet=name, enable_lni_at_device_index=index)
        )
    for other in given:
        raise ApiError("UnsupportedOperation", f"{other} is not emulated here.")
    steps = (values(ask["SubnetId"], **kept),) if kept else ()
    return Work(change=change, steps=steps, answer=lambda _: {})


@changes("AssociateSubnetCidrBlock")
def associate_subnet_cidr_block(ask: Ask) -> Work:
    """Give a subnet an IPv6 block."""
    vpc, name = ask.names("subnet", "SubnetId")
    block = ask["Ipv6CidrBlock"]
    change = editing.associate_subnet_cidr_block(vpc=vpc, subnet=name, ipv6_cidr_block=block)

    def answer(world: World) -> Result:
        row = _six(world, world.topology.subnet(vpc, name))
        return {"SubnetId": ask["SubnetId"], "Ipv6CidrBlockAssociation": row}

    return Work(change=edit(change), answer=answer)


@changes("DisassociateSubnetCidrBlock")
def disassociate_subnet_cidr_block(ask: Ask) -> Work:
    """Take a subnet's IPv6 block away."""
    for vpc, subnet in ask.world.subnets():
        row = _six(ask.world, subnet, "disassociated")
        if subnet.ipv6_cidr is not None and row["AssociationId"] == ask["AssociationId"]:
            id_ = ask.world.id("subnet", vpc.name, subnet.name)
            change = editing.disassociate_subnet_cidr_block(vpc=vpc.name, subnet=subnet.name)
            result = {"SubnetId": id_, "Ipv6CidrBlockAssociation": row}
            return Work(change=edit(change), answer=returning(result))
    message = f"The subnet CIDR block association ID '{ask['AssociationId']}' does not exist"
    raise ApiError("InvalidSubnetCidrBlockAssociationID.NotFound", message)
