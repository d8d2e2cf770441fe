"""VPC route tables and their associations."""

from __future__ import annotations

from typing import Any

from testbed.api.ec2.routes import describe_routes
from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import MAIN, id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import RouteTable, Vpc

ALIASES = {"association.route-table-association-id": "Associations.RouteTableAssociationId"}
ASSOCIATED = {"State": "associated"}


def describe(world: World, vpc: Vpc, table: RouteTable) -> dict[str, Any]:
    """Return a route table as answers have it."""
    id_ = world.id("route-table", vpc.name, table.name)
    associations = [
        {
            "RouteTableAssociationId": association_id(world, vpc.name, table.name, subnet),
            "RouteTableId": id_,
            "SubnetId": world.id("subnet", vpc.name, subnet),
            "Main": False,
            "AssociationState": ASSOCIATED,
        }
        for subnet in table.subnets
    ]
    if table.main:
        association = world.id("route-table-association", vpc.name, MAIN)
        row = {"RouteTableAssociationId": association, "RouteTableId": id_, "Main": True}
        associations.insert(0, {**row, "AssociationState": ASSOCIATED})
    gateways = []
    if table.propagate and vpc.virtual_private_gateway:
        gateways = [{"GatewayId": world.id("vpn-gateway", vpc.name)}]
    return {
        "RouteTableId": id_,
        "VpcId": world.id("vpc", vpc.name),
        "OwnerId": ACCOUNT,
        "Associations": associations,
        "PropagatingVgws": gateways,
        "Routes": describe_routes(world, vpc, table),
        "Tags": world.tags(id_),
    }


def association_id(world: World, vpc: str, table: str, subnet: str) -> str:
    """Return the identifier of a subnet's association."""
    return world.id("route-table-association", vpc, table, subnet)


@looks("DescribeRouteTables", states=True)
def describe_route_tables(ask: Ask) -> Result:
    """Describe route tables, with the state that each route has in the kernel."""
    vpcs = ask.world.topology.vpcs.values()
    rows = [describe(ask.world, vpc, table) for vpc in vpcs for table in vpc.route_tables]
    ids = ("RouteTableIds", "RouteTableId", "route-table")
    return {"RouteTables": select(ask, rows, "RouteTables", ids=ids, aliases=ALIASES)}


def _table(world: World, vpc: str, name: str) -> RouteTable:
    return next(table for table in world.topology.vpcs[vpc].route_tables if table.name == name)


@changes("CreateRouteTable")
def create_route_table(ask: Ask) -> Work:
    """Create a route table, which has the local route."""
    vpc = ask.name("vpc", "VpcId")
    tags = ask.tags("route-table")
    name = ask.new_name("route-table", tags.get("Name"), vpc)

    def answer(world: World) -> Result:
        return {"RouteTable": describe(world, world.topology.vpcs[vpc], _table(world, vpc, name))}

    change = editing.create_route_table(vpc=vpc, route_table=name)
    made = Created(id_of("route-table", vpc, name), tags)
    return Work(change=edit(change), creates=(made,), answer=answer)


@changes("DeleteRouteTable")
def delete_route_table(ask: Ask) -> Work:
    """Delete a route table that no subnet is associated with."""
    vpc, name = ask.names("route-table", "RouteTableId")
    change = editing.delete_route_table(vpc=vpc, route_table=name)
    return Work(change=edit(change), deletes={ask["RouteTableId"]: {}}, answer=lambda _: {})


@changes("AssociateRouteTable")
def associate_route_table(ask: Ask) -> Work:
    """Associate a subnet with a route table."""
    if "GatewayId" in ask.parameters:
        message = "Route tables of gateways (edge associations) are not emulated here."
        raise ApiError("UnsupportedOperation", message)
    vpc, table = ask.names("route-table", "RouteTableId")
    owner, subnet = ask.names("subnet", "SubnetId")
    _same_network(ask, vpc, owner)
    change = editing.associate_route_table(vpc=vpc, route_table=table, subnet=subnet)
    id_ = id_of("route-table-association", vpc, table, subnet)
    result = {"AssociationId": id_, "AssociationState": ASSOCIATED}
    return Work(change=edit(change), touches=(id_,), answer=lambda _: result)


def _same_network(ask: Ask, vpc: str, owner: str) -> None:
    if vpc != owner:
        message = f"Route table {ask['RouteTableId']} and subnet belong to different networks"
        raise ApiError("InvalidParameterValue", message)


@changes("DisassociateRouteTable")
def disassociate_route_table(ask: Ask) -> Work:
    """End a subnet's association."""
    vpc, _, *subnet = ask.names("route-table-association", "AssociationId")
    if not subnet:
        message = f"cannot disassociate the main route table association {ask['AssociationId']}"
        raise ApiError("InvalidParameterValue", message)
    return Work(
        change=edit(editing.disassociate_route_table(vpc=vpc, subnet=subnet[0])),
        answer=lambda _: {},
    )


@changes("ReplaceRouteTableAssociation")
def replace_route_table_association(ask: Ask) -> Work:
    """Give a subnet another route table; a VPC keeps its main one here."""
    vpc, table = ask.names("route-table", "RouteTableId")
    _, _, *subnet = ask.names("route-table-association", "AssociationId")
    if not subnet:
        message = "Replacing a VPC's main route table is not emulated here."
        raise ApiError("UnsupportedOperation", message)
    change = editing.replace_route_table_association(vpc=vpc, subnet=subnet[0], route_table=table)
    id_ = id_of("route-table-association", vpc, table, subnet[0])
    result = {"NewAssociationId": id_, "AssociationState": ASSOCIATED}
    return Work(change=edit(change), touches=(id_,), answer=lambda _: result)


@changes("EnableVgwRoutePropagation")
def enable_vgw_route_propagation(ask: Ask) -> Work:
    """Propagate a virtual private gateway's routes to a route table."""
    vpc, table = ask.names("route-table", "RouteTableId")
    ask.name("vpn-gateway", "GatewayId")
    change = editing.enable_vgw_route_propagation(vpc=vpc, route_table=table)
    return Work(change=edit(change), answer=lambda _: {})


@changes("DisableVgwRoutePropagation")
def disable_vgw_route_propagation(ask: Ask) -> Work:
    """Stop propagating a virtual private gateway's routes."""
    vpc, table = ask.names("route-table", "RouteTableId")
    change = editing.disable_vgw_route_propagation(vpc=vpc, route_table=table)
    return Work(change=edit(change), answer=lambda _: {})
