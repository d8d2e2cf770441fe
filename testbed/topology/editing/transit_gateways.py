"""Transit gateways: attachments, route tables, associations, propagation, routes."""

from __future__ import annotations

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing.arguments import only_known, same_block, without
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.implied import attachments
from testbed.topology.editing.kinds import (
    SUBNET,
    TRANSIT_GATEWAY,
    TRANSIT_GATEWAY_ATTACHMENT,
    TRANSIT_GATEWAY_ROUTE_TABLE,
    VPC,
)
from testbed.topology.editing.named import add, change, entries, refusal, remove, require
from testbed.topology.editing.tree import Data
from testbed.topology.report import choices


@operation
def create_transit_gateway(
    data: Data,
    *,
    transit_gateway: str,
    amazon_side_asn: int | None = None,
    default_route_table: bool = True,
) -> Data:
    """Create a transit gateway (ASN 64512 by default).

    With a default route table all attachments are associated with it and propagate to it, until
    another one is created; without, an attachment reaches nothing by itself.
    """
    values: Data = {"asn": amazon_side_asn, "route_tables": None if default_route_table else {}}
    return add(data, TRANSIT_GATEWAY, (transit_gateway,), values)


@operation
def modify_transit_gateway(data: Data, *, transit_gateway: str, amazon_side_asn: int) -> Data:
    """Change a transit gateway's ASN."""
    return change(data, TRANSIT_GATEWAY, (transit_gateway,), {"asn": amazon_side_asn})


@operation
def delete_transit_gateway(data: Data, *, transit_gateway: str) -> Data:
    """Delete a transit gateway that has no attachments."""
    return remove(data, TRANSIT_GATEWAY, transit_gateway)


@operation
def create_transit_gateway_vpc_attachment(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_attachment: str,
    vpc: str,
    subnets: list[str] | None = None,
) -> Data:
    """Attach a VPC to a transit gateway, by subnets in the Region, one in each zone.

    Without `subnets` it is the VPC's first in each zone.
    """
    require(data, VPC, vpc)
    for subnet in subnets or []:
        require(data, SUBNET, vpc, subnet)
    names = (transit_gateway, transit_gateway_attachment)
    return add(data, TRANSIT_GATEWAY_ATTACHMENT, names, {"vpc": vpc, "subnets": subnets})


@operation
def modify_transit_gateway_vpc_attachment(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_attachment: str,
    add_subnets: list[str] | None = None,
    remove_subnets: list[str] | None = None,
) -> Data:
    """Change the subnets by which a VPC is attached to a transit gateway."""
    names = (transit_gateway, transit_gateway_attachment)
    attachment = require(data, TRANSIT_GATEWAY_ATTACHMENT, *names)
    vpc = str(attachment["vpc"])
    more, less = add_subnets or [], remove_subnets or []
    for subnet in more:
        require(data, SUBNET, vpc, subnet)
    there = attachment.get("subnets")
    if there is None:
        there = _first_subnets(data, vpc)
    path = (*TRANSIT_GATEWAY_ATTACHMENT.path(*names), "subnets")
    message = f"{transit_gateway_attachment} is not attached by the subnet {{}}"
    only_known(there, less, EditError("InvalidSubnetID.NotFound", message, path))
    kept = [*without(there, [*less, *more]), *more]
    return change(data, TRANSIT_GATEWAY_ATTACHMENT, names, {"subnets": kept})


@operation
def delete_transit_gateway_vpc_attachment(
    data: Data, *, transit_gateway: str, transit_gateway_attachment: str
) -> Data:
    """Detach a VPC, with its associations and propagations; routes to it become blackholes."""
    data = remove(data, TRANSIT_GATEWAY_ATTACHMENT, transit_gateway, transit_gateway_attachment)
    written = lookup(data, TRANSIT_GATEWAY_ROUTE_TABLE.mapping((transit_gateway,)), {})
    for name, table in written.items():
        gone = [transit_gateway_attachment]
        values = {
            "associations": without(table.get("associations", []), gone),
            "propagations": without(table.get("propagations", []), gone),
            "routes": [
                {"destination": route["destination"]}
                if str(route.get("attachment")) == transit_gateway_attachment
                else route
                for route in table.get("routes", [])
            ],
        }
        data = change(data, TRANSIT_GATEWAY_ROUTE_TABLE, (transit_gateway, name), values)
    return data


@operation
def create_transit_gateway_route_table(
    data: Data, *, transit_gateway: str, transit_gateway_route_table: str
) -> Data:
    """Create a route table of a transit gateway, without associations, propagation or routes."""
    names = (transit_gateway, transit_gateway_route_table)
    return add(data, TRANSIT_GATEWAY_ROUTE_TABLE, names, {})


@operation
def delete_transit_gateway_route_table(
    data: Data, *, transit_gateway: str, transit_gateway_route_table: str
) -> Data:
    """Delete a transit gateway route table that no attachment is associated with."""
    names = (transit_gateway, transit_gateway_route_table)
    return remove(data, TRANSIT_GATEWAY_ROUTE_TABLE, *names)


@operation
def associate_transit_gateway_route_table(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_route_table: str,
    transit_gateway_attachment: str,
) -> Data:
    """Associate an attachment that has no route table with one."""
    names = (transit_gateway, transit_gateway_route_table)
    table = _table(data, names, transit_gateway_attachment)
    for name, other in entries(data, TRANSIT_GATEWAY_ROUTE_TABLE, transit_gateway).items():
        if transit_gateway_attachment in map(str, other.get("associations", [])):
            message = (
                f"Transit Gateway Attachment {transit_gateway_attachment} is already associated to"
                " a route table."
            )
            path = TRANSIT_GATEWAY_ROUTE_TABLE.path(transit_gateway, name)
            raise EditError("Resource.AlreadyAssociated", message, path, "disassociate it first")
    there = [*table.get("associations", []), transit_gateway_attachment]
    return change(data, TRANSIT_GATEWAY_ROUTE_TABLE, names, {"associations": there})


@operation
def disassociate_transit_gateway_route_table(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_route_table: str,
    transit_gateway_attachment: str,
) -> Data:
    """End an attachment's association with a route table; what it sends is then dropped."""
    names = (transit_gateway, transit_gateway_route_table)
    message = "{} is not associated with " + transit_gateway_route_table
    code = "InvalidAssociation.NotFound"
    return _taken_out(data, names, "associations", transit_gateway_attachment, code, message)


@operation
def enable_transit_gateway_route_table_propagation(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_route_table: str,
    transit_gateway_attachment: str,
) -> Data:
    """Propagate an attachment's prefixes to a transit gateway route table."""
    names = (transit_gateway, transit_gateway_route_table)
    table = _table(data, names, transit_gateway_attachment)
    there = table.get("propagations", [])
    if transit_gateway_attachment in map(str, there):
        message = (
            f"Propagation of {transit_gateway_attachment} to {transit_gateway_route_table} exists"
        )
        path = (*TRANSIT_GATEWAY_ROUTE_TABLE.path(*names), "propagations")
        raise EditError("TransitGatewayRouteTablePropagation.Duplicate", message, path)
    values = {"propagations": [*there, transit_gateway_attachment]}
    return change(data, TRANSIT_GATEWAY_ROUTE_TABLE, names, values)


@operation
def disable_transit_gateway_route_table_propagation(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_route_table: str,
    transit_gateway_attachment: str,
) -> Data:
    """Stop propagating an attachment's prefixes to a transit gateway route table."""
    names = (transit_gateway, transit_gateway_route_table)
    message = "{} does not propagate to " + transit_gateway_route_table
    code = "TransitGatewayRouteTablePropagation.NotFound"
    return _taken_out(data, names, "propagations", transit_gateway_attachment, code, message)


@operation
def create_transit_gateway_route(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_route_table: str,
    destination_cidr_block: str,
    transit_gateway_attachment: str | None = None,
    blackhole: bool = False,
) -> Data:
    """Create a static route to an attachment, or a blackhole."""
    names = (transit_gateway, transit_gateway_route_table)
    route = _route(data, names, destination_cidr_block, transit_gateway_attachment, blackhole)
    routes = require(data, TRANSIT_GATEWAY_ROUTE_TABLE, *names).get("routes", [])
    if _index(routes, destination_cidr_block) is not None:
        message = f"The route identified by {destination_cidr_block} already exists."
        path = (*TRANSIT_GATEWAY_ROUTE_TABLE.path(*names), "routes")
        raise EditError("RouteAlreadyExists", message, path, "replace or delete it")
    return change(data, TRANSIT_GATEWAY_ROUTE_TABLE, names, {"routes": [*routes, route]})


@operation
def replace_transit_gateway_route(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_route_table: str,
    destination_cidr_block: str,
    transit_gateway_attachment: str | None = None,
    blackhole: bool = False,
) -> Data:
    """Change a static route: to another attachment, or to a blackhole."""
    names = (transit_gateway, transit_gateway_route_table)
    route = _route(data, names, destination_cidr_block, transit_gateway_attachment, blackhole)
    routes, index = _found(data, names, destination_cidr_block)
    routes[index] = route
    return change(data, TRANSIT_GATEWAY_ROUTE_TABLE, names, {"routes": routes})


@operation
def delete_transit_gateway_route(
    data: Data,
    *,
    transit_gateway: str,
    transit_gateway_route_table: str,
    destination_cidr_block: str,
) -> Data:
    """Delete a static route."""
    names = (transit_gateway, transit_gateway_route_table)
    routes, index = _found(data, names, destination_cidr_block)
    del routes[index]
    return change(data, TRANSIT_GATEWAY_ROUTE_TABLE, names, {"routes": routes})


def _first_subnets(data: Data, vpc: str) -> list[str]:
    """Return the VPC's first subnet in each zone of the Region."""
    name = str(lookup(data, ("region", "name")))
    default = lookup(data, ("region", "zones"), [f"{name[:31]}a"])[0]
    zones: dict[str, str] = {}
    for subnet, entry in entries(data, SUBNET, vpc).items():
        if entry.get("outpost") is None:
            zones.setdefault(str(entry.get("zone", default)), subnet)
    return list(zones.values())


def _table(data: Data, names: tuple[str, str], attachment: str) -> Data:
    """Return a route table, for an attachment that there is."""
    table: Data = require(data, TRANSIT_GATEWAY_ROUTE_TABLE, *names)
    known = attachments(data, names[0])
    if attachment not in known:
        kind = TRANSIT_GATEWAY_ATTACHMENT
        remedy = choices(attachment, known, "attachments")
        raise refusal(kind, kind.missing, (names[0], attachment), remedy)
    return table


def _taken_out(
    data: Data, names: tuple[str, str], key: str, attachment: str, code: str, message: str
) -> Data:
    there = require(data, TRANSIT_GATEWAY_ROUTE_TABLE, *names).get(key, [])
    path = (*TRANSIT_GATEWAY_ROUTE_TABLE.path(*names), key)
    only_known(there, [attachment], EditError(code, message, path))
    return change(data, TRANSIT_GATEWAY_ROUTE_TABLE, names, {key: without(there, [attachment])})


def _route(
    data: Data, names: tuple[str, str], destination: str, attachment: str | None, blackhole: bool
) -> Data:
    path: Path = (*TRANSIT_GATEWAY_ROUTE_TABLE.path(*names), "routes")
    if (attachment is None) != blackhole:
        message = "A route has an attachment, or is a blackhole"
        raise EditError("InvalidParameterCombination", message, path, "give one of them")
    if attachment is None:
        return {"destination": destination}
    _table(data, names, attachment)
    return {"destination": destination, "attachment": attachment}


def _index(routes: list[Data], destination: str) -> int | None:
    return next(
        (i for i, route in enumerate(routes) if same_block(route["destination"], destination)), None
    )


def _found(data: Data, names: tuple[str, str], destination: str) -> tuple[list[Data], int]:
    routes = list(require(data, TRANSIT_GATEWAY_ROUTE_TABLE, *names).get("routes", []))
    index = _index(routes, destination)
    if index is None:
        path = (*TRANSIT_GATEWAY_ROUTE_TABLE.path(*names), "routes")
        message = f"There is no route to {destination} in {names[-1]}"
        raise EditError("InvalidRoute.NotFound", message, path)
    return routes, index
