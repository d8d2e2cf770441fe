"""`testbed unset`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from testbed.cli.common import connect, json_option, name_option, verb, wait_options
from testbed.cli.edited import change, complete_places

if TYPE_CHECKING:
    from testbed.topology.document import Document


@verb(
    "unset",
    "testbed unset instances.web\n"
    "testbed unset site.wan.delay\n"
    "testbed unset 'vpcs.app.route_tables.rack.routes[1]'",
)
@click.argument("place", metavar="PATH", shell_complete=complete_places)
@wait_options
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    place: str,
    *,
    wait: bool,
    timeout: float,
    name: str | None,
    as_json: bool,
) -> None:
    """Remove one value or object from the running topology, live.

    A value that has a default goes back to it. If a rule refuses the change, because something
    else needs the value, nothing is changed. Exits with 1 when not everything is ready in time.
    """
    client = connect(name)

    def edit(document: Document) -> Document:
        from testbed.topology.places import place_of, without  # noqa: PLC0415

        return replace(document, data=without(document.data, place_of(place, document.data)))

    change(context, client, edit, wait=wait, timeout=timeout, as_json=as_json)
