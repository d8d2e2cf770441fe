"""The schedule of chaos is pure: the same for a seed, and all of it can be done."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.chaos.candidates import candidates
from testbed.chaos.schedule import schedule
from testbed.errors import UsageError
from testbed.faults.catalog import KINDS, compose
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.model import Plan
from testbed.topology.model import Topology

ROOT = Path(__file__).parents[2]
TOPOLOGIES = ("two-racks", "rack")
# What has no place in a random schedule: a leak needs a prefix that means something to the site;
# a static route is an end's own, and the ends are what the traffic is measured with; a limit
# needs more prefixes than it, a wrong route a second way, BFD a site that has it; and dropped
# errors or fragments are noticed by large packets only.
NOT_CHOSEN = {
    "host-down",
    "rack-down",
    *("route-leaked", "route-missing", "route-wrong", "bgp-prefix-limit", "bfd-missing"),
    *("address-duplicate", "fragments-dropped", "icmp-errors-dropped"),
}


@cache
def planned(name: str) -> tuple[Plan, Topology]:
    topology = load_topology(ROOT / f"topologies/{name}.yaml", {}, None)
    return lower_topology(topology), topology


@pytest.mark.parametrize("name", TOPOLOGIES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**63))
def test_every_episode_composes_and_changes_the_plan(name: str, seed: int) -> None:
    plan, topology = planned(name)
    for episode in schedule(plan, topology, seed, 120.0):
        faults = [fault.fault(f"f{number}") for number, fault in enumerate(episode.faults)]
        assert compose(plan, faults) != plan


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**63))
def test_a_longer_run_begins_like_a_shorter_one(seed: int) -> None:
    plan, topology = planned("two-racks")
    short, long = (schedule(plan, topology, seed, duration) for duration in (100.0, 300.0))
    assert len(long) > len(short)
    assert long[: len(short)] == short


def test_seeds_differ() -> None:
    plan, topology = planned("two-racks")
    assert schedule(plan, topology, 1, 300.0) != schedule(plan, topology, 2, 300.0)


def test_episodes_do_not_overlap() -> None:
    episodes = schedule(*planned("two-racks"), 3, 3600.0)
    ends = [episode.start_s + episode.hold_s for episode in episodes]
    starts = [episode.start_s for episode in episodes[1:]]
    assert all(end < start for end, start in zip(ends, starts, strict=False))
    assert {len(episode.faults) for episode in episodes} == {1, 2}


def test_all_kinds_that_fit_are_among_the_candidates() -> None:
    kinds = {candidate.kind for candidate in candidates(*planned("two-racks"))}
    assert kinds == set(KINDS) - NOT_CHOSEN - {"nat-exhausted"}


def test_nothing_is_done_to_the_ends_of_traffic() -> None:
    plan, topology = planned("two-racks")
    ends = {*topology.instances, *(host.name for host in topology.site.hosts)}
    assert not [c for c in candidates(plan, topology) if c.target.partition(":")[0] in ends]


def test_too_short_a_time_is_refused() -> None:
    with pytest.raises(UsageError, match="too short"):
        schedule(*planned("two-racks"), 1, 3.0)
