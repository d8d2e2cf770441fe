"""`testbed diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import (
    connect,
    echo_json,
    json_option,
    name_option,
    parse_settings,
    set_option,
    topology_argument,
    verb,
)
from testbed.errors import EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.lifecycle.installation import Installation


@verb("diff", "testbed diff\ntestbed diff site.yaml --brief\ntestbed diff two-racks --json")
@topology_argument(metavar="[TOPOLOGY]", required=False)
@set_option
@click.option("--brief", is_flag=True, help="Leave out the steps in Linux.")
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    file: str | None,
    *,
    settings: tuple[str, ...],
    brief: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Show what `testbed up TOPOLOGY` would change in the running testbed.

    TOPOLOGY is a file or the name of a topology; without it, it is the file that the testbed
    was brought up from. First come the values that change in the topology, then the steps
    in Linux. Exits with 1 when there is a difference.
    """
    from testbed.keeper.ledger import changes  # noqa: PLC0415

    client = connect(name)
    answer = client.document(plan=True)
    made = _read(client, answer, file, parse_settings(settings))
    found = changes(answer["document"], made.document.to_json())
    steps, notices = _steps(answer["plan"], made)
    if as_json:
        keys = {"name": client.name, "revision": answer["revision"], "changes": found}
        echo_json(keys | {"steps": steps, "notices": notices})
    else:
        _print(client.name, found, steps, notices, brief=brief)
    if found or steps:
        context.exit(EXIT_NETWORK)


def _read(
    client: Client, answer: dict[str, Any], file: str | None, settings: dict[str, str]
) -> Installation:
    from testbed.lifecycle.installation import read_file  # noqa: PLC0415 - pydantic is slow

    source = answer["source"] or {}
    path = file or source.get("file")
    if path is None:
        hint = "name one: testbed diff TOPOLOGY"
        raise UsageError(f"testbed {client.name} was not brought up from a file", hint=hint)
    if file is None and not settings:
        settings = source.get("settings") or {}
    return read_file(path, settings, client.name, previous=lambda _: answer["numbers"])


def _steps(plan: dict[str, Any], made: Installation) -> tuple[list[str], list[str]]:
    """The steps in Linux, and what users have to know about them."""
    from testbed.plan import codec  # noqa: PLC0415
    from testbed.plan.diff import diff  # noqa: PLC0415
    from testbed.plan.replaced import replaced  # noqa: PLC0415
    from testbed.render.steps import step_texts  # noqa: PLC0415

    runs = codec.from_json(plan)
    return step_texts(diff(runs, made.plan)), replaced(runs, made.plan)


def _print(
    name: str, found: list[dict[str, Any]], steps: list[str], notices: list[str], *, brief: bool
) -> None:
    from testbed.render.changes import change_text  # noqa: PLC0415

    if not (found or steps):
        click.echo(f"{name}: no difference")
        return
    for change in found:
        click.echo(change_text(change))
    for text in notices:
        click.echo(f"note: {text}")
    if brief:
        return
    click.echo(f"{len(steps)} step{'' if len(steps) == 1 else 's'}:")
    for text in steps:
        click.echo(f"  {text}")
