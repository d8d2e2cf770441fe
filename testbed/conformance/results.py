"""What came of checks: one result for each check and object, and the report of them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from testbed.conformance.expectation import Measurement
from testbed.conformance.graph import After, graph
from testbed.conformance.suites import SUITES
from testbed.errors import EXIT_HOST, EXIT_NETWORK

# failed: the network says no. error: the check itself could not be run. blocked: what it
# stands on has failed. not-applicable: the topology has nothing of the kind.
Outcome = Literal["passed", "failed", "error", "blocked", "not-applicable"]
REPORT_VERSION = 1
BAD: frozenset[Outcome] = frozenset({"failed", "error", "blocked"})


@dataclass(frozen=True, slots=True)
class Result:
    """One check of one object.

    `about` is the object that it was run for, `subject` the same or the part of
    it that was found wrong; `text` says why a check could not be run, is blocked
    or does not apply.
    """

    check: str
    subject: str
    outcome: Outcome
    about: str = ""
    summary: str = ""
    expected: str = ""
    seen: str = ""
    remedy: str = ""
    source: str = ""
    text: str = ""
    duration_s: float = 0.0
    measurements: tuple[Measurement, ...] = ()
    keys: frozenset[str] = frozenset()  # the object itself; of a check of the site: all objects
    within: frozenset[str] = frozenset()  # also what the object is part of and stands on
    touches: frozenset[str] = frozenset()  # all objects that it has to do with

    @property
    def suite(self) -> str:
        """The suite that the check is of."""
        return self.check.partition(".")[0]

    def to_json(self) -> dict[str, Any]:
        """As `testbed check --json` has it."""
        row = asdict(self)
        del row["keys"], row["within"], row["touches"]
        measurements = [measurement.to_json() for measurement in self.measurements]
        return row | {"suite": self.suite, "measurements": measurements}


@dataclass(slots=True)
class Report:
    """All results of a run, in the order in which they were run."""

    testbed: str
    results: list[Result] = field(default_factory=list)
    duration_s: float = 0.0
    started: str = ""
    problem: str = ""  # why it could not be run, or not to its end
    environment: dict[str, str] = field(default_factory=dict)  # what it was run with, in words

    def of(self, outcome: Outcome) -> list[Result]:
        """The results with this outcome."""
        return [result for result in self.results if result.outcome == outcome]

    @property
    def suites(self) -> list[str]:
        """The suites that anything was run of, in their order."""
        run = {result.suite for result in self.results}
        return [suite for suite in SUITES if suite in run]

    @property
    def diagnosis(self) -> Result | None:
        """The failure that no other one stands below: the likely cause of those above it."""
        order = {check: number for number, check in enumerate(graph())}
        failed = self.of("failed")
        return min(failed, key=lambda result: order.get(result.check, len(order)), default=None)

    @property
    def exit_code(self) -> int:
        """0: all that applies has passed; 1: something failed; 3: something could not be run.

        A run in which nothing was checked could not be run.
        """
        if self.of("failed"):
            return EXIT_NETWORK
        if self.problem or self.of("error") or not self.of("passed"):
            return EXIT_HOST
        return 0

    def counts(self) -> dict[Outcome, int]:
        """How many results there are of each outcome."""
        outcomes: tuple[Outcome, ...] = ("passed", "failed", "error", "blocked", "not-applicable")
        return {outcome: len(self.of(outcome)) for outcome in outcomes}

    def to_json(self) -> dict[str, Any]:
        """As `testbed check --json` prints it."""
        diagnosis = self.diagnosis
        return {
            "version": REPORT_VERSION,
            "testbed": self.testbed,
            "started": self.started,
            "duration_s": round(self.duration_s, 3),
            "ok": self.exit_code == 0,
            "problem": self.problem or None,
            "environment": self.environment,
            "counts": self.counts(),
            "diagnosis": diagnosis.to_json() if diagnosis else None,
            "results": [result.to_json() for result in self.results],
        }


def blocking(
    results: Iterable[Result], after: After, own: frozenset[str], keys: frozenset[str]
) -> str:
    """Why what a check is run for is blocked; "" if it isn't.

    `own` is that object itself, `keys` has also what it is part of and stands on.
    """
    bad: dict[str, list[Result]] = {check: [] for check in after.checks}
    passed = set()
    for result in results:
        if result.check in bad and after.concerns(result, own, keys):
            if result.outcome in BAD:
                bad[result.check].append(result)
            elif result.outcome == "passed":
                passed.add(result.check)
    for check, found in bad.items():
        if found and not (after.every and check in passed):
            return reason_of(found[0])
    return ""


def reason_of(result: Result) -> str:
    """What is at the bottom of a result that is no pass: itself, or what it is blocked by."""
    if result.outcome == "blocked" and result.text:
        return result.text
    return f"{result.check} {result.outcome} for {result.subject}"
