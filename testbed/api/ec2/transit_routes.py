"""Route tables of transit gateways: associations, propagation, routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

from testbed.api.ec2.transit_gateways import ATTACHMENT, GATEWAY, TABLE, find_attachment, resource
from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.editing.change import Change
from testbed.topology.model import (
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
)

KEY: Final = "TransitGatewayRouteTableId"
MEMBER: Final = "TransitGatewayAttachmentId"
Row = dict[str, Any]


def describe(world: World, gateway: TransitGateway, table: TransitGatewayRouteTable) -> Row:
    """Return a route table as answers have it."""
    id_ = world.id(TABLE, gateway.name, table.name)
    default = table.name == "default"
    return {
        KEY: id_,
        "TransitGatewayId": world.id(GATEWAY, gateway.name),
        "State": world.state(id_),
        "DefaultAssociationRouteTable": default,
        "DefaultPropagationRouteTable": default,
        "CreationTime": world.created(id_),
        "Tags": world.tags(id_),
    }


def _table(world: World, names: tuple[str, ...]) -> tuple[TransitGateway, TransitGatewayRouteTable]:
    gateway = world.topology.region.transit_gateways[names[0]]
    return gateway, next(table for table in gateway.route_tables if table.name == names[1])


@looks("DescribeTransitGatewayRouteTables")
def describe_transit_gateway_route_tables(ask: Ask) -> Result:
    """Describe route tables of transit gateways."""
    gateways = ask.world.topology.region.transit_gateways.values()
    rows = [describe(ask.world, g, table) for g in gateways for table in g.route_tables]
    key = "TransitGatewayRouteTables"
    return {key: select(ask, rows, key, ids=(f"{KEY}s", KEY, TABLE))}


@changes("CreateTransitGatewayRouteTable")
def create_transit_gateway_route_table(ask: Ask) -> Work:
    """Create a route table, with nothing in it."""
    gateway = ask.name(GATEWAY, "TransitGatewayId")
    tags = ask.tags(TABLE)
    name = ask.new_name(TABLE, tags.get("Name"), gateway)
    change = editing.create_transit_gateway_route_table(
        transit_gateway=gateway, transit_gateway_route_table=name
    )

    def answer(world: World) -> Result:
        return {"TransitGatewayRouteTable": describe(world, *_table(world, (gateway, name)))}

    made = Created(id_of(TABLE, gateway, name), tags)
    return Work(change=edit(change), creates=(made,), answer=answer)


@changes("DeleteTransitGatewayRouteTable")
def delete_transit_gateway_route_table(ask: Ask) -> Work:
    """Delete a route table that no attachment is associated with."""
    names = ask.names(TABLE, KEY)
    row = {**describe(ask.world, *_table(ask.world, names)), "State": "deleting"}
    change = editing.delete_transit_gateway_route_table(
        transit_gateway=names[0], transit_gateway_route_table=names[1]
    )
    return Work(
        change=edit(change),
        deletes={ask[KEY]: {}},
        answer=lambda _: {"TransitGatewayRouteTable": row},
    )


def _related(ask: Ask, operation: Callable[..., Change], member: str, state: str) -> Work:
    """Associate an attachment with a route table, or have it propagate to it; or end that."""
    gateway, table = ask.names(TABLE, KEY)
    owner, name = ask.names(ATTACHMENT, MEMBER)
    if owner != gateway:
        message = f"Transit Gateway Attachment {ask[MEMBER]} was deleted or does not exist."
        raise ApiError("InvalidTransitGatewayAttachmentID.NotFound", message)
    change = operation(
        transit_gateway=gateway, transit_gateway_route_table=table, transit_gateway_attachment=name
    )
    entry = find_attachment(ask.world, (owner, name))
    row = {KEY: ask[KEY], MEMBER: ask[MEMBER], "State": state, **resource(ask.world, entry)}
    return Work(change=edit(change), answer=lambda _: {member: row})


@changes("AssociateTransitGatewayRouteTable")
def associate_transit_gateway_route_table(ask: Ask) -> Work:
    """Associate an attachment with a route table."""
    operation = editing.associate_transit_gateway_route_table
    return _related(ask, operation, "Association", "associating")


@changes("DisassociateTransitGatewayRouteTable")
def disassociate_transit_gateway_route_table(ask: Ask) -> Work:
    """End an attachment's association with a route table."""
    operation = editing.disassociate_transit_gateway_route_table
    return _related(ask, operation, "Association", "disassociating")


@changes("EnableTransitGatewayRouteTablePropagation")
def enable_transit_gateway_route_table_propagation(ask: Ask) -> Work:
    """Have an attachment propagate to a route table."""
    operation = editing.enable_transit_gateway_route_table_propagation
    return _related(ask, operation, "Propagation", "enabled")


@changes("DisableTransitGatewayRouteTablePropagation")
def disable_transit_gateway_route_table_propagation(ask: Ask) -> Work:
    """Stop an attachment's propagation to a route table."""
    operation = editing.disable_transit_gateway_route_table_propagation
    return _related(ask, operation, "Propagation", "disabled")


def _members(ask: Ask, which: str, state: str) -> list[Row]:
    gateway, table = _table(ask.world, ask.names(TABLE, KEY))
    return [
        {
            MEMBER: ask.world.id(ATTACHMENT, gateway.name, name),
            "State": state,
            **resource(ask.world, find_attachment(ask.world, (gateway.name, name))),
        }
        for name in getattr(table, which)
    ]


@looks("GetTransitGatewayRouteTableAssociations")
def get_transit_gateway_route_table_associations(ask: Ask) -> Result:
    """Return the attachments that are associated with a route table."""
    rows = _members(ask, "associations", "associated")
    return {"Associations": select(ask, rows, "Associations")}


@looks("GetTransitGatewayRouteTablePropagations")
def get_transit_gateway_route_table_propagations(ask: Ask) -> Result:
    """Return the attachments that propagate to a route table."""
    key = "TransitGatewayRouteTablePropagations"
    return {key: select(ask, _members(ask, "propagations", "enabled"), key)}


@looks("GetTransitGatewayAttachmentPropagations")
def get_transit_gateway_attachment_propagations(ask: Ask) -> Result:
    """Return the route tables that an attachment propagates to."""
    gateway_name, name = ask.names(ATTACHMENT, MEMBER)
    gateway = ask.world.topology.region.transit_gateways[gateway_name]
    rows = [
        {KEY: ask.world.id(TABLE, gateway.name, table.name), "State": "enabled"}
        for table in gateway.route_tables
        if name in table.propagations
    ]
    key = "TransitGatewayAttachmentPropagations"
    return {key: select(ask, rows, key)}


def _row(world: World, gateway: str, destination: str, kind: str, names: list[str]) -> Row:
    attachments = [
        {
            MEMBER: world.id(ATTACHMENT, gateway, name),
            **resource(world, find_attachment(world, (gateway, name))),
        }
        for name in names
    ]
    state = "active" if attachments else "blackhole"
    row: Row = {"DestinationCidrBlock": destination, "Type": kind, "State": state}
    return row | ({"TransitGatewayAttachments": attachments} if attachments else {})


def routes(world: World, names: tuple[str, ...]) -> Iterator[Row]:
    """Find the routes of a table: static ones, then what attachments propagate."""
    gateway, table = _table(world, names)
    static = {str(route.destination) for route in table.routes}
    for route in table.routes:
        found = [route.attachment] if route.attachment else []
        yield _row(world, gateway.name, str(route.destination), "static", found)
    for name in table.propagations:
        attachment = find_attachment(world, (gateway.name, name))
        for cidr in _prefixes(world, attachment):
            if cidr not in static:
                yield _row(world, gateway.name, cidr, "propagated", [name])


def _prefixes(world: World, attachment: TransitGatewayAttachment) -> list[str]:
    """Return what an attachment propagates; Direct Connect's comes by BGP and is not known here."""
    return [] if attachment.vpc is None else [str(world.topology.vpcs[attachment.vpc].cidr)]


@looks("SearchTransitGatewayRoutes")
def search_transit_gateway_routes(ask: Ask) -> Result:
    """Search for routes in a route table."""
    found = list(routes(ask.world, ask.names(TABLE, KEY)))
    for given in ask["Filters"]:
        name, values = str(given.get("Name")), [str(v) for v in given.get("Values") or []]
        found = [row for row in found if _fits(row, name, values)]
    limit = ask.get("MaxResults", 1000)
    return {"Routes": found[:limit], "AdditionalRoutesAvailable": len(found) > limit}


def _fits(row: Row, name: str, values: list[str]) -> bool:
    members = {"state": "State", "type": "Type"}
    if name in members:
        return any(fnmatchcase(row[members[name]], value) for value in values)
    if name.startswith("attachment."):
        member = {"transit-gateway-attachment-id": MEMBER, "resource-id": "ResourceId"}
        key = member.get(name.partition(".")[2], "ResourceType")
        return any(a.get(key) in values for a in row.get("TransitGatewayAttachments", []))
    own = IPv4Network(row["DestinationCidrBlock"])
    try:
        networks = [ip_network(value, strict=False) for value in values]
    except ValueError:
        message = f"Value ({values}) for parameter {name} is invalid."
        raise ApiError("InvalidParameterValue", message) from None
    others = [each for each in networks if isinstance(each, IPv4Network)]
    match name:
        case "route-search.exact-match":
            return own in others
        case "route-search.longest-prefix-match" | "route-search.supernet-of-match":
            return any(each.subnet_of(own) for each in others)
        case "route-search.subnet-of-match":
            return any(own.subnet_of(each) for each in others)
        case _:
            raise ApiError("InvalidParameterValue", f"The filter '{name}' is invalid")


def _with_route(ask: Ask, operation: Callable[..., Change]) -> Work:
    gateway, table = ask.names(TABLE, KEY)
    name = None
    if MEMBER in ask.parameters:
        name = ask.names(ATTACHMENT, MEMBER)[-1]
    destination = ask["DestinationCidrBlock"]
    change = operation(
        transit_gateway=gateway,
        transit_gateway_route_table=table,
        destination_cidr_block=destination,
        transit_gateway_attachment=name,
        blackhole=bool(ask.get("Blackhole")),
    )

    def answer(world: World) -> Result:
        return {"Route": _row(world, gateway, destination, "static", [name] if name else [])}

    return Work(change=edit(change), answer=answer)


@changes("CreateTransitGatewayRoute")
def create_transit_gateway_route(ask: Ask) -> Work:
    """Create a static route."""
    return _with_route(ask, editing.create_transit_gateway_route)


@changes("ReplaceTransitGatewayRoute")
def replace_transit_gateway_route(ask: Ask) -> Work:
    """Give a static route another attachment, or make it a blackhole."""
    return _with_route(ask, editing.replace_transit_gateway_route)


@changes("DeleteTransitGatewayRoute")
def delete_transit_gateway_route(ask: Ask) -> Work:
    """Delete a static route."""
    gateway, table = ask.names(TABLE, KEY)
    destination = ask["DestinationCidrBlock"]
    change = editing.delete_transit_gateway_route(
        transit_gateway=gateway,
        transit_gateway_route_table=table,
        destination_cidr_block=destination,
    )
    row = {"DestinationCidrBlock": destination, "Type": "static", "State": "deleted"}
    return Work(change=edit(change), answer=lambda _: {"Route": row})
