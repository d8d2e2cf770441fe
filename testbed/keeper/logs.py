"""Sending the logs of a node's daemons to a client."""

from __future__ import annotations

import asyncio
from pathlib import Path

from testbed.control.protocol import Frame
from testbed.errors import UsageError
from testbed.keeper.connection import Caller
from testbed.plan.model import Node

CHUNK = 65536
FOLLOW_INTERVAL_S = 0.2


async def send_logs(connection: Caller, node: Node, process: str | None, *, follow: bool) -> None:
    """Send the log of `process`, or of all of the node's, and with `follow` what is added later."""
    known = [entry.name for entry in node.processes]
    if process is not None and process not in known:
        hint = f"processes: {', '.join(known)}" if known else "it runs no processes"
        raise UsageError(f"no process {process!r} in {node.name}", hint=hint)
    wanted = [process] if process else known
    paths = [Path(node.directory, f"{name}.log") for name in wanted]
    offsets = dict.fromkeys(paths, 0)
    closed = asyncio.create_task(connection.closed()) if follow else None
    while True:
        for path in paths:
            offsets[path] = await _send_from(connection, path, offsets[path])
        if closed is None:
            return
        await asyncio.wait({closed}, timeout=FOLLOW_INTERVAL_S)
        if closed.done():
            return


async def _send_from(connection: Caller, path: Path, offset: int) -> int:
    while data := _read(path, offset):
        await connection.send_stream(Frame.STDOUT, data)
        offset += len(data)
    return offset


def _read(path: Path, offset: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK)
