"""Each conformance check fails when what it is about is broken, and passes once it is repaired."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from packets.mutations import ROOT, Mutation
from testbed.bringup import load_topology
from testbed.conformance import runner
from testbed.conformance.results import Result
from testbed.conformance.suites import SUITES
from testbed.testing import Testbed

pytestmark = [pytest.mark.packets]

PATIENCE_S = 20.0


def all_mutations() -> list[tuple[str, Mutation]]:
    """All of them, those of one topology after the other."""
    found: list[tuple[str, Mutation]] = []
    for suite in SUITES:
        module = importlib.import_module(f"packets.mutations.{suite.replace('-', '_')}")
        found += module.MUTATIONS.items()
    return sorted(found, key=lambda entry: entry[1].topology)


@contextmanager
def broken(testbed: Testbed, mutation: Mutation) -> Iterator[None]:
    """Break the site in the block; repaired, and everything ready again, after it."""
    with ExitStack() as stack:
        stack.callback(testbed.restore)
        if mutation.change is not None:
            testbed.apply(mutation.change(testbed.plan), wait=False)
        for fault in mutation.faults:
            testbed.fault(
                fault.kind, fault.target, **fault.values
            ).__enter__()  # restore() heals it
        if mutation.settle_s:
            testbed.advance(mutation.settle_s)
        yield


@pytest.mark.parametrize(
    ("name", "mutation"), [pytest.param(*entry, id=entry[0]) for entry in all_mutations()]
)
def test_the_check_fails(
    name: str, mutation: Mutation, testbed_factory: Callable[..., Testbed]
) -> None:
    check = name.partition(" ")[0]
    testbed = testbed_factory(ROOT / mutation.topology)
    topology = load_topology(ROOT / mutation.topology, {})

    def results() -> list[Result]:
        report = runner.run(testbed, topology, [check], subjects=mutation.only, alone=True)
        assert report.results, report.problem
        return report.results

    def named(found: list[Result]) -> list[Result]:
        return [
            result
            for result in found
            if result.outcome == "failed"
            and mutation.subject in result.subject
            and mutation.seen in result.seen
        ]

    def wrong(found: list[Result]) -> list[Result]:
        return [r for r in found if r.outcome not in {"passed", "not-applicable"}]

    with broken(testbed, mutation):
        found = last(results, named)
    assert named(found), "\n".join(f"{r.outcome} {r.subject}: {r.seen or r.text}" for r in found)
    assert named(found)[0].remedy
    left = wrong(last(results, lambda found: not wrong(found)))
    assert not left, f"still after the repair: {left[0].subject}: {left[0].seen}"


def last(look: Callable[[], list[Result]], ok: Callable[[list[Result]], object]) -> list[Result]:
    """What was seen last: what is on its way may take some looks on a busy machine."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if ok(found) or time.monotonic() > deadline:
            return found
