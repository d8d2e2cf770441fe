"""What the relay does with one connection's bytes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from testbed.control.protocol import HEADER, MAX_REQUEST, Frame, message_of
from testbed.errors import UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

BLOCK = 64 * 1024


async def first(reader: asyncio.StreamReader) -> bytes:
    """Return a connection's first frame, and what came with it; b"" where the client has gone.

    UsageError when it is none that a keeper would take: a guest is not troubled with it.
    """
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(BLOCK):
            data += chunk
            if len(data) < HEADER.size:
                continue
            kind, length = HEADER.unpack_from(data)
            if kind != Frame.MESSAGE or length > MAX_REQUEST:
                text = f"protocol error: a first frame of type {kind} with {length} bytes"
                hint = f"a message of at most {MAX_REQUEST} bytes comes first"
                raise UsageError(text, hint=hint)
            if len(data) >= HEADER.size + length:
                message_of(data[HEADER.size : HEADER.size + length], MAX_REQUEST)
                return b"" if reader.at_eof() else bytes(data)
    return b""


async def copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    watch: Callable[[bytes], bytes],
) -> None:
    """Carry bytes over until there are no more, as `watch` passes them on."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(BLOCK):
            writer.write(watch(data))
            await writer.drain()
