"""Where tasks are placed: resources, constraints, strategies (AWS: ECS task placement)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from testbed.programs.ecs import expressions
from testbed.programs.ecs.state import Instance, Row, Task, cpu_of, memory_of, ports_of


class NoPlaceError(Exception):
    """No container instance can have the task: AWS's words, and its code for RunTask."""

    def __init__(self, code: str, reason: str, arn: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason, self.arn = code, reason, arn


@dataclass
class Candidate:
    """A container instance with what is left of it, and its tasks that are of the same group."""

    instance: Instance
    cpu: int
    memory: int
    ports: set[tuple[str, int]]
    alike: int

    @property
    def facts(self) -> dict[str, str]:
        """What expressions and strategies know of it."""
        known = {"ec2InstanceId": self.instance.ec2_id, "instanceId": self.instance.ec2_id}
        return known | self.instance.attributes


def candidate(instance: Instance, tasks: Iterable[Task], group: str) -> Candidate:
    """Return a container instance as it is with these tasks."""
    here = [task for task in tasks if task.instance == instance.arn and task.active]
    ports = set[tuple[str, int]]()
    for task in here:
        ports |= task.ports()
    return Candidate(
        instance,
        instance.cpu - sum(task.cpu() for task in here),
        instance.memory - sum(task.memory() for task in here),
        ports,
        sum(task.group == group and task.wanted for task in here),
    )


def lacks(found: Candidate, definition: Row) -> str:
    """Return what a container instance has too little of for a task: empty: nothing."""
    if found.cpu < cpu_of(definition):
        return "RESOURCE:CPU"
    if found.memory < memory_of(definition):
        return "RESOURCE:MEMORY"
    if found.ports & ports_of(definition):
        return "RESOURCE:PORTS"
    return ""


WORDS = {
    "RESOURCE:CPU": "has insufficient CPU units available",
    "RESOURCE:MEMORY": "has insufficient memory available",
    "RESOURCE:PORTS": "is already using a port required by your task",
    "MemberOf placement constraint unsatisfied.": "encountered error 'MemberOf placement"
    " constraint unsatisfied.'",
    "DistinctInstance placement constraint unsatisfied.": "encountered error 'DistinctInstance"
    " placement constraint unsatisfied.'",
    "AGENT": "does not have an agent connected",
}


def unmet(found: Candidate, constraints: Sequence[Row]) -> str:
    """Return the constraint that a container instance does not meet; empty: it meets all."""
    for constraint in constraints:
        if constraint["type"] == "distinctInstance":
            if found.alike:
                return "DistinctInstance placement constraint unsatisfied."
        elif not expressions.parse(constraint.get("expression", ""))(found.facts):
            return "MemberOf placement constraint unsatisfied."
    return ""


def place(
    definition: Row,
    candidates: Sequence[Candidate],
    constraints: Sequence[Row] = (),
    strategy: Sequence[Row] = (),
) -> Candidate:
    """Return the container instance for a task. Raises NoPlaceError."""
    active = [each for each in candidates if each.instance.status == "ACTIVE"]
    if not active:
        raise NoPlaceError("RESOURCE:*", "No Container Instances were found in your cluster.")
    constraints = [*constraints, *definition.get("placementConstraints", ())]
    fitting: list[Candidate] = []
    why = ("", "")
    for found in active:
        if not found.instance.connected:
            why = ("AGENT", found.instance.arn)
            continue
        problem = unmet(found, constraints) or lacks(found, definition)
        if problem:
            why = (problem, found.instance.arn)
        else:
            fitting.append(found)
    if not fitting:
        closest = f"The closest matching container-instance {why[1].rpartition('/')[2]}"
        raise NoPlaceError(why[0], f"{closest} {WORDS[why[0]]}.", why[1])
    return choose(fitting, strategy)


def choose(fitting: Sequence[Candidate], strategy: Sequence[Row]) -> Candidate:
    """Return the best of those that fit, by each strategy in turn."""
    left = list(fitting)
    for entry in strategy:
        kind, field = entry["type"], entry.get("field", "")
        if kind == "random":
            return random.choice(left)  # noqa: S311 - no secret
        if kind == "binpack":
            free = [each.cpu if field.lower() == "cpu" else each.memory for each in left]
            least = min(free)
            left = [each for each, room in zip(left, free, strict=True) if room == least]
            continue
        name = field.removeprefix("attribute:")
        name = "instanceId" if name in ("host", "instanceId") else name
        groups: dict[str, int] = {}
        for each in fitting:
            value = each.facts.get(name, "")
            groups[value] = groups.get(value, 0) + each.alike
        fewest = min(groups[each.facts.get(name, "")] for each in left)
        left = [each for each in left if groups[each.facts.get(name, "")] == fewest]
    # Without a strategy AWS chooses at random; here where there are fewest, so that runs repeat.
    return min(left, key=lambda each: (each.alike, each.instance.name))
