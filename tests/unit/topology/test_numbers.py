"""Numbers: a name keeps its own, a new one gets the lowest that is free."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.topology.numbers import Numbers

NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True)
NUMBERED = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 12)).filter(
    lambda numbers: len(set(numbers.values())) == len(numbers)
)
TAKEN = st.frozensets(st.integers(1, 12))


def test_from_nothing_the_order_of_the_claims_decides() -> None:
    numbers = Numbers()
    assert [numbers.claim("vpc", name) for name in ("b", "a", "b", "c")] == [1, 2, 1, 3]
    assert [numbers.claim("mark", name, first=8) for name in ("a", "b")] == [8, 9]
    assert numbers.to_json() == {"mark": {"a": 8, "b": 9}, "vpc": {"b": 1, "a": 2, "c": 3}}


def test_a_number_is_free_in_the_edit_after_the_one_that_took_its_name_out() -> None:
    numbers = Numbers({"vpc": {"a": 1, "b": 2}})
    assert [numbers.claim("vpc", name) for name in ("c", "b")] == [3, 2]
    numbers = Numbers(numbers.to_json())
    assert [numbers.claim("vpc", name) for name in ("d", "b", "c")] == [1, 2, 3]


def test_a_number_that_the_file_gives_to_another_is_not_kept() -> None:
    numbers = Numbers({"address": {"a": 4, "b": 5}})
    assert numbers.claim("address", "a", first=4, taken={4, 6}) == 7
    assert numbers.claim("address", "b", first=4, taken={4, 6}) == 5


def test_where_there_is_no_room_left_those_of_names_that_are_gone_are_given_away() -> None:
    numbers = Numbers({"address": {"gone": 1, "stays": 2}})
    found = numbers.claim_all("address", ["new", "newer", "stays"], range(1, 4))
    assert found == {"new": 3, "newer": 1, "stays": 2}
    assert numbers.claim_all("address", ["newest"], range(1, 4)) == {}


def test_choices_are_in_order_of_preference_and_what_is_outside_is_not_kept() -> None:
    numbers = Numbers({"address": {"a": 9, "b": 21}})
    found = numbers.claim_all("address", "abcd", range(3, 0, -1), range(20, 22), taken=[2])
    assert found == {"a": 3, "b": 21, "c": 1, "d": 20}


def test_several_may_be_recorded_with_one_number() -> None:
    numbers = Numbers({"server": {"a": 1}})
    assert dict(numbers.before("server")) == {"a": 1}
    numbers.record("server", "a", 2)
    numbers.record("server", "b", 2)
    assert numbers.to_json() == {"server": {"a": 2, "b": 2}}


@given(NUMBERED, NAMES, NAMES, TAKEN)
def test_names_that_had_a_number_keep_it_in_whatever_order_they_claim(
    before: dict[str, int], names: list[str], others: list[str], taken: frozenset[int]
) -> None:
    known = [name for name in names if name in before]
    order = [name for name in others if name in known] + known
    found = Numbers({"k": before}), Numbers({"k": before})
    first = {name: found[0].claim("k", name, taken=taken) for name in known}
    second = {name: found[1].claim("k", name, taken=taken) for name in order}
    for name in known:
        if before[name] not in taken:
            assert first[name] == second[name] == before[name]
    if not taken:
        assert json.dumps(found[0].to_json()) == json.dumps(found[1].to_json())


@given(NUMBERED, NAMES, TAKEN, st.integers(1, 5))
def test_numbers_are_never_two_names(
    before: dict[str, int], names: list[str], taken: frozenset[int], first: int
) -> None:
    numbers = Numbers({"k": before})
    for name in names:
        claimed = set(numbers.to_json().get("k", {}).values())
        number = numbers.claim("k", name, first=first, taken=taken)
        assert number not in claimed | taken
        if number != before.get(name):
            free = set(range(first, number)) - claimed - taken - set(before.values())
            assert not free
    assert Numbers.from_json(numbers.to_json()).to_json() == {}


@given(NUMBERED, NAMES, TAKEN, st.integers(1, 12))
def test_all_at_once_nobody_is_left_without_while_there_is_room(
    before: dict[str, int], names: list[str], taken: frozenset[int], last: int
) -> None:
    found = Numbers({"k": before}).claim_all("k", names, range(1, last + 1), taken=taken)
    room = set(range(1, last + 1)) - taken
    assert len(found) == min(len(names), len(room))
    assert len(set(found.values())) == len(found)
    assert set(found.values()) <= room
    for name in names:
        if before.get(name) in room:
            assert found[name] == before[name]


@pytest.mark.parametrize("data", [[], {"vpc": []}, {"vpc": {"a": "1"}}, {"vpc": {"a": True}}])
def test_what_are_no_numbers_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="number"):
        Numbers.from_json(data)
