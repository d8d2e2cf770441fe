"""Whether what the testbed said of an episode is true."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from testbed.chaos.candidates import Candidate
from testbed.chaos.keeper import Sample, leaks
from testbed.chaos.schedule import Episode
from testbed.conformance.results import Report, Result
from testbed.conformance.streams import Outage
from testbed.errors import EXIT_NETWORK

_WORD = re.compile(r"[\w.-]+")


@dataclass(slots=True)
class Outcome:
    """What came of one episode; `wrong` are its wrong verdicts, one line each.

    `during` says what the checks blamed while the faults were in force; `outages` are
    of each flow, from the injection until all flows ran again. `at_s` counts from the
    start of the run in the testbed's time.
    """

    episode: Episode
    at_s: float = 0.0
    lasted_s: float = 0.0
    during: str = ""
    outages: dict[str, Outage] = field(default_factory=dict)
    keeper: Sample | None = None
    wrong: list[str] = field(default_factory=list)

    @property
    def worst(self) -> tuple[str, Outage] | None:
        """The flow with the longest outage."""

        def length(row: tuple[str, Outage]) -> float:
            gap = row[1].gap_ms
            return float("inf") if gap is None else gap

        return max(self.outages.items(), key=length, default=None)

    def to_json(self) -> dict[str, Any]:
        """As `testbed chaos --json` prints it."""
        outages = {
            name: {"gap_ms": one.gap_ms, "sent": one.sent, "lost": one.lost}
            for name, one in self.outages.items()
        }
        return self.episode.to_json() | {
            "at_s": round(self.at_s, 3),
            "lasted_s": round(self.lasted_s, 3),
            "diagnosis": self.during or None,
            "outages": outages,
            "keeper": self.keeper.to_json() if self.keeper else None,
            "wrong": list(self.wrong),
        }


@dataclass(slots=True)
class Run:
    """A whole run, or what was done of it; `planned` is how many episodes it was to have."""

    testbed: str
    seed: int
    planned: int
    before: Sample
    flows: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # flows that did not work at the start
    outcomes: list[Outcome] = field(default_factory=list)
    testbed_s: float = 0.0
    wall_s: float = 0.0
    interrupted: bool = False

    @property
    def samples(self) -> list[Sample]:
        """The keeper's figures, from before the first episode to the end."""
        return [self.before, *(o.keeper for o in self.outcomes if o.keeper)]

    @property
    def leaks(self) -> list[str]:
        """What of the keeper's grows without end."""
        return leaks(self.samples)

    @property
    def wrong(self) -> list[Outcome]:
        """The episodes with wrong verdicts."""
        return [outcome for outcome in self.outcomes if outcome.wrong]

    @property
    def exit_code(self) -> int:
        """1 with a wrong verdict or a leak, or where no episode was run."""
        return EXIT_NETWORK if self.wrong or self.leaks or not self.outcomes else 0

    def to_json(self) -> dict[str, Any]:
        """As `testbed chaos --json` prints it."""
        return {
            "testbed": self.testbed,
            "seed": self.seed,
            "ok": self.exit_code == 0,
            "interrupted": self.interrupted,
            "planned": self.planned,
            "testbed_s": round(self.testbed_s, 3),
            "wall_s": round(self.wall_s, 3),
            "flows": self.flows,
            "left_out": self.left_out,
            "episodes": [outcome.to_json() for outcome in self.outcomes],
            "keeper": [sample.to_json() for sample in self.samples],
            "leaks": self.leaks,
        }


def words(texts: Iterable[str]) -> set[str]:
    """The names in some texts, such as ``cnd1`` and ``op-a.lag1``."""
    return {word.strip(".-") for text in texts for word in _WORD.findall(text)}


def names_one(result: Result, keys: Collection[str]) -> bool:
    """Whether a failure is blamed on one of these objects, or on a part of one."""
    named = words((result.subject, result.about)) | result.keys
    return any(n == key or n.startswith(f"{key}.") for n in named for key in keys)


def in_force(episode: Episode, report: Report) -> list[str]:
    """What is wrong with the checks' verdict while the episode's faults are in force."""
    if errors := report.of("error"):
        return [f"{e.check} could not run for {e.about}: {e.text}" for e in errors]
    cause = report.diagnosis
    if cause is None:
        if report.problem:
            return [f"nothing was checked: {report.problem}"]
        return [f"not noticed by {', '.join(episode.suites)}"]
    if not names_one(cause, episode.keys):
        return [f"attributed to something that was not broken: {sentence(cause)}"]
    return [
        f"{fault} not noticed by {', '.join(fault.suites)}"
        for fault in episode.faults
        if fault.suites and not _noticed(fault, report)
    ]


def _noticed(fault: Candidate, report: Report) -> bool:
    """Whether a check of its suites has failed for it, or stands on one that has."""
    results = [*report.of("failed"), *report.of("blocked")]
    return any(r.suite in fault.suites and names_one(r, fault.keys) for r in results)


def healed(report: Report) -> list[str]:
    """What fails though everything is healed."""
    if report.problem:
        return [f"nothing was checked after healing: {report.problem}"]
    cause = report.diagnosis or next(iter(report.of("error")), None)
    if cause is not None:
        return [f"after healing: {sentence(cause)}"]
    return [] if report.of("passed") else ["after healing nothing was checked"]


def sentence(result: Result) -> str:
    """A failure in one line."""
    seen = f"{result.subject}: expected {result.expected}; seen: {result.seen or result.text}"
    return f"{result.check}, {seen}"
