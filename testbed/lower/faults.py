"""Declared faults: checked against the plan that they are about, and added to it."""

from __future__ import annotations

from dataclasses import replace

from testbed.errors import Problem, TopologyError, UsageError
from testbed.faults import catalog
from testbed.plan.model import Fault, Plan
from testbed.topology.model import FaultDeclaration, Topology


def lower(plan: Plan, topology: Topology) -> Plan:
    """The plan with the topology's faults.

    Raises TopologyError with every fault that is not possible, and where it is.
    """
    faults: list[Fault] = []
    problems: list[Problem] = []
    taken = [declared.name for declared in topology.faults if declared.name]
    for declared in topology.faults:
        name = declared.name or catalog.named(declared.kind, taken)
        try:
            if declared.name and taken.count(name) > 1:
                raise UsageError(f"several faults are called {name}")  # noqa: TRY301
            fault = catalog.make(
                declared.kind, declared.target, declared.values, **declared.times, name=name
            )
            catalog.compose(plan, [*(each for each in faults if not each.at_s), fault])
        except UsageError as error:
            problems.append(_problem(topology, declared, error))
        else:
            faults.append(fault)
            taken.append(name)
    if problems:
        raise TopologyError(problems)
    return replace(plan, faults=tuple(faults)) if faults else plan


def _problem(topology: Topology, declared: FaultDeclaration, error: UsageError) -> Problem:
    place = declared.place or Problem(topology.name, 1, 1, "faults", "")
    return replace(place, message=error.message, hint=error.hint)
