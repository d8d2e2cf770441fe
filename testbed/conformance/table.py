"""The report for people, on a terminal: the diagnosis first, then what failed, by subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from testbed.conformance.results import Outcome, Report, Result
from testbed.conformance.suites import Check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

STYLES: dict[Outcome, str] = {
    "passed": "green",
    "failed": "red",
    "error": "magenta",
    "blocked": "yellow",
    "not-applicable": "dim",
}
WORDS: dict[Outcome, str] = {
    "passed": "passed",
    "failed": "failed",
    "error": "could not run",
    "blocked": "not run",
    "not-applicable": "does not apply",
}


def one_line(result: Result) -> Text:
    """A result as it comes, while the checks run."""
    line = Text(f"{WORDS[result.outcome]:>14} ", style=STYLES[result.outcome])
    line.append(f"{result.check}  {result.subject}", style="default")
    figures = ", ".join(f"{m.name} {m}" for m in result.measurements)
    if figures:
        line.append(f"  {figures}", style="cyan")
    if result.outcome in {"error", "blocked"}:
        line.append(f"  {result.text}", style="dim")
    return line


def print_report(console: Console, report: Report, *, everything: bool = False) -> None:
    """Print the table of suites, all that failed with its remedy, and the diagnosis last."""
    console.print(suite_table(report))
    for result in report.results:
        if result.outcome in {"failed", "error"} or (everything and result.outcome != "passed"):
            console.print(detail(result))
    if everything:
        for result in report.of("passed"):
            console.print(one_line(result))
    console.print(verdict(report))


def suite_table(report: Report) -> Table:
    """How many checks passed, failed and so on, suite by suite."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{report.testbed}: conformance", title_justify="left")
    table.add_column("suite")
    for outcome, word in WORDS.items():
        table.add_column(word, justify="right", style=STYLES[outcome])
    table.add_column("seconds", justify="right")
    for suite in report.suites:
        results = [result for result in report.results if result.suite == suite]
        numbers = [sum(r.outcome == outcome for r in results) for outcome in WORDS]
        seconds = sum(result.duration_s for result in results)
        table.add_row(suite, *(str(n) if n else "" for n in numbers), f"{seconds:.1f}")
    return table


def detail(result: Result) -> Table:
    """One result with what was expected and seen, and the remedy."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", justify="right", no_wrap=True)
    grid.add_column()
    heading = Text(f"{result.check}  ", style=f"bold {STYLES[result.outcome]}")
    grid.add_row("", heading.append(result.subject, style="bold default"))
    fields = (
        ("check", result.summary),
        ("expected", result.expected),
        ("seen", result.seen),
        ("measured", "; ".join(f"{m.name} {m} ({m.limit})" for m in result.measurements)),
        ("because", result.text),
        ("remedy", result.remedy),
        ("source", result.source),
    )
    for name, text in fields:
        if text:
            grid.add_row(name, Text(text))
    grid.add_row("", "")
    return grid


def verdict(report: Report) -> Text:
    """The last lines: the likely cause, and the outcome of the whole."""
    counts = report.counts()
    text = Text()
    if cause := report.diagnosis:
        text.append("cause: ", style="bold red").append(f"{cause.subject}: ", style="bold")
        text.append(f"expected {cause.expected}; seen: {cause.seen} ({cause.check})\n")
        if cause.remedy:
            text.append("remedy: ", style="cyan").append(f"{cause.remedy}\n")
    if report.problem:
        text.append("could not run: ", style="bold magenta").append(f"{report.problem}\n")
    parts = [f"{counts[outcome]} {word}" for outcome, word in WORDS.items() if counts[outcome]]
    style = "green" if report.exit_code == 0 else "red"
    text.append(
        f"{', '.join(parts) or 'nothing checked'} in {report.duration_s:.1f} s", style=style
    )
    return text


def print_checks(console: Console, checks: Iterable[Check]) -> None:
    """Print what checks there are, by suite."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("check", "what it verifies", "source"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        table.add_row(check.name, check.summary, check.source)
    console.print(table)
