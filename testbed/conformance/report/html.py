"""The report as one self-contained HTML file: nothing is loaded from anywhere when it is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from testbed.conformance import sources
from testbed.conformance.report import charts
from testbed.conformance.report.table import WORDS
from testbed.conformance.results import Outcome, Report, Result
from testbed.errors import HostError
from testbed.plan.model import Plan
from testbed.render import files
from testbed.render.dot import to_image
from testbed.render.html import environment
from testbed.render.picture import draw
from testbed.render.text import to_text

SLOWEST = 10
MOST_NODES = 150  # graphviz draws them in seconds; above, the drawing in text is used
TEXT_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Suite:
    """What came of one suite."""

    name: str
    results: tuple[Result, ...]

    def count(self, outcome: Outcome) -> int:
        """How many of its results have this outcome."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def bad(self) -> bool:
        """Whether anything in it failed or could not be run."""
        return bool(self.count("failed") or self.count("error"))

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(result.duration_s for result in self.results)


def write(path: Path, report: Report, plan: Plan) -> None:
    """Write the report of a run against what `plan` has built; UsageError if it cannot be written.

    The picture is graphviz's where that is installed, else one in text.
    """
    files.write(path, render(report, plan))


def render(report: Report, plan: Plan) -> str:
    """The report as HTML."""
    suites = [
        Suite(name, tuple(r for r in report.results if r.suite == name)) for name in report.suites
    ]
    failures = [result for result in report.results if result.outcome in {"failed", "error"}]
    svg, text = _picture(plan, nodes_of(failures, plan))
    return (
        environment("testbed.conformance")
        .get_template("report.html.j2")
        .render(
            report=report,
            verdict=verdict(report),
            counts={word: report.counts()[outcome] for outcome, word in WORDS.items()},
            words=WORDS,
            cause=report.diagnosis,
            suites=suites,
            others=[result for result in failures if result is not report.diagnosis],
            gauge=charts.gauge,
            plots=charts.outage_plots(report.results),
            parts=sources.parts,
            slowest=sorted(report.results, key=lambda r: -r.duration_s)[:SLOWEST],
            svg=svg,
            text=text,
        )
    )


def verdict(report: Report) -> tuple[Outcome, str]:
    """How the run went as a whole, and the words for it."""
    if report.of("failed"):
        return "failed", "failed"
    return ("passed", "passed") if report.exit_code == 0 else ("error", "could not run")


def nodes_of(results: Sequence[Result], plan: Plan) -> frozenset[str]:
    """The nodes that the subjects of these results name."""
    names = {node.name for node in plan.nodes}
    words = (word.strip("(),:;") for result in results for word in result.subject.split())
    return frozenset(names.intersection(words))


def _picture(plan: Plan, failing: Collection[str]) -> tuple[Markup | None, str]:
    """The picture as SVG, or None and the one in text."""
    picture = draw(plan)
    if len(plan.nodes) <= MOST_NODES:
        try:
            svg = to_image(picture, "svg", marked=failing).decode()
        except HostError:
            pass  # without graphviz there is still the text
        else:  # graphviz has escaped every name in it
            return Markup(svg[svg.index("<svg") :]), ""  # noqa: S704
    return None, to_text(picture, TEXT_COLUMNS)
