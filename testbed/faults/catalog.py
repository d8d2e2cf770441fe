"""All kinds of faults, how one is made of what a user says, and what they make of a plan."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from testbed.errors import UsageError
from testbed.faults import bgp, firewall, lag, link, node, service_link, session
from testbed.faults.editing import Editing
from testbed.faults.registry import KINDS, FaultKind
from testbed.faults.targets import resolve
from testbed.faults.values import Value, seconds
from testbed.plan.model import Fault, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["KINDS", "catalogue", "compose", "find", "make", "named"]
SUBJECTS = (link, lag, bgp, session, firewall, service_link, node)
for _subject in SUBJECTS:  # the order in which people are shown them
    for _kind in [k for k in KINDS.values() if k.change.__module__ == _subject.__name__]:
        KINDS[_kind.name] = KINDS.pop(_kind.name)
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
SHORTEST_S = 0.01


def find(name: str) -> FaultKind:
    """The kind of fault `name`; UsageError, naming likely ones, when there is none."""
    if kind := KINDS.get(name):
        return kind
    close = difflib.get_close_matches(name, KINDS, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else ", ".join(KINDS)
    raise UsageError(f"there is no kind of fault {name[:60]!r}", hint=hint)


def make(
    kind: str,
    target: str,
    values: Mapping[str, Any],
    *,
    at_s: Any = 0.0,
    for_s: Any = None,
    every_s: Any = None,
    name: str = "",
) -> Fault:
    """A fault with its values in their units, defaults filled in.

    UsageError when the kind, a parameter, a value, the name or the times are wrong.
    """
    found = find(kind)
    given = _values(found, values)
    if name and not NAME.fullmatch(name):
        hint = "lower-case letters, digits and inner hyphens, at most 40"
        raise UsageError(f"{name[:60]!r} is not a name for a fault", hint=hint)
    at = seconds(at_s, "at")
    lasts = found.lasts_s if for_s is None else seconds(for_s, "for")
    every = None if every_s is None else seconds(every_s, "every")
    if lasts is not None and lasts < SHORTEST_S:
        raise UsageError(f"for {lasts:g} s: a fault lasts at least {SHORTEST_S * 1000:g} ms")
    if every is not None and (lasts is None or every < lasts + SHORTEST_S):
        hint = "for example: --every 5s --for 1s"
        raise UsageError("`every` needs a shorter `for`", hint=hint)
    return Fault(found.name, target, given, at, lasts, every, name)


def _values(kind: FaultKind, values: Mapping[str, Any]) -> dict[str, Value]:
    given: dict[str, Value] = {}
    for name, value in values.items():
        parameter = kind.parameter(name)
        if parameter is None:
            known = [p.name for p in kind.parameters]
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
            text = f"{kind.name} has no parameter {name[:40]!r}"
            raise UsageError(text, hint=hint if known else "it has none")
        given[parameter.name] = parameter.parse(value)
    for parameter in kind.parameters:
        if parameter.required and parameter.name not in given:
            raise UsageError(f"{kind.name} needs {parameter.name}: {parameter.help}")
    names = [p.name for p in kind.parameters if not p.narrows]
    if kind.at_least_one and not given.keys() & set(names):
        raise UsageError(f"{kind.name} needs one of {', '.join(names)}")
    defaults = {p.name: p.default for p in kind.parameters if p.default is not None}
    return {
        p.name: (defaults | given)[p.name] for p in kind.parameters if p.name in defaults | given
    }


def named(fault_kind: str, taken: Iterable[str]) -> str:
    """A name for a fault that has none: its kind, with a number where that is taken."""
    names = set(taken)
    name, number = fault_kind, 1
    while name in names:
        number += 1
        name = f"{fault_kind}-{number}"
    return name


def compose(plan: Plan, faults: Iterable[Fault]) -> Plan:
    """The plan with the faults in it; the same in whatever order they are given.

    UsageError when one's target is not there, or it cannot be done to it.
    """
    ordered = sorted(faults, key=lambda fault: (KINDS[fault.kind].rank, fault.name))
    editing = Editing(plan, tuple(ordered))
    for fault in ordered:
        kind = KINDS[fault.kind]
        kind.change(editing, resolve(plan, fault.target, kind.targets), fault)
    return editing.plan() if ordered else plan


def catalogue() -> list[dict[str, Any]]:
    """All kinds for programs (docs/commands/fault.md)."""
    return [
        {
            "kind": kind.name,
            "help": kind.help,
            "targets": list(kind.targets),
            "for_s": kind.lasts_s,
            "parameters": [
                {
                    "name": parameter.name,
                    "type": parameter.type,
                    "help": parameter.help,
                    "required": parameter.required,
                    "default": parameter.default,
                    "choices": list(parameter.choices),
                }
                for parameter in kind.parameters
            ],
        }
        for kind in KINDS.values()
    ]
