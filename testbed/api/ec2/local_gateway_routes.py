"""Routes of local gateway route tables, with the state that the kernel says they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import Any, Final

from testbed.api.ec2.local_gateways import GROUP, common, require_table
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Result, Work, changes, edit, looks
from testbed.api.racks import Table, table_of
from testbed.api.world import World
from testbed.lower.names import local_gateway
from testbed.topology import editing
from testbed.topology.editing.change import Change

Row = dict[str, Any]
INTERFACE: Final = "network-interface"


def routes(world: World, table: Table) -> Iterator[Row]:
    """Find the routes of a local gateway's route table: static ones, then propagated ones."""
    states = _states(world, table)
    gateway = table.domain
    for route in gateway.routes:
        destination = str(route.destination)
        row = {"DestinationCidrBlock": destination, "Type": "static", **common(world, table)}
        if route.interface is None:
            row["LocalGatewayVirtualInterfaceGroupId"] = world.id(GROUP, table.name)
        else:
            row[_MEMBER] = world.id(INTERFACE, route.interface)
        row["State"] = states.get(("static", destination), "pending" if gateway.lacks else "active")
        yield row
    taken = {str(route.destination) for route in gateway.routes}
    for destination, members in _propagated(world, table):
        if destination not in taken and not gateway.lacks:
            row = {"DestinationCidrBlock": destination, "Type": "propagated", **members}
            state = states.get(("propagated", destination), "active")
            yield {**row, **common(world, table), "State": state}


_MEMBER: Final = "NetworkInterfaceId"


def _propagated(world: World, table: Table) -> Iterator[tuple[str, Row]]:
    gateway = table.domain
    if gateway.mode == "coip":
        for pool in gateway.pools:
            for cidr in pool.cidrs:
                yield str(cidr), {"CoipPoolId": world.id("coip-pool", table.name, pool.name)}
        return
    for subnet in world.topology.announced_subnets(table.rack, table.domain):
        yield str(subnet.cidr), {"SubnetId": world.id("subnet", subnet.vpc, subnet.name)}


def _states(world: World, table: Table) -> dict[tuple[str, str], str]:
    """Return what `testbed status` says of the routes, by type and destination."""
    for row in world.states.get("local_gateways", []):
        if row["node"] == local_gateway(table.rack, table.domain):
            return {(r["type"], r["destination"]): r["state"] for r in row["routes"]}
    return {}


@looks("SearchLocalGatewayRoutes", states=True)
def search_local_gateway_routes(ask: Ask) -> Result:
    """Search for routes in a route table."""
    found = list(routes(ask.world, require_table(ask)))
    for given in ask.get("Filters") or []:
        test = _test(str(given.get("Name")), [str(value) for value in given.get("Values") or []])
        found = [row for row in found if test(row)]
    return {"Routes": found}


def _test(name: str, values: list[str]) -> Callable[[Row], bool]:
    """Return what a filter of this operation lets through (AWS: SearchLocalGatewayRoutes)."""
    members = {"state": "State", "type": "Type", "prefix-list-id": "DestinationPrefixListId"}
    if name in members:
        return lambda row: any(fnmatchcase(row.get(members[name], ""), v) for v in values)
    try:
        networks = [ip_network(value, strict=False) for value in values]
    except ValueError:
        message = f"Value ({values}) for parameter {name} is invalid."
        raise ApiError("InvalidParameterValue", message) from None

    def within(row: Row, test: Callable[[Any, Any], bool]) -> bool:
        own = ip_network(row["DestinationCidrBlock"])
        return any(own.version == each.version and test(own, each) for each in networks)

    match name:
        case "route-search.exact-match":
            return lambda row: within(row, lambda own, each: own == each)
        case "route-search.longest-prefix-match" | "route-search.supernet-of-match":
            return lambda row: within(row, lambda own, each: each.subnet_of(own))
        case "route-search.subnet-of-match":
            return lambda row: within(row, lambda own, each: own.subnet_of(each))
        case _:
            raise ApiError("InvalidParameterValue", f"The filter '{name}' is invalid")


def _target(ask: Ask, table: Table) -> dict[str, Any]:
    key = "LocalGatewayVirtualInterfaceGroupId"
    if ask.given(key, _MEMBER) is ask.get(key):
        [owner] = ask.names(GROUP, key)
        if owner != table.name:
            message = "The VIF group and the route table are of different local gateways"
            raise ApiError("InvalidParameterValue", message)
        return {"local_gateway_virtual_interface_group": True}
    return {"network_interface": ask.name(INTERFACE, _MEMBER)}


def _destination(ask: Ask) -> str:
    if "DestinationPrefixListId" in ask.parameters:
        message = "Prefix lists as destinations of a local gateway's routes are not emulated here."
        raise ApiError("UnsupportedOperation", message)
    return str(ask.given("DestinationCidrBlock"))


def _with_route(ask: Ask, operation: Callable[..., Change]) -> Work:
    table, destination = require_table(ask), _destination(ask)
    if not table.domain.vif_group and "LocalGatewayVirtualInterfaceGroupId" in ask.parameters:
        message = (
            f"The local gateway route table {ask['LocalGatewayRouteTableId']} is not associated"
            f" with the virtual interface group {ask['LocalGatewayVirtualInterfaceGroupId']}"
        )
        raise ApiError("InvalidParameterValue", message)
    change = operation(
        local_gateway_route_table=table.name,
        destination_cidr_block=destination,
        **_target(ask, table),
    )

    def answer(world: World) -> Result:
        now = table_of(world.topology, table.name)
        wanted = str(ip_network(destination, strict=False))
        row = next(r for r in routes(world, now) if r["DestinationCidrBlock"] == wanted)
        return {"Route": row}

    return Work(change=edit(change), answer=answer)


@changes("CreateLocalGatewayRoute")
def create_local_gateway_route(ask: Ask) -> Work:
    """Create a static route to the VIF group, or to a network interface."""
    return _with_route(ask, editing.create_local_gateway_route)


@changes("ModifyLocalGatewayRoute")
def modify_local_gateway_route(ask: Ask) -> Work:
    """Give a static route another target."""
    return _with_route(ask, editing.modify_local_gateway_route)


@changes("DeleteLocalGatewayRoute")
def delete_local_gateway_route(ask: Ask) -> Work:
    """Delete a static route."""
    table, destination = require_table(ask), _destination(ask)
    change = editing.delete_local_gateway_route(
        local_gateway_route_table=table.name, destination_cidr_block=destination
    )
    there = {row["DestinationCidrBlock"]: row for row in routes(ask.world, table)}
    row = {**there.get(destination, {"DestinationCidrBlock": destination}), "State": "deleting"}
    return Work(change=edit(change), answer=lambda _: {"Route": row})
