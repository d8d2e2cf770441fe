"""What the verbs that change a running testbed's document have in common."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import connect, echo_json
from testbed.errors import EXIT_NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem

    from testbed.control.client import Client
    from testbed.lifecycle.installation import Installation
    from testbed.lifecycle.live import Edit, Standing


def complete_places(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete a place in the document of the chosen testbed, one step at a time."""
    from testbed.cli.common import items  # noqa: PLC0415

    def read() -> Iterator[str]:
        document = connect(context.params.get("name")).document()["document"] or {}
        yield from _places(document.get("data"), "", incomplete)

    return items(read, incomplete)


def _places(node: Any, place: str, incomplete: str) -> Iterator[str]:
    """The places that begin with a text, no further than the next dot or bracket."""
    if isinstance(node, dict):
        below = ((f"{place}.{key}" if place else key, value) for key, value in node.items())
    elif isinstance(node, list):
        below = ((f"{place}[{index}]", value) for index, value in enumerate(node))
    else:
        return
    for name, value in below:
        if name.startswith(incomplete):
            yield name
        if incomplete.startswith((f"{name}.", f"{name}[")):
            yield from _places(value, name, incomplete)


def change(
    context: click.Context,
    client: Client,
    edit_of: Edit,
    *,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Make a change, live, and report it; exits with 1 when not everything is ready in time."""
    from testbed.keeper.ledger import changes  # noqa: PLC0415
    from testbed.lifecycle.live import edit  # noqa: PLC0415 - pydantic is slow to import
    from testbed.render.changes import change_text  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415

    made: list[dict[str, Any]] = []

    def tell(now: Standing, new: Installation) -> None:
        made[:] = changes(now.document.to_json(), new.document.to_json())
        for each in () if as_json else made:
            click.echo(change_text(each))

    started = perf_counter()
    with progress(quiet=as_json) as shown:
        how: dict[str, Any] = {"on_made": tell, "on_event": shown.event}
        done = edit(client, edit_of, wait=wait, timeout_s=timeout, **how)
    ready = not done.result["pending"] or bool(done.result.get("faults"))
    if as_json:
        echo_json({"name": client.name, "ok": ready, "changes": made} | done.result)
    else:
        _report(client.name, done.result, perf_counter() - started)
    if not ready:
        context.exit(EXIT_NETWORK)


def _report(name: str, result: dict[str, Any], took_s: float) -> None:
    steps, revision = result["steps"], result["revision"]
    what = f"{steps} step{'' if steps == 1 else 's'}" if steps else "nothing to change"
    click.echo(f"{name}: revision {revision}, {what} ({took_s:.1f} s)")
    pending = result["pending"]
    if not pending:
        return
    from testbed.cli.failures import print_error  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.tables import pending_table  # noqa: PLC0415

    console(stderr=True).print(pending_table(pending))
    why = result.get("hopeless")
    end = f", and never will be: {why}" if why else ""
    text = f"{len(pending)} thing{' is' if len(pending) == 1 else 's are'} not ready{end}"
    hint = "see testbed status and testbed logs; testbed up TOPOLOGY undoes what was edited"
    print_error(text, hint)
