"""Tables of a testbed's state, and of what is not ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.measure import Measurement
from rich.text import Text

from testbed.render.clocks import clock_text, duration_text
from testbed.render.faults import faults_table
from testbed.render.style import cell, size_text, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

Row = dict[str, Any]

# Subject of the status, its heading, and the columns (heading, key) between title and state.
SUBJECTS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "nodes": ("Nodes", (("node", "name"), ("role", "role"), ("processes", "processes"))),
    "links": ("Links", (("node", "node"), ("interface", "interface"), ("peer", "peer"))),
    "lags": (
        "LAGs (IEEE 802.3ad)",
        (("node", "node"), ("bond", "interface"), ("members", "members")),
    ),
    "bgp": (
        "BGP sessions",
        (
            ("node", "node"),
            ("neighbor", "neighbor"),
            ("imported", "imported"),
            ("exported", "exported"),
            ("for", "age_s"),
        ),
    ),
    "tunnels": (
        "Service link tunnels (WireGuard)",
        (
            ("node", "node"),
            ("peer", "peer"),
            ("endpoint", "endpoint"),
            ("handshake", "handshake_age_s"),
            ("received", "rx_bytes"),
            ("sent", "tx_bytes"),
        ),
    ),
    "routes": (
        "Expected routes",
        (
            ("node", "node"),
            ("table", "table"),
            ("destination", "destination"),
            ("next hops", "nexthops"),
        ),
    ),
    "route_tables": (
        "Route tables",
        (
            ("of", "owner"),
            ("table", "route_table"),
            ("destination", "destination"),
            ("target", "target"),
            ("origin", "origin"),
        ),
    ),
    "local_gateways": (
        "Local gateway route tables",
        (
            ("node", "node"),
            ("mode", "mode"),
            ("VIF group", "vifs"),
            ("VPCs", "vpc_associations"),
        ),
    ),
    "management": ("Management channels", (("Outpost", "subject"), ("node", "node"))),
    "addresses": ("Leases and shared addresses", (("node", "node"), ("interface", "interface"))),
    "listeners": ("Services", (("node", "node"), ("protocol", "protocol"), ("port", "port"))),
}
# What a narrow terminal does without, column by column; node and state always stay.
EXPENDABLE = {
    "management": ("description",),
    "nodes": ("description", "role"),
    "links": ("description",),
    "lags": ("description", "bond"),
    "bgp": ("for", "exported", "imported", "neighbor"),
    "tunnels": ("description", "sent", "received"),
    "routes": ("description", "table"),
    "route_tables": ("description", "origin", "of"),
    "local_gateways": ("description", "VIF group"),
    "addresses": ("description",),
    "listeners": ("description",),
}
# shown only where something is wrong
SHORT = ("nodes", "links", "routes", "management", "listeners")


def _formatted(key: str, row: Row) -> Text:
    value = row.get(key)
    if key == "handshake_age_s" and value is not None:
        return Text(f"{float(value):.0f} s ago")
    if key == "age_s" and value is not None:
        return Text(duration_text(round(float(value), 1)))
    if key in {"rx_bytes", "tx_bytes"} and value is not None:
        return Text(size_text(int(value)))
    return cell(value)


def state_cell(row: Row) -> Text:
    """The state, green or red, with the reason there is."""
    text = str(row.get("state", "unknown"))
    if not row.get("ok") and row.get("reason"):
        text += f" ({row['reason']})"
    return Text(text, style="green" if row.get("ok") else "bold red")


def print_status(console: Console, status: Mapping[str, Any], *, everything: bool) -> None:
    """Print the state: a line per subject, then tables with the problems first.

    Nodes, links, routes and services are listed only as far as they are not
    ok, unless `everything` is asked for.
    """
    revision = f", revision {status['revision']}" if status.get("revision") else ""
    summary = table(f"Testbed {status.get('name', '')}{revision}", "subject", "ok", "of")
    for subject, (heading, _) in SUBJECTS.items():
        rows = status.get(subject) or []
        good = sum(bool(row.get("ok")) for row in rows)
        style = "green" if good == len(rows) else "bold red"
        summary.add_row(Text(heading), Text(str(good), style=style), Text(str(len(rows))))
    console.print(summary)
    if (clock := status.get("clock")) and clock.get("time") == "virtual":
        console.print(Text(f"time: {clock_text(clock)}"))
    if faults := status.get("faults"):
        console.print(faults_table(faults))
    for subject in SUBJECTS:
        rows = sorted(status.get(subject) or [], key=lambda row: bool(row.get("ok")))
        if subject in SHORT and not everything:
            rows = [row for row in rows if not row.get("ok")]
        if rows:
            console.print(subject_table(subject, rows, console))
        if rows and subject == "local_gateways":
            console.print(_gateway_routes(rows))


def _gateway_routes(rows: Sequence[Row]) -> Table:
    """The routes of the local gateways' route tables, each in AWS's words."""
    made = table("Local gateway routes", "node", "destination", "target", "type", "state")
    for row in rows:
        for route in row.get("routes") or []:
            cells = [cell(route.get(key)) for key in ("destination", "target", "type")]
            made.add_row(cell(row.get("node")), *cells, state_cell(route))
    return made


def subject_table(subject: str, rows: Sequence[Row], console: Console) -> Table:
    """The table of one subject of the status, with as many columns as fit the console."""
    made = _subject_table(subject, rows, ())
    wide = console.options.update(width=10_000)
    left_out: list[str] = []
    for name in EXPENDABLE[subject]:
        if Measurement.get(console, wide, made).maximum <= console.width:
            break
        left_out.append(name)
        made = _subject_table(subject, rows, left_out)
    return made


def _subject_table(subject: str, rows: Iterable[Row], without: Sequence[str]) -> Table:
    heading, columns = SUBJECTS[subject]
    shown = [(name, key) for name, key in columns if name not in without]
    titled = "description" not in without
    made = table(heading, *(name for name, _ in shown), "state", *(["description"] * titled))
    for row in rows:
        cells = [*(_formatted(key, row) for _, key in shown), state_cell(row)]
        made.add_row(*cells, *([Text(str(row.get("title", "")))] * titled))
    return made


def pending_table(pending: Sequence[Mapping[str, str]]) -> Table:
    """What is not ready, and why."""
    made = table("Not ready", "what", "state")
    for row in pending:
        made.add_row(Text(row.get("title", "")), Text(row.get("state", ""), style="bold red"))
    return made
