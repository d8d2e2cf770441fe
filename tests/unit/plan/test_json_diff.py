"""Differences between JSON values lead from one to the other, and to no third."""

from __future__ import annotations

from typing import Any

import pytest
from effort import times
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.errors import ConflictError
from testbed.plan.json_diff import differences, lookup, patched

keys = st.sampled_from(["a", "b", "c"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([1.0, "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
trees = st.dictionaries(keys, values, max_size=3)


def same(one: Any, other: Any) -> bool:
    return (
        repr(one) == repr(other)
        or (
            isinstance(one, dict)
            and isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(one[key], other[key]) for key in one)
        )
        or (
            isinstance(one, list)
            and isinstance(other, list)
            and len(one) == len(other)
            and all(map(same, one, other))
        )
    )


@settings(max_examples=times(100, 10000))
@given(trees, trees)
def test_they_lead_from_one_to_the_other(old: Any, new: Any) -> None:
    before = repr(old)
    found = differences(old, new)
    assert same(patched(old, found), new)
    assert repr(old) == before
    assert (found == []) == same(old, new)


@settings(max_examples=times(100, 10000))
@given(trees, trees, trees)
def test_made_elsewhere_they_conflict_or_change_only_their_places(
    old: Any, new: Any, third: Any
) -> None:
    mine, theirs = differences(old, new), differences(old, third)
    try:
        merged = patched(third, mine)
    except ConflictError:
        touched = [change["path"] for change in mine]
        assert any(
            one[: len(other)] == other or other[: len(one)] == one
            for one in touched
            for other in (change["path"] for change in theirs)
        )
        return
    for change in mine:
        assert lookup(merged, change["path"]) == change.get("new")


def test_lists_of_two_lengths_differ_as_a_whole() -> None:
    old = {"a": [1, {"b": 2}], "c": [1]}
    new = {"a": [1, {"b": 3}], "c": [1, 2]}
    assert differences(old, new) == [
        {"path": ["a", 1, "b"], "old": 2, "new": 3},
        {"path": ["c"], "old": [1], "new": [1, 2]},
    ]


def test_a_conflict_says_where() -> None:
    with pytest.raises(ConflictError, match=r"a\[1\]\.b has been changed meanwhile"):
        patched({"a": [1, {"b": 9}]}, [{"path": ["a", 1, "b"], "old": 2, "new": 3}])
