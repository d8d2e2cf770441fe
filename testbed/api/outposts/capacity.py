"""Capacity tasks: how an Outpost's servers are divided into slots for instances.

A task for one asset gives that server the slots asked for; one for the whole Outpost deals them
out to the servers in turn, the first ones getting what is left over (docs/fidelity.md).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from testbed.api.disconnected import outposts_of
from testbed.api.errors import ApiError
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Params, Result, Work, changes, edit, looks
from testbed.api.outposts.assets import asset_id, servers
from testbed.api.outposts.outposts import SERVICE, find
from testbed.api.world import World
from testbed.errors import DocumentError
from testbed.topology import editing
from testbed.topology.document import resolve
from testbed.topology.editing.change import Change
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Outpost

KIND: Final = "capacity-task"
SUMMARY = ("CapacityTaskId", "OutpostId", "AssetId", "CapacityTaskStatus")
TIMES = ("CreationDate", "CompletionDate", "LastModifiedDate")
Slots = list[dict[str, int]]


def _row(world: World, id_: str, values: Params) -> dict[str, Any]:
    """Return a task as answers have it."""
    row = {key: value for key, value in values.items() if key not in ("outpost", "ended")}
    created = world.created(id_)
    ended = datetime.fromtimestamp(values["ended"], UTC)
    row |= {"CapacityTaskId": id_, "CreationDate": created, "LastModifiedDate": ended}
    if values["CapacityTaskStatus"] == "COMPLETED":
        row["CompletionDate"] = ended
    return row


def _slots(ask: Ask, outpost: Outpost) -> Slots:
    """Return the slots that the servers are to have."""
    pools = {pool["InstanceType"]: int(pool["Count"]) for pool in ask["InstancePools"]}
    there = servers(ask.world, outpost)
    if (asset := ask.get("AssetId")) is None:
        many = max(len(there), 1)
        return [
            {kind: n // many + (place < n % many) for kind, n in pools.items()}
            for place in range(many)
        ]
    for number in range(len(there)):
        if asset_id(outpost, number + 1) == asset:
            return [*there[:number], pools, *there[number + 1 :]]
    raise ApiError("NotFoundException", f"Asset {asset} not found", 404)


def _blocked(ask: Ask, change: Change) -> str | None:
    """Return why the Outpost cannot be divided so, as what runs on it has no slot any more."""
    try:
        resolve(change(ask.world.live.document), ask.world.topology.numbers)
    except DocumentError as error:
        return error.violations[0].message
    return None


@changes("StartCapacityTask", SERVICE)
def start_capacity_task(ask: Ask) -> Work:
    """Divide an Outpost's servers anew; instances without a slot make it fail."""
    outpost = find(ask, "OutpostIdentifier")
    change = editing.update_outpost(
        outpost=outpost.name, capacity={"servers": _slots(ask, outpost)}
    )
    reason = _blocked(ask, change)
    if reason and ask.get("TaskActionOnBlockingInstances") == "WAIT_FOR_EVACUATION":
        message = f"A task that waits for instances to be evacuated is not emulated here: {reason}"
        raise ApiError("ConflictException", message, 409)
    kept = ("OrderId", "AssetId", "InstancesToExclude", "TaskActionOnBlockingInstances")
    values = {key: ask[key] for key in kept if key in ask.parameters}
    values |= {
        "OutpostId": ask.world.id("outpost", outpost.name),
        "RequestedInstancePools": ask["InstancePools"],
        "DryRun": bool(ask.get("DryRun")),
        "CapacityTaskStatus": "FAILED" if reason else "COMPLETED",
        "outpost": outpost.name,
        "ended": ask.at,
    }
    if reason:
        values["Failed"] = {"Reason": reason, "Type": "BLOCKING_INSTANCES_NOT_EVACUATED"}
    id_ = id_of(KIND, f"{outpost.name}/{len(list(ask.world.alone(KIND))) + 1}")
    made = Created(id_, values=values, kind=KIND)
    return Work(
        change=None if reason or ask.get("DryRun") else edit(change),
        creates=(made,),
        answer=lambda world: _row(world, id_, values),
    )


def _task(ask: Ask) -> tuple[str, Params]:
    outpost = find(ask, "OutpostIdentifier")
    for id_, values in ask.world.alone(KIND):
        if (id_, values["outpost"]) == (ask["CapacityTaskId"], outpost.name):
            return id_, values
    raise ApiError("NotFoundException", f"Capacity task {ask['CapacityTaskId']} not found", 404)


@looks("GetCapacityTask", SERVICE)
def get_capacity_task(ask: Ask) -> Result:
    """Return a capacity task."""
    return _row(ask.world, *_task(ask))


@looks("ListCapacityTasks", SERVICE)
def list_capacity_tasks(ask: Ask) -> Result:
    """List capacity tasks."""
    rows = [_row(ask.world, id_, values) for id_, values in ask.world.alone(KIND)]
    if "OutpostIdentifierFilter" in ask.parameters:
        own = ask.world.id("outpost", find(ask, "OutpostIdentifierFilter").name)
        rows = [row for row in rows if row["OutpostId"] == own]
    if states := ask.get("CapacityTaskStatusFilter"):
        rows = [row for row in rows if row["CapacityTaskStatus"] in states]
    return {
        "CapacityTasks": [
            {key: row[key] for key in (*SUMMARY, "OrderId", *TIMES) if key in row} for row in rows
        ]
    }


@changes("CancelCapacityTask", SERVICE)
def cancel_capacity_task(ask: Ask) -> Work:
    """Refuse to cancel a task: each has come to its end by the time it can be named."""
    id_, values = _task(ask)
    message = f"Capacity task {id_} is {values['CapacityTaskStatus']} and cannot be cancelled"
    raise ApiError("ConflictException", message, 409)


@looks("ListBlockingInstancesForCapacityTask", SERVICE)
def list_blocking_instances_for_capacity_task(ask: Ask) -> Result:
    """List the instances on the Outpost that a failed task left without a slot."""
    _, values = _task(ask)
    if values["CapacityTaskStatus"] != "FAILED":
        return {"BlockingInstances": []}
    wanted = {pool["InstanceType"]: pool["Count"] for pool in values["RequestedInstancePools"]}
    rows = []
    for instance in ask.world.topology.instances.values():
        id_ = ask.world.id("instance", instance.name)
        if values["outpost"] not in outposts_of(ask.world, {"InstanceId": id_}):
            continue
        wanted[instance.type] = wanted.get(instance.type, 0) - 1
        if wanted[instance.type] < 0 and instance.state != "stopped":
            rows.append({"InstanceId": id_, "AccountId": ACCOUNT, "AwsServiceName": "EC2"})
    return {"BlockingInstances": rows}
