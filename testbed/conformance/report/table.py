"""The report for people, on a terminal: by subject, what failed, and the diagnosis last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from testbed.conformance.results import Outcome, Report, Result
from testbed.conformance.suites import Check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from testbed.conformance.expectation import Measurement

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
LABELS = len("expected")  # columns of what stands before a text


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
    if everything:
        for result in report.results:
            if result.outcome not in {"failed", "error"}:
                console.print(one_line(result))
    if report.results:
        console.print(suite_table(report))
    for result in report.results:
        if result.outcome in {"failed", "error"}:
            console.print(detail(result))
    console.print(verdict(report))


def suite_table(report: Report) -> Table:
    """How many checks passed, failed and so on, suite by suite; outcomes that came."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("suite", no_wrap=True)
    counts = report.counts()
    shown = [outcome for outcome in WORDS if counts[outcome] or outcome == "passed"]
    for outcome in shown:
        table.add_column(WORDS[outcome], justify="right", style=STYLES[outcome])
    table.add_column("seconds", justify="right")
    for suite in report.suites:
        results = [result for result in report.results if result.suite == suite]
        numbers = [sum(r.outcome == outcome for r in results) for outcome in shown]
        seconds = sum(result.duration_s for result in results)
        table.add_row(suite, *(str(n) if n else "" for n in numbers), f"{seconds:.1f}")
    return table


def detail(result: Result) -> Table:
    """One result with what was expected and seen, and the remedy."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", justify="right", no_wrap=True, width=LABELS)
    grid.add_column()
    heading = Text(f"{result.check}  ", style=f"bold {STYLES[result.outcome]}")
    grid.add_row("", heading.append(result.subject, style="bold default"))
    fields = (
        ("check", result.summary),
        ("expected", result.expected),
        ("seen", result.seen),
        ("measured", "; ".join(_measured(m) for m in result.measurements)),
        ("because", result.text),
        ("remedy", result.remedy),
        ("source", result.source),
    )
    for name, text in fields:
        if text:
            grid.add_row(name, Text(text))
    grid.add_row("", "")
    return grid


def _measured(measurement: Measurement) -> str:
    limit = f" ({measurement.limit})" if measurement.limit else ""
    return f"{measurement.name} {measurement}{limit}"


def verdict(report: Report) -> RenderableType:
    """The last lines: the likely cause, and the outcome of the whole."""
    counts = report.counts()
    parts = [f"{counts[outcome]} {word}" for outcome, word in WORDS.items() if counts[outcome]]
    text = f"{report.testbed}: {', '.join(parts) or 'nothing checked'} in {report.duration_s:.1f} s"
    last = Text(text, style="bold green" if report.exit_code == 0 else "bold red")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True, min_width=LABELS)
    grid.add_column()
    if cause := report.diagnosis:
        cause_text = Text(cause.subject, style="bold")
        cause_text.append(f": expected {cause.expected}; seen: {cause.seen}", style="not bold")
        cause_text.append(f" ({cause.check})", style="not bold dim")
        grid.add_row(Text("cause", style="bold red"), cause_text)
        if cause.remedy:
            grid.add_row(Text("remedy", style="bold cyan"), cause.remedy)
    if report.problem:
        grid.add_row(Text("could not run", style="bold magenta"), report.problem)
    return Group(grid, last) if grid.row_count else last


def print_checks(console: Console, checks: Iterable[Check]) -> None:
    """Print what checks there are, by suite."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("check", no_wrap=True)
    table.add_column("what it verifies")
    table.add_column("source", max_width=30)
    suite = ""
    for check in checks:
        if suite and check.suite != suite:
            table.add_section()
        suite = check.suite
        table.add_row(check.name, check.summary, check.source)
    console.print(table)
