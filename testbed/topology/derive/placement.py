"""Placing instances on an Outpost's servers.

Capacity is by slots: each server has a number of them for each instance type
(AWS: capacity of Outposts racks). The user cannot choose the hardware; AWS
does not say how it is chosen. Here an instance keeps its server, and a new one
gets the first that has a free slot. A stopped instance has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from testbed.errors import Path
from testbed.topology.derive.rack import racks_of_servers
from testbed.topology.model import Instance, PlacementGroup
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm


def placement_groups(form: TopologyForm) -> dict[str, PlacementGroup]:
    """The placement groups by name."""
    return {
        name: PlacementGroup(name, group.strategy, group.spread_level or "host")
        for name, group in form.placement_groups.items()
    }


@dataclass
class _Capacity:
    """What is free on an Outpost, and where the instances of each placement group are."""

    servers: list[dict[str, int]]
    racks: list[int]
    groups: dict[str, list[int]] = field(default_factory=dict)

    def place(self, kind: str, group: PlacementGroup | None, before: int | None) -> int | None:
        """The number of the server, from 1, that takes an instance; None: there is none.

        It is the one that the instance was on `before`, if it can be.
        """
        taken = self.groups.setdefault(group.name, []) if group else []
        order: Sequence[int] = range(len(self.servers))
        if group and group.strategy == "cluster":
            order = sorted(order, key=lambda index: index + 1 not in taken)
        if before is not None:
            order = sorted(order, key=lambda index: index + 1 != before)
        for index in order:
            if self._apart(index, group, taken) and self.servers[index].get(kind, 0) > 0:
                self.servers[index][kind] -= 1
                taken.append(index + 1)
                return index + 1
        return None

    def _apart(self, index: int, group: PlacementGroup | None, taken: list[int]) -> bool:
        """Whether a server is apart from those of a spread group's other instances."""
        if group is None or group.strategy != "spread":
            return True
        if group.spread_level == "rack":
            return self.racks[index] not in {self.racks[number - 1] for number in taken}
        return index + 1 not in taken


def place(
    form: TopologyForm, instances: dict[str, Instance], report: Report, numbers: Numbers
) -> dict[str, Instance]:
    """Return the instances, each with its server; one that has no room is reported."""
    groups = placement_groups(form)
    free = {
        name: _Capacity([dict(s) for s in outpost.capacity.servers], racks_of_servers(outpost))
        for name, outpost in form.outposts.items()
        if outpost.capacity is not None
    }
    placed = dict(instances)
    before = numbers.before("server")
    for name in sorted(instances, key=lambda name: name not in before):
        instance = instances[name]
        outpost = form.vpcs[instance.vpc].subnets[instance.subnet].outpost
        if outpost not in free or instance.state != "running":
            continue
        group = groups.get(form.instances[name].placement_group or "")
        server = free[outpost].place(instance.type, group, before.get(name))
        if server is None:
            _full(form, name, outpost, group, report)
        else:
            numbers.record("server", name, server)
        placed[name] = replace(instance, server=server)
    return placed


def _full(
    form: TopologyForm, name: str, outpost: str, group: PlacementGroup | None, report: Report
) -> None:
    if report.touched(("outposts", outpost, "capacity")):
        return
    kind = form.instances[name].type
    capacity = form.outposts[outpost].capacity
    assert capacity is not None
    slots = sum(server.get(kind, 0) for server in capacity.servers)
    message = (
        "InsufficientInstanceCapacity: There is not enough capacity on the Outpost to launch or"
        f" start the instance: {outpost} has {slots} slots for {kind}"
    )
    if group is not None and group.strategy == "spread":
        message += f", and the placement group {group.name} wants one on another"
        message += f" {group.spread_level}"
    hint = "stop another instance, choose another type, or change the Outpost's capacity"
    if not slots:
        types = sorted({entry for server in capacity.servers for entry in server})
        hint = f"its servers have slots for: {', '.join(types) or 'nothing'}"
    path: Path = ("instances", name)
    report.add(path, message, hint, key=True)
