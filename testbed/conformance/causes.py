"""Why a check cannot be judged, or has failed: what it stands on, also where nobody asked for it.

A check that was not selected is run in silence where it matters: before one that stands on
it when the testbed's own status is not in order, and after one that has failed. Only what
fails of these is told.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from testbed.conformance.expectation import Deviation, Measurement
from testbed.conformance.graph import Vertex, graph
from testbed.conformance.results import BAD, Outcome, Result, blocking, reason_of
from testbed.conformance.site import Site
from testbed.conformance.subjects import SUBJECTS, Subject, own_name
from testbed.errors import HostError, NetworkError
from testbed.topology.model import Topology

HURRY_S = 1.0  # how long something is waited for that stands on what has failed


@dataclass(frozen=True, slots=True)
class Run:
    """What a check is run for: its object, or (None) the whole site."""

    vertex: Vertex
    subject: Subject | None
    topology: Topology

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the object; the whole site has all there are."""
        if self.subject is not None:
            return frozenset(self.subject.keys)
        return frozenset().union(
            *(entry.keys for find, _ in SUBJECTS.values() for entry in find(self.topology))
        )

    @property
    def own(self) -> frozenset[str]:
        """The key of the object, without what it stands on, which others share."""
        return self.keys if self.subject is None else frozenset({own_name(self.subject)})

    @property
    def touches(self) -> frozenset[str]:
        """All objects that it has to do with."""
        more: frozenset[str] = getattr(self.subject, "touches", frozenset())
        return self.keys | more


@dataclass(slots=True)
class Causes:
    """What is known of all checks: of those that ran, and of those that were asked in silence.

    `results` are the run's; failures found in silence are added to them.
    """

    topology: Topology
    results: list[Result]
    _silent: dict[tuple[str, str], Result] = field(default_factory=dict)

    def standing_on(self, run: Run, site: Site | None) -> str:
        """Why a check cannot be judged for its object; "" if it can.

        With a `site` checks below it that are not known are run in silence.
        """
        for after in run.vertex.after:
            found = [
                result
                for other in after.checks
                for below in self._runs(other)
                if after.concerns(_place(below), run.own, run.keys)
                and (result := self._result(below, site))
            ]
            if reason := blocking(found, after, run.own, run.keys):
                return reason
        return ""

    def following_from(self, run: Run, site: Site | None) -> str:
        """Which failure below is the cause of one of this check's; "" where there is none."""
        if reason := self.standing_on(run, site):
            return reason
        for other in run.vertex.follows:
            for below in self._runs(other):
                result = self._result(below, site) if below.touches & run.touches else None
                if result is not None and result.outcome in BAD:
                    return reason_of(result)
        return ""

    def _runs(self, check: str) -> Iterator[Run]:
        vertex = graph()[check]
        subjects = SUBJECTS[vertex.kind][0](self.topology) if vertex.kind else (None,)
        return (Run(vertex, subject, self.topology) for subject in subjects)

    def _result(self, run: Run, site: Site | None) -> Result | None:
        name, about = run.vertex.check.name, _about(run)
        for result in self.results:
            if (result.check, result.about) == (name, about):
                return result
        if (name, about) not in self._silent and site is not None:
            found = self._judge(run, site)
            if found is None:
                return None
            self._silent[name, about] = found
            if found.outcome == "failed":
                self.results.append(found)
        return self._silent.get((name, about))

    def _judge(self, run: Run, site: Site) -> Result | None:
        """Run a check in silence; None for one that cannot be, or breaks something."""
        if reason := self.standing_on(run, site):
            return made(run, "blocked", text=reason)
        arguments: dict[str, Any] = {"site": site, "measure": _measured_by_nobody}
        if run.vertex.kind:
            arguments[run.vertex.kind] = run.subject
        wanted = set(inspect.signature(run.vertex.function).parameters)
        if run.vertex.disruptive or not wanted <= set(arguments):
            return None
        result = _tried(run, {name: arguments[name] for name in wanted})
        if result.outcome == "failed" and (reason := self.following_from(run, site)):
            return replace(result, outcome="blocked", text=reason, remedy="")
        return result


def _tried(run: Run, arguments: dict[str, Any]) -> Result:
    try:
        run.vertex.function(**arguments)
    except pytest.skip.Exception as skipped:
        return made(run, "not-applicable", text=str(skipped))
    except HostError as error:
        return made(run, "error", text=error.message)
    except (AssertionError, NetworkError) as error:
        return made(run, "failed", error=error)
    return made(run, "passed")


def _place(run: Run) -> Result:
    """A result of the run's, to see whom it would concern."""
    return made(run, "passed")


def _about(run: Run) -> str:
    return "-" if run.subject is None else str(run.subject)


def _measured_by_nobody(name: str, value: float, unit: str, **limits: float) -> Measurement:
    return Measurement(name, value, unit, **limits)


def made(
    run: Run,
    outcome: Outcome,
    *,
    text: str = "",
    error: BaseException | None = None,
    duration_s: float = 0.0,
    measurements: tuple[Measurement, ...] = (),
) -> Result:
    """The result of a check; `error` is why it failed, or would have but for its cause."""
    check, name, seen, remedy = run.vertex.check, _about(run), "", ""
    expected = check.expected or check.summary
    if isinstance(error, Deviation):
        name, expected, seen, remedy = error.subject, error.expected, error.seen, error.remedy
    elif error is not None and outcome == "failed":
        hint = getattr(error, "hint", None)
        seen = f"{error}; {hint}" if hint else str(error)
    return Result(
        check=check.name,
        subject=name,
        outcome=outcome,
        about=_about(run),
        summary=check.summary,
        expected=expected,
        seen=seen,
        remedy=(remedy or check.remedy) if outcome == "failed" else "",
        source=check.source,
        text=text,
        duration_s=duration_s,
        measurements=measurements,
        keys=run.own,
        within=run.keys,
        touches=run.touches,
    )
