"""Every operation at work: what comes of it is right, and its inverse takes it back."""

from __future__ import annotations

import json

import pytest
from editing_examples import ROUND_TRIPS, everything

from testbed.topology.document import resolve
from testbed.topology.editing import OPERATIONS, Change


def test_the_document_is_right() -> None:
    resolve(everything())


@pytest.mark.parametrize(("change", "inverse"), ROUND_TRIPS, ids=lambda change: str(change)[:60])
def test_there_and_back(change: Change, inverse: Change) -> None:
    document = everything()
    before = json.dumps(document.to_json())
    changed = change(document)
    assert changed != document
    resolve(changed)
    there = json.dumps(changed.to_json())
    assert inverse(changed) == document
    after = json.dumps(document.to_json()), json.dumps(changed.to_json())
    assert after == (before, there), "an operation changed what it was given"


def operations_in(change: Change) -> set[str]:
    """The operations that a change is made of."""
    if change.operation != "together":
        return {change.operation}
    return set().union(*(operations_in(part) for part in change.arguments["changes"]))


def test_every_operation_is_at_work_here() -> None:
    used = set().union(*(operations_in(change) for pair in ROUND_TRIPS for change in pair))
    assert set(OPERATIONS) - used == set()
