"""Progress of an `up`: a live line on a terminal, plain lines elsewhere, nothing with JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from typing import Self

    from rich.status import Status

PLAIN_INTERVAL_S = 2.0  # between two plain lines about what is being waited for
SHOWN = 3  # of the things that are being waited for
PHASES = {
    "start": "started",
    "load": "read the topology",
    "lower": "planned",
    "apply": "built",
}


class Progress:
    """Shows nothing; the base of the two that do. Use as a context manager."""

    _built: float | None = None  # ms of the keeper's phases that were not shown yet
    _started: float | None = None  # when the start began, until it is over

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop showing."""

    def doing(self, text: str) -> None:
        """Say what is going on now."""

    def note(self, text: str) -> None:
        """Say what the user has to know before it happens."""

    def done(self, phase: str, ms: float, detail: str = "") -> None:
        """Say that a phase is over."""

    def waiting(self, pending: list[str], done: int, total: int) -> None:
        """Say what is being waited for."""

    def starting(self, text: str) -> None:
        """Say how far the start of the keeper or micro VM is; the keeper's first event ends it."""
        self._started = self._started or time.perf_counter()
        self.doing(text)

    def event(self, message: dict[str, Any]) -> None:
        """Show an event of the keeper's `apply`."""
        if self._started is not None:
            self.done("start", (time.perf_counter() - self._started) * 1000)
            self._started = None
        match message.get("event"):
            case "phase" if message.get("state") == "done":
                if message["phase"] != "diff":
                    self._built = (self._built or 0.0) + message.get("ms", 0.0)
            case "phase":
                self.doing("building")
            case "queued":
                self.doing("waiting for another change of this testbed to finish")
            case "replaces":
                self.note(str(message["text"]))
            case "waiting":
                self._show_built()
                self.waiting(message["pending"], message["done"], message["total"])
            case "applied":
                self._show_built()

    def _show_built(self) -> None:
        """Show the keeper's phases as one; --timings has them all."""
        if self._built is not None:
            self.done("apply", self._built)
            self._built = None


def waiting_text(pending: list[str], done: int, total: int) -> str:
    """What is being waited for, in one line."""
    text = f"waiting: {done} of {total} ready"
    if pending:
        text += "; not yet: " + "; ".join(pending[:SHOWN])
    return text + (f"; {len(pending) - SHOWN} more" if len(pending) > SHOWN else "")


def done_text(phase: str, ms: float, detail: str) -> str:
    """A phase that is over, in one line."""
    text = PHASES.get(phase, phase)
    return f"{text}{f' {detail}' if detail else ''} ({ms:.0f} ms)"


class PlainProgress(Progress):
    """One line for each thing that happens, on standard error."""

    def __init__(self) -> None:
        self._last = 0.0
        self._shown: list[str] | None = None

    def doing(self, text: str) -> None:
        """Print it."""
        click.echo(text, err=True)

    def note(self, text: str) -> None:
        """Print it."""
        click.echo(f"note: {text}", err=True)

    def done(self, phase: str, ms: float, detail: str = "") -> None:
        """Print it."""
        click.echo(done_text(phase, ms, detail), err=True)

    def waiting(self, pending: list[str], done: int, total: int) -> None:
        """Print what has changed, not too often."""
        now = time.monotonic()
        if pending == self._shown or (pending and now - self._last < PLAIN_INTERVAL_S):
            return
        self._last, self._shown = now, pending
        click.echo(waiting_text(pending, done, total), err=True)


class LiveProgress(Progress):
    """A spinner with what is going on, above it what is done, on standard error."""

    def __init__(self) -> None:
        from testbed.render.console import console  # noqa: PLC0415

        self._console = console(stderr=True)
        self._status: Status = self._console.status("")
        self._status.start()

    def close(self) -> None:
        """Remove the spinner."""
        self._status.stop()

    def doing(self, text: str) -> None:
        """Show it beside the spinner."""
        self._update(text)

    def note(self, text: str) -> None:
        """Print it above the spinner."""
        from rich.text import Text  # noqa: PLC0415

        self._console.print(Text(f"\u2022 {text}", style="yellow"))

    def done(self, phase: str, ms: float, detail: str = "") -> None:
        """Print it above the spinner."""
        from rich.text import Text  # noqa: PLC0415

        line = Text("\u2713 ", style="green")
        self._console.print(line.append(done_text(phase, ms, detail), style="default"))
        self._update(" ")  # rich keeps the old text for an empty one

    def starting(self, text: str) -> None:
        """Show it beside the spinner; that a micro VM is used, and why, above it for good."""
        if text.endswith("using a micro VM"):
            from rich.text import Text  # noqa: PLC0415

            self._console.print(Text(f"\u2022 {text}"))
        super().starting(text)

    def waiting(self, pending: list[str], done: int, total: int) -> None:
        """Show it beside the spinner."""
        self._update(waiting_text(pending, done, total))

    def _update(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        room = self._console.width - 4  # for the spinner; a second line would jump about
        self._status.update(Text(text if len(text) <= room else f"{text[: room - 1]}\u2026"))


def progress(*, quiet: bool) -> Progress:
    """The kind that fits where standard error leads."""
    if quiet:
        return Progress()
    import sys  # noqa: PLC0415

    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
