"""Identity by name: an edit changes the nodes that the object is on or that name it, and no others.

`edits.footprint` says which those are. An edit is from one document to another, with the numbers
of the first carried over to the second.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from edits.documents import Document, Place
from edits.footprint import allowed, changed
from effort import times
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sites import healthy

from testbed.lower import lower
from testbed.plan.diff import diff
from testbed.plan.files import files_of
from testbed.plan.model import Plan
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers

TESTS = Path(__file__).parents[2]
EVERYTHING = "everything"
SHIPPED = sorted(path.stem for path in (TESTS.parent / "topologies").glob("*.yaml"))

documents = st.one_of(
    st.just(EVERYTHING), st.sampled_from(SHIPPED), st.integers(0, 10_000), st.just(EVERYTHING)
)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class State:
    """What a document comes to, with the numbers that it leaves to the next edit."""

    topology: Topology
    plan: Plan
    numbers: dict[str, dict[str, int]]

    @property
    def both(self) -> tuple[Topology, Plan]:
        return self.topology, self.plan


def state(document: Document, before: State | None = None) -> State:
    numbers = Numbers(before.numbers if before else {})
    topology = document.load(numbers)
    return State(topology, lower(topology), json.loads(json.dumps(numbers.to_json())))


@cache
def document(which: str | int) -> Document:
    """A shipped topology, or the one with everything, by name; a healthy site by its seed."""
    if isinstance(which, str):
        folder = TESTS / "edits" if which == EVERYTHING else TESTS.parent / "topologies"
        path = folder / f"{which}.yaml"
        return Document(yaml.safe_load(path.read_text()), path)
    data = healthy.site(which)
    for device in data["site"]["devices"].values():
        device.pop("config", None)  # its file is not there
    for firewall in data["site"].get("firewalls", {}).values():
        firewall.pop("ruleset", None)
    return Document(data)


@cache
def from_nothing(which: str | int) -> State:
    return state(document(which))


def excess(before: State, after: State, edited: set[Place]) -> set[str]:
    """The nodes that changed and should not have."""
    return changed(before.plan, after.plan) - allowed(before.both, after.both, edited)


def check_edit(before: State, after: State, edited: set[Place]) -> None:
    assert not excess(before, after, edited), sorted(edited, key=str)
    for kind, names in after.numbers.items():
        had = before.numbers.get(kind, {})
        assert {n: had[n] for n in names if n in had} == {n: names[n] for n in names if n in had}


@settings(relaxed, max_examples=times(20, 600))
@given(documents, st.data())
def test_taking_an_object_out_changes_only_what_names_it_and_putting_it_back_undoes_it(
    which: str | int, data: st.DataObject
) -> None:
    whole, first = document(which), from_nothing(which)
    edit = whole.without(data.draw(st.sampled_from(whole.objects())))
    assume(edit is not None)
    assert edit
    shorter, edited = edit
    second = state(shorter, first)
    check_edit(first, second, edited)
    back = state(whole, second)
    assert back.plan == first.plan
    assert back.numbers == first.numbers


@settings(relaxed, max_examples=times(10, 400))
@given(documents, st.data())
def test_putting_an_object_in_changes_only_what_names_it_and_taking_it_out_undoes_it(
    which: str | int, data: st.DataObject
) -> None:
    whole = document(which)
    edit = whole.without(data.draw(st.sampled_from(whole.objects())))
    assume(edit is not None)
    assert edit
    shorter, edited = edit
    first = state(shorter)
    second = state(whole, first)
    check_edit(first, second, edited)
    assert state(shorter, second).plan == first.plan


@settings(relaxed, max_examples=times(10, 400))
@given(documents, st.randoms(use_true_random=False))
def test_the_order_of_mappings_means_nothing(which: str | int, chance: random.Random) -> None:
    first = from_nothing(which)
    second = state(document(which).reordered(chance), first)
    assert second.plan == first.plan
    assert diff(first.plan, second.plan) == []
    assert second.numbers == first.numbers


@settings(relaxed, max_examples=times(5, 120))
@given(documents, st.data(), st.randoms(use_true_random=False))
def test_so_it_is_after_any_number_of_edits(
    which: str | int, data: st.DataObject, chance: random.Random
) -> None:
    """Objects go and come back, one or several in an edit, the mappings in any order."""
    here, now = document(which), from_nothing(which)
    history: list[tuple[Document, set[Place]]] = []
    for _ in range(4):
        if history and chance.random() < 0.5:
            back = chance.randrange(len(history))
            there = history[back][0]
            edited = {place for _, places in history[back:] for place in places}
            del history[back:]
        else:
            edit = here.without(data.draw(st.sampled_from(here.objects())))
            assume(edit is not None)
            assert edit
            there, edited = edit
            history.append((here, edited))
        after = state(there.reordered(chance), now)
        check_edit(now, after, edited)
        macs = [i.mac for node in after.plan.nodes for i in node.interfaces if i.mac]
        assert len(macs) == len(set(macs))
        here, now = there, after


def test_without_the_numbers_of_before_the_same_edits_change_what_they_should_not() -> None:
    """What the tests above look for is there to be found: so it was when places decided."""
    whole, first = document(EVERYTHING), from_nothing(EVERYTHING)
    noticed = 0
    places: list[Place] = [
        ("instances", "web"),
        ("vpcs", "app"),
        ("outposts", "op-a"),
        ("site", "hosts", "desk"),
        ("site", "firewalls", "north"),
        ("region", "internet", "hosts", "www"),
    ]
    for place in places:
        edit = whole.without(place)
        assert edit
        shorter, edited = edit
        noticed += bool(excess(first, state(shorter), edited))
        assert not excess(first, state(shorter, first), edited)
    assert noticed == len(places)
    assert state(whole.reordered(random.Random(1))).plan != first.plan


@pytest.mark.parametrize("which", [EVERYTHING, *SHIPPED])
def test_a_plan_in_another_order_is_the_same_one_to_the_kernel(which: str) -> None:
    plan, chance = from_nothing(which).plan, random.Random(4)

    def shuffled(items: Iterable[Any]) -> list[Any]:
        return sorted(items, key=lambda _: chance.random())

    nodes = [
        replace(
            node,
            interfaces=tuple(shuffled(node.interfaces)),
            neighbors=tuple(shuffled(node.neighbors)),
            routes=tuple(shuffled(node.routes)),
            rules=tuple(shuffled(node.rules)),
            processes=tuple(shuffled(node.processes)),
            files=dict(shuffled(node.files.items())),
            sysctls=dict(shuffled(node.sysctls.items())),
        )
        for node in shuffled(plan.nodes)
    ]
    other = replace(plan, nodes=tuple(nodes))
    assert other != plan
    assert diff(plan, other) == []


def edited(which: str, change: Callable[[Any], None]) -> tuple[State, State]:
    """A document's state, and that after a change of its data."""
    data = copy.deepcopy(document(which).data)
    change(data)
    first = from_nothing(which)
    return first, state(Document(data, document(which).path), first)


def test_an_instance_keeps_its_address_when_the_one_before_it_goes() -> None:
    first, second = edited(EVERYTHING, lambda data: data["instances"].pop("batch"))
    assert str(first.topology.instances["batch-2"].address) == "10.1.4.5"
    assert str(second.topology.instances["batch-2"].address) == "10.1.4.5"


def test_a_route_table_that_nothing_uses_goes_without_a_step() -> None:
    def add(data: Any) -> None:
        tables = data["vpcs"]["app"]["route_tables"]
        data["vpcs"]["app"]["route_tables"] = {"idle": {}, **tables}

    first, second = edited(EVERYTHING, add)
    assert diff(first.plan, second.plan) == diff(second.plan, first.plan) == []
    numbers = {table.name: table.number for table in second.topology.vpcs["app"].route_tables}
    assert numbers == {"a-rack": 1, "b-rack": 2, "public": 3, "main": 4, "idle": 5}


def test_an_anchor_that_is_renamed_takes_its_tunnel_along() -> None:
    def rename(data: Any) -> None:
        data["region"]["anchors"] = {"middle": "198.51.100.11", "right": "198.51.100.12"}

    first, second = edited(EVERYTHING, rename)
    assert [anchor.name for anchor in second.topology.region.anchors] == ["middle", "right"]
    assert "region.right" not in changed(first.plan, second.plan)


def test_a_device_keeps_its_as_number_when_its_group_falls_apart() -> None:
    def separate(data: Any) -> None:
        del data["outposts"]["op-b"], data["outposts"]["op-d"]
        del data["vpcs"]["app"]["subnets"]["b-rack"], data["vpcs"]["app"]["route_tables"]["b-rack"]
        del data["instances"]["batch"], data["instances"]["batch-2"]

    first, second = edited(EVERYTHING, separate)
    asns = {device.name: device.asn for device in first.topology.site.devices}
    assert asns["cnd3"] == asns["cnd4"] == 65001
    assert {device.name: device.asn for device in second.topology.site.devices} == asns


def test_a_router_keeps_its_id_when_the_session_that_it_is_from_goes() -> None:
    whole, first = document(EVERYTHING), from_nothing(EVERYTHING)
    edit = whole.without(("outposts", "op-a"))
    assert edit
    second = state(edit[0], first)
    line = "router id 198.18.0.1;"
    assert line in files_of(first.plan.node("cnd1"))["bird.conf"]
    assert line in files_of(second.plan.node("cnd1"))["bird.conf"]


def test_an_address_that_the_file_gives_is_taken_from_what_has_it_without_being_given_it() -> None:
    def give(data: Any) -> None:
        data["instances"]["new"] = {"subnet": "b-rack", "address": "10.1.4.4"}

    _, second = edited(EVERYTHING, give)
    found = {name: str(each.address) for name, each in second.topology.instances.items()}
    assert (found["new"], found["batch"], found["batch-2"]) == ("10.1.4.4", "10.1.4.6", "10.1.4.5")


def test_in_a_subnet_that_is_full_one_may_replace_another() -> None:
    def fill(data: Any) -> None:
        data["vpcs"]["app"]["subnets"]["b-rack"]["cidr"] = "10.1.4.0/28"
        del data["instances"]["batch"], data["instances"]["batch-2"]
        data["instances"] |= {f"full-{number}": {"subnet": "b-rack"} for number in range(11)}

    def swap(data: Any) -> None:
        fill(data)
        del data["instances"]["full-3"]
        data["instances"]["instead"] = {"subnet": "b-rack"}

    _, full = edited(EVERYTHING, fill)
    data = copy.deepcopy(document(EVERYTHING).data)
    swap(data)
    swapped = state(Document(data), full)
    assert (
        swapped.topology.instances["instead"].address == full.topology.instances["full-3"].address
    )
    for number in (0, 2, 4, 10):
        name = f"full-{number}"
        assert swapped.topology.instances[name].address == full.topology.instances[name].address


def test_a_fault_without_a_name_keeps_the_one_that_it_was_given() -> None:
    faults = [{"kind": "link-down", "target": f"op-a.lag{number}"} for number in (1, 2)]

    def names(state: State) -> dict[str, str]:
        return {fault.target: fault.name for fault in state.plan.faults}

    _, both = edited(EVERYTHING, lambda data: data.update(faults=faults))
    assert names(both) == {"op-a.lag1": "link-down", "op-a.lag2": "link-down-2"}
    data = {**document(EVERYTHING).data, "faults": faults[1:]}
    assert names(state(Document(data), both)) == {"op-a.lag2": "link-down-2"}
