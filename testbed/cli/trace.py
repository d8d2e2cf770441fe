"""`testbed trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from testbed.cli.common import connect, echo_json, ipv6_option, json_option, name_option, verb
from testbed.cli.common import node_argument as node_argument_of
from testbed.cli.ping import resolve
from testbed.errors import EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from testbed.plan.model import Plan
    from testbed.probes.trace import Protocol, Trace

PORT = click.IntRange(1, 65535)


@verb(
    "trace",
    "testbed trace desk web --tcp 80\n"
    "testbed trace a c --size 1400 --df\n"
    "testbed trace a b --both --graph trace.svg",
)
@node_argument_of("source", metavar="SRC")
@node_argument_of("destination", metavar="DST")
@click.option("--icmp", is_flag=True, help="Send an ICMP echo request (the default).")
@click.option("--tcp", type=PORT, metavar="PORT", help="Send a TCP SYN to this port.")
@click.option("--udp", type=PORT, metavar="PORT", help="Send a UDP datagram to this port.")
@click.option(
    *("-s", "--size"),
    type=click.IntRange(32, 65535),
    metavar="BYTES",
    help="Size of the whole IP packet [84, of a TCP SYN 40; with IPv6 20 more].",
)
@ipv6_option
@click.option("--df", is_flag=True, help="Set the Don't Fragment bit.")
@click.option("-b", "--both", is_flag=True, help="Also list the hops of the answer.")
@click.option(
    "--graph",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Draw the path in the testbed's picture: .svg, .png, .pdf, .gv or .mmd.",
)
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    source: str,
    destination: str,
    *,
    icmp: bool,
    tcp: int | None,
    udp: int | None,
    size: int | None,
    ipv6: bool,
    df: bool,
    both: bool,
    graph: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Send one packet and show every hop that it took, and where it was dropped.

    Exits with 1 if the packet or its answer was dropped.
    """
    from testbed.probes.trace import trace  # noqa: PLC0415

    protocol, port = _protocol(icmp=icmp, tcp=tcp, udp=udp)
    form = _picture_format(graph)
    client = connect(name)
    address = resolve(client, destination, ipv6=ipv6, source=source)
    plan, _ = client.plan()
    result = trace(client, plan, source, address, protocol=protocol, port=port, size=size, df=df)
    if graph is not None and form is not None:
        _draw(plan, result, graph, form)
    if as_json:
        echo_json(result.to_json() | {"name": destination})
    else:
        from testbed.render.console import console  # noqa: PLC0415
        from testbed.render.trace import print_trace  # noqa: PLC0415

        print_trace(console(), result, destination, both=both)
    if not result.ok:
        context.exit(EXIT_NETWORK)


def _protocol(*, icmp: bool, tcp: int | None, udp: int | None) -> tuple[Protocol, int]:
    if icmp + (tcp is not None) + (udp is not None) > 1:
        raise UsageError("--icmp, --tcp and --udp exclude each other", hint="one packet is sent")
    if tcp is not None:
        return "tcp", tcp
    return ("udp", udp) if udp is not None else ("icmp", 0)


def _picture_format(file: str | None) -> str | None:
    """The format of the picture, before anything is sent; the text has no place for hops."""
    if file is None:
        return None
    from testbed.cli.graph import format_of  # noqa: PLC0415

    form = format_of(file)
    if form == "text":
        hint = "name a file that ends in .svg, .png, .pdf, .gv or .mmd"
        raise UsageError(f"{file}: a path cannot be drawn as text", hint=hint)
    return form


def _draw(plan: Plan, result: Trace, file: str, form: str) -> None:
    from testbed.cli.graph import render  # noqa: PLC0415
    from testbed.render import files  # noqa: PLC0415
    from testbed.render.picture import Visit, draw, visited  # noqa: PLC0415

    visits = [
        Visit(
            hop.node,
            tuple(port.interface for port in hop.leaves),
            dropped=not result.request.delivered and hop.node == result.dropped_at,
        )
        for hop in result.hops
    ]
    files.write(file, render(visited(draw(plan), visits), form))
