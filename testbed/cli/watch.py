"""`testbed watch`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import connect, name_option, verb
from testbed.cli.encoding import has_every_character
from testbed.errors import TestbedError

if TYPE_CHECKING:
    from collections.abc import Iterator


@verb(
    "watch",
    "testbed watch\n"
    "testbed watch --from 0\n"
    "testbed watch --json | jq 'select(.event == \"ready\")'",
)
@click.option(
    "--from",
    "revision",
    type=click.IntRange(0),
    metavar="REVISION",
    help="Begin with what happened after this revision [from now on].",
)
@name_option()
@click.option("--json", "as_lines", is_flag=True, help="Print each message as a line of JSON.")
def command(*, revision: int | None, name: str | None, as_lines: bool) -> None:
    """Show changes as they happen: of the topology, states and readiness, and events.

    Runs until Ctrl-C, or until the testbed ends.
    """
    try:
        for message in connect(name).watch(revision):
            if as_lines:
                click.echo(_line(message))
                continue
            for line in _lines(message):
                click.echo(
                    f"{message['at']:14.6f}  {line}" if "at" in message else f"{'':16}{line}"
                )
    except TestbedError as error:
        if as_lines:
            click.echo(_line({"error": error.to_json()}))
        raise


def _line(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=not has_every_character())


def _lines(message: dict[str, Any]) -> Iterator[str]:
    """A message as text."""
    match message["event"]:
        case "watching":
            yield f"revision {message['revision']}: watching from here on"
        case "revision":
            from testbed.render.changes import change_text  # noqa: PLC0415

            yield f"revision {message['revision']}"
            yield from (f"  {change_text(change)}" for change in message["changes"])
        case "occurred":
            what = f"{message['node']} {message['kind']} {message['subject']}"
            yield f"{what}: {message['state']}"
        case "state":
            mark = {True: "ok: ", False: "not ok: ", None: ""}[message["ok"]]
            yield f"{message['title']}: {mark}{message['state']}"
        case "ready":
            pending = "; ".join(row["title"] for row in message["pending"])
            yield f"not ready: {pending}" if pending else "everything is ready"
        case "missed":
            yield f"{message['messages']} messages were missed because the reader is too slow"
