"""Pools of customer-owned IP addresses."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.ec2.addresses import allocation_id, associations
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.racks import Table, table_of, tables
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import CoipPool

KIND: Final = "coip-pool"


def describe(world: World, table: Table, pool: CoipPool) -> dict[str, Any]:
    """Return a pool as answers have it."""
    id_ = world.id(KIND, table.name, pool.name)
    return {
        "PoolId": id_,
        "PoolArn": world.arn("coip-pool", id_),
        "PoolCidrs": [str(cidr) for cidr in pool.cidrs],
        "LocalGatewayRouteTableId": world.id("local-gateway-route-table", table.name),
        "Tags": world.tags(id_),
    }


def _pool(world: World, names: tuple[str, ...]) -> tuple[Table, CoipPool]:
    table = table_of(world.topology, names[0])
    return table, next(pool for pool in table.domain.pools if pool.name == names[1])


@looks("DescribeCoipPools")
def describe_coip_pools(ask: Ask) -> Result:
    """Describe pools."""
    found = tables(ask.world.topology)
    rows = [describe(ask.world, table, pool) for table in found for pool in table.domain.pools]
    ids = ("PoolIds", "PoolId", KIND)
    aliases = {
        "coip-pool.pool-id": "PoolId",
        "coip-pool.local-gateway-route-table-id": "LocalGatewayRouteTableId",
    }
    selected = select(ask, rows, "CoipPools", ids=ids, aliases=aliases)
    return {"CoipPools": selected}


@looks("GetCoipPoolUsage")
def get_coip_pool_usage(ask: Ask) -> Result:
    """Return which addresses of a pool are used, and by what."""
    table, pool = _pool(ask.world, ask.names(KIND, "PoolId"))
    cidrs = pool.cidrs
    rows: dict[str, dict[str, Any]] = {}
    for allocated in ask.world.topology.addresses.values():
        if allocated.pool == (table.rack.name, pool.name):
            id_ = ask.world.id("elastic-ip", allocated.name)
            rows[str(allocated.address)] = {"AllocationId": id_, "CoIp": str(allocated.address)}
    for each in associations(ask.world):
        owned = each.interface.customer_owned_ip
        if each.owned and owned is not None and any(owned in cidr for cidr in cidrs):
            id_ = allocation_id(ask.world, each.interface, each.public)
            row = rows.setdefault(each.public, {"AllocationId": id_, "CoIp": each.public})
            name = each.interface.instance
            row["AwsAccountId"] = ACCOUNT
            row["AwsService"] = "ec2"
            if name:
                row["AwsResourceId"] = ask.world.id("instance", name)
    return {
        "CoipPoolId": ask["PoolId"],
        "CoipAddressUsages": list(rows.values()),
        "LocalGatewayRouteTableId": ask.world.id("local-gateway-route-table", table.name),
    }


@changes("CreateCoipPool")
def create_coip_pool(ask: Ask) -> Work:
    """Create a pool, without CIDR blocks."""
    key = "LocalGatewayRouteTableId"
    [table] = ask.names("local-gateway-route-table", key)
    tags = ask.tags(KIND)
    name = ask.new_name(KIND, tags.get("Name"), table)
    change = editing.create_coip_pool(local_gateway_route_table=table, coip_pool=name)
    return Work(
        change=edit(change),
        creates=(Created(id_of(KIND, table, name), tags),),
        answer=lambda world: {"CoipPool": describe(world, *_pool(world, (table, name)))},
    )


@changes("DeleteCoipPool")
def delete_coip_pool(ask: Ask) -> Work:
    """Delete a pool that nothing uses."""
    table, name = ask.names(KIND, "CoipPoolId")
    row = describe(ask.world, *_pool(ask.world, (table, name)))
    change = editing.delete_coip_pool(local_gateway_route_table=table, coip_pool=name)
    return Work(
        change=edit(change),
        deletes={ask["CoipPoolId"]: {}},
        answer=lambda _: {"CoipPool": row},
    )


def _cidr(ask: Ask, operation: Any) -> Work:
    table, name = ask.names(KIND, "CoipPoolId")
    change = operation(local_gateway_route_table=table, coip_pool=name, cidr=ask["Cidr"])
    row = {
        "Cidr": ask["Cidr"],
        "CoipPoolId": ask["CoipPoolId"],
        "LocalGatewayRouteTableId": ask.world.id("local-gateway-route-table", table),
    }
    touches = (ask["CoipPoolId"],)
    return Work(change=edit(change), touches=touches, answer=lambda _: {"CoipCidr": row})


@changes("CreateCoipCidr")
def create_coip_cidr(ask: Ask) -> Work:
    """Add a CIDR block to a pool."""
    return _cidr(ask, editing.create_coip_cidr)


@changes("DeleteCoipCidr")
def delete_coip_cidr(ask: Ask) -> Work:
    """Remove a CIDR block from a pool."""
    return _cidr(ask, editing.delete_coip_cidr)
