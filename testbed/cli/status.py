"""`testbed status`."""

from __future__ import annotations

import click

from testbed.cli.common import connect, echo_json, json_option, name_option, verb
from testbed.errors import EXIT_NETWORK


@verb("status", "testbed status\ntestbed status --json | jq '.bgp[] | select(.ok | not)'")
@click.option("-a", "--all", "everything", is_flag=True, help="Also list what is in order.")
@name_option()
@json_option
@click.pass_context
def command(context: click.Context, *, everything: bool, name: str | None, as_json: bool) -> None:
    """Show the state of nodes, links, LAGs, BGP sessions, tunnels, routes and services.

    Exits with 1 if anything is not as it should be.
    """
    status = connect(name).status()
    if as_json:
        echo_json(status)
    else:
        from testbed.render.console import console  # noqa: PLC0415
        from testbed.render.tables import print_status  # noqa: PLC0415

        print_status(console(), status, everything=everything)
    if not status.get("ok"):
        context.exit(EXIT_NETWORK)
