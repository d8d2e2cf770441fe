"""How far a run of checks is: a bar on a terminal, a line for each result elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from testbed.conformance.report.table import one_line
from testbed.conformance.results import Result
from testbed.render.console import console

if TYPE_CHECKING:
    from typing import Self


class Progress:
    """Shows nothing; the base of the two that do. Use as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop showing."""

    def started(self, check: str, subject: str, done: int, total: int) -> None:
        """Say which check runs now, and for what."""

    def result(self, result: Result, total: int) -> None:
        """Say how a check went, as soon as it is known."""


class PlainProgress(Progress):
    """A line for each result that says anything, on standard error."""

    def __init__(self) -> None:
        self._console = console(stderr=True)

    def result(self, result: Result, total: int) -> None:  # noqa: ARG002
        """Print it."""
        if result.outcome != "not-applicable":
            self._console.print(one_line(result))


class LiveProgress(Progress):
    """A bar with the check that runs; above it what did not pass, on standard error."""

    def __init__(self) -> None:
        from rich import progress  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        one = Column(no_wrap=True)
        cut = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._bar = progress.Progress(
            progress.SpinnerColumn(),
            progress.BarColumn(bar_width=20),
            progress.MofNCompleteColumn(table_column=one),
            progress.TimeElapsedColumn(table_column=one),
            progress.TextColumn("{task.description}", markup=False, table_column=cut),
            console=console(stderr=True),
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("collecting the checks", total=None)
        self._failed = 0
        self._bar.start()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()

    def started(self, check: str, subject: str, done: int, total: int) -> None:
        """Show it beside the bar."""
        failed = f"{self._failed} failed; " if self._failed else ""
        text = f"{failed}{check}  {subject}"
        self._bar.update(self._task, completed=done, total=total, description=text)

    def result(self, result: Result, total: int) -> None:  # noqa: ARG002
        """Print what did not pass above the bar."""
        self._bar.advance(self._task)
        if result.outcome == "failed":
            self._failed += 1
        if result.outcome in {"failed", "error"}:
            self._bar.console.print(one_line(result))


def progress(*, quiet: bool) -> Progress:
    """The kind that fits where standard error leads."""
    if quiet:
        return Progress()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
