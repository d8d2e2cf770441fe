"""`testbed down`."""

from __future__ import annotations

import click

from testbed.cli.common import choose_name, echo_json, json_option, name_option, verb


@verb("down", "testbed down\ntestbed down --all")
@click.option("--all", "everything", is_flag=True, help="End every testbed that runs.")
@name_option()
@json_option
@click.pass_context
def command(context: click.Context, *, everything: bool, name: str | None, as_json: bool) -> None:
    """End a testbed; nothing of it is left. One that does not run is no error."""
    from testbed import launch  # noqa: PLC0415
    from testbed.bringup import take_down  # noqa: PLC0415

    given = context.get_parameter_source("name")
    if everything and name and given is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--all and --name exclude each other", context)
    running = launch.running()
    names = running if everything else ([] if not name and not running else [choose_name(name)])
    rows = [{"name": entry, "stopped": take_down(entry)} for entry in names]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']}: {'is down' if row['stopped'] else 'was not running'}")
    if not rows:
        click.echo("no testbed is running")
