"""`testbed exec`."""

from __future__ import annotations

import os

import click

from testbed.cli.common import connect, name_option, node_argument, verb


@verb("exec", "testbed exec a -- ip route\ntestbed exec cnd1 -- tcpdump -ni op-a > cnd1.txt")
@node_argument("node")
@click.argument("argv", nargs=-1, required=True, metavar="-- CMD [ARG]...", type=click.UNPROCESSED)
@click.option(
    "-t", "--tty/--no-tty", default=None, help="Give the command a terminal [if there is one here]."
)
@click.option(
    "-e",
    "--env",
    "env",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an environment variable. Repeatable.",
)
@name_option()
@click.pass_context
def command(
    context: click.Context,
    node: str,
    argv: tuple[str, ...],
    *,
    tty: bool | None,
    env: tuple[str, ...],
    name: str | None,
) -> None:
    """Run a command in a node and exit with its status.

    Standard input, output and error are connected to the command, and signals are
    passed on to it.
    """
    from testbed.control.terminal import is_terminal, run_interactive  # noqa: PLC0415

    use_tty = is_terminal() if tty is None else tty
    if use_tty and not is_terminal():
        raise click.UsageError("--tty needs a terminal on standard input and output", context)
    variables = dict(_pair(item, context) for item in env)
    client = connect(name)
    context.exit(
        run_interactive(client, node, argv, tty=use_tty, env=terminal_env(tty=use_tty) | variables)
    )


def _pair(item: str, context: click.Context) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not key or not equals:
        raise click.UsageError(f"--env {item[:80]!r} is not KEY=VALUE", context)
    return key, value


def terminal_env(*, tty: bool) -> dict[str, str]:
    """Return the variables that tell a program in a node about this terminal."""
    if not tty:
        return {}
    return {key: os.environ[key] for key in ("TERM", "COLORTERM") if key in os.environ}
