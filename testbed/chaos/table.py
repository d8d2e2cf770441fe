"""A run of chaos for people: the schedule, how far it is, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Self

from rich.console import Console
from rich.table import Table

from testbed.chaos.schedule import Episode
from testbed.chaos.verdict import Outcome, Run
from testbed.render.console import console


class Progress:
    """A line for each episode on standard error; on a terminal, which one runs, too."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = console(stderr=True)
        self._status = self._console.status("sending traffic")
        self._total = 0

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def started(self, episode: Episode, total: int) -> None:
        """Say which episode is next."""
        self._total = total
        self._status.update(f"episode {episode.number} of {total}: {episode}")

    def ended(self, outcome: Outcome) -> None:
        """Say what came of it."""
        if self._quiet:
            return
        word = "wrong" if outcome.wrong else "right"
        episode = outcome.episode
        text = f"{word}  {episode.number}/{self._total}  {episode}; {worst(outcome)}"
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def progress(*, quiet: bool) -> Progress:
    """What shows how far a run is, in a `with` block."""
    return Progress(quiet=quiet)


def worst(outcome: Outcome) -> str:
    """The worst outage of an episode, in words."""
    if outcome.worst is None:
        return "no traffic was measured"
    flow, outage = outcome.worst
    return f"worst outage {flow}, {outage}" if outage.lost else "no request lost"


def print_schedule(out: Console, episodes: Iterable[Episode]) -> None:
    """The schedule as a table."""
    table = Table("episode", "start", "for", "faults", "must be noticed by", box=None)
    for episode in episodes:
        start, hold = f"{episode.start_s:g} s", f"{episode.hold_s:g} s"
        suites = ", ".join(episode.suites) or "-"
        table.add_row(str(episode.number), start, hold, str(episode), suites)
    out.print(table)


def print_run(out: Console, run: Run, again: str) -> None:
    """What came of a run; `again` is the command that repeats an episode, but for its number."""
    for outcome in run.wrong:
        _print_wrong(out, outcome, again)
    lines = [f"no traffic at the start: {flow}" for flow in run.left_out] + run.leaks
    samples: Sequence[object] = run.samples
    lines.append(f"keeper before: {samples[0]}; after: {samples[-1]}")
    done, end = len(run.outcomes), "interrupted" if run.interrupted else "done"
    lines.append(
        f"{run.testbed}: {done} of {run.planned} episodes, {len(run.wrong)} with wrong verdicts, "
        f"{len(run.flows)} flows; {run.testbed_s:.0f} s of the testbed's time "
        f"in {run.wall_s:.0f} s; {end}"
    )
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_wrong(out: Console, outcome: Outcome, again: str) -> None:
    lines = [f"wrong  episode {outcome.episode.number}: {outcome.episode}"]
    lines += [f"       {line}" for line in outcome.wrong]
    lines.append(f"       again: {again} {outcome.episode.number}")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
