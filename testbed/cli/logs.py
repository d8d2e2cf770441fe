"""`testbed logs`."""

from __future__ import annotations

import sys

import click

from testbed.cli.common import connect, name_option, node_argument, verb


@verb("logs", "testbed logs cnd1\ntestbed logs op-a.ond1 bird --follow")
@node_argument("node")
@click.argument("process", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@name_option()
def command(node: str, process: str | None, *, follow: bool, name: str | None) -> None:
    """Print the logs of a node's processes, or of one of them."""
    for data in connect(name).logs(node, process, follow=follow):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
