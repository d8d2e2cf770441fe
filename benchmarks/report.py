"""The tables of benchmarks/up, from what it prints with --json.

As a program, from a file: python benchmarks/report.py FILE.json
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.render.console import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PLUMBING = ("nodes", "links", "queueing", "addresses", "neighbors", "routes", "rules")
WAYS = {"floor": "C floor", "testbed": "testbed", "mininet": "Mininet"}
FASTER_THAN_MININET = 10.0
TIMES_THE_FLOOR = 2.0
LINEAR = 2.0

Rows = list[dict[str, Any]]


def spread(values: Sequence[float]) -> str:
    """Minimum and median; the value itself when there is one."""
    low, middle = min(values), statistics.median(values)
    if len(values) == 1:
        return number(low)
    return f"{number(low)} / {number(middle)}"


def number(value: float) -> str:
    """As many digits as are worth reading."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def plumbing_ms(run: dict[str, Any]) -> float:
    """Milliseconds that one run spent on namespaces and what is in them."""
    return float(sum(run["timings"].get(phase, 0.0) for phase in PLUMBING))


def ratio(row: dict[str, Any], way: str, other: str) -> float | None:
    """How many times as long `way` takes as `other`, best run by best run; None without both."""
    ms = row["ms"]
    if way not in ms or other not in ms:
        return None
    return float(min(ms[way]) / min(ms[other]))


def _table(title: str, first: str, columns: Sequence[str]) -> Table:
    from rich import box  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _size(row: dict[str, Any]) -> str:
    racks = f"{row['racks']} rack{'s' if row['racks'] > 1 else ''}\n" if "racks" in row else ""
    return f"{racks}{row['nodes']} nodes\n{row['links']} links"


def phases_table(rows: Rows) -> Table:
    """Milliseconds by phase and number of racks."""
    table = _table("up, ms: minimum / median", "phase", [_size(row) for row in rows])
    phases = dict.fromkeys(p for row in rows for run in row["runs"] for p in run["timings"])
    for phase in phases:
        cells = [[run["timings"].get(phase, 0.0) for run in row["runs"]] for row in rows]
        table.add_row(phase, *map(spread, cells))
    table.add_section()
    table.add_row("up, in all", *(spread([run["up"] for run in row["runs"]]) for row in rows))
    table.add_row("down", *(spread([run["down"] for run in row["runs"]]) for row in rows))
    return table


def growth_table(rows: Rows) -> Table:
    """What one node or link costs, at each size."""
    table = _table("growth: minimum / median", "", [_size(row) for row in rows])

    def add(title: str, of: str, *phases: str) -> None:
        cells = []
        for row in rows:
            spent = [sum(run["timings"].get(p, 0.0) for p in phases) for run in row["runs"]]
            cells.append(spread([ms / row[of] for ms in spent]))
        table.add_row(title, *cells)

    add("namespaces with settings, ms a node", "nodes", "nodes")
    add("links, ms a link", "links", "links")
    add("all plumbing, ms a node", "nodes", *PLUMBING)
    add("all plumbing, ms a link", "links", *PLUMBING)
    add("programs started, ms a node", "nodes", "processes")
    ups = [[run["up"] / row["nodes"] for run in row["runs"]] for row in rows]
    table.add_row("up in all, ms a node", *map(spread, ups))
    return table


def memory_table(rows: Rows) -> Table:
    """Memory by number of racks."""
    table = _table("memory, MiB", "", [_size(row) for row in rows])
    memory = [row["memory"] for row in rows]
    table.add_row("a node with its programs", *(number(m["per_node"] / 1024) for m in memory))
    table.add_row("all nodes", *(number((m["before"] - m["after"]) / 1024) for m in memory))
    table.add_row("keeper, resident", *(number(m["keeper"] / 1024) for m in memory))
    table.add_row("programs (number)", *(str(row["processes"]) for row in rows))
    return table


def peers_table(rows: Rows) -> Table:
    """The other ways to build as many nodes and links."""
    table = _table("bare nodes and links, ms: minimum / median", "", [_size(row) for row in rows])
    for way, title in WAYS.items():
        cells = [spread(row["ms"][way]) if way in row["ms"] else "-" for row in rows]
        table.add_row(title, *cells)
    table.add_section()
    for title, way, other in (
        ("testbed / C floor", "testbed", "floor"),
        ("Mininet / testbed", "mininet", "testbed"),
    ):
        ratios = [ratio(row, way, other) for row in rows]
        table.add_row(title, *("-" if value is None else number(value) for value in ratios))
    return table


def aims(result: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """Whether each aim is met, in words; those that could be measured."""
    peers = result["peers"]
    floor = [value for row in peers if (value := ratio(row, "testbed", "floor"))]
    if floor:
        worst = max(floor)
        text = f"plumbing takes {worst:.2f} times as long as the C floor (aim: {TIMES_THE_FLOOR:g})"
        yield worst <= TIMES_THE_FLOOR, text
    mininet = [value for row in peers if (value := ratio(row, "mininet", "testbed"))]
    if mininet:
        least = min(mininet)
        text = f"plumbing is {least:.0f} times as fast as Mininet (aim: {FASTER_THAN_MININET:g})"
        yield least >= FASTER_THAN_MININET, text
    costs = [min(map(plumbing_ms, row["runs"])) / row["nodes"] for row in result["up"]]
    if len(costs) > 1:
        growth = costs[-1] / costs[0]
        sizes = f"{result['up'][-1]['nodes']} and {result['up'][0]['nodes']} nodes"
        text = f"plumbing of a node, {sizes}: {growth:.2f} times (aim: linear, below {LINEAR:g})"
        yield growth < LINEAR, text


def show(result: dict[str, Any], output: Console | None = None) -> None:
    """Print all tables."""
    output = output or console()
    machine = result["machine"]
    where = f"micro VM ({machine['guest']})" if machine["guest"] else "native"
    output.print(
        f"{machine['date']}, {machine['processors']} processors, {where}, "
        f"Linux {machine['kernel']}, load {machine['load']} at the start"
    )
    output.print(phases_table(result["up"]))
    output.print(growth_table(result["up"]))
    output.print(memory_table(result["up"]))
    if result["peers"]:
        output.print(peers_table(result["peers"]))
    for met, text in aims(result):
        output.print(f"{'met   ' if met else 'MISSED'} {text}")


if __name__ == "__main__":
    show(json.loads(Path(sys.argv[1]).read_text()))
