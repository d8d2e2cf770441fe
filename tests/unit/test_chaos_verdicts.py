"""What counts as a wrong verdict, and as a leak; the reports of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.chaos import verdict
from testbed.chaos.candidates import Candidate, candidates
from testbed.chaos.html import render
from testbed.chaos.keeper import Sample, leaks
from testbed.chaos.schedule import Episode
from testbed.chaos.verdict import Outcome, Run, names_one
from testbed.conformance.rack_subjects import lags
from testbed.conformance.results import Report, Result
from testbed.conformance.streams import Outage
from testbed.lifecycle.installation import load_topology, lower_topology

FAULT = Candidate("link-down", "cnd1:op_1", frozenset({"cnd1", "op.lag1"}), ("lag",))
EPISODE = Episode(1, 5.0, 6.0, (FAULT,))


def report(*results: Result) -> Report:
    return Report("t", list(results))


def failed(subject: str, check: str = "lag.carrier") -> Result:
    return Result(check, subject, "failed", expected="up", seen="down")


PASSED = Result("lag.carrier", "op.lag1", "passed")


def test_a_failure_that_names_the_target_is_right() -> None:
    assert not verdict.in_force(EPISODE, report(PASSED, failed("cnd1 op_1")))
    assert not verdict.in_force(EPISODE, report(failed("op.lag1.service-link")))


def test_a_fault_that_nobody_notices_is_wrong() -> None:
    assert verdict.in_force(EPISODE, report(PASSED)) == ["not noticed by lag"]


def test_no_data_is_wrong() -> None:
    nothing = Report("t", problem="nothing to check: no LAG")
    assert "nothing was checked" in verdict.in_force(EPISODE, nothing)[0]
    assert verdict.healed(report())
    assert verdict.healed(nothing)


@pytest.mark.parametrize("subject", ["cnd2 op_1", "cnd10 op_1", "op2.lag1", "op.lag2"])
def test_a_failure_that_names_something_else_is_wrong(subject: str) -> None:
    (line,) = verdict.in_force(EPISODE, report(failed(subject)))
    assert line.startswith(f"attributed to something that was not broken: lag.carrier, {subject}")


def test_each_of_two_faults_has_to_be_noticed() -> None:
    other = Candidate("bgp-blocked", "cnd2:region", frozenset({"cnd2"}), ("isp",))
    both = replace(EPISODE, faults=(FAULT, other))
    lag, isp = failed("cnd1 op_1"), failed("cnd2 region", check="isp.established")
    assert verdict.in_force(both, report(lag)) == ["bgp-blocked cnd2:region not noticed by isp"]
    assert not verdict.in_force(both, report(lag, isp))
    assert not verdict.in_force(both, report(lag, replace(isp, outcome="blocked")))


def test_what_a_fault_may_be_blamed_on_is_its_own() -> None:
    topology = load_topology("topologies/first.yaml", {}, None)
    found = candidates(lower_topology(topology), topology)
    (down,) = [c for c in found if (c.kind, c.target) == ("link-down", "cnd1:op_1")]
    named = [str(lag) for lag in lags(topology) if names_one(failed(str(lag)), down.keys)]
    assert named == ["op.lag1 (op.ond1 - cnd1)"]


def test_a_check_that_could_not_run_is_wrong() -> None:
    error = Result("lag.carrier", "op.lag1", "error", about="op.lag1", text="gone")
    assert "could not run" in verdict.in_force(EPISODE, report(error, failed("cnd1")))[0]
    assert verdict.healed(report(error))


def test_what_fails_after_healing_is_wrong() -> None:
    assert verdict.healed(report(PASSED)) == []
    assert verdict.healed(report(PASSED, failed("cnd1 op_1")))[0].startswith("after healing")


KEEPER = Sample(30, 100, 90_000, 3500, 30_000)


def samples(values: list[int]) -> list[Sample]:
    return [replace(KEEPER, descriptors=100 + value) for value in values]


def test_what_grows_without_end_is_a_leak() -> None:
    assert leaks(samples(list(range(16)))) == ["keeper: descriptors grows: 105.5 → 109.5 → 113.5"]


@pytest.mark.parametrize(
    "values", [[0] * 16, [0, 3, 6, 9] + [12] * 12, [0, 9] * 8, [0, 1, 2], list(range(16, 0, -1))]
)
def test_what_levels_off_is_none(values: list[int]) -> None:
    assert not leaks(samples(values))


def test_memory_that_is_kept_for_later_is_none() -> None:
    growing = [replace(KEEPER, rss_kib=30_000 + 500 * n) for n in range(16)]
    assert not leaks(growing)
    growing = [replace(KEEPER, malloc_kib=3_000 + 100 * n) for n in range(16)]
    assert "memory in use (KiB) grows" in leaks(growing)[0]
    growing = [replace(KEEPER, objects=90_000 + 1_000 * n) for n in range(16)]
    assert "objects grows" in leaks(growing)[0]


def test_of_a_short_run_nothing_can_be_said() -> None:
    assert not leaks(samples([0, 5]))


def run(*wrong: str) -> Run:
    outages = {"desk to a": Outage(950.0, 100, 9), "a to <c>": Outage(None, 100, 50)}
    outcome = Outcome(EPISODE, 5.0, 9.0, "", outages, KEEPER, list(wrong))
    flows = list(outages)
    return Run("t", 1, 1, KEEPER, flows=flows, outcomes=[outcome], testbed_s=20.0, wall_s=3.0)


def test_exit_codes() -> None:
    assert run().exit_code == 0
    assert run("not noticed by lag").exit_code == 1
    assert Run("t", 1, 1, KEEPER).exit_code == 1


def test_the_worst_outage_is_the_one_that_does_not_end() -> None:
    worst = run().outcomes[0].worst
    assert worst is not None
    assert worst[0] == "a to <c>"


def test_the_page_has_a_timeline_with_each_flow() -> None:
    page = render(run("not noticed by lag"))
    assert page.count("<rect ") == 3
    assert "a to &lt;c&gt;" in page
    assert "not noticed by lag" in page
    assert "<script" not in page
