"""Which check stands on which: one graph over all suites, and the order that follows from it.

Two marks make its edges. `after`: without those the check cannot be judged. `follows`: it is
judged, but where it fails and one of those has failed for an object that both touch, that
one is the cause.
"""

from __future__ import annotations

import heapq
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from testbed.conformance.subjects import SUBJECTS
from testbed.conformance.suites import SUITES, Check, describe, file_of, name_of

if TYPE_CHECKING:
    from testbed.conformance.results import Result

PACKAGE = "testbed.conformance"


@dataclass(frozen=True, slots=True)
class After:
    """The marker `after`: the checks that another one stands on, and for which objects.

    It stands on them for its own object, for what that is part of or stands on, and
    for its parts: for each of them, or with `every` for at least one. With `part` only
    objects of that kind count, such as the VIFs named ``op.lag1.service-link``.
    """

    checks: tuple[str, ...]
    part: str = ""
    every: bool = False

    def concerns(self, result: Result, own: frozenset[str], keys: frozenset[str]) -> bool:
        """Whether a result is about what a check for this object stands on."""
        if self.part and not any(f".{self.part}" in key for key in result.keys):
            return False
        return bool(result.keys & keys or result.within & own)


@dataclass(frozen=True, slots=True)
class Vertex:
    """A check: what it says about itself, its function, and what it stands on.

    `kind` is the argument that says what it is run for; None: the site as a whole.
    """

    check: Check
    function: Callable[..., Any]
    after: tuple[After, ...]
    follows: tuple[str, ...]
    kind: str | None
    disruptive: bool

    @property
    def below(self) -> list[str]:
        """All checks that it stands on."""
        return [*(other for after in self.after for other in after.checks), *self.follows]


def is_test(value: object) -> bool:
    """Whether something in a suite's file is a check."""
    return inspect.isfunction(value) and value.__name__.startswith("test_")


@cache
def graph() -> dict[str, Vertex]:
    """All checks by name, in the order in which they are run: what others stand on is first.

    Where the graph leaves it open, suites come from the cable up, checks as in their file,
    and what breaks something on purpose last in its suite. ValueError for a circle.
    """
    found = [vertex for suite in SUITES for vertex in _of(suite)]
    place = {v.check.name: number for number, v in enumerate(found)}
    rank = {
        v.check.name: (SUITES.index(v.check.suite), v.disruptive, place[v.check.name])
        for v in found
    }
    vertices = {vertex.check.name: vertex for vertex in found}
    above: dict[str, list[str]] = {name: [] for name in vertices}
    left = {name: len(set(vertex.below)) for name, vertex in vertices.items()}
    for name, vertex in vertices.items():
        for other in set(vertex.below):
            above[other].append(name)
    ready = [(rank[name], name) for name, number in left.items() if not number]
    heapq.heapify(ready)
    ordered: dict[str, Vertex] = {}
    while ready:
        name = heapq.heappop(ready)[1]
        ordered[name] = vertices[name]
        for other in above[name]:
            left[other] -= 1
            if not left[other]:
                heapq.heappush(ready, (rank[other], other))
    if len(ordered) < len(vertices):
        raise ValueError(f"checks stand on each other: {set(vertices) - set(ordered)}")
    return ordered


def _of(suite: str) -> list[Vertex]:
    module = importlib.import_module(f"{PACKAGE}.{file_of(suite).stem}")
    functions = [
        function
        for function in vars(module).values()
        if getattr(function, "__module__", "") == module.__name__ and is_test(function)
    ]
    common = getattr(module, "pytestmark", [])
    common = common if isinstance(common, list) else [common]
    return [_vertex(name_of(file_of(suite), f.__name__), f, common) for f in functions]


def _vertex(name: str, function: Callable[..., Any], common: list[Any]) -> Vertex:
    marks = [*getattr(function, "pytestmark", []), *common]
    arguments = inspect.signature(function).parameters
    return Vertex(
        check=describe(name, function),
        function=function,
        after=tuple(After(m.args, **m.kwargs) for m in marks if m.name == "after"),
        follows=tuple(other for m in marks if m.name == "follows" for other in m.args),
        kind=next((kind for kind in SUBJECTS if kind in arguments), None),
        disruptive=any(m.name == "disruptive" for m in marks),
    )
