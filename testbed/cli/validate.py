"""`testbed validate`."""

from __future__ import annotations

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
from testbed.errors import EXIT_USAGE, UsageError


@verb(
    "validate",
    "testbed validate site.yaml two-racks\ntestbed validate --set racks=4 racks",
)
@topology_argument("files", metavar="TOPOLOGY...", nargs=-1, required=True)
@set_option
@json_option
@unused_name_option
@click.pass_context
def command(
    context: click.Context, files: tuple[str, ...], *, settings: tuple[str, ...], as_json: bool
) -> None:
    """Check topologies and report all problems, each with its place in the file.

    What is legal but probably a mistake is a warning.
    """
    from testbed.cli.failures import show  # noqa: PLC0415
    from testbed.lifecycle.installation import read_file  # noqa: PLC0415 - pydantic is slow
    from testbed.topology.rules.advice import advice  # noqa: PLC0415

    variables = parse_settings(settings)
    rows = []
    for file in files:
        notes: list[str] = []
        try:
            made = read_file(file, variables, notes=notes)
            topology = made.topology
            if topology.faults:  # only a plan tells whether what they are about is there
                assert made.plan
        except UsageError as error:
            rows.append({"file": file, "ok": False, "error": error.to_json()})
            if not as_json:
                show(error)
        else:
            warnings = advice(topology)
            rows.append(
                {"file": file, "ok": True, "name": topology.name}
                | {"warnings": warnings, "notes": notes}
            )
            if not as_json:
                _tell(file, topology.name, warnings, notes)
    if as_json:
        echo_json({"ok": all(row["ok"] for row in rows), "files": rows})
    if not all(row["ok"] for row in rows):
        context.exit(EXIT_USAGE)


def _tell(file: str, name: str, warnings: list[str], notes: list[str]) -> None:
    from testbed.cli.failures import warn  # noqa: PLC0415

    click.echo(f"{file}: ok ({name})")
    for text in warnings:
        warn(text)
    for note in notes:
        click.echo(f"    {click.style('note:', fg='cyan')} {note}")
