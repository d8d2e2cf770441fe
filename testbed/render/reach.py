"""Who reaches whom, as a list and as a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from testbed.probes.reach import Reach

REACHED, BLOCKED = "\u25cf", "\u00b7"  # a full circle, a dot
SAID = {True: "reached", False: "blocked", None: "not predicted"}


def state(row: Reach) -> Text:
    """What was measured, and how that compares with the rules."""
    text = row.measured if row.reached else f"blocked ({row.measured})"
    if row.one_way and not row.reached and row.agrees:
        return Text(f"{text}, let in, but not answered", style="bold red")
    if not row.agrees:
        return Text(f"{text}, predicted: {SAID[row.predicted]}", style="bold red")
    if row.predicted is None:
        return Text(f"{text}, not predicted", style="yellow")
    return Text(text, style="green" if row.reached else "default")


def pairs(rows: Iterable[Reach]) -> dict[tuple[str, str, str], list[Reach]]:
    """The requests by source, destination and its address."""
    found: dict[tuple[str, str, str], list[Reach]] = {}
    for row in rows:
        request = row.request
        key = (request.source, request.destination, str(request.address))
        found.setdefault(key, []).append(row)
    return found


def list_table(rows: Iterable[Reach]) -> Table:
    """A line for each pair and outcome: which requests, what came of them, and why."""
    table = Table("source", "destination", "address", "requests", "measured", "why", box=None)
    for (source, destination, address), own in pairs(rows).items():
        alike: dict[tuple[str, str], list[Reach]] = {}
        for row in own:
            alike.setdefault((str(state(row)), row.reason), []).append(row)
        for group in alike.values():
            kinds = " ".join(row.request.kind for row in group)
            table.add_row(source, destination, address, kinds, state(group[0]), group[0].reason)
    return table


def matrix_table(rows: Sequence[Reach]) -> Table:
    """Sources down, destinations across; a mark for each kind of request, in their order."""
    kinds = list(dict.fromkeys(row.request.kind for row in rows))
    columns = list(dict.fromkeys((r.request.destination, str(r.request.address)) for r in rows))
    table = Table("from \\ to", box=box.SIMPLE_HEAD)
    for name, address in columns:
        table.add_column(f"{name}\n{address}", justify="center")
    by_pair = pairs(rows)
    for source in dict.fromkeys(row.request.source for row in rows):
        cells = [_cell(by_pair.get((source, *column), []), kinds) for column in columns]
        table.add_row(source, *cells)
    return table


def _cell(rows: Iterable[Reach], kinds: Iterable[str]) -> Text:
    own = {row.request.kind: row for row in rows}
    text = Text()
    for kind in kinds:
        row = own.get(kind)
        mark = " " if row is None else REACHED if row.reached else BLOCKED
        if row is None or (row.agrees and row.predicted is not None):
            style = "green" if mark == REACHED else "default"
        else:
            style = "bold yellow" if row.agrees else "bold red"
            mark += "?" if row.agrees else "!"
        text.append(mark, style=style)
    return text


def legend(rows: Iterable[Reach]) -> str:
    """How to read the matrix."""
    kinds = " ".join(dict.fromkeys(row.request.kind for row in rows))
    return f"{REACHED} reached  {BLOCKED} blocked  ! not as predicted  ? not predicted; {kinds}"


def summary(rows: Sequence[Reach]) -> str:
    """The whole result in one line."""
    wrong = sum(not row.agrees for row in rows)
    open_ones = sum(row.predicted is None for row in rows)
    reached = sum(row.reached for row in rows)
    text = f"{len(rows)} requests: {reached} reached, {len(rows) - reached} blocked; "
    text += f"{wrong} not as predicted" if wrong else "as predicted"
    if one_way := sum(row.one_way and not row.reached for row in rows):
        text += f"; {one_way} let in, but not answered"
    return text + (f"; {open_ones} not predicted" if open_ones else "")
