"""Each conformance check fails when what it is about is broken.

That all pass on the repaired testbed is what tests/packets/test_conforms.py proves, as the
last test of each.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from packets.mutations import ROOT, Mutation
from testbed.conformance import runner
from testbed.conformance.results import Result
from testbed.conformance.suites import SUITES
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed

pytestmark = [pytest.mark.packets]

REAL_TIME = {"service-link.throughput"}  # virtual time knows no throughput
SETTLE_S = 20.0  # of the testbed's time, for what is on its way


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


def parameters() -> list[Any]:
    """Each mutation with its name, on the testbed of its topology."""
    found = []
    for name, mutation in all_mutations():
        marks = [pytest.mark.topology(ROOT / mutation.topology)]
        if name.partition(" ")[0] in REAL_TIME:
            marks.append(pytest.mark.testbed(time="real"))
        found.append(pytest.param(name, mutation, id=name, marks=marks))
    return found


@pytest.mark.parametrize(("name", "mutation"), parameters())
def test_the_check_fails(name: str, mutation: Mutation, testbed: Testbed) -> None:
    check = name.partition(" ")[0]
    topology = load_topology(ROOT / mutation.topology, {})
    found: list[Result] = []

    def named() -> list[Result]:
        report = runner.run(testbed, topology, [check], subjects=mutation.only, alone=True)
        assert report.results, report.problem
        found[:] = report.results
        return [
            result
            for result in report.results
            if result.outcome == "failed"
            and mutation.subject in result.subject
            and mutation.seen in result.seen
        ]

    with broken(testbed, mutation):
        try:
            failed = testbed.eventually(named, SETTLE_S)
        except AssertionError:
            pytest.fail(
                "\n".join(f"{r.outcome} {r.subject}: {r.seen or r.text}" for r in found),
                pytrace=False,
            )
    assert failed[0].remedy
