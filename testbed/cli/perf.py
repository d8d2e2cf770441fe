"""`testbed perf`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from testbed.cli.advance import parse_duration
from testbed.cli.common import (
    connect,
    echo_json,
    is_terminal,
    json_option,
    name_option,
    node_argument,
    unknown_node,
    verb,
)
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.probes.throughput import OnProgress, Throughput


@verb(
    "perf", "testbed perf a b\ntestbed perf a c --udp 100M --time 30s\ntestbed perf a b -P 4 --json"
)
@node_argument("source", metavar="SRC")
@node_argument("destination", metavar="DST")
@click.option(
    *("-t", "--time", "seconds"),
    callback=parse_duration,
    default="10s",
    show_default=True,
    metavar="DURATION",
    help="How long to measure.",
)
@click.option("--udp", metavar="RATE", help="Send UDP at this rate (100M, 1.5G) instead of TCP.")
@click.option("-R", "--reverse", is_flag=True, help="Send from DST to SRC.")
@click.option(
    *("-P", "--parallel"),
    type=click.IntRange(1, 128),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of connections.",
)
@click.option(
    *("-p", "--port"),
    type=click.IntRange(1, 65535),
    default=5201,
    show_default=True,
    metavar="PORT",
    help="Port of DST, for TCP and UDP.",
)
@name_option()
@json_option
def command(
    *,
    source: str,
    destination: str,
    seconds: float,
    udp: str | None,
    reverse: bool,
    parallel: int,
    port: int,
    name: str | None,
    as_json: bool,
) -> None:
    """Measure throughput, round-trip times and loss between two nodes, with iperf3.

    Security groups and firewalls must allow the port. The testbed's time must be
    real.
    """
    from testbed.lifecycle.addresses import address_of  # noqa: PLC0415
    from testbed.probes.throughput import measure, parse_rate  # noqa: PLC0415

    rate = None if udp is None else parse_rate(udp)
    client = connect(name)
    client.require_real_time("testbed perf")
    plan, _ = client.plan()
    for node in (source, destination):
        if all(entry.name != node for entry in plan.nodes):
            raise unknown_node(node, plan)
    try:
        address = address_of(plan, destination, source=source)
    except ValueError:
        raise UsageError(f"node {destination} has no address") from None
    with _bar(seconds, quiet=as_json) as show:
        result = measure(
            *(client, plan, source, destination, address),
            seconds=seconds,
            udp_mbps=rate,
            reverse=reverse,
            parallel=parallel,
            port=port,
            on_progress=show,
        )
    if as_json:
        echo_json(result.to_json())
    else:
        _print(result)


@contextlib.contextmanager
def _bar(seconds: float, *, quiet: bool) -> Iterator[OnProgress]:
    """A progress bar on a terminal, a line elsewhere."""
    if quiet or not is_terminal(sys.stderr):
        if not quiet:
            click.echo(f"measuring for {seconds:g} s", err=True)
        yield lambda _, __: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.words import rate  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("idle round-trip time", total=seconds)

        def show(done: float, mbps: float | None) -> None:
            text = rate(round(mbps, 1)) if mbps is not None else "measuring"
            progress.update(task, completed=done, description=text)

        yield show


def _print(result: Throughput) -> None:
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.throughput import lines, table  # noqa: PLC0415

    output = console()
    output.print(table(result))
    for line in lines(result):
        output.print(line)
