"""Local gateways, their route tables, VIF groups and VIFs, and associations.

A first-generation rack comes with its VIFs in one VIF group; its local gateway has room for
one route table (facts: L1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from testbed.api import racks
from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.racks import Table
from testbed.api.records import record
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT, ResourceType
from testbed.topology.model import Lag, Rack, Vif

GATEWAY: Final = "local-gateway"
TABLE: Final = "local-gateway-route-table"
VIF: Final = "local-gateway-virtual-interface"
GROUP: Final = "local-gateway-virtual-interface-group"
TO_VPC: Final = "local-gateway-route-table-vpc-association"
TO_GROUP: Final = "local-gateway-route-table-virtual-interface-group-association"
DIRECT: Final = "direct-vpc-routing"
SHORT = 2**31  # an ASN from there on does not fit where an ASN is a signed number of 32 bits
Row = dict[str, Any]


def has_table(world: World, table: Table) -> bool:
    """Whether a local gateway's route table is there: it has something, or was created."""
    entry = world.records.get(world.id(TABLE, table.name))
    if entry is not None:
        return not entry.get("deleted")
    domain = table.domain
    something = domain.name or domain.vif_group or domain.vpcs or domain.routes or domain.pools
    return bool(something) or domain.mode != DIRECT


def tables(world: World) -> Iterator[Table]:
    """Find the route tables of local gateways."""
    return (table for table in racks.tables(world.topology) if has_table(world, table))


def require_table(ask: Ask, key: str = "LocalGatewayRouteTableId") -> Table:
    """Return the route table that a parameter identifies."""
    table = racks.table_of(ask.world.topology, ask.name(TABLE, key))
    if not has_table(ask.world, table):
        message = f"The local gateway route table ID '{ask[key]}' does not exist"
        raise ApiError("InvalidLocalGatewayRouteTableID.NotFound", message)
    return table


def common(world: World, table: Table) -> Row:
    """Return the members that rows about a local gateway's route table have."""
    id_ = world.id(TABLE, table.name)
    return {
        "LocalGatewayRouteTableId": id_,
        "LocalGatewayRouteTableArn": world.arn(TABLE, id_),
        "OwnerId": ACCOUNT,
    }


def asn(key: str, number: int) -> Row:
    """Return an ASN under the member that has room for it."""
    return {key: number} if number < SHORT else {key: 0, f"{key}Extended": number}


def _gateway(world: World, rack: Rack) -> Row:
    id_ = world.id(GATEWAY, rack.name)
    return {
        "LocalGatewayId": id_,
        "OutpostArn": world.outpost_arn(rack.name),
        "OwnerId": ACCOUNT,
        "State": "available",
        "Tags": world.tags(id_),
    }


def _table(world: World, table: Table) -> Row:
    row = common(world, table)
    id_ = row["LocalGatewayRouteTableId"]
    lacks = table.domain.lacks
    inactive = {"Code": "inactive", "Message": f"It lacks: {', '.join(lacks)}"} if lacks else None
    row |= {
        "LocalGatewayId": world.id(GATEWAY, table.rack.name),
        "OutpostArn": world.outpost_arn(table.rack.name),
        "State": world.state(id_),
        "Mode": table.domain.mode,
        "Tags": world.tags(id_),
    }
    return row | ({"StateReason": inactive} if inactive else {})


def _group(world: World, table: Table) -> Row:
    id_ = world.id(GROUP, table.name)
    return {
        "LocalGatewayVirtualInterfaceGroupId": id_,
        "LocalGatewayVirtualInterfaceGroupArn": world.arn(GROUP, id_),
        "LocalGatewayVirtualInterfaceIds": [
            world.id(VIF, *table.vif_names(lag)) for lag, _ in table.vifs()
        ],
        "LocalGatewayId": world.id(GATEWAY, table.rack.name),
        "OwnerId": ACCOUNT,
        "ConfigurationState": table.rack.vif_group_state(table.domain.name),
        "Tags": world.tags(id_),
        **asn("LocalBgpAsn", table.domain.asn),
    }


def _vif(world: World, table: Table, lag: Lag, vif: Vif) -> Row:
    id_ = world.id(VIF, *table.vif_names(lag))
    return {
        "LocalGatewayVirtualInterfaceId": id_,
        "LocalGatewayVirtualInterfaceArn": world.arn(VIF, id_),
        "LocalGatewayVirtualInterfaceGroupId": world.id(GROUP, table.name),
        "LocalGatewayId": world.id(GATEWAY, table.rack.name),
        "OutpostLagId": world.id("outpost-lag", table.rack.name, str(lag.number)),
        "Vlan": vif.vlan,
        "LocalAddress": str(vif.local_address),
        "PeerAddress": str(vif.peer_address),
        "LocalBgpAsn": vif.local_bgp_asn if vif.local_bgp_asn < SHORT else 0,
        "OwnerId": ACCOUNT,
        "ConfigurationState": world.state(id_),
        "Tags": world.tags(id_),
        **asn("PeerBgpAsn", vif.peer_bgp_asn),
    }


def _vif_on(world: World, table: str, number: int) -> Row:
    """Return the VIF that a route table's VIF group has on a LAG."""
    of = racks.table_of(world.topology, table)
    return next(_vif(world, of, lag, vif) for lag, vif in of.vifs() if lag.number == number)


def _to_vpc(world: World, table: Table, vpc: str, state: str | None = None) -> Row:
    id_ = world.id(TO_VPC, table.name, vpc)
    settled = world.state(id_, pending="associating", ready="associated")
    return {
        "LocalGatewayRouteTableVpcAssociationId": id_,
        **common(world, table),
        "LocalGatewayId": world.id(GATEWAY, table.rack.name),
        "VpcId": world.id("vpc", vpc),
        "State": state or settled,
        "Tags": world.tags(id_),
    }


def _to_group(world: World, table: Table, state: str | None = None) -> Row:
    id_ = world.id(TO_GROUP, table.name)
    settled = world.state(id_, pending="associating", ready="associated")
    return {
        "LocalGatewayRouteTableVirtualInterfaceGroupAssociationId": id_,
        "LocalGatewayVirtualInterfaceGroupId": world.id(GROUP, table.name),
        **common(world, table),
        "LocalGatewayId": world.id(GATEWAY, table.rack.name),
        "State": state or settled,
        "Tags": world.tags(id_),
    }


def _select(ask: Ask, rows: list[Row], kind: ResourceType, member: str) -> Result:
    """Return the rows that a call asks for, under the plural of the member with their ids."""
    key = f"{member}s"
    return {key: select(ask, rows, key, ids=(f"{member}Ids", f"{member}Id", kind))}


def _select_associations(ask: Ask, rows: list[Row], member: str) -> Result:
    """Return the associations that a call asks for.

    Of one that has ended nothing is told, and it is no error: Terraform's provider takes that
    for its end.
    """
    key, wanted = f"{member}s", ask.get(f"{member}Ids")
    there = [row for row in rows if not wanted or row[f"{member}Id"] in wanted]
    return {key: select(ask, there, key)}


@looks("DescribeLocalGateways")
def describe_local_gateways(ask: Ask) -> Result:
    """Describe local gateways."""
    rows = [_gateway(ask.world, rack) for rack in ask.world.topology.racks.values()]
    return _select(ask, rows, GATEWAY, "LocalGateway")


@looks("DescribeLocalGatewayRouteTables")
def describe_local_gateway_route_tables(ask: Ask) -> Result:
    """Describe route tables of local gateways."""
    rows = [_table(ask.world, table) for table in tables(ask.world)]
    return _select(ask, rows, TABLE, "LocalGatewayRouteTable")


@looks("DescribeLocalGatewayVirtualInterfaceGroups")
def describe_local_gateway_virtual_interface_groups(ask: Ask) -> Result:
    """Describe VIF groups."""
    rows = [_group(ask.world, table) for table in racks.tables(ask.world.topology)]
    return _select(ask, rows, GROUP, "LocalGatewayVirtualInterfaceGroup")


@looks("DescribeLocalGatewayVirtualInterfaces")
def describe_local_gateway_virtual_interfaces(ask: Ask) -> Result:
    """Describe VIFs."""
    found = racks.tables(ask.world.topology)
    rows = [_vif(ask.world, table, lag, vif) for table in found for lag, vif in table.vifs()]
    return _select(ask, rows, VIF, "LocalGatewayVirtualInterface")


@looks("DescribeLocalGatewayRouteTableVpcAssociations")
def describe_local_gateway_route_table_vpc_associations(ask: Ask) -> Result:
    """Describe which VPCs route tables are associated with."""
    rows = [
        _to_vpc(ask.world, table, vpc) for table in tables(ask.world) for vpc in table.domain.vpcs
    ]
    member = "LocalGatewayRouteTableVpcAssociation"
    return _select_associations(ask, rows, member)


@looks("DescribeLocalGatewayRouteTableVirtualInterfaceGroupAssociations")
def describe_local_gateway_route_table_virtual_interface_group_associations(ask: Ask) -> Result:
    """Describe which VIF groups route tables are associated with."""
    rows = [_to_group(ask.world, t) for t in tables(ask.world) if t.domain.vif_group]
    member = "LocalGatewayRouteTableVirtualInterfaceGroupAssociation"
    return _select_associations(ask, rows, member)


@changes("CreateLocalGatewayRouteTable")
def create_local_gateway_route_table(ask: Ask) -> Work:
    """Create a local gateway's route table, inactive at first."""
    [name] = ask.names(GATEWAY, "LocalGatewayId")
    id_ = id_of(TABLE, name)
    there = [table.rack.name for table in tables(ask.world)]
    if name in there and not ask.again:
        message = f"The local gateway {ask['LocalGatewayId']} has a route table, and room for one"
        raise ApiError("LocalGatewayRouteTableLimitExceeded", message)
    change = editing.create_local_gateway_route_table(
        local_gateway_route_table=name, mode=ask.get("Mode", DIRECT)
    )

    def answer(world: World) -> Result:
        return {"LocalGatewayRouteTable": _table(world, racks.table_of(world.topology, name))}

    return Work(change=edit(change), creates=(Created(id_, ask.tags(TABLE)),), answer=answer)


@changes("DeleteLocalGatewayRouteTable")
def delete_local_gateway_route_table(ask: Ask) -> Work:
    """Delete a route table that has no associations and no pools."""
    table = require_table(ask)
    row = {**_table(ask.world, table), "State": "deleting"}
    change = editing.delete_local_gateway_route_table(local_gateway_route_table=table.name)
    return Work(
        change=edit(change),
        deletes={row["LocalGatewayRouteTableId"]: {}},
        answer=lambda _: {"LocalGatewayRouteTable": row},
    )


@changes("CreateLocalGatewayRouteTableVpcAssociation")
def create_local_gateway_route_table_vpc_association(ask: Ask) -> Work:
    """Associate a VPC with a route table."""
    table, vpc = require_table(ask), ask.name("vpc", "VpcId")
    change = editing.create_local_gateway_route_table_vpc_association(
        local_gateway_route_table=table.name, vpc=vpc
    )

    def answer(world: World) -> Result:
        row = _to_vpc(world, racks.table_of(world.topology, table.name), vpc)
        return {"LocalGatewayRouteTableVpcAssociation": row}

    made = Created(id_of(TO_VPC, table.name, vpc), ask.tags(TO_VPC))
    return Work(change=edit(change), creates=(made,), answer=answer)


@changes("DeleteLocalGatewayRouteTableVpcAssociation")
def delete_local_gateway_route_table_vpc_association(ask: Ask) -> Work:
    """End a VPC's association with a route table."""
    key = "LocalGatewayRouteTableVpcAssociation"
    name, vpc = ask.names(TO_VPC, f"{key}Id")
    row = _to_vpc(ask.world, racks.table_of(ask.world.topology, name), vpc, "disassociating")
    change = editing.delete_local_gateway_route_table_vpc_association(
        local_gateway_route_table=name, vpc=vpc
    )
    gone = record(ask[f"{key}Id"], tags=None, created=None, token=None)
    return Work(change=edit(change), steps=(gone,), answer=lambda _: {key: row})


@changes("CreateLocalGatewayRouteTableVirtualInterfaceGroupAssociation")
def create_local_gateway_route_table_virtual_interface_group_association(ask: Ask) -> Work:
    """Associate a route table with its local gateway's VIF group."""
    table = require_table(ask)
    [owner] = ask.names(GROUP, "LocalGatewayVirtualInterfaceGroupId")
    if owner != table.name:
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
        answer=lambda world: {key: _to_group(world, racks.table_of(world.topology, owner))},
    )


@changes("DeleteLocalGatewayRouteTableVirtualInterfaceGroupAssociation")
def delete_local_gateway_route_table_virtual_interface_group_association(ask: Ask) -> Work:
    """End a route table's association with a VIF group."""
    key = "LocalGatewayRouteTableVirtualInterfaceGroupAssociation"
    [name] = ask.names(TO_GROUP, f"{key}Id")
    row = _to_group(ask.world, racks.table_of(ask.world.topology, name), "disassociating")
    change = editing.delete_local_gateway_route_table_virtual_interface_group_association(
        local_gateway_route_table=name
    )
    gone = record(ask[f"{key}Id"], tags=None, created=None, token=None)
    return Work(change=edit(change), steps=(gone,), answer=lambda _: {key: row})


def _ordered(operation: str) -> ApiError:
    message = f"{operation}: here each local gateway route table comes with its VIF group."
    return ApiError("UnsupportedOperation", message)


@changes("CreateLocalGatewayVirtualInterface")
def create_local_gateway_virtual_interface(ask: Ask) -> Work:
    """Create a VIF of a second-generation rack; a first-generation one has its order's (L1)."""
    [name] = ask.names(GROUP, "LocalGatewayVirtualInterfaceGroupId")
    outpost, number = ask.names("outpost-lag", "OutpostLagId")
    owner, _, domain = name.partition("/")
    if owner != outpost:
        message = "The VIF group and the LAG are of different Outposts"
        raise ApiError("InvalidParameterValue", message)
    peer = ask.get("PeerBgpAsnExtended") or ask.get("PeerBgpAsn")
    change = editing.create_local_gateway_virtual_interface(
        outpost=outpost,
        lag=int(number),
        routing_domain=domain or None,
        vlan=ask["Vlan"],
        local_address=ask["LocalAddress"],
        peer_address=ask["PeerAddress"],
        peer_bgp_asn=peer,
    )

    def answer(world: World) -> Result:
        return {"LocalGatewayVirtualInterface": _vif_on(world, name, int(number))}

    made = Created(id_of(VIF, name, number), ask.tags(VIF))
    return Work(change=edit(change), creates=(made,), answer=answer)


@changes("DeleteLocalGatewayVirtualInterface")
def delete_local_gateway_virtual_interface(ask: Ask) -> Work:
    """Delete a VIF of a second-generation rack, with its BGP session."""
    name, number = ask.names(VIF, "LocalGatewayVirtualInterfaceId")
    row = {**_vif_on(ask.world, name, int(number)), "ConfigurationState": "deleting"}
    outpost, _, domain = name.partition("/")
    change = editing.delete_local_gateway_virtual_interface(
        outpost=outpost, lag=int(number), routing_domain=domain or None
    )
    gone = record(row["LocalGatewayVirtualInterfaceId"], tags=None, created=None, token=None)
    answer = {"LocalGatewayVirtualInterface": row}
    return Work(change=edit(change), steps=(gone,), answer=lambda _: answer)


@changes("CreateLocalGatewayVirtualInterfaceGroup")
def create_local_gateway_virtual_interface_group(ask: Ask) -> Work:
    """Refuse to make a VIF group: here one comes with its route table (facts: L1)."""
    ask.names(GATEWAY, "LocalGatewayId")
    raise _ordered(ask.operation)


@changes("DeleteLocalGatewayVirtualInterfaceGroup")
def delete_local_gateway_virtual_interface_group(ask: Ask) -> Work:
    """Refuse to delete a VIF group, which goes with its route table."""
    ask.names(GROUP, "LocalGatewayVirtualInterfaceGroupId")
    raise _ordered(ask.operation)
