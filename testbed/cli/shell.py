"""`testbed shell`."""

from __future__ import annotations

import click

from testbed.cli.common import connect, name_option, node_argument, verb
from testbed.cli.exec import terminal_env


@verb("shell", "testbed shell op-a.ond1\necho 'ip route' | testbed shell a")
@node_argument("node")
@name_option()
@click.pass_context
def command(context: click.Context, node: str, *, name: str | None) -> None:
    """Open a shell in a node."""
    from testbed.control.terminal import is_terminal, run_interactive  # noqa: PLC0415

    tty = is_terminal()
    client = connect(name)
    argv = ["bash", "--norc", "--noprofile", *(["-i"] if tty else [])]
    env = terminal_env(tty=tty) | {"PS1": f"[testbed:{node}] \\w \\$ "}
    context.exit(run_interactive(client, node, argv, tty=tty, env=env))
