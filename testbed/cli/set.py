"""`testbed set`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import connect, json_option, name_option, verb, wait_options
from testbed.cli.edited import change, complete_places
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.topology.document import Document


@verb(
    "set",
    "testbed set site.wan.delay 20ms\n"
    "testbed set instances.web '{subnet: rack, services: [http]}'\n"
    "testbed set 'vpcs.app.security_groups.web.ingress[0].ports' 443",
)
@click.argument("place", metavar="PATH", shell_complete=complete_places)
@click.argument("value", metavar="VALUE")
@wait_options
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    place: str,
    value: str,
    *,
    wait: bool,
    timeout: float,
    name: str | None,
    as_json: bool,
) -> None:
    """Set one value of the running topology, live.

    PATH is the value's place in the topology; VALUE is written as in a topology file. To add
    to a list, use the index after its last. If a rule refuses the change, nothing is changed.
    Exits with 1 when not everything is ready in time.
    """
    client = connect(name)
    wanted = value_of(value)

    def edit(document: Document) -> Document:
        from testbed.topology.places import place_of, with_value  # noqa: PLC0415

        path = place_of(place, document.data)
        return replace(document, data=with_value(document.data, path, wanted))

    change(context, client, edit, wait=wait, timeout=timeout, as_json=as_json)


def value_of(text: str) -> Any:
    """Return the value of a text, written as in a topology file; UsageError."""
    from testbed.topology.file.position import SyntaxFlawError, compose  # noqa: PLC0415

    hint = "write it as in a topology file: 10.0.0.0/16, '{subnet: rack}', '[http, echo]'"
    if not text.strip():
        raise UsageError("the value is empty", hint="to remove a value: testbed unset PATH")
    try:
        composed = compose(text)
    except SyntaxFlawError as error:
        raise UsageError(f"the value {error.flaw.message}", hint=hint) from None
    if composed.flaws:
        flaw = composed.flaws[0]
        raise UsageError(f"the value {flaw.message}", hint=flaw.hint or hint)
    return composed.root.plain()
