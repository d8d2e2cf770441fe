"""The keeper's side of a connection."""

from __future__ import annotations

import asyncio

import pytest

from testbed.control.protocol import HEADER, MAX_REQUEST, Frame, pack_message
from testbed.errors import UsageError
from testbed.keeper.connection import Caller, ClientGone


class Writer(asyncio.StreamWriter):
    """Writes nowhere."""

    def __init__(self) -> None:
        pass

    def __del__(self) -> None:
        pass


async def connection(data: bytes, *, closed: bool) -> Caller:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    if closed:
        reader.feed_eof()
    return Caller(reader, Writer())


@pytest.mark.parametrize("closed", [False, True])
def test_a_request_whose_client_has_gone_is_not_carried_out(closed: bool) -> None:
    async def run() -> None:
        peer = await connection(pack_message({"op": "status"}), closed=closed)
        assert await peer.receive_message() == {"op": "status"}
        await peer.require_client()

    if closed:
        with pytest.raises(ClientGone):
            asyncio.run(run())
    else:
        asyncio.run(run())


def test_a_frame_has_a_greatest_length() -> None:
    async def run() -> None:
        peer = await connection(HEADER.pack(Frame.MESSAGE, MAX_REQUEST + 1), closed=False)
        await peer.receive()

    with pytest.raises(UsageError, match="protocol error: a frame of"):
        asyncio.run(run())
