"""The keeper's side of one connection on the control socket (docs/protocol.md)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from testbed.control.protocol import HEADER, MAX_REQUEST, Frame, message_of, pack, pack_message
from testbed.errors import UsageError


class ClientGone(Exception):  # noqa: N818 - an event, not an error
    """The client closed the connection."""


class Caller:
    """A client, by its connection: frames to and from it.

    Writing to one that has gone raises ClientGone.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> tuple[Frame, bytes]:
        """The next frame; ClientGone at the end of the stream."""
        try:
            kind, length = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            if length > MAX_REQUEST:
                text = f"protocol error: a frame of {length} bytes; the longest has {MAX_REQUEST}"
                raise UsageError(text)
            return Frame(kind), await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            raise ClientGone from error

    async def receive_message(self) -> dict[str, Any]:
        """The next frame, which must be a message."""
        kind, payload = await self.receive()
        if kind is not Frame.MESSAGE:
            raise UsageError("protocol error: expected a message frame")
        return message_of(payload, MAX_REQUEST)

    async def require_client(self) -> None:
        """Raise ClientGone when the client has not waited: nobody wants its answer."""
        await asyncio.sleep(0)
        if self._reader.at_eof():
            raise ClientGone

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        await self._write(pack_message(message))

    async def send_stream(self, kind: Frame, data: bytes) -> None:
        """Send a piece of a stream; waits while the client is slow to read."""
        await self._write(pack(kind, data))

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise ClientGone from error

    async def closed(self) -> None:
        """Return when the client has closed; whatever it still sends is ignored."""
        with contextlib.suppress(ClientGone, UsageError):
            while True:
                await self.receive()

    async def close(self) -> None:
        """Flush and close."""
        with contextlib.suppress(OSError):
            self._writer.close()
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def while_open(connection: Caller) -> AsyncIterator[None]:
    """Cancel the block, with ClientGone, when the client closes its connection."""
    task = asyncio.current_task()
    assert task is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        await connection.closed()
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone:
            task.uncancel()
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)  # one at a time may read
