"""`testbed heal`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import connect, echo_json, json_option, name_option, timeout_option, verb
from testbed.errors import EXIT_NETWORK

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_faults(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a fault of the chosen testbed."""
    from testbed.cli.common import items  # noqa: PLC0415

    chosen = context.params.get("name")
    return items(lambda: [row["name"] for row in connect(chosen).status()["faults"]], incomplete)


@verb("heal", "testbed heal\ntestbed heal link-down impair-2")
@click.argument("faults", nargs=-1, metavar="[FAULT]...", shell_complete=complete_faults)
@click.option(
    "--wait/--no-wait",
    default=True,
    help="If no fault is left active, wait until everything is ready again [default].",
)
@timeout_option()
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    *,
    faults: tuple[str, ...],
    wait: bool,
    timeout: float,
    name: str | None,
    as_json: bool,
) -> None:
    """Heal the named faults, or all of them.

    Exits with 1 if not everything is ready again in time.
    """
    from testbed.render.progress import progress  # noqa: PLC0415

    client = connect(name)
    with progress(quiet=as_json) as shown:
        result = client.heal(*faults, wait=wait, timeout_s=timeout, on_event=shown.event)
    if as_json:
        echo_json(result)
    else:
        _report(client.name, result, timeout)
    if result["pending"]:
        context.exit(EXIT_NETWORK)


def _report(testbed: str, result: dict[str, Any], timeout: float) -> None:
    healed, pending = result["healed"], result["pending"]
    text = f"healed {', '.join(healed)}" if healed else "there are no faults"
    click.echo(f"{testbed}: {text}")
    if pending:
        from testbed.render.console import console  # noqa: PLC0415
        from testbed.render.tables import pending_table  # noqa: PLC0415

        console(stderr=True).print(pending_table(pending))
        message = f"not everything is ready again after {timeout:g} s"
        if result["hopeless"]:
            message = f"not everything can become ready again: {result['hopeless']}"
        click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
        hint = "see testbed status and testbed logs"
        click.echo(f"    {click.style('hint:', fg='cyan')} {hint}", err=True)
