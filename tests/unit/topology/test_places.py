"""Places in a document, written and found, and values there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import UsageError, dotted
from testbed.topology.places import place_of, with_value, without

DATA: dict[str, Any] = {
    "vpcs": {"app": {"cidr": "10.0.0.0/16"}},
    "hosted_zones": {"corp.internal": {"records": [{"name": "a"}, {"name": "b"}]}},
}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("vpcs", ("vpcs",)),
        ("vpcs.app.cidr", ("vpcs", "app", "cidr")),
        ("vpcs.new.cidr", ("vpcs", "new", "cidr")),
        ("hosted_zones.corp.internal", ("hosted_zones", "corp.internal")),
        (
            "hosted_zones.corp.internal.records[1].name",
            ("hosted_zones", "corp.internal", "records", 1, "name"),
        ),
        ('hosted_zones."new.internal".vpcs[0]', ("hosted_zones", "new.internal", "vpcs", 0)),
        ("hosted_zones.'new.internal'", ("hosted_zones", "new.internal")),
        ("hosted_zones.new.internal", ("hosted_zones", "new", "internal")),
    ],
)
def test_places(text: str, path: tuple[str | int, ...]) -> None:
    assert place_of(text, DATA) == path


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a[x]", "a[", "a.[0]", "a'b"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(UsageError, match="is not a place in a topology"):
        place_of(text, DATA)


@given(st.text(max_size=20))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    try:
        path = place_of(text, DATA)
    except UsageError:
        return
    assert path


def test_a_place_is_found_as_it_is_printed() -> None:
    def walk(value: Any, path: tuple[str | int, ...]) -> None:
        if path:
            assert place_of(dotted(path), DATA) == path
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, below in items if isinstance(value, dict | list) else ():
            walk(below, (*path, key))

    walk(DATA, ())


def test_a_value_is_put_in_and_what_is_beside_it_is_shared() -> None:
    data = with_value(DATA, ("vpcs", "app", "cidr"), "10.1.0.0/16")
    assert data["vpcs"]["app"]["cidr"] == "10.1.0.0/16"
    assert DATA["vpcs"]["app"]["cidr"] == "10.0.0.0/16"
    assert data["hosted_zones"] is DATA["hosted_zones"]


def test_mappings_are_made_and_lists_grow_by_one() -> None:
    assert with_value({}, ("a", "b", 0, "c"), 1) == {"a": {"b": [{"c": 1}]}}
    with pytest.raises(UsageError, match=r"a is a list and has 1 entry"):
        with_value({"a": [1]}, ("a", 2), 1)
    with pytest.raises(UsageError, match=r"vpcs.app.cidr is 10.0.0.0/16: it contains nothing"):
        with_value(DATA, ("vpcs", "app", "cidr", "x"), 1)


def test_a_value_is_taken_away() -> None:
    path = ("hosted_zones", "corp.internal", "records", 0)
    assert without(DATA, path)["hosted_zones"] == {"corp.internal": {"records": [{"name": "b"}]}}
    with pytest.raises(UsageError, match=r"there is no vpcs\.ap") as caught:
        without(DATA, ("vpcs", "ap"))
    assert caught.value.hint == "did you mean 'app'?"
    with pytest.raises(UsageError, match="is a list and has 2 entries"):
        without(DATA, (*path[:-1], 2))
