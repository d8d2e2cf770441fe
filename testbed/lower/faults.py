"""Declared faults: checked against the plan that they are about, and added to it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace

from testbed.errors import DocumentError, UsageError, Violation
from testbed.faults import catalog
from testbed.plan.model import Fault, Plan
from testbed.topology.model import FaultDeclaration, Topology
from testbed.topology.numbers import Numbers


def lower(plan: Plan, topology: Topology, numbers: Numbers) -> Plan:
    """Return the plan with the topology's faults.

    Raises DocumentError with every fault that is not possible, and where it is.
    """
    faults: list[Fault] = []
    violations: list[Violation] = []
    names = _names(topology.faults, numbers)
    for declared, name in zip(topology.faults, names, strict=True):
        try:
            if names.count(name) > 1:
                raise UsageError(f"several faults are called {name}")  # noqa: TRY301
            fault = catalog.make(
                declared.kind, declared.target, declared.values, **declared.times, name=name
            )
            catalog.compose(plan, [*(each for each in faults if not each.at_s), fault])
        except UsageError as error:
            violations.append(Violation(declared.path, "faults", error.message, error.hint))
        else:
            faults.append(fault)
    if violations:
        raise DocumentError(violations)
    return replace(plan, faults=tuple(faults)) if faults else plan


def _names(faults: tuple[FaultDeclaration, ...], numbers: Numbers) -> list[str]:
    """The faults' names: their own, else their kind, with a number from the second on.

    One without a name keeps its number for as long as the file says the same of it.
    """
    own = {declared.name for declared in faults}
    alike: Counter[str] = Counter()
    found = []
    for declared in faults:
        name = declared.name
        if not name:
            given = (re.fullmatch(rf"{re.escape(declared.kind)}(?:-(\d+))?", each) for each in own)
            taken = {int(match[1] or 1) for match in given if match}
            said = {**declared.values, **declared.times, "target": declared.target}
            what = json.dumps(said, sort_keys=True)
            alike[what] += 1
            kind = f"fault/{declared.kind}"
            number = numbers.claim(kind, f"{what} {alike[what]}", taken=taken)
            name = declared.kind if number == 1 else f"{declared.kind}-{number}"
        found.append(name)
    return found
