"""Internet gateways, egress-only ones and virtual private gateways.

A VPC has at most one of each. One that is not attached is only in its record, which also
says which VPC it is attached to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import ATTACHED, id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks, missing
from testbed.api.records import record, values
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.editing.change import Change
from testbed.topology.ids import ACCOUNT, ResourceType

Row = dict[str, Any]


def _all(world: World, kind: ResourceType) -> dict[str, str | None]:
    """Return the VPC that each gateway of a kind is attached to, by the gateway's identifier."""
    found: dict[str, str | None] = {id_: given.get("vpc") for id_, given in world.alone(kind)}
    for vpc in world.topology.vpcs.values():
        if getattr(vpc, ATTACHED[kind]):
            found[world.id(kind, vpc.name)] = vpc.name
    return found


def _attached_to(ask: Ask, kind: ResourceType, key: str) -> tuple[str, str | None]:
    """Return the gateway that a parameter identifies, and its VPC."""
    known = _all(ask.world, kind)
    id_ = ask.given(key)
    if id_ not in known:
        raise missing(kind, id_)
    return id_, known[id_]


def _create(ask: Ask, kind: ResourceType, member: str, describe: Callable[..., Row]) -> Work:
    """Create a gateway that is not attached."""
    tags = ask.tags(kind)
    id_ = id_of(kind, ask.new_name(kind, tags.get("Name")))
    kept = {"asn": ask.get("AmazonSideAsn")}
    given = {key: value for key, value in kept.items() if value is not None}
    return Work(
        creates=(Created(id_, tags, given, kind=kind),),
        answer=lambda world: {member: describe(world, id_, None)},
    )


def _attach(ask: Ask, kind: ResourceType, key: str, change: Callable[..., Change]) -> Work:
    id_, attached = _attached_to(ask, kind, key)
    vpc = ask.name("vpc", "VpcId")
    if attached is not None:
        message = f"resource {id_} is already attached to network {ask.world.id('vpc', attached)}"
        raise ApiError("Resource.AlreadyAssociated", message)
    asn = ask.world.value(id_, "asn")
    how = {"amazon_side_asn": asn} if asn is not None else {}
    steps = (record(id_, kind=kind), values(id_, vpc=vpc))
    return Work(change=edit(change(vpc=vpc, **how)), steps=steps, answer=lambda _: {})


def _detach(ask: Ask, kind: ResourceType, key: str, change: Callable[..., Change]) -> Work:
    id_, attached = _attached_to(ask, kind, key)
    vpc = ask.name("vpc", "VpcId")
    if attached != vpc:
        raise ApiError("Gateway.NotAttached", f"resource {id_} is not attached to {ask['VpcId']}")
    steps = (record(id_, kind=kind), values(id_, vpc=None))
    return Work(change=edit(change(vpc=vpc)), steps=steps, answer=lambda _: {})


def _delete(ask: Ask, kind: ResourceType, key: str) -> Work:
    id_, attached = _attached_to(ask, kind, key)
    if attached is not None:
        message = f"The {ATTACHED[kind].replace('_', ' ')} '{id_}' has dependencies and cannot be"
        raise ApiError("DependencyViolation", f"{message} deleted.")
    return Work(deletes={id_: {}}, answer=lambda _: {})


def internet_gateway(world: World, id_: str, vpc: str | None) -> Row:
    """Return an internet gateway as answers have it."""
    attachments = [{"State": "available", "VpcId": world.id("vpc", vpc)}] if vpc else []
    tags = world.tags(id_)
    return {
        "InternetGatewayId": id_,
        "Attachments": attachments,
        "OwnerId": ACCOUNT,
        "Tags": tags,
    }


@looks("DescribeInternetGateways")
def describe_internet_gateways(ask: Ask) -> Result:
    """Describe internet gateways."""
    known = _all(ask.world, "internet-gateway")
    rows = [internet_gateway(ask.world, id_, vpc) for id_, vpc in known.items()]
    key = "InternetGateways"
    ids = ("InternetGatewayIds", "InternetGatewayId", "internet-gateway")
    return {key: select(ask, rows, key, ids=ids)}


@changes("CreateInternetGateway")
def create_internet_gateway(ask: Ask) -> Work:
    """Create an internet gateway."""
    return _create(ask, "internet-gateway", "InternetGateway", internet_gateway)


@changes("AttachInternetGateway")
def attach_internet_gateway(ask: Ask) -> Work:
    """Attach an internet gateway to a VPC."""
    change = editing.attach_internet_gateway
    return _attach(ask, "internet-gateway", "InternetGatewayId", change)


@changes("DetachInternetGateway")
def detach_internet_gateway(ask: Ask) -> Work:
    """Detach an internet gateway from its VPC."""
    change = editing.detach_internet_gateway
    return _detach(ask, "internet-gateway", "InternetGatewayId", change)


@changes("DeleteInternetGateway")
def delete_internet_gateway(ask: Ask) -> Work:
    """Delete an internet gateway that is not attached."""
    return _delete(ask, "internet-gateway", "InternetGatewayId")


def egress_only(world: World, id_: str, vpc: str) -> Row:
    """Return an egress-only internet gateway as answers have it."""
    return {
        "EgressOnlyInternetGatewayId": id_,
        "Attachments": [{"State": "attached", "VpcId": world.id("vpc", vpc)}],
        "Tags": world.tags(id_),
    }


@looks("DescribeEgressOnlyInternetGateways")
def describe_egress_only_internet_gateways(ask: Ask) -> Result:
    """Describe egress-only internet gateways."""
    known = _all(ask.world, "egress-only-internet-gateway")
    wanted = ask.get("EgressOnlyInternetGatewayIds") or known
    found = [egress_only(ask.world, id_, vpc) for id_, vpc in known.items() if vpc]
    rows = [row for row in found if row["EgressOnlyInternetGatewayId"] in wanted]
    key = "EgressOnlyInternetGateways"
    return {key: select(ask, rows, key)}


@changes("CreateEgressOnlyInternetGateway")
def create_egress_only_internet_gateway(ask: Ask) -> Work:
    """Create an egress-only internet gateway in a VPC."""
    kind: ResourceType = "egress-only-internet-gateway"
    vpc = ask.name("vpc", "VpcId")
    tags = ask.tags(kind)
    id_ = id_of(kind, ask.new_name(kind, tags.get("Name")))
    return Work(
        change=edit(editing.create_egress_only_internet_gateway(vpc=vpc)),
        creates=(Created(id_, tags, {"vpc": vpc}, kind=kind),),
        answer=lambda world: {"EgressOnlyInternetGateway": egress_only(world, id_, vpc)},
    )


@changes("DeleteEgressOnlyInternetGateway")
def delete_egress_only_internet_gateway(ask: Ask) -> Work:
    """Delete an egress-only internet gateway."""
    key = "EgressOnlyInternetGatewayId"
    id_, vpc = _attached_to(ask, "egress-only-internet-gateway", key)
    assert vpc
    change = edit(editing.delete_egress_only_internet_gateway(vpc=vpc))
    return Work(change=change, deletes={id_: {}}, answer=lambda _: {"ReturnCode": True})


def vpn_gateway(world: World, id_: str, vpc: str | None) -> Row:
    """Return a virtual private gateway as answers have it."""
    asn = world.value(id_, "asn", 64512)
    if vpc and (attached := world.topology.vpcs[vpc].virtual_private_gateway):
        asn = attached.asn
    attachments = [{"State": "attached", "VpcId": world.id("vpc", vpc)}] if vpc else []
    return {
        "VpnGatewayId": id_,
        "AmazonSideAsn": asn,
        "State": "available",
        "Type": "ipsec.1",
        "VpcAttachments": attachments,
        "Tags": world.tags(id_),
    }


@looks("DescribeVpnGateways")
def describe_vpn_gateways(ask: Ask) -> Result:
    """Describe virtual private gateways."""
    known = _all(ask.world, "vpn-gateway")
    rows = [vpn_gateway(ask.world, id_, vpc) for id_, vpc in known.items()]
    aliases = {"attachment.vpc-id": "VpcAttachments.VpcId"}
    aliases |= {"attachment.state": "VpcAttachments.State"}
    ids = ("VpnGatewayIds", "VpnGatewayId", "vpn-gateway")
    found = select(ask, rows, "VpnGateways", ids=ids, aliases=aliases)
    return {"VpnGateways": found}


@changes("CreateVpnGateway")
def create_vpn_gateway(ask: Ask) -> Work:
    """Create a virtual private gateway."""
    return _create(ask, "vpn-gateway", "VpnGateway", vpn_gateway)


@changes("AttachVpnGateway")
def attach_vpn_gateway(ask: Ask) -> Work:
    """Attach a virtual private gateway to a VPC."""
    work = _attach(ask, "vpn-gateway", "VpnGatewayId", editing.attach_vpn_gateway)
    result = {"VpcAttachment": {"State": "attached", "VpcId": ask["VpcId"]}}
    return Work(change=work.change, steps=work.steps, answer=lambda _: result)


@changes("DetachVpnGateway")
def detach_vpn_gateway(ask: Ask) -> Work:
    """Detach a virtual private gateway from its VPC."""
    return _detach(ask, "vpn-gateway", "VpnGatewayId", editing.detach_vpn_gateway)


@changes("DeleteVpnGateway")
def delete_vpn_gateway(ask: Ask) -> Work:
    """Delete a virtual private gateway that is not attached."""
    return _delete(ask, "vpn-gateway", "VpnGatewayId")
