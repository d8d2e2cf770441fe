"""`testbed logs`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from testbed.cli.common import (
    choose_name,
    connect,
    echo_json,
    json_option,
    name_option,
    node_argument,
    verb,
)
from testbed.control.printable import printable
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

GUEST_POLL_MS = 200


@verb(
    "logs",
    "testbed logs cnd1\ntestbed logs op-a.ond1 bird --follow\ntestbed logs --guest",
)
@node_argument("node", required=False)
@click.argument("process", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines, until Ctrl-C.")
@click.option(
    "--guest", is_flag=True, help="Print the console of the micro VM, even of one that has died."
)
@name_option()
@json_option
def command(
    *,
    node: str | None,
    process: str | None,
    follow: bool,
    guest: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Print the logs of a node's processes, of one process, or of the micro VM's console."""
    if guest == bool(node):
        raise UsageError("name a node, or use --guest", hint="testbed inspect lists the nodes")
    if follow and as_json:
        raise UsageError("--follow excludes --json")
    if guest:
        _guest(choose_name(name), follow=follow, as_json=as_json)
    elif as_json:
        log = b"".join(connect(name).logs(str(node), process))
        echo_json({"node": node, "process": process, "log": log.decode(errors="replace")})
    else:
        _print(connect(name).logs(str(node), process, follow=follow), follow=follow)


def _guest(name: str, *, follow: bool, as_json: bool) -> None:
    from testbed.control import console  # noqa: PLC0415
    from testbed.control.client import Client  # noqa: PLC0415

    how = console.ended(name)
    if how is None:
        Client.connect(name).close()  # says what is wrong if it does not run
    path = console.console(name)
    if not path.exists():
        raise UsageError(f"testbed {name} has no micro VM: it runs in this kernel")
    if as_json:
        text = path.read_text(errors="replace")
        echo_json({"name": name, "ended": how and asdict(how), "console": text})
        return
    _print(_console(name, follow=follow), follow=follow)


def _console(name: str, *, follow: bool) -> Iterator[bytes]:
    """The console, and with `follow` what is added until the micro VM has ended."""
    from testbed.control import console, registry  # noqa: PLC0415

    poller = select.poll()
    over = True
    if follow and (holder := registry.owner(name)) is not None:
        with contextlib.suppress(ProcessLookupError):
            poller.register(os.pidfd_open(holder), select.POLLIN)
            over = False
    reader = console.Reader(name)
    while not over:
        yield reader.read()
        over = bool(poller.poll(GUEST_POLL_MS))
    yield reader.read()


def _print(chunks: Iterator[bytes], *, follow: bool) -> None:
    from testbed.control.terminal import descriptor_of, write  # noqa: PLC0415

    output = descriptor_of(sys.stdout)
    if follow and output is not None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        threading.Thread(target=_end_with_reader, args=(output,), daemon=True).start()
    shown = output is not None and os.isatty(output)
    for data in chunks:
        write(sys.stdout, readable(data) if shown else data)


def readable(data: bytes) -> bytes:
    """Return a piece of a log without the control characters that would steer a terminal."""
    return printable(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _end_with_reader(output: int) -> None:
    """End this process, as SIGPIPE does, once nobody reads its output: no log line may come."""
    poller = select.poll()
    poller.register(output, 0)  # errors only
    poller.poll()
    os.kill(os.getpid(), signal.SIGPIPE)
