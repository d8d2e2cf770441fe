"""Declared faults: checked against the plan that they are about, and added to it."""

from __future__ import annotations

from dataclasses import replace

from testbed.errors import DocumentError, UsageError, Violation
from testbed.faults import catalog
from testbed.plan.model import Fault, Plan
from testbed.topology.model import Topology


def lower(plan: Plan, topology: Topology) -> Plan:
    """The plan with the topology's faults.

    Raises DocumentError with every fault that is not possible, and where it is.
    """
    faults: list[Fault] = []
    violations: list[Violation] = []
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
            violations.append(Violation(declared.path, "faults", error.message, error.hint))
        else:
            faults.append(fault)
            taken.append(name)
    if violations:
        raise DocumentError(violations)
    return replace(plan, faults=tuple(faults)) if faults else plan
