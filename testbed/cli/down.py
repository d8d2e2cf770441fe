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
from testbed.control.protocol import NAME_PATTERN
from testbed.errors import UsageError


@verb("down", "testbed down\ntestbed down two-racks\ntestbed down site.yaml\ntestbed down --all")
@click.argument("testbeds", nargs=-1, metavar="[NAME|TOPOLOGY]...", shell_complete=complete_names)
@click.option("--all", "everything", is_flag=True, help="Stop every testbed of this user.")
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
    """Stop testbeds and leave nothing of them behind.

    Give their names, or the topologies that they were brought up from; neither is
    needed if exactly one runs. It is no error if a testbed is not running.
    """
    from testbed.control import registry  # noqa: PLC0415
    from testbed.lifecycle.bringup import take_down  # noqa: PLC0415

    given = context.get_parameter_source("name")
    named = name if given is click.core.ParameterSource.COMMANDLINE else None
    if sum((everything, bool(named), bool(testbeds))) > 1:
        raise click.UsageError("--all, --name and NAME exclude each other", context)
    dead = registry.dead()
    known = [*registry.running(), *dead]
    if everything:
        names = known
    elif testbeds:
        names = list(dict.fromkeys(_name_of(word, known) for word in testbeds))
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


def _name_of(word: str, known: list[str]) -> str:
    """The testbed's name: the word itself, or what the topology of that name or file says."""
    from testbed.lifecycle.finding import find  # noqa: PLC0415
    from testbed.lifecycle.installation import load_topology  # noqa: PLC0415

    if word in known and not Path(word).is_file():
        return word
    try:
        file = find(word)
    except UsageError:
        if NAME_PATTERN.fullmatch(word):
            return word
        raise
    return load_topology(file, {}).name
