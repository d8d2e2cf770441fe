"""Routes of VPC route tables, with the state that the kernel says they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.operations import DONE, Ask, Params, Work, changes, edit
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.editing.change import Change
from testbed.topology.ids import ACCOUNT, ResourceType
from testbed.topology.model import RouteTable, Target, Topology, Vpc

DESTINATIONS = {
    "DestinationCidrBlock": "destination_cidr_block",
    "DestinationIpv6CidrBlock": "destination_ipv6_cidr_block",
}
TARGETS: dict[str, tuple[str, ResourceType]] = {
    "NatGatewayId": ("nat_gateway", "natgateway"),
    "TransitGatewayId": ("transit_gateway", "transit-gateway"),
    "VpcPeeringConnectionId": ("vpc_peering_connection", "vpc-peering-connection"),
    "LocalGatewayId": ("local_gateway", "local-gateway"),
    "NetworkInterfaceId": ("network_interface", "network-interface"),
    "InstanceId": ("instance", "instance"),
    "VpcEndpointId": ("vpc_endpoint", "vpc-endpoint"),
}
# What GatewayId may be, by the prefix of the identifier.
GATEWAYS: dict[str, tuple[str, ResourceType]] = {
    "igw": ("internet_gateway", "internet-gateway"),
    "vgw": ("virtual_private_gateway", "vpn-gateway"),
}


def describe_routes(world: World, vpc: Vpc, table: RouteTable) -> list[dict[str, Any]]:
    """Return the routes of a table as answers have them: local, static, propagated."""
    states = _states(world, vpc.name, table.name)
    written = _written(world, vpc.name, table.name)
    rows = []
    blocks = [vpc.cidr] if vpc.ipv6_cidr is None else [vpc.cidr, vpc.ipv6_cidr]
    for block in map(str, blocks):
        if block not in written:
            local = {"GatewayId": "local"}
            rows.append(_route(world, block, local, "CreateRouteTable", "active"))
    for destination, target in written.items():
        members = _target(world, vpc, Target(*_split(target)))
        state = states.pop(destination, {}).get("state", "active")
        is_local = destination in map(str, blocks)
        origin = "CreateRouteTable" if is_local else "CreateRoute"
        rows.append(_route(world, destination, members, origin, state))
    for endpoint in vpc.endpoints:
        if table.name in endpoint.route_tables:
            name = world.topology.region.prefix_list_of(endpoint.service)
            gateway = {"GatewayId": world.id("vpc-endpoint", vpc.name, endpoint.name)}
            rows.append(_route(world, name, gateway, "CreateRoute", "active"))
    for destination, row in states.items():
        if row.get("origin") == "EnableVgwRoutePropagation":
            gateway = {"GatewayId": world.id("vpn-gateway", vpc.name)}
            rows.append(_route(world, destination, gateway, row["origin"], row["state"]))
    return rows


def _states(world: World, vpc: str, table: str) -> dict[str, dict[str, Any]]:
    """Return what `testbed status` says of a table's routes, by destination.

    A table's routes are in the routers of its VPC in the Region and on each Outpost: one is a
    blackhole where any of them has it so.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in world.states.get("route_tables", []):
        if (row.get("owner"), row.get("route_table")) == (vpc, table):
            known = found.get(row["destination"])
            if known is None or row["state"] == "blackhole":
                found[row["destination"]] = row
    return found


def _written(world: World, vpc: str, table: str) -> dict[str, str]:
    """Return the routes that the document has, by destination."""
    tables = (world.data["vpcs"][vpc] or {}).get("route_tables") or {}
    routes = (tables.get(table) or {}).get("routes") or []
    return {str(route["destination"]): str(route["target"]) for route in routes}


def _split(target: str) -> tuple[Any, str]:
    """Return the kind and the name of a target as the document has it."""
    name, dot, kind = target.rpartition(".")
    return (kind, name) if dot else (target, "")


def _target(world: World, vpc: Vpc, target: Target) -> dict[str, Any]:
    """Return the members of a route that have its target."""
    name = target.name
    topology = world.topology
    single: dict[str, tuple[str, ResourceType, tuple[str, ...]]] = {
        "internet-gateway": ("GatewayId", "internet-gateway", ()),
        "virtual-private-gateway": ("GatewayId", "vpn-gateway", ()),
        "egress-only-internet-gateway": (
            "EgressOnlyInternetGatewayId",
            "egress-only-internet-gateway",
            (),
        ),
        "nat-gateway": ("NatGatewayId", "natgateway", (name,)),
        "vpc-endpoint": ("GatewayId", "vpc-endpoint", (name,)),
    }
    if target.kind == "local":
        return {"GatewayId": "local"}
    if target.kind in single:
        member, resource, own = single[target.kind]
        return {member: world.id(resource, vpc.name, *own)}
    if target.kind in ("instance", "network-interface"):
        return _interface(world, topology, name)
    member, resource = next((m, k) for m, (_, k) in TARGETS.items() if k == target.kind)
    return {member: world.id(resource, name)}


def _interface(world: World, topology: Topology, name: str) -> dict[str, Any]:
    interface = topology.network_interfaces[name]
    row = {"NetworkInterfaceId": world.id("network-interface", name)}
    if interface.instance:
        id_ = world.id("instance", interface.instance)
        row |= {"InstanceId": id_, "InstanceOwnerId": ACCOUNT}
    return row


def _route(
    world: World, destination: str, members: dict[str, Any], origin: str, state: str
) -> dict[str, Any]:
    row = {"Origin": origin, "State": state, **members}
    if ":" in destination:
        return {"DestinationIpv6CidrBlock": destination, **row}
    if destination in world.topology.region.prefix_lists:
        return {"DestinationPrefixListId": world.id("prefix-list", destination), **row}
    return {"DestinationCidrBlock": destination, **row}


def _asked(ask: Ask, vpc: str) -> dict[str, Any]:
    """Return the destination and the target of a call, as editing has them."""
    return _destination(ask) | _wanted(ask, vpc)


def _destination(ask: Ask) -> dict[str, Any]:
    given = {name: ask[key] for key, name in DESTINATIONS.items() if key in ask.parameters}
    if "DestinationPrefixListId" in ask.parameters:
        given["destination_prefix_list"] = ask.name("prefix-list", "DestinationPrefixListId")
    return given


def _wanted(ask: Ask, vpc: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, (name, kind) in TARGETS.items():
        if key in ask.parameters:
            found[name] = ask.name(kind, key)
    if ask.get("LocalTarget") or ask.get("GatewayId") == "local":
        found["local_target"] = True
    elif "GatewayId" in ask.parameters:
        found |= _gateway(ask, vpc, ask["GatewayId"])
    if "EgressOnlyInternetGatewayId" in ask.parameters:
        key = "EgressOnlyInternetGatewayId"
        _attached(ask, vpc, "egress-only-internet-gateway", ask[key])
        found["egress_only_internet_gateway"] = True
    for key in ("CarrierGatewayId", "CoreNetworkArn", "OdbNetworkArn"):
        if key in ask.parameters:
            raise ApiError("UnsupportedOperation", f"{key} is not emulated here.")
    return found


def _gateway(ask: Ask, vpc: str, id_: str) -> dict[str, Any]:
    for prefix, (name, kind) in GATEWAYS.items():
        if id_.startswith(f"{prefix}-"):
            _attached(ask, vpc, kind, id_)
            return {name: True}
    if id_.startswith("vpce-"):
        return {"vpc_endpoint": ask.find("vpc-endpoint", id_)[-1]}
    raise ApiError("InvalidGatewayID.NotFound", f"The gateway ID '{id_}' does not exist")


def _attached(ask: Ask, vpc: str, kind: ResourceType, id_: str) -> None:
    """Raise ApiError where a gateway is not the one of a VPC."""
    attached = ask.world.topology.vpcs[vpc]
    has = {
        "internet-gateway": attached.internet_gateway,
        "egress-only-internet-gateway": attached.egress_only_internet_gateway,
        "vpn-gateway": attached.virtual_private_gateway is not None,
    }[kind]
    if has and ask.world.id(kind, vpc) == id_:
        return
    if id_ not in ask.world.objects and not any(
        ask.world.id(kind, other) == id_ for other in ask.world.topology.vpcs
    ):
        raise ApiError("InvalidGatewayID.NotFound", f"The gateway ID '{id_}' does not exist")
    network = ask.world.id("vpc", vpc)
    message = f"route table {ask['RouteTableId']} and network gateway {id_} belong to different"
    raise ApiError("InvalidParameterValue", f"{message} networks ({network})")


def _change(ask: Ask, operation: Callable[..., Change], given: Params) -> Work:
    vpc, table = ask.names("route-table", "RouteTableId")
    change = operation(vpc=vpc, route_table=table, **given)
    return Work(change=edit(change), answer=DONE)


@changes("CreateRoute")
def create_route(ask: Ask) -> Work:
    """Create a route."""
    vpc, _ = ask.names("route-table", "RouteTableId")
    return _change(ask, editing.create_route, _asked(ask, vpc))


@changes("ReplaceRoute")
def replace_route(ask: Ask) -> Work:
    """Give a route another target."""
    vpc, _ = ask.names("route-table", "RouteTableId")
    work = _change(ask, editing.replace_route, _asked(ask, vpc))
    return Work(change=work.change, answer=lambda _: {})


@changes("DeleteRoute")
def delete_route(ask: Ask) -> Work:
    """Delete a route."""
    work = _change(ask, editing.delete_route, _destination(ask))
    return Work(change=work.change, answer=lambda _: {})
