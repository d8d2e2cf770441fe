"""VPC route tables: associations, routes, propagation from virtual private gateways."""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing.arguments import one_of, same_block, without
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import OUTPOST, ROUTE_TABLE, SUBNET, VPC
from testbed.topology.editing.named import add, change, entries, refusal, remove, require
from testbed.topology.editing.tree import Data

MAIN = "main"
LOCAL = "local"


@operation
def create_route_table(data: Data, *, vpc: str, route_table: str) -> Data:
    """Create a route table with the local route only; no subnet uses it yet."""
    return add(data, ROUTE_TABLE, (vpc, route_table), {})


@operation
def delete_route_table(data: Data, *, vpc: str, route_table: str) -> Data:
    """Delete a route table that no subnet is associated with; not the main one."""
    if route_table == MAIN:
        require(data, VPC, vpc)
        raise refusal(ROUTE_TABLE, ROUTE_TABLE.in_use, (vpc, route_table), "it is the main one")
    return remove(data, ROUTE_TABLE, vpc, route_table)


@operation
def associate_route_table(data: Data, *, vpc: str, route_table: str, subnet: str) -> Data:
    """Associate a subnet that uses the main route table with another one."""
    require(data, SUBNET, vpc, subnet)
    table = require(data, ROUTE_TABLE, vpc, route_table)
    if (owner := _table_of(data, vpc, subnet)) is not None:
        message = (
            f"the specified association for route table {route_table} conflicts with an existing"
            " association"
        )
        path = ROUTE_TABLE.path(vpc, owner)
        remedy = f"{subnet} is associated with {owner}: replace that association"
        raise EditError("Resource.AlreadyAssociated", message, path, remedy)
    subnets = [*table.get("subnets", []), subnet]
    return change(data, ROUTE_TABLE, (vpc, route_table), {"subnets": subnets})


@operation
def disassociate_route_table(data: Data, *, vpc: str, subnet: str) -> Data:
    """End a subnet's association; it then uses the main route table."""
    return _disassociated(data, vpc, subnet)


@operation
def replace_route_table_association(data: Data, *, vpc: str, subnet: str, route_table: str) -> Data:
    """Replace the route table that a subnet is associated with."""
    require(data, ROUTE_TABLE, vpc, route_table)
    data = _disassociated(data, vpc, subnet)
    subnets = [*require(data, ROUTE_TABLE, vpc, route_table).get("subnets", []), subnet]
    return change(data, ROUTE_TABLE, (vpc, route_table), {"subnets": subnets})


class Destination(TypedDict, total=False):
    """A route's destination: one of these."""

    destination_cidr_block: str
    destination_ipv6_cidr_block: str
    destination_prefix_list: str


class Target(TypedDict, total=False):
    """A route's target, one of these: True for what a VPC has one of, else its name.

    `local_gateway` is an Outpost's name; True is for that of the only Outpost.
    """

    local_gateway: str | Literal[True]
    internet_gateway: Literal[True]
    egress_only_internet_gateway: Literal[True]
    virtual_private_gateway: Literal[True]
    nat_gateway: str
    instance: str
    network_interface: str
    transit_gateway: str
    vpc_peering_connection: str
    vpc_endpoint: str
    local_target: Literal[True]


class Route(Destination, Target, total=False):
    """A route: one destination, one target."""


@operation
def create_route(data: Data, *, vpc: str, route_table: str, **route: Unpack[Route]) -> Data:
    """Create a route.

    It has one destination and one target: True for what a VPC has one of, else its name.
    `local_gateway` is an Outpost's name, or True for that of the only Outpost.
    """
    path = (*ROUTE_TABLE.path(vpc, route_table), "routes")
    destination, target = _destination(path, route), _target(data, path, route)
    routes = require(data, ROUTE_TABLE, vpc, route_table).get("routes", [])
    if _index(routes, destination) is not None or _is_local(data, vpc, destination):
        message = f"The route identified by {destination} already exists."
        raise EditError("RouteAlreadyExists", message, path, "replace or delete it")
    routes = [*routes, {"destination": destination, "target": target}]
    return change(data, ROUTE_TABLE, (vpc, route_table), {"routes": routes})


@operation
def replace_route(data: Data, *, vpc: str, route_table: str, **route: Unpack[Route]) -> Data:
    """Change the target of a route, as in create_route.

    The VPC's local route can be given one, too; `local_target` makes it local again.
    """
    path = (*ROUTE_TABLE.path(vpc, route_table), "routes")
    destination, target = _destination(path, route), _target(data, path, route)
    routes = require(data, ROUTE_TABLE, vpc, route_table).get("routes", [])
    index = _index(routes, destination)
    is_local = _is_local(data, vpc, destination)
    if index is None and not is_local:
        raise _no_route(path, route_table, destination)
    kept = [other for number, other in enumerate(routes) if number != index]
    if not (is_local and target == LOCAL):
        place = len(kept) if index is None else index
        kept.insert(place, {"destination": destination, "target": target})
    return change(data, ROUTE_TABLE, (vpc, route_table), {"routes": kept})


@operation
def delete_route(data: Data, *, vpc: str, route_table: str, **route: Unpack[Destination]) -> Data:
    """Delete a route; the local one cannot be deleted."""
    path = (*ROUTE_TABLE.path(vpc, route_table), "routes")
    destination = _destination(path, route)
    routes = require(data, ROUTE_TABLE, vpc, route_table).get("routes", [])
    if _is_local(data, vpc, destination):
        message = f"cannot remove local route {destination} in route table {route_table}"
        raise EditError("InvalidParameterValue", message, path, "replace it with local_target")
    index = _index(routes, destination)
    if index is None:
        raise _no_route(path, route_table, destination)
    kept = [other for number, other in enumerate(routes) if number != index]
    return change(data, ROUTE_TABLE, (vpc, route_table), {"routes": kept})


@operation
def enable_vgw_route_propagation(data: Data, *, vpc: str, route_table: str) -> Data:
    """Propagate the routes of the VPC's virtual private gateway to a route table."""
    if require(data, VPC, vpc).get("virtual_private_gateway") is None:
        message = f"no virtual private gateway is attached to the network {vpc}"
        path = (*VPC.path(vpc), "virtual_private_gateway")
        raise EditError("Gateway.NotAttached", message, path, "attach one")
    return change(data, ROUTE_TABLE, (vpc, route_table), {"propagate": True})


@operation
def disable_vgw_route_propagation(data: Data, *, vpc: str, route_table: str) -> Data:
    """Stop propagating the virtual private gateway's routes to a route table."""
    return change(data, ROUTE_TABLE, (vpc, route_table), {"propagate": None})


def _table_of(data: Data, vpc: str, subnet: str) -> str | None:
    """Return the route table that a subnet is associated with; None for the main one by default."""
    tables = entries(data, ROUTE_TABLE, vpc)
    return next((t for t in tables if subnet in map(str, tables[t].get("subnets", []))), None)


def _disassociated(data: Data, vpc: str, subnet: str) -> Data:
    require(data, SUBNET, vpc, subnet)
    owner = _table_of(data, vpc, subnet)
    if owner is None:
        message = f"The association of the subnet '{subnet}' does not exist"
        path = (*VPC.path(vpc), "route_tables")
        raise EditError("InvalidAssociationID.NotFound", message, path)
    subnets = without(entries(data, ROUTE_TABLE, vpc)[owner]["subnets"], [subnet])
    return change(data, ROUTE_TABLE, (vpc, owner), {"subnets": subnets})


def _target(data: Data, path: Path, given: Route) -> str:
    """Return a route's target as the document has it."""
    kind, name = one_of(path, Target, given)
    if kind == "local_target":
        return LOCAL
    if kind == "local_gateway" and name is True:
        name = _only_outpost(data, path)
    word = kind.replace("_", "-")
    return word if name is True else f"{name}.{word}"


def _destination(path: Path, given: Destination | Route) -> str:
    _, destination = one_of(path, Destination, given)
    return str(destination)


def _only_outpost(data: Data, path: Path) -> str:
    names = list(entries(data, OUTPOST))
    if len(names) == 1:
        return str(names[0])
    message = f"there are {len(names)} Outposts with local gateways"
    remedy = f"name one: {', '.join(names)}" if names else "create an Outpost"
    raise EditError("InvalidLocalGatewayID.NotFound", message, path, remedy)


def _index(routes: list[Data], destination: str) -> int | None:
    return next(
        (i for i, route in enumerate(routes) if same_block(route["destination"], destination)), None
    )


def _is_local(data: Data, vpc: str, destination: str) -> bool:
    """Whether a destination is that of the VPC's local route."""
    blocks = (lookup(data, ("vpcs", vpc, key)) for key in ("cidr", "ipv6_cidr"))
    return any(block is not None and same_block(block, destination) for block in blocks)


def _no_route(path: Path, table: str, destination: str) -> EditError:
    message = f"no route with destination-cidr-block {destination} in route table {table}"
    return EditError("InvalidRoute.NotFound", message, path)
