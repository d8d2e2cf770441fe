"""`testbed server`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import connect, echo_json, json_option, name_option, verb
from testbed.errors import EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.topology.model import Server, Topology

COMMANDS = (
    *("describe-links", "describe-ip", "describe-resolve", "describe-reachability"),
    *("start-connection", "get-connection"),
)


@verb(
    "server",
    "testbed server describe-links srv\ntestbed server get-connection srv\n"
    "testbed server start-connection srv --key KEY",
)
@click.argument("command", type=click.Choice(COMMANDS))
@click.argument("server")
@click.option("--key", help="With start-connection, the public key to offer, in base64.")
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    command: str,
    server: str,
    *,
    key: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Run a command of an Outposts server's own, as at its installation.

    Exits with 1 if what it says is not as it should be.
    """
    from testbed.lifecycle.live import running_topology  # noqa: PLC0415

    if key is not None and command != "start-connection":
        raise click.UsageError("--key is for start-connection")
    client = connect(name)
    topology = running_topology(client)
    if server not in topology.servers:
        known = ", ".join(topology.servers) or "none"
        raise UsageError(f"there is no Outposts server named '{server}'", hint=f"servers: {known}")
    shown = _run(client, topology, topology.servers[server], command, key)
    if as_json:
        echo_json(shown)
    else:
        _print(shown)
    if not _is_well(shown):
        context.exit(EXIT_NETWORK)


def _run(
    client: Client, topology: Topology, server: Server, command: str, key: str | None
) -> dict[str, Any]:
    from testbed.probes import outposts_server as commands  # noqa: PLC0415

    if command == "describe-links":
        return commands.describe_links(client, server)
    if command == "describe-ip":
        return commands.describe_ip(client, server)
    if command == "describe-resolve":
        return commands.describe_resolve(client, topology, server)
    if command == "describe-reachability":
        return commands.describe_reachability(client, topology, server)
    if command == "get-connection":
        return commands.get_connection(client, topology, server)
    return commands.start_connection(client, topology, server, key)


def _is_well(shown: dict[str, Any]) -> bool:
    """Whether everything that a command answers with yes or no is a yes."""
    answers = [value for key, value in shown.items() if isinstance(value, bool)]
    answers += [link["configured"] for link in shown.get("links", [])]
    return all(answer for answer in answers) or bool(shown.get("connection_established"))


def _print(shown: dict[str, Any]) -> None:
    """Print as the server does: a line for each member, and a checksum of them."""
    from zlib import crc32  # noqa: PLC0415

    lines = []
    for key, value in shown.items():
        if key == "links":
            for link in value:
                lines += ["links:", *(f"  {name}: {_text(entry)}" for name, entry in link.items())]
        elif key != "error" or value:
            lines.append(f"{key}: {_text(value)}")
    text = "\n".join(lines)
    click.echo(f"---\n{text}\nchecksum: 0x{crc32(text.encode()):08X}\n---")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return "" if value is None else str(value)
