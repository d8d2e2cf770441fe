"""`testbed logs`."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

import click

from testbed.cli.common import connect, name_option, node_argument, verb


@verb("logs", "testbed logs cnd1\ntestbed logs op-a.ond1 bird --follow")
@node_argument("node")
@click.argument("process", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@name_option()
def command(node: str, process: str | None, *, follow: bool, name: str | None) -> None:
    """Print the logs of a node's processes, or of one of them."""
    from testbed.terminal import descriptor_of, write  # noqa: PLC0415

    output = descriptor_of(sys.stdout)
    if follow and output is not None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        threading.Thread(target=_end_with_reader, args=(output,), daemon=True).start()
    for data in connect(name).logs(node, process, follow=follow):
        write(sys.stdout, data)


def _end_with_reader(output: int) -> None:
    """End this process, as SIGPIPE does, once nobody reads its output: no log line may come."""
    poller = select.poll()
    poller.register(output, 0)  # errors only
    poller.poll()
    os.kill(os.getpid(), signal.SIGPIPE)
