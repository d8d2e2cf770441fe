"""The Region: its zones, what an account may do, and which instance types an Outpost offers."""

from __future__ import annotations

from typing import Any

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.operations import Ask, Result, looks

ATTRIBUTES = {
    "supported-platforms": ["VPC"],
    "default-vpc": ["none"],
    "max-instances": ["20"],
    "vpc-max-security-groups-per-interface": ["5"],
    "max-elastic-ips": ["5"],
    "vpc-max-elastic-ips": ["5"],
}


@looks("DescribeRegions")
def describe_regions(ask: Ask) -> Result:
    """Describe the Region, the only one there is."""
    region = ask.world.region
    if any(name != region for name in ask.get("RegionNames") or []):
        names = ", ".join(ask["RegionNames"])
        raise ApiError("InvalidParameterValue", f"Invalid region provided: {names}")
    row = {
        "RegionName": region,
        "Endpoint": f"ec2.{region}.amazonaws.com",
        "OptInStatus": "opt-in-not-required",
    }
    return {"Regions": select(ask, [row], "Regions")}


@looks("DescribeAvailabilityZones")
def describe_availability_zones(ask: Ask) -> Result:
    """Describe the Region's Availability Zones."""
    region = ask.world.region
    rows = [
        {
            "ZoneName": zone,
            "ZoneId": ask.world.zone_id(zone),
            "RegionName": region,
            "GroupName": region,
            "NetworkBorderGroup": region,
            "ZoneType": "availability-zone",
            "OptInStatus": "opt-in-not-required",
            "State": "available",
            "Messages": [],
        }
        for zone in ask.world.topology.region.zones
    ]
    for key, member in (("ZoneNames", "ZoneName"), ("ZoneIds", "ZoneId")):
        if wanted := ask.get(key):
            if unknown := set(wanted) - {row[member] for row in rows}:
                message = f"Invalid availability zone: [{', '.join(sorted(unknown))}]"
                raise ApiError("InvalidParameterValue", message)
            rows = [row for row in rows if row[member] in wanted]
    return {"AvailabilityZones": select(ask, rows, "AvailabilityZones")}


@looks("DescribeAccountAttributes")
def describe_account_attributes(ask: Ask) -> Result:
    """Describe what an account may do: it has no default VPC."""
    wanted = ask.get("AttributeNames") or list(ATTRIBUTES)
    rows: list[dict[str, Any]] = [
        {
            "AttributeName": name,
            "AttributeValues": [{"AttributeValue": value} for value in ATTRIBUTES[name]],
        }
        for name in wanted
        if name in ATTRIBUTES
    ]
    return {"AccountAttributes": rows}


@looks("DescribeInstanceTypeOfferings")
def describe_instance_type_offerings(ask: Ask) -> Result:
    """Describe the instance types that Outposts have capacity for, or that instances have."""
    by = ask.get("LocationType", "region")
    rows = []
    for outpost in ask.world.topology.outposts.values():
        location = {
            "region": ask.world.region,
            "availability-zone": outpost.zone,
            "availability-zone-id": ask.world.zone_id(outpost.zone),
            "outpost": ask.world.outpost_arn(outpost.name),
        }[by]
        for kind in offered(ask.world.data, outpost.name):
            row = {"InstanceType": kind, "LocationType": by, "Location": location}
            if row not in rows:
                rows.append(row)
    key = "InstanceTypeOfferings"
    return {key: select(ask, rows, key)}


def offered(data: dict[str, Any], outpost: str) -> list[str]:
    """Return the instance types that an Outpost has slots for; where it says nothing, c5.large."""
    entry = (data.get("outposts") or {}).get(outpost) or {}
    capacity = entry.get("capacity") or {}
    found: dict[str, None] = {}
    for server in capacity.get("servers") or []:
        found |= dict.fromkeys(map(str, server))
    return list(found) or ["c5.large"]
