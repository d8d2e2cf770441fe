"""`testbed reach`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import (
    complete_nodes,
    connect,
    echo_json,
    json_option,
    name_option,
    node_argument,
    verb,
)
from testbed.errors import EXIT_NETWORK

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.probes.reach import Reach

EXAMPLE = """
testbed reach
testbed reach desk --to web --to db --tcp 443 --tcp 5432
testbed reach --matrix
testbed reach --json | jq '.requests[] | select(.agrees | not)'
"""
PORT = click.IntRange(1, 65535)


@verb("reach", EXAMPLE)
@node_argument("sources", nargs=-1, metavar="[SRC]...")
@click.option(
    *("--to", "destinations"),
    multiple=True,
    metavar="DST",
    shell_complete=complete_nodes,
    help="Test only this destination. Repeatable.",
)
@click.option(
    "--tcp", type=PORT, multiple=True, metavar="PORT", help="Test this TCP port. Repeatable."
)
@click.option(
    "--udp", type=PORT, multiple=True, metavar="PORT", help="Test this UDP port. Repeatable."
)
@click.option("--icmp", is_flag=True, help="Test with ICMP echo.")
@click.option("--matrix", is_flag=True, help="Print a matrix instead of a list.")
@click.option(
    *("-W", "--wait", "seconds"),
    type=click.FloatRange(0.05, 60),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an answer.",
)
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    sources: tuple[str, ...],
    *,
    destinations: tuple[str, ...],
    tcp: tuple[int, ...],
    udp: tuple[int, ...],
    icmp: bool,
    matrix: bool,
    seconds: float,
    name: str | None,
    as_json: bool,
) -> None:
    """Find out who reaches whom with real packets, and compare it with AWS's rules.

    SRC and DST are instances, hosts and machines on the internet; the default is
    all of them. The default requests are ICMP, TCP 80 and, where something
    answers, UDP 7. Exits with 1 if packets do not do what security groups,
    network ACLs, route tables and gateways say, or if these let a request in but
    its answer goes astray.
    """
    client = connect(name)
    asked = {"tcp": tcp, "udp": udp, "icmp": icmp, "seconds": seconds}
    rows = _measured(client, sources, destinations, asked, quiet=as_json)
    wrong = sum(not row.agrees for row in rows)
    one_way = sum(row.one_way and not row.reached for row in rows)
    if as_json:
        counts = {"name": client.name, "ok": not (wrong or one_way), "disagreements": wrong}
        counts |= {"one_way": one_way, "not_predicted": sum(row.predicted is None for row in rows)}
        echo_json(counts | {"requests": [row.to_json() for row in rows]})
    else:
        _print(rows, matrix=matrix)
    if wrong or one_way:
        context.exit(EXIT_NETWORK)


def _measured(
    client: Client,
    sources: tuple[str, ...],
    destinations: tuple[str, ...],
    asked: dict[str, Any],
    *,
    quiet: bool,
) -> list[Reach]:
    """Send the requests that were asked for, and show how many have been measured."""
    from testbed.lifecycle.live import running_topology  # noqa: PLC0415
    from testbed.probes.reach import compare_all  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415

    with progress(quiet=quiet) as shown:
        shown.doing("reading the topology")
        topology = running_topology(client)
        shown.doing("sending requests")

        def measured(done: int, total: int) -> None:
            shown.doing(f"{done} of {total} requests measured")

        return compare_all(client, topology, sources, destinations, on_progress=measured, **asked)


def _print(rows: list[Reach], *, matrix: bool) -> None:
    from testbed.render import reach  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415

    output = console()
    if matrix:
        output.print(reach.matrix_table(rows))
        output.print(reach.legend(rows))
    listed = [row for row in rows if not (matrix and row.agrees)]
    if listed:
        output.print(reach.list_table(listed))
    output.print(reach.summary(rows))
