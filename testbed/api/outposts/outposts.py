"""Sites and Outposts. They are ordered, not created: both are there from the start."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Result, Work, changes, looks
from testbed.api.records import tags, values
from testbed.api.world import World
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Outpost, Rack

SERVICE: Final = "outposts"
Row = dict[str, Any]


def site_id(world: World) -> str:
    """Return the identifier of the customer's site."""
    return world.id("site", world.topology.name)


def _tags(world: World, id_: str) -> dict[str, str]:
    found: dict[str, str] = world.records.get(id_, {}).get("tags", {})
    return found


def describe(world: World, outpost: Outpost) -> Row:
    """Return an Outpost as answers have it."""
    id_ = world.id("outpost", outpost.name)
    site = site_id(world)
    return {
        "OutpostId": id_,
        "OutpostArn": world.outpost_arn(outpost.name),
        "OwnerId": ACCOUNT,
        "SiteId": site,
        "SiteArn": world.arn("site", site, SERVICE),
        "Name": world.value(id_, "name", outpost.name),
        "Description": world.value(id_, "description", ""),
        "LifeCycleStatus": "ACTIVE",
        "AvailabilityZone": outpost.zone,
        "AvailabilityZoneId": world.zone_id(outpost.zone),
        "SupportedHardwareType": "RACK" if isinstance(outpost, Rack) else "SERVER",
        "Tags": _tags(world, id_),
    }


def _site(world: World) -> Row:
    id_ = site_id(world)
    return {
        "SiteId": id_,
        "SiteArn": world.arn("site", id_, SERVICE),
        "AccountId": ACCOUNT,
        "Name": world.value(id_, "name", world.topology.name),
        "Description": world.value(id_, "description", ""),
        "Tags": _tags(world, id_),
    }


def find(ask: Ask, key: str) -> Outpost:
    """Return the Outpost that a parameter identifies, by its identifier or resource name."""
    given = str(ask[key])
    for outpost in ask.world.topology.outposts.values():
        if given in (ask.world.id("outpost", outpost.name), ask.world.outpost_arn(outpost.name)):
            return outpost
    raise ApiError("NotFoundException", f"Outpost {given} not found", 404)


@looks("ListOutposts", SERVICE)
def list_outposts(ask: Ask) -> Result:
    """List Outposts."""
    rows = [describe(ask.world, outpost) for outpost in ask.world.topology.outposts.values()]
    filters = {
        "LifeCycleStatusFilter": "LifeCycleStatus",
        "AvailabilityZoneFilter": "AvailabilityZone",
        "AvailabilityZoneIdFilter": "AvailabilityZoneId",
    }
    for key, member in filters.items():
        if wanted := ask.get(key):
            rows = [row for row in rows if row[member] in wanted]
    return {"Outposts": rows}


@looks("GetOutpost", SERVICE)
def get_outpost(ask: Ask) -> Result:
    """Return an Outpost."""
    return {"Outpost": describe(ask.world, find(ask, "OutpostId"))}


@changes("UpdateOutpost", SERVICE)
def update_outpost(ask: Ask) -> Work:
    """Change what an Outpost is called; its name in the testbed stays."""
    name = find(ask, "OutpostId").name
    kept = {key.lower(): ask[key] for key in ("Name", "Description") if key in ask.parameters}
    return Work(
        steps=(values(ask.world.id("outpost", name), **kept),),
        answer=lambda world: {"Outpost": describe(world, world.topology.outposts[name])},
    )


@looks("ListSites", SERVICE)
def list_sites(ask: Ask) -> Result:
    """List the customer's sites: one, where there is an Outpost."""
    return {"Sites": [_site(ask.world)] if ask.world.topology.outposts else []}


@looks("GetSite", SERVICE)
def get_site(ask: Ask) -> Result:
    """Return a site."""
    site = _site(ask.world)
    if ask["SiteId"] not in (site["SiteId"], site["SiteArn"]) or not ask.world.topology.outposts:
        raise ApiError("NotFoundException", f"Site {ask['SiteId']} not found", 404)
    return {"Site": site}


def _tagged(ask: Ask) -> str:
    """Return the identifier of the Outpost or site that a resource name is of."""
    arn = str(ask["ResourceArn"])
    id_ = arn.rpartition("/")[2]
    ref = ask.world.objects.get(id_)
    if ref is None or ref.kind not in ("outpost", "site"):
        raise ApiError("NotFoundException", f"Resource {arn} not found", 404)
    return id_


@looks("ListTagsForResource", SERVICE)
def list_tags_for_resource(ask: Ask) -> Result:
    """List the tags of an Outpost or a site."""
    return {"Tags": _tags(ask.world, _tagged(ask))}


@changes("TagResource", SERVICE)
def tag_resource(ask: Ask) -> Work:
    """Give an Outpost or a site tags."""
    step = tags(_tagged(ask), lambda there: {**there, **ask["Tags"]})
    return Work(steps=(step,), answer=lambda _: {})


@changes("UntagResource", SERVICE)
def untag_resource(ask: Ask) -> Work:
    """Take tags from an Outpost or a site."""
    gone = set(ask["TagKeys"])
    step = tags(_tagged(ask), lambda there: {k: v for k, v in there.items() if k not in gone})
    return Work(steps=(step,), answer=lambda _: {})
