"""Processes of instances: start, change and stop them; not in EC2."""

from __future__ import annotations

from typing import Any

from testbed.topology.editing.change import make_operation
from testbed.topology.editing.keyed import KEYS, any_of, by_key, keys_of, new_of, parameter
from testbed.topology.editing.kinds import PROCESS
from testbed.topology.editing.named import add, change, remove
from testbed.topology.editing.tree import ANY, Data
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.shape import shape_at

NAMES = (parameter("instance", str), parameter("process", str))
_keys = keys_of(shape_at(TopologyForm, PROCESS.path(ANY, ANY)))


def _adding(data: Data, *, instance: str, process: str, **given: Any) -> Data:
    return add(data, PROCESS, (instance, process), by_key(_keys, given))


def _changing(data: Data, *, instance: str, process: str, **given: Any) -> Data:
    return change(data, PROCESS, (instance, process), by_key(_keys, given))


def _removing(data: Data, *, instance: str, process: str) -> Data:
    return remove(data, PROCESS, instance, process)


add_process = make_operation(
    "add_process", _adding, [*NAMES, *new_of(_keys)], f"Run another process in an instance; {KEYS}."
)
modify_process = make_operation(
    "modify_process", _changing, [*NAMES, *any_of(_keys)], f"Change keys of a process; {KEYS}."
)
remove_process = make_operation(
    "remove_process", _removing, [*NAMES], "Stop a process of an instance's, and remove it."
)
