"""`testbed reach`."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    help="Only this. Repeatable.",
)
@click.option("--tcp", type=PORT, multiple=True, metavar="PORT", help="A TCP port. Repeatable.")
@click.option("--udp", type=PORT, multiple=True, metavar="PORT", help="A UDP port. Repeatable.")
@click.option("--icmp", is_flag=True, help="ICMP echo.")
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

    SRC and DST are instances, hosts, and machines on the internet; without
    them it is all of these. Without a kind of request it is ICMP, TCP 80, and
    UDP 7 where something answers. Exits with 1 when packets do otherwise than
    security groups, network ACLs, route tables and gateways say, and when these let a
    request in and its answer goes elsewhere.
    """
    from testbed.lifecycle.live import running_topology  # noqa: PLC0415
    from testbed.probes.reach import compare_all  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415

    client = connect(name)
    with progress(quiet=as_json) as shown:
        shown.doing("reading the topology")
        topology = running_topology(client)
        shown.doing("sending requests")
        rows = compare_all(
            client,
            topology,
            sources,
            destinations,
            tcp=tcp,
            udp=udp,
            icmp=icmp,
            seconds=seconds,
            on_progress=lambda done, total: shown.doing(f"{done} of {total} requests measured"),
        )
    wrong = sum(not row.agrees for row in rows)
    one_way = sum(row.one_way and not row.reached for row in rows)
    if as_json:
        open_ones = sum(row.predicted is None for row in rows)
        counts = {"name": client.name, "ok": not (wrong or one_way), "disagreements": wrong}
        counts |= {"one_way": one_way}
        echo_json(
            counts | {"not_predicted": open_ones, "requests": [row.to_json() for row in rows]}
        )
    else:
        _print(rows, matrix=matrix)
    if wrong or one_way:
        context.exit(EXIT_NETWORK)


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
