"""`testbed bundle`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from testbed.cli.brought_up import check_writable
from testbed.cli.common import choose_name, echo_json, json_option, name_option, verb


@verb("bundle", "testbed bundle\ntestbed bundle -n two-racks -o two-racks.tar.gz")
@click.option(
    *("-o", "--output", "output"),
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write [testbed-NAME-TIME.tar.gz].",
)
@name_option()
@json_option
def command(*, output: Path | None, name: str | None, as_json: bool) -> None:
    """Write a support bundle: plan, states, logs, routes and rulesets of every node, in one file.

    Anything that cannot be collected is listed, also in the bundle's errors.txt.
    """
    from testbed.control import registry  # noqa: PLC0415
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.probes import bundle  # noqa: PLC0415

    chosen = choose_name(name)
    client = Client(chosen) if chosen in registry.dead() else Client.connect(chosen)
    path = output or Path(time.strftime(f"testbed-{chosen}-%Y%m%d-%H%M%S.tar.gz"))
    if not path.name.endswith(".tar.gz"):
        path = path.with_name(f"{path.name}.tar.gz")
    check_writable(str(path))
    errors = bundle.write(client, path)
    if as_json:
        echo_json({"file": str(path), "size": path.stat().st_size, "errors": errors})
        return
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for part, reason in sorted(errors.items()):
        click.echo(f"not included: {part}: {reason}", err=True)
