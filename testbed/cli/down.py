"""`testbed down`."""

from __future__ import annotations

from pathlib import Path

import click

from testbed.cli.common import (
    choose_name,
    complete_names,
    echo_json,
    json_option,
    name_option,
    verb,
)
from testbed.errors import UsageError


@verb("down", "testbed down\ntestbed down two-racks\ntestbed down --all")
@click.argument("testbeds", nargs=-1, metavar="[NAME|FILE]...", shell_complete=complete_names)
@click.option("--all", "everything", is_flag=True, help="End every testbed of this user.")
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    *,
    testbeds: tuple[str, ...],
    everything: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """End testbeds; nothing of them is left. One that does not run is no error.

    They are named, or stand for the topology FILE that they were brought up
    from; not needed when exactly one runs.
    """
    from testbed.control import registry  # noqa: PLC0415
    from testbed.lifecycle.bringup import take_down  # noqa: PLC0415

    given = context.get_parameter_source("name")
    named = name if given is click.core.ParameterSource.COMMANDLINE else None
    if sum((everything, bool(named), bool(testbeds))) > 1:
        raise click.UsageError("--all, --name and names exclude each other", context)
    dead = registry.dead()
    known = [*registry.running(), *dead]
    if everything:
        names = known
    elif testbeds:
        names = list(dict.fromkeys(_name_of(word) for word in testbeds))
    else:
        names = [] if name is None and not known else [choose_name(name)]
    rows = [{"name": entry, "stopped": take_down(entry)} for entry in names]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        otherwise = "had died" if row["name"] in dead else "was not running"
        click.echo(f"{row['name']}: {'is down' if row['stopped'] else otherwise}")
    if not rows:
        click.echo("no testbed is running")


def _name_of(word: str) -> str:
    """The testbed's name: the word itself, or what the topology file of that name says."""
    if Path(word).is_file():
        from testbed.lifecycle.installation import load_topology  # noqa: PLC0415

        return load_topology(word, {}, None).name
    if "/" in word or Path(word).suffix in {".yaml", ".yml", ".j2"}:
        hint = "give the testbed's name instead; testbed list shows them"
        raise UsageError(f"{word}: there is no such file", hint=hint)
    return choose_name(word)
