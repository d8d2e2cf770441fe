"""Local gateways: route tables, routes, associations, customer-owned IP pools.

A rack has one local gateway with one route table, which go by the Outpost's name. With routing
domains (second-generation racks) each has a route table, OUTPOST/DOMAIN.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Unpack

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing import implied
from testbed.topology.editing.arguments import one_of, only_known, same_block, without
from testbed.topology.editing.change import EditError, make_operation, operation
from testbed.topology.editing.keyed import (
    KEYS,
    Part,
    any_of,
    by_key,
    keys_of,
    operation_on,
    parameter,
)
from testbed.topology.editing.kinds import COIP_POOL, DOMAINS_POOL, OUTPOST, ROUTING_DOMAIN, VPC
from testbed.topology.editing.kinds import LOCAL_GATEWAY_ROUTE_TABLE as TABLE
from testbed.topology.editing.named import Kind, add, change, refuse_used, remove, require
from testbed.topology.editing.tree import ANY, Data, find
from testbed.topology.schema import RoutingDomainForm

GATEWAY = "local_gateway"
VIF_GROUP = "vif-group"
DIRECT = "direct-vpc-routing"
TABLES_OWN = ("mode", "vif_group", "vpcs", "routes", "coip_pools", "vifs")  # have operations


class Target(TypedDict, total=False):
    """A local gateway route's target: the VIF group, or a network interface."""

    local_gateway_virtual_interface_group: Literal[True]
    network_interface: str
    instance: str


@operation
def create_local_gateway_route_table(
    data: Data, *, local_gateway_route_table: str, mode: Literal["direct-vpc-routing", "coip"]
) -> Data:
    """Create the route table of a rack's local gateway after the previous one was deleted.

    It is inactive until it has a VIF group, a VPC and a route to the VIF group. OUTPOST/DOMAIN
    is that of a new routing domain, with its VIF group and the default route.
    """
    name = local_gateway_route_table
    if "/" in name:
        return add(data, ROUTING_DOMAIN, _names(name), {"mode": mode})
    gateway = _gateway(data, name)
    path = _path(name)
    if _uses(data, name) or _routes(data, name) or gateway.get("mode", DIRECT) != DIRECT:
        message = f"The local gateway of {name} has a route table, and room for one"
        raise EditError("LocalGatewayRouteTableLimitExceeded", message, path, "delete it first")
    return _changed(data, name, {"mode": mode})


@operation
def delete_local_gateway_route_table(data: Data, *, local_gateway_route_table: str) -> Data:
    """Delete a rack's local gateway route table, which must have no associations or pools.

    What is left is inactive: it announces and forwards nothing. Of a routing domain nothing is
    left, with the association to its VIF group.
    """
    name = local_gateway_route_table
    _gateway(data, name)
    message = f"The local gateway route table '{name}' has dependencies and cannot be deleted."
    refuse_used(_uses(data, name), EditError("DependencyViolation", message, _path(name)))
    if "/" in name:
        return remove(data, ROUTING_DOMAIN, *_names(name))
    return _changed(data, name, {"mode": None, "routes": []})


@operation
def create_local_gateway_route(
    data: Data,
    *,
    local_gateway_route_table: str,
    destination_cidr_block: str,
    **target: Unpack[Target],
) -> Data:
    """Create a static route to the VIF group (True), or to a network interface."""
    name = local_gateway_route_table
    route = _route(name, destination_cidr_block, target)
    routes = _routes(data, name)
    if _index(routes, destination_cidr_block) is not None:
        message = f"The route identified by {destination_cidr_block} already exists."
        raise EditError("RouteAlreadyExists", message, (*_path(name), "routes"), "modify it")
    return _with_routes(data, name, [*routes, route])


@operation
def modify_local_gateway_route(
    data: Data,
    *,
    local_gateway_route_table: str,
    destination_cidr_block: str,
    **target: Unpack[Target],
) -> Data:
    """Change the target of a static route."""
    name = local_gateway_route_table
    route = _route(name, destination_cidr_block, target)
    routes, index = _found(data, name, destination_cidr_block)
    return _with_routes(data, name, [*routes[:index], route, *routes[index + 1 :]])


@operation
def delete_local_gateway_route(
    data: Data, *, local_gateway_route_table: str, destination_cidr_block: str
) -> Data:
    """Delete a static route."""
    name = local_gateway_route_table
    routes, index = _found(data, name, destination_cidr_block)
    return _with_routes(data, name, [*routes[:index], *routes[index + 1 :]])


@operation
def create_local_gateway_route_table_virtual_interface_group_association(
    data: Data, *, local_gateway_route_table: str
) -> Data:
    """Associate a rack's local gateway route table with its VIF group."""
    name = local_gateway_route_table
    if _gateway(data, name).get("vif_group", True):
        message = f"The route table {name} is already associated with the VIF group"
        raise EditError("Resource.AlreadyAssociated", message, (*_path(name), "vif_group"))
    return _changed(data, name, {"vif_group": None})


@operation
def delete_local_gateway_route_table_virtual_interface_group_association(
    data: Data, *, local_gateway_route_table: str
) -> Data:
    """End the association of a rack's local gateway route table with its VIF group."""
    name = local_gateway_route_table
    if not _gateway(data, name).get("vif_group", True):
        code = "InvalidLocalGatewayRouteTableVirtualInterfaceGroupAssociationID.NotFound"
        message = f"The route table {name} is not associated with the VIF group"
        raise EditError(code, message, (*_path(name), "vif_group"))
    return _changed(data, name, {"vif_group": False})


@operation
def create_local_gateway_route_table_vpc_association(
    data: Data, *, local_gateway_route_table: str, vpc: str
) -> Data:
    """Associate a VPC with a local gateway route table."""
    name = local_gateway_route_table
    require(data, VPC, vpc)
    vpcs = _vpcs(data, name)
    if vpc in vpcs:
        message = f"The VPC {vpc} is already associated with the route table {name}"
        raise EditError("Resource.AlreadyAssociated", message, (*_path(name), "vpcs"))
    return _with_vpcs(data, name, [*vpcs, vpc])


@operation
def delete_local_gateway_route_table_vpc_association(
    data: Data, *, local_gateway_route_table: str, vpc: str
) -> Data:
    """End a VPC's association; refused while its route tables have routes to the local gateway."""
    name = local_gateway_route_table
    vpcs = _vpcs(data, name)
    path = (*_path(name), "vpcs")
    if vpc not in vpcs:
        code = "InvalidLocalGatewayRouteTableVpcAssociationID.NotFound"
        message = f"The VPC {vpc} is not associated with the route table {name}"
        raise EditError(code, message, path)
    routes = find(data, "vpcs", vpc, "route_tables", ANY, "routes", ANY, "target")
    message = f"The vpc '{vpc}' has routes to the local gateway of {name}"
    error = EditError("DependencyViolation", message, path)
    target = f"{_names(name)[0]}.local-gateway"
    refuse_used((use for use, to in routes if str(to) == target), error)
    return _with_vpcs(data, name, without(vpcs, [vpc]))


@operation
def create_coip_pool(
    data: Data, *, local_gateway_route_table: str, coip_pool: str, cidrs: list[str] | None = None
) -> Data:
    """Create a pool of customer-owned IP addresses, with CIDR blocks or none yet."""
    kind, names = _pool(data, local_gateway_route_table, coip_pool)
    return add(data, kind, names, {"cidrs": cidrs})


@operation
def delete_coip_pool(data: Data, *, local_gateway_route_table: str, coip_pool: str) -> Data:
    """Delete a pool whose addresses no subnet and no network interface uses."""
    kind, names = _pool(data, local_gateway_route_table, coip_pool)
    return remove(data, kind, *names)


@operation
def create_coip_cidr(
    data: Data, *, local_gateway_route_table: str, coip_pool: str, cidr: str
) -> Data:
    """Add a CIDR block, a /26 or larger, to a pool."""
    kind, names = _pool(data, local_gateway_route_table, coip_pool)
    cidrs = require(data, kind, *names).get("cidrs", [])
    if any(same_block(other, cidr) for other in cidrs):
        path = (*kind.path(*names), "cidrs")
        raise EditError("InvalidParameterValue", f"{cidr} is in the pool {coip_pool}", path)
    return change(data, kind, names, {"cidrs": [*cidrs, cidr]})


@operation
def delete_coip_cidr(
    data: Data, *, local_gateway_route_table: str, coip_pool: str, cidr: str
) -> Data:
    """Remove a CIDR block from a pool."""
    kind, names = _pool(data, local_gateway_route_table, coip_pool)
    cidrs = require(data, kind, *names).get("cidrs", [])
    path = (*kind.path(*names), "cidrs")
    message = f"{{}} is not in the pool {coip_pool}"
    only_known(cidrs, [cidr], EditError("InvalidParameterValue", message, path))
    return change(data, kind, names, {"cidrs": without(cidrs, [cidr])})


def _modify_domain(data: Data, *, local_gateway_route_table: str, **given: Any) -> Data:
    name = local_gateway_route_table
    if "/" not in name:
        require(data, TABLE, name)
        remedy = f"name one of its routing domains: {name}/DOMAIN"
        raise EditError("InvalidParameterValue", f"{name} is an Outpost", _path(name), remedy)
    return change(data, ROUTING_DOMAIN, _names(name), by_key(DOMAIN_KEYS, given))


DOMAIN_KEYS = keys_of(RoutingDomainForm, TABLES_OWN)
modify_routing_domain = make_operation(
    "modify_routing_domain",
    _modify_domain,
    [parameter("local_gateway_route_table", str), *any_of(DOMAIN_KEYS)],
    f"Change keys of a routing domain; {KEYS}.",
)
modify_local_gateway = operation_on(
    "modify_local_gateway",
    Part(
        "an Outpost's local gateway",
        (GATEWAY,),
        OUTPOST,
        "outpost",
        but=(*TABLES_OWN, "routing_domains"),
    ),
)


def _names(table: str) -> tuple[str, ...]:
    """Return the names in a route table's: the Outpost's, and the routing domain's if any."""
    return tuple(table.split("/", 1))


def _inside(name: str) -> Path:
    """Return where a route table is in its Outpost."""
    _, *domain = _names(name)
    return (GATEWAY, "routing_domains", *domain) if domain else (GATEWAY,)


def _path(name: str) -> Path:
    return (*TABLE.path(_names(name)[0]), *_inside(name))


def _gateway(data: Data, name: str) -> Data:
    outpost, *domain = _names(name)
    if domain:
        found: Data = require(data, ROUTING_DOMAIN, outpost, *domain) or {}
        return found
    gateway: Data = require(data, TABLE, outpost).get(GATEWAY) or {}
    return gateway


def _changed(data: Data, name: str, values: Data) -> Data:
    _gateway(data, name)
    at = _inside(name)
    return change(data, TABLE, _names(name)[:1], {(*at, key): v for key, v in values.items()})


def _pool(data: Data, table: str, pool: str) -> tuple[Kind, tuple[str, ...]]:
    """Return a pool's kind, of which each routing domain has a mapping, and its names."""
    _gateway(data, table)
    return DOMAINS_POOL if "/" in table else COIP_POOL, (*_names(table), pool)


def _uses(data: Data, name: str) -> list[Path]:
    """Return what a route table has to be rid of before it can be deleted."""
    path = _path(name)
    uses: list[Path] = [(*path, "vpcs")] if _vpcs(data, name) else []
    if _gateway(data, name).get("vif_group", True):
        uses.append((*path, "vif_group"))
    return [
        *uses,
        *((*path, "coip_pools", pool) for pool in lookup(data, (*path, "coip_pools"), {})),
    ]


def _routes(data: Data, name: str) -> list[Data]:
    return list(_gateway(data, name).get("routes", implied.local_gateway_routes()))


def _with_routes(data: Data, name: str, routes: list[Data]) -> Data:
    written = None if routes == implied.local_gateway_routes() else routes
    return _changed(data, name, {"routes": written})


def _vpcs(data: Data, name: str) -> list[str]:
    given = _gateway(data, name).get("vpcs")
    return _implied_vpcs(data, name) if given is None else [str(v) for v in given]


def _implied_vpcs(data: Data, name: str) -> list[str]:
    """Return the VPCs of a table that says nothing of them; a routing domain has none."""
    return [] if "/" in name else implied.local_gateway_vpcs(data, name)


def _with_vpcs(data: Data, name: str, vpcs: list[str]) -> Data:
    same = sorted(vpcs) == sorted(_implied_vpcs(data, name))
    return _changed(data, name, {"vpcs": None if same else vpcs})


def _route(name: str, destination: str, given: Target) -> Data:
    kind, target = one_of((*_path(name), "routes"), Target, given)
    if kind == "local_gateway_virtual_interface_group":
        return {"destination": destination}
    return {"destination": destination, "target": f"{target}.{kind.replace('_', '-')}"}


def _index(routes: list[Data], destination: str) -> int | None:
    return next(
        (i for i, route in enumerate(routes) if same_block(route["destination"], destination)), None
    )


def _found(data: Data, name: str, destination: str) -> tuple[list[Data], int]:
    routes = _routes(data, name)
    index = _index(routes, destination)
    if index is None:
        message = f"no route with destination-cidr-block {destination} in route table {name}"
        raise EditError("InvalidRoute.NotFound", message, (*_path(name), "routes"))
    return routes, index
