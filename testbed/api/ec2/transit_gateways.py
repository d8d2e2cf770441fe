"""Transit gateways and their attachments."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import TransitGateway, TransitGatewayAttachment

GATEWAY: Final = "transit-gateway"
ATTACHMENT: Final = "transit-gateway-attachment"
TABLE: Final = "transit-gateway-route-table"
DEFAULT: Final = "default"
Row = dict[str, Any]


def describe(world: World, gateway: TransitGateway) -> Row:
    """Return a transit gateway as answers have it."""
    id_ = world.id(GATEWAY, gateway.name)
    has = any(table.name == DEFAULT for table in gateway.route_tables)
    word = "enable" if has else "disable"
    options: Row = {
        "AmazonSideAsn": gateway.asn,
        "AutoAcceptSharedAttachments": "disable",
        "DefaultRouteTableAssociation": word,
        "DefaultRouteTablePropagation": word,
        "DnsSupport": "enable",
        "VpnEcmpSupport": "enable",
        "MulticastSupport": "disable",
    }
    if has:
        default = world.id(TABLE, gateway.name, DEFAULT)
        options["AssociationDefaultRouteTableId"] = default
        options["PropagationDefaultRouteTableId"] = default
    return {
        "TransitGatewayId": id_,
        "TransitGatewayArn": world.arn("transit-gateway", id_),
        "State": world.state(id_),
        "OwnerId": ACCOUNT,
        "Description": world.value(id_, "description", ""),
        "CreationTime": world.created(id_),
        "Options": options,
        "Tags": world.tags(id_),
    }


def resource(world: World, attachment: TransitGatewayAttachment) -> Row:
    """Return what an attachment is of, as answers have it."""
    if attachment.vpc is None:
        return {"ResourceType": "direct-connect-gateway", "ResourceId": attachment.name}
    return {"ResourceType": "vpc", "ResourceId": world.id("vpc", attachment.vpc)}


def attachment_row(world: World, gateway: TransitGateway, entry: TransitGatewayAttachment) -> Row:
    """Return an attachment of any kind as answers have it."""
    id_ = world.id(ATTACHMENT, gateway.name, entry.name)
    row: Row = {
        "TransitGatewayAttachmentId": id_,
        "TransitGatewayId": world.id(GATEWAY, gateway.name),
        "TransitGatewayOwnerId": ACCOUNT,
        "ResourceOwnerId": ACCOUNT,
        **resource(world, entry),
        "State": world.state(id_),
        "CreationTime": world.created(id_),
        "Tags": world.tags(id_),
    }
    for table in gateway.route_tables:
        if entry.name in table.associations:
            own = world.id(TABLE, gateway.name, table.name)
            row["Association"] = {"TransitGatewayRouteTableId": own, "State": "associated"}
    return row


def vpc_attachment(world: World, gateway: TransitGateway, entry: TransitGatewayAttachment) -> Row:
    """Return a VPC's attachment as answers have it."""
    assert entry.vpc
    id_ = world.id(ATTACHMENT, gateway.name, entry.name)
    return {
        "TransitGatewayAttachmentId": id_,
        "TransitGatewayId": world.id(GATEWAY, gateway.name),
        "VpcId": world.id("vpc", entry.vpc),
        "VpcOwnerId": ACCOUNT,
        "State": world.state(id_),
        "SubnetIds": [world.id("subnet", entry.vpc, name) for name in entry.subnets],
        "CreationTime": world.created(id_),
        "Options": {
            "DnsSupport": "enable",
            "Ipv6Support": "disable",
            "ApplianceModeSupport": "disable",
        },
        "Tags": world.tags(id_),
    }


def find_attachment(world: World, names: tuple[str, ...]) -> TransitGatewayAttachment:
    """Return the attachment with a transit gateway's name and its own."""
    gateway = world.topology.region.transit_gateways[names[0]]
    return next(entry for entry in gateway.attachments if entry.name == names[1])


def _gateways(ask: Ask) -> list[TransitGateway]:
    return list(ask.world.topology.region.transit_gateways.values())


@looks("DescribeTransitGateways")
def describe_transit_gateways(ask: Ask) -> Result:
    """Describe transit gateways."""
    rows = [describe(ask.world, gateway) for gateway in _gateways(ask)]
    ids = ("TransitGatewayIds", "TransitGatewayId", GATEWAY)
    return {"TransitGateways": select(ask, rows, "TransitGateways", ids=ids)}


@looks("DescribeTransitGatewayAttachments")
def describe_transit_gateway_attachments(ask: Ask) -> Result:
    """Describe attachments of all kinds."""
    rows = [attachment_row(ask.world, g, entry) for g in _gateways(ask) for entry in g.attachments]
    key = "TransitGatewayAttachments"
    ids = ("TransitGatewayAttachmentIds", "TransitGatewayAttachmentId", ATTACHMENT)
    return {key: select(ask, rows, key, ids=ids)}


@looks("DescribeTransitGatewayVpcAttachments")
def describe_transit_gateway_vpc_attachments(ask: Ask) -> Result:
    """Describe VPCs' attachments."""
    rows = [
        vpc_attachment(ask.world, gateway, entry)
        for gateway in _gateways(ask)
        for entry in gateway.attachments
        if entry.vpc is not None
    ]
    key = "TransitGatewayVpcAttachments"
    ids = ("TransitGatewayAttachmentIds", "TransitGatewayAttachmentId", ATTACHMENT)
    return {key: select(ask, rows, key, ids=ids)}


@changes("CreateTransitGateway")
def create_transit_gateway(ask: Ask) -> Work:
    """Create a transit gateway, with a default route table unless told otherwise."""
    options = ask.get("Options") or {}
    words = {options.get(f"DefaultRouteTable{what}") for what in ("Association", "Propagation")}
    words = {word or "enable" for word in words}
    if len(words) > 1:
        message = "A default route table for association or propagation alone is not emulated here."
        raise ApiError("UnsupportedOperation", message)
    tags = ask.tags(GATEWAY)
    name = ask.new_name(GATEWAY, tags.get("Name"))
    change = editing.create_transit_gateway(
        transit_gateway=name,
        amazon_side_asn=options.get("AmazonSideAsn"),
        default_route_table=words == {"enable"},
    )

    def answer(world: World) -> Result:
        gateway = world.topology.region.transit_gateways[name]
        return {"TransitGateway": describe(world, gateway)}

    values = {"description": ask.get("Description", "")}
    return Work(
        change=edit(change), creates=(Created(id_of(GATEWAY, name), tags, values),), answer=answer
    )


@changes("ModifyTransitGateway")
def modify_transit_gateway(ask: Ask) -> Work:
    """Change a transit gateway's ASN."""
    name = ask.name(GATEWAY, "TransitGatewayId")
    options = ask.get("Options") or {}
    if set(options) - {"AmazonSideAsn"}:
        message = f"{next(iter(set(options) - {'AmazonSideAsn'}))} cannot be changed here."
        raise ApiError("UnsupportedOperation", message)
    change = None
    if "AmazonSideAsn" in options:
        asn = options["AmazonSideAsn"]
        change = edit(editing.modify_transit_gateway(transit_gateway=name, amazon_side_asn=asn))

    def answer(world: World) -> Result:
        gateway = world.topology.region.transit_gateways[name]
        return {"TransitGateway": describe(world, gateway)}

    return Work(change=change, answer=answer)


@changes("DeleteTransitGateway")
def delete_transit_gateway(ask: Ask) -> Work:
    """Delete a transit gateway without attachments."""
    name = ask.name(GATEWAY, "TransitGatewayId")
    gateway = ask.world.topology.region.transit_gateways[name]
    row = {**describe(ask.world, gateway), "State": "deleting"}
    change = editing.delete_transit_gateway(transit_gateway=name)
    return Work(
        change=edit(change),
        deletes={ask["TransitGatewayId"]: {}},
        answer=lambda _: {"TransitGateway": row},
    )


@changes("CreateTransitGatewayVpcAttachment")
def create_transit_gateway_vpc_attachment(ask: Ask) -> Work:
    """Attach a VPC to a transit gateway."""
    gateway, vpc = ask.name(GATEWAY, "TransitGatewayId"), ask.name("vpc", "VpcId")
    tags = ask.tags(ATTACHMENT)
    name = ask.new_name(ATTACHMENT, tags.get("Name") or vpc, gateway)
    change = editing.create_transit_gateway_vpc_attachment(
        transit_gateway=gateway,
        transit_gateway_attachment=name,
        vpc=vpc,
        subnets=ask.all_names("subnet", "SubnetIds"),
    )
    made = Created(id_of(ATTACHMENT, gateway, name), tags)
    return Work(change=edit(change), creates=(made,), answer=_attached((gateway, name)))


def _attached(names: tuple[str, str]) -> Any:
    def answer(world: World) -> Result:
        gateway = world.topology.region.transit_gateways[names[0]]
        row = vpc_attachment(world, gateway, find_attachment(world, names))
        return {"TransitGatewayVpcAttachment": row}

    return answer


@changes("ModifyTransitGatewayVpcAttachment")
def modify_transit_gateway_vpc_attachment(ask: Ask) -> Work:
    """Change the subnets by which a VPC is attached."""
    gateway, name = ask.names(ATTACHMENT, "TransitGatewayAttachmentId")
    change = editing.modify_transit_gateway_vpc_attachment(
        transit_gateway=gateway,
        transit_gateway_attachment=name,
        add_subnets=ask.all_names("subnet", "AddSubnetIds"),
        remove_subnets=ask.all_names("subnet", "RemoveSubnetIds"),
    )
    touches = (ask["TransitGatewayAttachmentId"],)
    return Work(change=edit(change), touches=touches, answer=_attached((gateway, name)))


@changes("DeleteTransitGatewayVpcAttachment")
def delete_transit_gateway_vpc_attachment(ask: Ask) -> Work:
    """Detach a VPC."""
    names = ask.names(ATTACHMENT, "TransitGatewayAttachmentId")
    entry = find_attachment(ask.world, names)
    if entry.vpc is None:
        message = f"{ask['TransitGatewayAttachmentId']} is not a VPC's attachment"
        raise ApiError("InvalidTransitGatewayAttachmentID.NotFound", message)
    gateway = ask.world.topology.region.transit_gateways[names[0]]
    row = {**vpc_attachment(ask.world, gateway, entry), "State": "deleting"}
    change = editing.delete_transit_gateway_vpc_attachment(
        transit_gateway=names[0], transit_gateway_attachment=names[1]
    )
    return Work(
        change=edit(change),
        deletes={ask["TransitGatewayAttachmentId"]: {}},
        answer=lambda _: {"TransitGatewayVpcAttachment": row},
    )
