"""`testbed validate`."""

from __future__ import annotations

from typing import Any

import click

from testbed.cli.common import (
    echo_json,
    json_option,
    parse_settings,
    set_option,
    topology_argument,
    unused_name_option,
    verb,
)
from testbed.errors import EXIT_NETWORK, EXIT_USAGE, UsageError


@verb(
    "validate",
    "testbed validate site.yaml two-racks\ntestbed validate --set racks=4 racks\n"
    "testbed validate --strict site.yaml",
)
@topology_argument("files", metavar="TOPOLOGY...", nargs=-1, required=True)
@set_option
@click.option(
    "--strict",
    is_flag=True,
    help="Also warn of what AWS advises against, and exit with 1 if there is any.",
)
@json_option
@unused_name_option
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    *,
    settings: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Check topologies and report all problems, each with its place in the file.

    What is legal but probably a mistake is a warning. Exits with 2 if a topology is wrong, with 1
    if --strict warns of something.
    """
    variables = parse_settings(settings)
    rows = [_row(file, variables, strict=strict, as_json=as_json) for file in files]
    if as_json:
        echo_json({"ok": all(row["ok"] for row in rows), "files": rows})
    if not all(row["ok"] for row in rows):
        context.exit(EXIT_USAGE)
    if any(row.get("strict") for row in rows):
        context.exit(EXIT_NETWORK)


def _row(file: str, variables: dict[str, str], *, strict: bool, as_json: bool) -> dict[str, Any]:
    """Check one topology, and tell of it unless that is done in JSON; its row of that."""
    from testbed.cli.failures import show  # noqa: PLC0415
    from testbed.lifecycle.installation import read_file  # noqa: PLC0415 - pydantic is slow
    from testbed.topology.rules.advice import advice  # noqa: PLC0415
    from testbed.topology.rules.strict import warned  # noqa: PLC0415

    notes: list[str] = []
    try:
        made = read_file(file, variables, notes=notes)
        if made.topology.faults:  # only a plan tells whether what they are about is there
            assert made.plan
    except UsageError as error:
        if not as_json:
            show(error)
        return {"file": file, "ok": False, "error": error.to_json()}
    name = made.topology.name
    row: dict[str, Any] = {"file": file, "ok": True, "name": name}
    if strict:
        against = warned(made.topology)
        row |= {"warnings": [], "notes": notes, "strict": [one.to_json() for one in against]}
        told = [f"{one}\n    hint: {one.remedy}" for one in against]
    else:
        told = advice(made.topology)
        row |= {"warnings": told, "notes": notes}
    if not as_json:
        _tell(file, name, told, notes)
    return row


def _tell(file: str, name: str, warnings: list[str], notes: list[str]) -> None:
    from testbed.cli.failures import warn  # noqa: PLC0415

    click.echo(f"{file}: ok ({name})")
    for text in warnings:
        warn(text)
    for note in notes:
        click.echo(f"    {click.style('note:', fg='cyan')} {note}")
