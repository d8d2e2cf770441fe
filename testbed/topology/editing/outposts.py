"""Outposts: ordering and returning them, their service links, maintenance and resolvers."""

from __future__ import annotations

from testbed.topology.editing.arguments import without
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.keyed import Part, operation_on, operations_on
from testbed.topology.editing.kinds import OUTPOST
from testbed.topology.editing.named import change, require
from testbed.topology.editing.tree import Data

create_outpost, update_outpost, delete_outpost = operations_on(
    OUTPOST, "outpost", "outpost", verbs=("create", "update", "delete")
)
modify_uplinks = operation_on(
    "modify_uplinks", Part("an Outpost's uplinks", ("uplinks",), OUTPOST, "outpost")
)
modify_service_link = operation_on(
    "modify_service_link",
    Part("an Outpost's service link", ("service_link",), OUTPOST, "outpost", but=("vifs",)),
)


@operation
def create_outpost_resolver(data: Data, *, outpost: str) -> Data:
    """Create Route 53 Resolver on an Outpost."""
    if require(data, OUTPOST, outpost).get("resolver"):
        message = f"The Outpost {outpost} has a resolver already"
        path = (*OUTPOST.path(outpost), "resolver")
        raise EditError("ResourceExistsException", message, path)
    return change(data, OUTPOST, (outpost,), {"resolver": True})


@operation
def delete_outpost_resolver(data: Data, *, outpost: str) -> Data:
    """Delete Route 53 Resolver from an Outpost."""
    if not require(data, OUTPOST, outpost).get("resolver"):
        path = (*OUTPOST.path(outpost), "resolver")
        raise EditError("ResourceNotFoundException", f"{outpost} has no resolver", path)
    return change(data, OUTPOST, (outpost,), {"resolver": None})


@operation
def drain_outpost_device(data: Data, *, outpost: str, device: int) -> Data:
    """Shift traffic off an Outpost networking device, 1 or 2, as AWS does for maintenance."""
    drained = require(data, OUTPOST, outpost).get("drained", [])
    path = (*OUTPOST.path(outpost), "drained")
    if device in drained:
        raise EditError(None, f"device {device} of {outpost} is drained already", path)
    return change(data, OUTPOST, (outpost,), {"drained": [*drained, device]})


@operation
def restore_outpost_device(data: Data, *, outpost: str, device: int) -> Data:
    """Let traffic use a drained Outpost networking device again."""
    drained = require(data, OUTPOST, outpost).get("drained", [])
    path = (*OUTPOST.path(outpost), "drained")
    if device not in drained:
        raise EditError(None, f"device {device} of {outpost} is not drained", path)
    return change(data, OUTPOST, (outpost,), {"drained": without(drained, [device])})
