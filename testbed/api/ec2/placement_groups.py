"""Placement groups."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.editing.kinds import PLACEMENT_GROUP
from testbed.topology.editing.named import entries

KIND: Final = "placement-group"


def describe(world: World, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return a placement group as answers have it."""
    id_ = world.id(KIND, name)
    row = {
        "GroupName": name,
        "GroupId": id_,
        "GroupArn": world.arn(KIND, name),
        "State": "available",
        "Strategy": entry["strategy"],
        "Tags": world.tags(id_),
    }
    return row | ({"SpreadLevel": entry["spread_level"]} if entry.get("spread_level") else {})


@looks("DescribePlacementGroups")
def describe_placement_groups(ask: Ask) -> Result:
    """Describe placement groups."""
    found = entries(ask.world.data, PLACEMENT_GROUP)
    rows = [describe(ask.world, name, entry) for name, entry in found.items()]
    for name in ask.get("GroupNames") or []:
        if name not in found:
            message = f"The Placement Group '{name}' is unknown."
            raise ApiError("InvalidPlacementGroup.Unknown", message)
    wanted = ask.get("GroupNames")
    rows = [row for row in rows if not wanted or row["GroupName"] in wanted]
    return {"PlacementGroups": select(ask, rows, "PlacementGroups")}


@changes("CreatePlacementGroup")
def create_placement_group(ask: Ask) -> Work:
    """Create a placement group; its name is the document's."""
    strategy = ask.get("Strategy", "cluster")
    if strategy == "partition":
        raise ApiError("UnsupportedOperation", "Partition placement groups are not emulated here.")
    name = ask.given("GroupName")
    change = editing.create_placement_group(
        group_name=name, strategy=strategy, spread_level=ask.get("SpreadLevel")
    )

    def answer(world: World) -> Result:
        entry = entries(world.data, PLACEMENT_GROUP)[name]
        return {"PlacementGroup": describe(world, name, entry)}

    made = Created(id_of(KIND, name), ask.tags(KIND))
    return Work(change=edit(change), creates=(made,), answer=answer)


@changes("DeletePlacementGroup")
def delete_placement_group(ask: Ask) -> Work:
    """Delete a placement group that no instance is in."""
    name = ask["GroupName"]
    change = editing.delete_placement_group(group_name=name)
    return Work(change=edit(change), answer=lambda _: {})
