"""The report of a run as one HTML file: a timeline of episodes and of each flow's outages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testbed.chaos.table import worst
from testbed.chaos.verdict import Outcome, Run
from testbed.render import files
from testbed.render.html import environment

WIDTH, ROW, LEFT = 1000.0, 22.0, 150.0
LEAST = 2.0  # the width of what would not be seen


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the timeline, in units of the SVG's view box."""

    x: float
    width: float
    bad: bool
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of the timeline: the faults, or a flow's outages."""

    name: str
    y: float
    bars: tuple[Bar, ...]


def lanes(run: Run) -> list[Lane]:
    """The timeline: one row for the episodes, one for each flow."""
    scale = (WIDTH - LEFT) / max(run.testbed_s, 1.0)
    episodes = tuple(
        _bar(o.at_s, o.lasted_s, scale, bad=bool(o.wrong), title=f"{o.episode.number}: {o.episode}")
        for o in run.outcomes
    )
    rows = [Lane("faults", 0.0, episodes)]
    for number, flow in enumerate(run.flows, start=1):
        bars = tuple(bar for o in run.outcomes if (bar := _outage(o, flow, scale)) is not None)
        rows.append(Lane(flow, number * ROW, bars))
    return rows


def _outage(outcome: Outcome, flow: str, scale: float) -> Bar | None:
    outage = outcome.outages.get(flow)
    if outage is None or not outage.lost:
        return None
    lasted = outcome.lasted_s if outage.gap_ms is None else outage.gap_ms / 1000
    title = f"{outcome.episode}: {outage}"
    return _bar(outcome.at_s, lasted, scale, bad=outage.gap_ms is None, title=title)


def _bar(at_s: float, lasts_s: float, scale: float, *, bad: bool, title: str) -> Bar:
    return Bar(round(LEFT + at_s * scale, 1), round(max(lasts_s * scale, LEAST), 1), bad, title)


def render(run: Run) -> str:
    """The report as HTML."""
    rows = lanes(run)
    template = environment("testbed.chaos").get_template("chaos.html.j2")
    return template.render(run=run, lanes=rows, width=WIDTH, height=len(rows) * ROW, worst=worst)


def write(path: Path, run: Run) -> None:
    """Write the report; UsageError if it cannot be written."""
    files.write(path, render(run))
