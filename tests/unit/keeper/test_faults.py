"""The keeper's faults: schedules by the loop's clock, and that a failure changes nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import HostError, UsageError
from testbed.faults import catalog
from testbed.keeper.faults import SETTLED_S, Faults, Settling
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.model import Fault, Plan

PLAN = lower_topology(load_topology(Path(__file__).parents[2] / "packets" / "faults.yaml", {}))
FLAP = {"kind": "link-down", "target": "web", "at_s": 3, "for_s": "500ms", "every_s": 2}


class Skipping(selectors.SelectSelector):
    """Where others wait, the time is later at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0.0
        return super().select(0)


class Bed:
    """A testbed that only remembers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.plan = PLAN
        self.events: list[tuple[float, str, str]] = []
        self.refuses: Callable[[Plan], bool] = lambda _: False

    def bring_to(self, plan: Plan) -> None:
        if self.refuses(plan):
            raise HostError("the kernel refuses")
        self.plan = plan

    def note(self, node: str, kind: str, subject: str, state: str) -> None:
        assert (node, kind) != ("", "")
        self.events.append((round(self._loop.time(), 6), subject, state.partition(":")[0]))

    def elapsed(self) -> float:
        return self._loop.time()


def run(scenario: Callable[[Faults, Bed], Coroutine[Any, Any, None]]) -> None:
    selector = Skipping()

    class Loop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return selector.now

    loop = Loop(selector)
    try:
        bed = Bed(loop)

        async def main() -> None:
            faults = Faults(bed)
            faults.adopt(PLAN, [])
            faults.begin()
            await scenario(faults, bed)
            faults.close()

        loop.run_until_complete(main())
    finally:
        loop.close()


def broken(*faults: Fault) -> Plan:
    return catalog.compose(PLAN, faults)


def test_a_flapping_link_keeps_its_times_exactly() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        row = faults.inject(PLAN, FLAP)
        assert row["state"] == "scheduled"
        await asyncio.sleep(3.2)
        assert bed.plan != PLAN
        await asyncio.sleep(6)
        assert faults.heal(PLAN, [], declared=True) == ["link-down"]
        assert bed.plan == PLAN
        await asyncio.sleep(10)
        assert bed.events == [
            (at, "link-down", what)
            for start in (3.0, 5.0, 7.0)
            for at, what in ((start, "injected"), (start + 0.5, "healed"))
        ] + [(9.0, "link-down", "injected"), (9.2, "link-down", "healed")]

    run(scenario)


def test_one_that_ends_by_itself_is_over_and_its_name_is_free() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        faults.inject(PLAN, {"kind": "bgp-reset", "target": "cnd1"})
        await asyncio.sleep(1.5)
        assert [row["state"] for row in faults.rows()] == ["over"]
        assert bed.plan == PLAN
        faults.inject(PLAN, {"kind": "bgp-reset", "target": "cnd2"})
        assert [(row["name"], row["target"]) for row in faults.rows()] == [("bgp-reset", "cnd2")]

    run(scenario)


def test_what_is_late_is_made_up_for() -> None:
    """Something that took ten seconds: the schedule goes on where it should be by now."""

    async def scenario(faults: Faults, bed: Bed) -> None:
        faults.inject(PLAN, FLAP)
        loop = asyncio.get_running_loop()
        loop._selector.now += 10.1  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
        assert [row["state"] for row in faults.rows()] == ["scheduled"]
        await asyncio.sleep(1)
        assert bed.events[-1] == (11.0, "link-down", "injected")

    run(scenario)


def test_a_fault_that_can_not_be_carried_out_changes_nothing() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        faults.inject(PLAN, {"kind": "node-stopped", "target": "desk"})
        before, rows = bed.plan, faults.rows()
        bed.refuses = lambda plan: plan != before
        with pytest.raises(HostError):
            faults.inject(PLAN, {"kind": "node-stopped", "target": "web"})
        assert faults.rows() == rows
        with pytest.raises(HostError):
            faults.heal(PLAN, [], declared=True)
        assert faults.rows() == rows

    run(scenario)


def test_a_scheduled_one_that_fails_says_so_and_the_others_go_on() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        faults.inject(PLAN, {"kind": "node-stopped", "target": "desk"})
        one = bed.plan
        bed.refuses = lambda plan: plan != one
        faults.inject(PLAN, {"kind": "node-stopped", "target": "web", "at_s": 5})
        await asyncio.sleep(6)
        states = {row["name"]: (row["state"], row["reason"]) for row in faults.rows()}
        assert states == {
            "node-stopped": ("active", None),
            "node-stopped-2": ("failed", "the kernel refuses"),
        }
        assert bed.plan == one

    run(scenario)


def test_one_that_can_only_be_beside_another_fails_with_its_end_and_the_rest_goes_on() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        for name, target, vid, more in (
            ("first", "cnd1:op.1001", 77, {"for_s": 2}),
            ("second", "cnd1:op.2001", 1001, {}),  # free as long as the first one lasts
        ):
            fault = {"kind": "vlan-wrong", "target": target, "values": {"vid": vid}, "name": name}
            faults.inject(PLAN, fault | more)
        faults.inject(PLAN, {"kind": "node-stopped", "target": "desk", "at_s": 5, "for_s": 60})
        await asyncio.sleep(6)
        states = {row["name"]: row["state"] for row in faults.rows()}
        assert states["second"] == "failed"
        assert states["node-stopped"] == "active"
        stopped = Fault("node-stopped", "desk", name="node-stopped")
        assert bed.plan == catalog.compose(PLAN, [stopped])

    run(scenario)


def test_names_are_unique_and_unknown_ones_are_told() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        faults.inject(PLAN, {"kind": "node-stopped", "target": "web", "name": "x"})
        with pytest.raises(UsageError, match="there already is a fault x"):
            faults.inject(PLAN, {"kind": "node-stopped", "target": "desk", "name": "x"})
        with pytest.raises(UsageError, match="no fault 'y'"):
            faults.heal(PLAN, ["x", "y"], declared=True)
        assert faults.active() == ["x"]
        assert bed.plan == broken(Fault("node-stopped", "web", name="x"))

    run(scenario)


def test_under_a_new_plan_faults_stay_unless_their_target_has_gone() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        faults.inject(PLAN, {"kind": "node-stopped", "target": "web"})
        faults.inject(PLAN, {"kind": "impair", "target": "desk", "values": {"delay": 5}})
        less = replace(PLAN, nodes=tuple(node for node in PLAN.nodes if node.name != "web"))
        entries, notices = faults.proposed(less)
        assert len(notices) == 1
        assert "fault node-stopped (node-stopped web) ends: no node 'web'" in notices[0]
        faults.adopt(less, entries)
        assert faults.active() == ["impair"]
        assert bed.events[-1][1:] == ("node-stopped", "healed")

    run(scenario)


def test_declared_faults_are_in_force_at_once_and_back_after_the_next_apply() -> None:
    async def scenario(faults: Faults, bed: Bed) -> None:
        one = catalog.make("node-stopped", "web", {}, for_s=20, name="one")
        two = catalog.make("node-stopped", "desk", {}, at_s=3, name="two")
        plan = replace(PLAN, faults=(one, two))
        entries, _ = faults.proposed(plan)
        assert faults.active(entries) == ["one"]
        faults.adopt(plan, entries)
        await asyncio.sleep(10)  # until it is ready
        faults.begin()
        await asyncio.sleep(3.5)
        assert faults.active() == ["one", "two"]
        assert faults.heal(plan, ["two"], declared=True) == ["two"]
        assert faults.heal(plan, [], declared=False) == []
        assert [row["state"] for row in faults.rows()] == ["active", "healed"]
        entries, _ = faults.proposed(plan)
        faults.adopt(plan, entries)
        faults.begin()
        await asyncio.sleep(5)
        assert faults.active() == ["one", "two"]
        await asyncio.sleep(13)
        assert faults.active() == ["two"]  # one lasted 20 s, the second apply did not prolong it

    run(scenario)


def test_settling() -> None:
    async def scenario(_: Faults, __: Bed) -> None:
        settling = Settling()
        assert not settling.is_over(["a"])
        await asyncio.sleep(SETTLED_S)
        assert settling.is_over(["a"])
        await asyncio.sleep(2 * SETTLED_S)
        assert not settling.is_over(["b"])
        await asyncio.sleep(2 * SETTLED_S)
        assert not settling.is_over(["b"])  # it took three times as long to come to it
        await asyncio.sleep(SETTLED_S)
        assert settling.is_over(["b"])

    run(scenario)
