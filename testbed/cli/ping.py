"""`testbed ping`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from testbed.cli.common import (
    connect,
    echo_json,
    ipv6_option,
    json_option,
    name_option,
    unknown_node,
    verb,
)
from testbed.cli.common import node_argument as node_argument_of
from testbed.errors import EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.probes.ping import PingResult


@verb(
    "ping",
    "testbed ping a b\ntestbed ping a c --df -s 1272 --json\n"
    "testbed ping a 2001:db8:1:aa00::4\ntestbed ping a b -6",
)
@node_argument_of("source", metavar="SRC")
@node_argument_of("destination", metavar="DST")
@click.option(
    *("-c", "--count"),
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="Number of packets.",
)
@click.option(
    *("-i", "--interval"),
    type=click.FloatRange(min=0.002),
    default=0.2,
    show_default=True,
    metavar="SECONDS",
    help="Time between packets.",
)
@click.option(
    *("-s", "--size"),
    type=click.IntRange(0, 65507),
    default=56,
    show_default=True,
    metavar="BYTES",
    help="Size of the payload. The IP packet is 28 bytes larger, with IPv6 48.",
)
@ipv6_option
@click.option("--df", is_flag=True, help="Set the Don't Fragment bit.")
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    source: str,
    destination: str,
    *,
    count: int,
    interval: float,
    size: int,
    ipv6: bool,
    df: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Ping from a node to a node or an address."""
    from testbed.probes.ping import packet_bytes, ping  # noqa: PLC0415

    client = connect(name)
    address = resolve(client, destination, ipv6=ipv6, source=source)
    result = ping(client, source, address, count=count, interval_s=interval, size=size, df=df)
    if as_json:
        echo_json(
            {"source": source, "destination": destination, "address": address}
            | {"packet_bytes": packet_bytes(size, address)}
            | result.to_json()
        )
    else:
        click.echo(describe(source, destination, address, result))
    if not result.ok:
        context.exit(EXIT_NETWORK)


def resolve(
    client: Client, destination: str, *, ipv6: bool = False, source: str | None = None
) -> str:
    """Return the destination itself if it is an address, else the address of that node.

    A node's address is its first IPv4 address or, with `ipv6` or without one, its IPv6 address;
    for a `source` in the customer's network the one that a node has there.
    """
    from ipaddress import ip_address  # noqa: PLC0415

    try:
        ip_address(destination)
    except ValueError:
        from testbed.lifecycle.addresses import address_of  # noqa: PLC0415

        plan, _ = client.plan()
        try:
            return address_of(plan, destination, version=6 if ipv6 else None, source=source)
        except KeyError:
            raise unknown_node(destination, plan) from None
        except ValueError:
            kind = "IPv6 address" if ipv6 else "address"
            raise UsageError(
                f"node {destination} has no {kind}", hint="give an address instead"
            ) from None
    return destination


def describe(source: str, destination: str, address: str, result: PingResult) -> str:
    """Describe the outcome in one line."""
    target = destination if destination == address else f"{destination} ({address})"
    text = f"{source} -> {target}: {result.received} of {result.sent} received"
    if result.rtt_ms:
        rtt = result.rtt_ms
        text += f", rtt {rtt.min:.3f}/{rtt.avg:.3f}/{rtt.max:.3f} ms (min/avg/max)"
    if result.error:
        origin = f" (from {result.error_from})" if result.error_from else ""
        text += f": {click.style(result.error, fg='red')}{origin}"
    return text
