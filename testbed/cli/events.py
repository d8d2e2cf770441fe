"""`testbed events`."""

from __future__ import annotations

import click

from testbed.cli.common import (
    connect,
    echo_json,
    json_option,
    name_option,
    node_argument,
    unknown_node,
    verb,
)

KINDS = ("link", "lacp", "bgp", "bfd", "route", "fault")


@verb("events", "testbed events --since 180\ntestbed events cnd1 --kind bgp --json")
@node_argument("nodes", nargs=-1, metavar="[NODE]...")
@click.option(
    "--kind", type=click.Choice(KINDS), multiple=True, help="Show only this kind. Repeatable."
)
@click.option(
    "--since",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Show only what has happened since this time.",
)
@name_option()
@json_option
def command(
    *,
    nodes: tuple[str, ...],
    kind: tuple[str, ...],
    since: float,
    name: str | None,
    as_json: bool,
) -> None:
    """Show what has happened: changes of links, LACP, BGP, BFD, routes and faults.

    Times are the testbed's own, in seconds since its start. In virtual time the
    same topology and seed give the same events.
    """
    client = connect(name)
    if nodes:
        plan, _ = client.plan()
        for node in nodes:
            if all(entry.name != node for entry in plan.nodes):
                raise unknown_node(node, plan)
    events = [
        event
        for event in client.events(since)
        if (not nodes or event["node"] in nodes) and (not kind or event["kind"] in kind)
    ]
    if as_json:
        echo_json(events)
        return
    if not events:
        click.echo("nothing has happened yet")
        return
    for event in events:
        text = f"{event['node']} {event['kind']} {event['subject']}: {event['state']}"
        click.echo(f"{event['at']:14.6f}  {text}")
