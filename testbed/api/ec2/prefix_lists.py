"""Prefix lists: the customer's, and AWS's own."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.records import values
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT

KIND: Final = "prefix-list"
MOST = 60  # entries, where nothing says otherwise


def describe(world: World, name: str) -> dict[str, Any]:
    """Return a prefix list as answers have it."""
    id_ = world.id(KIND, name)
    own = not name.startswith("com.amazonaws.")
    return {
        "PrefixListId": id_,
        "PrefixListArn": world.arn("prefix-list", id_),
        "PrefixListName": world.value(id_, "name", name),
        "AddressFamily": "IPv4",
        "State": "create-complete",
        "MaxEntries": world.value(id_, "max_entries", MOST),
        "Version": world.value(id_, "version", 1),
        "OwnerId": ACCOUNT if own else "AWS",
        "Tags": world.tags(id_),
    }


@looks("DescribeManagedPrefixLists")
def describe_managed_prefix_lists(ask: Ask) -> Result:
    """Describe prefix lists."""
    rows = [describe(ask.world, name) for name in ask.world.topology.region.prefix_lists]
    ids = ("PrefixListIds", "PrefixListId", KIND)
    return {"PrefixLists": select(ask, rows, "PrefixLists", ids=ids)}


@looks("DescribePrefixLists")
def describe_prefix_lists(ask: Ask) -> Result:
    """Describe AWS's own prefix lists, with their CIDR blocks."""
    rows = [
        {
            "PrefixListId": ask.world.id(KIND, name),
            "PrefixListName": name,
            "Cidrs": [str(cidr) for cidr in cidrs],
        }
        for name, cidrs in ask.world.topology.region.prefix_lists.items()
        if name.startswith("com.amazonaws.")
    ]
    ids = ("PrefixListIds", "PrefixListId", KIND)
    return {"PrefixLists": select(ask, rows, "PrefixLists", ids=ids)}


@looks("GetManagedPrefixListEntries")
def get_managed_prefix_list_entries(ask: Ask) -> Result:
    """Return the entries of a prefix list."""
    name = ask.name(KIND, "PrefixListId")
    described = ask.world.value(ask["PrefixListId"], "descriptions", {})
    cidrs = map(str, ask.world.topology.region.prefix_lists[name])
    rows = [{"Cidr": cidr, "Description": described.get(cidr, "")} for cidr in cidrs]
    return {"Entries": rows}


@changes("CreateManagedPrefixList")
def create_managed_prefix_list(ask: Ask) -> Work:
    """Create a prefix list of IPv4 CIDR blocks."""
    if ask["AddressFamily"] != "IPv4":
        raise ApiError("UnsupportedOperation", "Prefix lists of IPv6 are not emulated here.")
    entries = ask.get("Entries", [])
    if len(entries) > ask["MaxEntries"]:
        message = "The number of entries exceeds the maximum of the prefix list"
        raise ApiError("PrefixListMaxEntriesExceeded", message)
    tags = ask.tags(KIND)
    name = ask.new_name(KIND, ask["PrefixListName"])
    cidrs = [entry["Cidr"] for entry in entries]
    kept = {
        "name": ask["PrefixListName"],
        "max_entries": ask["MaxEntries"],
        "descriptions": _descriptions(entries),
    }
    change = editing.create_managed_prefix_list(prefix_list=name, entries=cidrs)
    return Work(
        change=edit(change),
        creates=(Created(id_of(KIND, name), tags, kept),),
        answer=lambda world: {"PrefixList": describe(world, name)},
    )


def _descriptions(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {e["Cidr"]: e["Description"] for e in entries if e.get("Description")}


@changes("ModifyManagedPrefixList")
def modify_managed_prefix_list(ask: Ask) -> Work:
    """Add and remove entries, and change the list's name."""
    name, id_ = ask.name(KIND, "PrefixListId"), ask["PrefixListId"]
    version = ask.world.value(id_, "version", 1)
    if ask.get("CurrentVersion", version) != version:
        message = f"The prefix list has the version {version}"
        raise ApiError("PrefixListVersionMismatch", message)
    more = ask.get("AddEntries", [])
    described = {**ask.world.value(id_, "descriptions", {}), **_descriptions(more)}
    kept: dict[str, Any] = {"descriptions": described}
    for key, member in (("name", "PrefixListName"), ("max_entries", "MaxEntries")):
        if member in ask.parameters:
            kept[key] = ask[member]
    if more or ask.get("RemoveEntries"):
        kept["version"] = version + 1
    change = editing.modify_managed_prefix_list(
        prefix_list=name,
        add_entries=[entry["Cidr"] for entry in more],
        remove_entries=[entry["Cidr"] for entry in ask.get("RemoveEntries", [])],
    )
    return Work(
        change=edit(change),
        steps=(values(id_, **kept),),
        answer=lambda world: {"PrefixList": describe(world, name)},
    )


@changes("DeleteManagedPrefixList")
def delete_managed_prefix_list(ask: Ask) -> Work:
    """Delete a prefix list that nothing uses."""
    name = ask.name(KIND, "PrefixListId")
    row = {**describe(ask.world, name), "State": "delete-complete"}
    change = editing.delete_managed_prefix_list(prefix_list=name)
    return Work(
        change=edit(change),
        deletes={ask["PrefixListId"]: {}},
        answer=lambda _: {"PrefixList": row},
    )
