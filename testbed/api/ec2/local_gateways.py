"""Local gateways, their route tables, VIF groups and VIFs, and associations.

A first-generation rack comes with its VIFs in one VIF group; its local gateway has room for
one route table (facts: L1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.records import record
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT, ResourceType
from testbed.topology.model import Lag, Outpost

GATEWAY: Final = "local-gateway"
TABLE: Final = "local-gateway-route-table"
VIF: Final = "local-gateway-virtual-interface"
GROUP: Final = "local-gateway-virtual-interface-group"
TO_VPC: Final = "local-gateway-route-table-vpc-association"
TO_GROUP: Final = "local-gateway-route-table-virtual-interface-group-association"
DIRECT: Final = "direct-vpc-routing"
SHORT = 2**31  # an ASN from there on does not fit where an ASN is a signed number of 32 bits
Row = dict[str, Any]


def has_table(world: World, outpost: Outpost) -> bool:
    """Whether a local gateway's route table is there: it has something, or was created."""
    id_ = world.id(TABLE, outpost.name)
    entry = world.records.get(id_)
    if entry is not None:
        return not entry.get("deleted")
    gateway = outpost.local_gateway
    something = gateway.vif_group or gateway.vpcs or gateway.routes or gateway.pools
    return bool(something) or gateway.mode != DIRECT


def tables(world: World) -> Iterator[Outpost]:
    """Find the Outposts whose local gateway has a route table."""
    for outpost in world.topology.outposts.values():
        if has_table(world, outpost):
            yield outpost


def require_table(ask: Ask, key: str = "LocalGatewayRouteTableId") -> Outpost:
    """Return the Outpost of the route table that a parameter identifies."""
    [name] = ask.names(TABLE, key)
    outpost = ask.world.topology.outposts[name]
    if not has_table(ask.world, outpost):
        message = f"The local gateway route table ID '{ask[key]}' does not exist"
        raise ApiError("InvalidLocalGatewayRouteTableID.NotFound", message)
    return outpost


def common(world: World, outpost: Outpost) -> Row:
    """Return the members that rows about a local gateway's route table have."""
    id_ = world.id(TABLE, outpost.name)
    return {
        "LocalGatewayRouteTableId": id_,
        "LocalGatewayRouteTableArn": world.arn(TABLE, id_),
        "OwnerId": ACCOUNT,
    }


def asn(key: str, number: int) -> Row:
    """Return an ASN under the member that has room for it."""
    return {key: number} if number < SHORT else {key: 0, f"{key}Extended": number}


def _gateway(world: World, outpost: Outpost) -> Row:
    id_ = world.id(GATEWAY, outpost.name)
    return {
        "LocalGatewayId": id_,
        "OutpostArn": world.outpost_arn(outpost.name),
        "OwnerId": ACCOUNT,
        "State": "available",
        "Tags": world.tags(id_),
    }


def _table(world: World, outpost: Outpost) -> Row:
    row = common(world, outpost)
    id_ = row["LocalGatewayRouteTableId"]
    lacks = outpost.local_gateway.lacks
    inactive = {"Code": "inactive", "Message": f"It lacks: {', '.join(lacks)}"} if lacks else None
    row |= {
        "LocalGatewayId": world.id(GATEWAY, outpost.name),
        "OutpostArn": world.outpost_arn(outpost.name),
        "State": world.state(id_),
        "Mode": outpost.local_gateway.mode,
        "Tags": world.tags(id_),
    }
    return row | ({"StateReason": inactive} if inactive else {})


def _group(world: World, outpost: Outpost) -> Row:
    id_ = world.id(GROUP, outpost.name)
    return {
        "LocalGatewayVirtualInterfaceGroupId": id_,
        "LocalGatewayVirtualInterfaceGroupArn": world.arn(GROUP, id_),
        "LocalGatewayVirtualInterfaceIds": [
            world.id(VIF, outpost.name, str(lag.device)) for lag in outpost.lags
        ],
        "LocalGatewayId": world.id(GATEWAY, outpost.name),
        "OwnerId": ACCOUNT,
        "ConfigurationState": "available",
        "Tags": world.tags(id_),
        **asn("LocalBgpAsn", outpost.local_gateway.asn),
    }


def _vif(world: World, outpost: Outpost, lag: Lag) -> Row:
    vif = lag.local_gateway
    id_ = world.id(VIF, outpost.name, str(lag.device))
    return {
        "LocalGatewayVirtualInterfaceId": id_,
        "LocalGatewayVirtualInterfaceArn": world.arn(VIF, id_),
        "LocalGatewayVirtualInterfaceGroupId": world.id(GROUP, outpost.name),
        "LocalGatewayId": world.id(GATEWAY, outpost.name),
        "Vlan": vif.vlan,
        "LocalAddress": str(vif.local_address),
        "PeerAddress": str(vif.peer_address),
        "LocalBgpAsn": vif.local_bgp_asn if vif.local_bgp_asn < SHORT else 0,
        "OwnerId": ACCOUNT,
        "ConfigurationState": "available",
        "Tags": world.tags(id_),
        **asn("PeerBgpAsn", vif.peer_bgp_asn),
    }


def _to_vpc(world: World, outpost: Outpost, vpc: str, state: str | None = None) -> Row:
    id_ = world.id(TO_VPC, outpost.name, vpc)
    settled = world.state(id_, pending="associating", ready="associated")
    return {
        "LocalGatewayRouteTableVpcAssociationId": id_,
        **common(world, outpost),
        "LocalGatewayId": world.id(GATEWAY, outpost.name),
        "VpcId": world.id("vpc", vpc),
        "State": state or settled,
        "Tags": world.tags(id_),
    }


def _to_group(world: World, outpost: Outpost, state: str | None = None) -> Row:
    id_ = world.id(TO_GROUP, outpost.name)
    settled = world.state(id_, pending="associating", ready="associated")
    return {
        "LocalGatewayRouteTableVirtualInterfaceGroupAssociationId": id_,
        "LocalGatewayVirtualInterfaceGroupId": world.id(GROUP, outpost.name),
        **common(world, outpost),
        "LocalGatewayId": world.id(GATEWAY, outpost.name),
        "State": state or settled,
        "Tags": world.tags(id_),
    }


def _select(ask: Ask, rows: list[Row], kind: ResourceType, member: str) -> Result:
    """Return the rows that a call asks for, under the plural of the member with their ids."""
    key = f"{member}s"
    return {key: select(ask, rows, key, ids=(f"{member}Ids", f"{member}Id", kind))}


@looks("DescribeLocalGateways")
def describe_local_gateways(ask: Ask) -> Result:
    """Describe local gateways."""
    rows = [_gateway(ask.world, outpost) for outpost in ask.world.topology.outposts.values()]
    return _select(ask, rows, GATEWAY, "LocalGateway")


@looks("DescribeLocalGatewayRouteTables")
def describe_local_gateway_route_tables(ask: Ask) -> Result:
    """Describe route tables of local gateways."""
    rows = [_table(ask.world, outpost) for outpost in tables(ask.world)]
    return _select(ask, rows, TABLE, "LocalGatewayRouteTable")


@looks("DescribeLocalGatewayVirtualInterfaceGroups")
def describe_local_gateway_virtual_interface_groups(ask: Ask) -> Result:
    """Describe VIF groups."""
    rows = [_group(ask.world, outpost) for outpost in ask.world.topology.outposts.values()]
    return _select(ask, rows, GROUP, "LocalGatewayVirtualInterfaceGroup")


@looks("DescribeLocalGatewayVirtualInterfaces")
def describe_local_gateway_virtual_interfaces(ask: Ask) -> Result:
    """Describe VIFs."""
    outposts = ask.world.topology.outposts.values()
    rows = [_vif(ask.world, outpost, lag) for outpost in outposts for lag in outpost.lags]
    return _select(ask, rows, VIF, "LocalGatewayVirtualInterface")


@looks("DescribeLocalGatewayRouteTableVpcAssociations")
def describe_local_gateway_route_table_vpc_associations(ask: Ask) -> Result:
    """Describe which VPCs route tables are associated with."""
    rows = [
        _to_vpc(ask.world, outpost, vpc)
        for outpost in tables(ask.world)
        for vpc in outpost.local_gateway.vpcs
    ]
    return _select(ask, rows, TO_VPC, "LocalGatewayRouteTableVpcAssociation")


@looks("DescribeLocalGatewayRouteTableVirtualInterfaceGroupAssociations")
def describe_local_gateway_route_table_virtual_interface_group_associations(ask: Ask) -> Result:
    """Describe which VIF groups route tables are associated with."""
    rows = [_to_group(ask.world, o) for o in tables(ask.world) if o.local_gateway.vif_group]
    member = "LocalGatewayRouteTableVirtualInterfaceGroupAssociation"
    return _select(ask, rows, TO_GROUP, member)


@changes("CreateLocalGatewayRouteTable")
def create_local_gateway_route_table(ask: Ask) -> Work:
    """Create a local gateway's route table, inactive at first."""
    [name] = ask.names(GATEWAY, "LocalGatewayId")
    outpost = ask.world.topology.outposts[name]
    id_ = id_of(TABLE, name)
    if has_table(ask.world, outpost) and not ask.again:
        message = f"The local gateway {ask['LocalGatewayId']} has a route table, and room for one"
        raise ApiError("LocalGatewayRouteTableLimitExceeded", message)
    change = editing.create_local_gateway_route_table(
        local_gateway_route_table=name, mode=ask.get("Mode", DIRECT)
    )

    def answer(world: World) -> Result:
        return {"LocalGatewayRouteTable": _table(world, world.topology.outposts[name])}

    return Work(change=edit(change), creates=(Created(id_, ask.tags(TABLE)),), answer=answer)


@changes("DeleteLocalGatewayRouteTable")
def delete_local_gateway_route_table(ask: Ask) -> Work:
    """Delete a route table that has no associations and no pools."""
    outpost = require_table(ask)
    row = {**_table(ask.world, outpost), "State": "deleting"}
    change = editing.delete_local_gateway_route_table(local_gateway_route_table=outpost.name)
    return Work(
        change=edit(change),
        deletes={row["LocalGatewayRouteTableId"]: {}},
        answer=lambda _: {"LocalGatewayRouteTable": row},
    )


@changes("CreateLocalGatewayRouteTableVpcAssociation")
def create_local_gateway_route_table_vpc_association(ask: Ask) -> Work:
    """Associate a VPC with a route table."""
    outpost, vpc = require_table(ask), ask.name("vpc", "VpcId")
    change = editing.create_local_gateway_route_table_vpc_association(
        local_gateway_route_table=outpost.name, vpc=vpc
    )

    def answer(world: World) -> Result:
        row = _to_vpc(world, world.topology.outposts[outpost.name], vpc)
        return {"LocalGatewayRouteTableVpcAssociation": row}

    made = Created(id_of(TO_VPC, outpost.name, vpc), ask.tags(TO_VPC))
    return Work(change=edit(change), creates=(made,), answer=answer)


@changes("DeleteLocalGatewayRouteTableVpcAssociation")
def delete_local_gateway_route_table_vpc_association(ask: Ask) -> Work:
    """End a VPC's association with a route table."""
    key = "LocalGatewayRouteTableVpcAssociation"
    name, vpc = ask.names(TO_VPC, f"{key}Id")
    row = _to_vpc(ask.world, ask.world.topology.outposts[name], vpc, "disassociating")
    change = editing.delete_local_gateway_route_table_vpc_association(
        local_gateway_route_table=name, vpc=vpc
    )
    gone = record(ask[f"{key}Id"], tags=None, created=None, token=None)
    return Work(change=edit(change), steps=(gone,), answer=lambda _: {key: row})


@changes("CreateLocalGatewayRouteTableVirtualInterfaceGroupAssociation")
def create_local_gateway_route_table_virtual_interface_group_association(ask: Ask) -> Work:
    """Associate a route table with its local gateway's VIF group."""
    outpost = require_table(ask)
    [owner] = ask.names(GROUP, "LocalGatewayVirtualInterfaceGroupId")
    if owner != outpost.name:
        message = "The VIF group and the route table are of different local gateways"
        raise ApiError("InvalidParameterValue", message)
    change = editing.create_local_gateway_route_table_virtual_interface_group_association(
        local_gateway_route_table=owner
    )
    key = "LocalGatewayRouteTableVirtualInterfaceGroupAssociation"
    made = Created(id_of(TO_GROUP, owner), ask.tags(TO_GROUP))
    return Work(
        change=edit(change),
        creates=(made,),
        answer=lambda world: {key: _to_group(world, world.topology.outposts[owner])},
    )


@changes("DeleteLocalGatewayRouteTableVirtualInterfaceGroupAssociation")
def delete_local_gateway_route_table_virtual_interface_group_association(ask: Ask) -> Work:
    """End a route table's association with a VIF group."""
    key = "LocalGatewayRouteTableVirtualInterfaceGroupAssociation"
    [name] = ask.names(TO_GROUP, f"{key}Id")
    row = _to_group(ask.world, ask.world.topology.outposts[name], "disassociating")
    change = editing.delete_local_gateway_route_table_virtual_interface_group_association(
        local_gateway_route_table=name
    )
    gone = record(ask[f"{key}Id"], tags=None, created=None, token=None)
    return Work(change=edit(change), steps=(gone,), answer=lambda _: {key: row})


def _ordered(operation: str) -> ApiError:
    message = f"{operation}: the VIFs of a first-generation rack are AWS's, from its order."
    return ApiError("UnsupportedOperation", message)


@changes("CreateLocalGatewayVirtualInterface")
def create_local_gateway_virtual_interface(ask: Ask) -> Work:
    """Refuse to make a VIF: a first-generation rack has those of its order (facts: L1)."""
    raise _ordered(ask.operation)


@changes("DeleteLocalGatewayVirtualInterface")
def delete_local_gateway_virtual_interface(ask: Ask) -> Work:
    """Refuse to delete a VIF that AWS has made."""
    ask.names(VIF, "LocalGatewayVirtualInterfaceId")
    raise _ordered(ask.operation)


@changes("CreateLocalGatewayVirtualInterfaceGroup")
def create_local_gateway_virtual_interface_group(ask: Ask) -> Work:
    """Refuse to make a VIF group: a first-generation rack has one (facts: L1)."""
    ask.names(GATEWAY, "LocalGatewayId")
    raise _ordered(ask.operation)


@changes("DeleteLocalGatewayVirtualInterfaceGroup")
def delete_local_gateway_virtual_interface_group(ask: Ask) -> Work:
    """Refuse to delete a VIF group that AWS has made."""
    ask.names(GROUP, "LocalGatewayVirtualInterfaceGroupId")
    raise _ordered(ask.operation)
