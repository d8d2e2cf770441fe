"""`testbed list`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import echo_json, json_option, name_option, verb
from testbed.errors import TestbedError

if TYPE_CHECKING:
    from testbed.control.console import Ended

HELLO_TIMEOUT_S = 2.0
NONE = "no testbed is running"


@verb("list", "testbed list\ntestbed list --topologies")
@click.option("--topologies", is_flag=True, help="List topologies instead of testbeds.")
@name_option("List only this testbed.")
@json_option
def command(*, topologies: bool, name: str | None, as_json: bool) -> None:
    """List this user's running testbeds, or the topologies that can be brought up by name."""
    if topologies:
        _list_topologies(as_json=as_json)
        return
    from testbed.control import registry  # noqa: PLC0415
    from testbed.lifecycle.choices import check_name  # noqa: PLC0415

    if name is not None:
        check_name(name)
    rows = [_row(entry) for entry in registry.running() if name in {None, entry}]
    rows += [_dead(*entry) for entry in registry.dead().items() if name in {None, entry[0]}]
    if as_json:
        echo_json(rows)
        return
    if not rows:
        others = registry.running() if name else []
        click.echo(f"{name} is not running; these are: {', '.join(others)}" if others else NONE)
        return
    from testbed.render.clocks import clock_text  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.style import rows_table  # noqa: PLC0415

    columns = ("name", "state", "nodes", "runs in", "since", "time")
    lines = (
        (r["name"], r["state"], r["nodes"], _where(r), r["since"], clock_text(r["clock"]))
        for r in rows
    )
    console().print(rows_table("Testbeds", columns, lines))


def _list_topologies(*, as_json: bool) -> None:
    """List the topologies of this folder and of ./topologies, and the examples."""
    from testbed.lifecycle.finding import known  # noqa: PLC0415

    found = known()
    if as_json:
        echo_json([{"name": e.name, "file": str(e.file), "story": e.story} for e in found])
        return
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.style import rows_table  # noqa: PLC0415

    rows = ((entry.name, entry.story) for entry in found)
    console().print(rows_table("Topologies", ("name", "story"), rows))


def _row(name: str) -> dict[str, Any]:
    from testbed.control import registry  # noqa: PLC0415
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.control.patience import stopped_process  # noqa: PLC0415

    row: dict[str, Any] = {"name": name, "state": "busy", "nodes": None}
    row |= {"pid": registry.owner(name), "guest": None, "since": None}
    row["clock"] = None
    try:
        hello = Client.connect(name).hello(HELLO_TIMEOUT_S)
    except TimeoutError:
        is_stopped = row["pid"] is not None and stopped_process(row["pid"]) is not None
        return row | {"state": "stopped" if is_stopped else "busy"}
    except TestbedError:
        return row | {"state": "ending"}
    row["state"] = "up" if hello.get("ready", True) else "starting"
    row["nodes"] = hello.get("nodes")
    row["guest"] = hello.get("guest")
    row["clock"] = hello.get("clock")
    if started := hello.get("started"):
        since = datetime.fromtimestamp(started, UTC).astimezone()
        row["since"] = since.isoformat(timespec="seconds")
    return row


def _dead(name: str, how: Ended) -> dict[str, Any]:
    died = datetime.fromtimestamp(how.at, UTC).astimezone().isoformat(timespec="seconds")
    row = {"name": name, "state": "dead", "nodes": None, "pid": None, "guest": None}
    return row | {"since": died, "clock": None, "reason": how.reason}


def _where(row: dict[str, Any]) -> str:
    if row["state"] == "dead":
        return str(row["reason"])
    if row["nodes"] is None:  # it has not said where it runs
        return f"process {row['pid']}"
    place = f"{row['guest']} guest" if row["guest"] else "this kernel"
    return f"{place}, process {row['pid']}"
