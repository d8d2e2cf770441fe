"""What an Outpost has: its servers as assets, instance types, instances, orders, capacity."""

from __future__ import annotations

from typing import Any

from testbed.api.ec2.region import offered
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Result, looks
from testbed.api.outposts.outposts import SERVICE, find
from testbed.api.world import World
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Outpost

Row = dict[str, Any]


def servers(world: World, outpost: Outpost) -> list[dict[str, int]]:
    """Return the slots for instances that an Outpost's servers have; none where it says nothing."""
    entry = (world.data.get("outposts") or {}).get(outpost.name) or {}
    return list((entry.get("capacity") or {}).get("servers") or [])


def asset_id(outpost: Outpost, number: int) -> str:
    """Return the identifier of a server, which has the form of a serial number."""
    return f"{outpost.number:04d}{number:06d}"


@looks("ListAssets", SERVICE)
def list_assets(ask: Ask) -> Result:
    """List an Outpost's servers."""
    outpost = find(ask, "OutpostIdentifier")
    rows: list[Row] = []
    for number, slots in enumerate(servers(ask.world, outpost), start=1):
        types = [{"InstanceType": kind, "Count": count} for kind, count in slots.items()]
        rows.append(
            {
                "AssetId": asset_id(outpost, number),
                "RackId": f"{outpost.name}-1",
                "AssetType": "COMPUTE",
                "ComputeAttributes": {
                    "State": "ACTIVE",
                    "InstanceFamilies": sorted({kind.partition(".")[0] for kind in slots}),
                    "InstanceTypeCapacities": types,
                },
            }
        )
    if (wanted := ask.get("AssetTypeFilter")) and "COMPUTE" not in wanted:
        rows = []
    if (states := ask.get("StatusFilter")) and "ACTIVE" not in states:
        rows = []
    return {"Assets": rows}


@looks("ListAssetInstances", SERVICE)
def list_asset_instances(ask: Ask) -> Result:
    """List the instances that run on an Outpost's servers."""
    outpost = find(ask, "OutpostIdentifier")
    rows = []
    for instance in ask.world.topology.instances.values():
        subnet = ask.world.topology.subnet(instance.vpc, instance.subnet)
        if subnet.outpost == outpost.name and instance.server is not None:
            rows.append(
                {
                    "InstanceId": ask.world.id("instance", instance.name),
                    "InstanceType": instance.type,
                    "AssetId": asset_id(outpost, instance.server),
                    "AccountId": ACCOUNT,
                    "AwsServiceName": "EC2",
                }
            )
    for key, member in (("AssetIdFilter", "AssetId"), ("InstanceTypeFilter", "InstanceType")):
        if wanted := ask.get(key):
            rows = [row for row in rows if row[member] in wanted]
    return {"AssetInstances": rows}


@looks("GetOutpostInstanceTypes", SERVICE)
def get_outpost_instance_types(ask: Ask) -> Result:
    """Return the instance types that an Outpost has slots for."""
    outpost = find(ask, "OutpostId")
    return {
        "InstanceTypes": [{"InstanceType": kind} for kind in offered(ask.world.data, outpost.name)],
        "OutpostId": ask.world.id("outpost", outpost.name),
        "OutpostArn": ask.world.outpost_arn(outpost.name),
    }


@looks("GetOutpostSupportedInstanceTypes", SERVICE)
def get_outpost_supported_instance_types(ask: Ask) -> Result:
    """Return the instance types that an Outpost could have slots for: those that it has."""
    outpost = find(ask, "OutpostIdentifier")
    kinds = offered(ask.world.data, outpost.name)
    return {"InstanceTypes": [{"InstanceType": kind} for kind in kinds]}


def _orders(world: World) -> list[Row]:
    """Return the orders that the Outposts have come by."""
    return [
        {
            "OrderId": world.id("outpost-order", name),
            "OutpostId": world.id("outpost", name),
            "OrderType": "OUTPOST",
            "Status": "FULFILLED",
            "LineItemCountsByStatus": {"INSTALLED": 1},
            "OrderSubmissionDate": world.created(world.id("outpost", name)),
            "OrderFulfilledDate": world.created(world.id("outpost", name)),
        }
        for name in world.topology.outposts
    ]


@looks("ListOrders", SERVICE)
def list_orders(ask: Ask) -> Result:
    """List the orders that the Outposts have come by."""
    rows = _orders(ask.world)
    if "OutpostIdentifierFilter" in ask.parameters:
        own = ask.world.id("outpost", find(ask, "OutpostIdentifierFilter").name)
        rows = [row for row in rows if row["OutpostId"] == own]
    return {"Orders": rows}


@looks("GetOrder", SERVICE)
def get_order(ask: Ask) -> Result:
    """Return an order."""
    for row in _orders(ask.world):
        if row["OrderId"] == ask["OrderId"]:
            keys = ("OrderId", "OutpostId", "OrderType", "Status", "OrderSubmissionDate")
            return {"Order": {key: row[key] for key in keys}}
    raise ApiError("NotFoundException", f"Order {ask['OrderId']} not found", 404)
