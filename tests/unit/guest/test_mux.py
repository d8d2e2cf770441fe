from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.guest.channel import CREDIT, FRAME, Channel, FrameType
from testbed.guest.mux import Mux, streams

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def pair(
    handler: Handler, pace: int | None = None, **far_callbacks: Any
) -> AsyncIterator[tuple[Mux, Mux]]:
    """Two ends of one stream; `handler(reader, writer)` serves what the near end opens."""
    tasks = set()

    def accept(channel: Channel) -> None:
        async def serve() -> None:
            try:
                await handler(reader, writer)
            except ConnectionError:
                pass
            finally:
                writer.close()

        reader, writer = streams(channel)
        task = asyncio.create_task(serve())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    near = Mux(pace=pace)
    far = Mux(accept=accept, acknowledges=pace is not None, **far_callbacks)
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    # Small buffers, so that the stream is full again and again.
    for end in (left, right):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    transport, _ = await loop.create_unix_connection(lambda: near, sock=left)
    await loop.create_unix_connection(lambda: far, sock=right)
    yield near, far
    transport.abort()
    if tasks:
        await asyncio.wait(tasks)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the event loop's own turns are the clock here
        await asyncio.sleep(0)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 60))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100_000):
        writer.write(data)
        await writer.drain()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    sizes=st.lists(st.lists(st.integers(1, 200_000), max_size=6), min_size=1, max_size=12),
    seed=st.integers(),
    pace=st.sampled_from([None, 1000, 3840]),
)
def test_every_byte_comes_back_in_order(
    sizes: list[list[int]], seed: int, pace: int | None
) -> None:
    generator = random.Random(seed)

    async def one(mux: Mux, lengths: list[int]) -> None:
        reader, writer = streams(mux.open())
        blocks = [generator.randbytes(length) for length in lengths]

        async def send() -> None:
            for block in blocks:
                writer.write(block)
                await writer.drain()

        sender = asyncio.create_task(send())
        expected = b"".join(blocks)
        assert await reader.readexactly(len(expected)) == expected
        await sender
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with pair(echo, pace) as (near, _):
            await asyncio.gather(*(one(near, lengths) for lengths in sizes))

    run(main())


def test_what_was_written_before_close_arrives() -> None:
    received = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.write(b"thanks")

    async def main() -> None:
        async with pair(collect) as (near, _):
            _, writer = streams(near.open())
            writer.write(bytes(3 * CREDIT))
            writer.close()
            await writer.wait_closed()
            _, writer = streams(near.open())
            writer.close()
            await writer.wait_closed()
            await until(lambda: len(received) == 2)

    run(main())
    assert [len(data) for data in received] == [3 * CREDIT, 0]


def test_slow_reader_holds_at_most_its_credit_and_stops_nobody() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(1) == b"f":
            for _ in range(100):
                writer.write(bytes(65536))
                await writer.drain()
        else:
            await echo(reader, writer)

    async def main() -> None:
        async with pair(flood) as (near, _):
            slow = near.open()
            slow_reader, slow_writer = streams(slow)
            slow_writer.write(b"f")
            quick_reader, quick_writer = streams(near.open())
            quick_writer.write(b"e")
            for _ in range(50):
                block = bytes(50_000)
                quick_writer.write(block)
                assert await quick_reader.readexactly(len(block)) == block
            held = sum(map(len, slow._undelivered)) + len(slow_reader._buffer)  # type: ignore[attr-defined]
            assert 0 < held <= 2 * CREDIT
            assert len(await slow_reader.read()) == 100 * 65536

    run(main())


def test_writer_is_held_back_when_nobody_reads() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async def main() -> None:
        async with pair(never) as (near, _):
            _, writer = streams(near.open())
            written = 0
            with pytest.raises(TimeoutError):  # noqa: PT012
                async with asyncio.timeout(0.3):
                    while True:
                        writer.write(bytes(65536))
                        written += 65536
                        await writer.drain()
            # The credit, what the far stream buffers, and what waits here.
            assert written <= 3 * CREDIT

    run(main())


def test_close_by_the_far_end_is_end_of_file() -> None:
    async def brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")

    async def main() -> None:
        async with pair(brief) as (near, far):
            reader, writer = streams(near.open())
            assert await reader.read() == b"bye"
            writer.write(b"into the void")
            writer.close()
            assert not near._channels
            assert not far._channels

    run(main())


def test_lost_stream_ends_all_channels() -> None:
    lost: list[Exception | None] = []

    async def main() -> None:
        async with pair(echo, lost=lost.append) as (near, _):
            reader, _ = streams(near.open())
            waiting = asyncio.create_task(reader.read())
            await asyncio.sleep(0)
            assert near._transport is not None
            near._transport.abort()
            with pytest.raises(ConnectionResetError):
                await waiting

    run(main())
    assert lost == [None]


def test_abort_drops_what_waits() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async def main() -> None:
        async with pair(never) as (near, far):
            channel = near.open()
            _, writer = streams(channel)
            writer.write(bytes(4 * CREDIT))
            channel.abort()
            await writer.wait_closed()
            assert channel.get_write_buffer_size() == 0
            await until(lambda: not far._channels)

    run(main())


def test_clock_and_abandon_reach_the_far_end() -> None:
    heard: list[bytes | str] = []

    async def main() -> None:
        callbacks: dict[str, Any] = {"clock": heard.append}
        callbacks["abandon"] = lambda: heard.append("abandoned")
        async with pair(echo, **callbacks) as (near, _):
            near.send_clock(b"")
            near.send_clock(b"12345678")
            near.send_abandon()
            await until(lambda: len(heard) == 3)

    run(main())
    assert heard == [b"", b"12345678", "abandoned"]


@pytest.mark.parametrize(
    "garbage",
    [
        FRAME.pack(9, 1, 0),
        FRAME.pack(FrameType.DATA, 1, 2**31),
        FRAME.pack(FrameType.OPEN, 1, 0) * 2,
        FRAME.pack(FrameType.OPEN, 1, 0)
        + (FRAME.pack(FrameType.DATA, 1, CREDIT) + bytes(CREDIT)) * 3,
        FRAME.pack(FrameType.OPEN, 1, 0) + FRAME.pack(FrameType.WINDOW, 1, 1) + b"x",
    ],
    ids=["type", "length", "opened-twice", "over-credit", "window"],
)
def test_garbage_ends_the_stream(garbage: bytes) -> None:
    lost: list[Exception | None] = []

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        tasks = []

        def accept(channel: Channel) -> None:
            tasks.append(asyncio.create_task(never(*streams(channel))))

        mux = Mux(accept=accept, lost=lost.append)
        left, right = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: mux, sock=left)
        with right:
            right.setblocking(False)
            await loop.sock_sendall(right, garbage)
            await until(lambda: bool(lost))
        for task in tasks:
            task.cancel()

    run(main())
    assert isinstance(lost[0], Exception)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_hostile_bytes_raise_nothing(data: bytes) -> None:
    async def main() -> None:
        mux = Mux()
        for at in range(len(data)):
            mux.data_received(data[at : at + 1])

    asyncio.run(main())


def test_no_more_is_on_its_way_than_the_pace_allows() -> None:
    async def scenario() -> None:
        near = Mux(pace=1000)
        left, right = socket.socketpair()
        await asyncio.get_running_loop().create_unix_connection(lambda: near, sock=left)
        reader, writer = await asyncio.open_unix_connection(sock=right)
        _, sender = streams(near.open())
        sender.write(bytes(5000))
        taken = 0
        while taken < 5000:
            part = await reader.read(10_000)
            assert len(part) <= 1000
            taken += len(part)
            with contextlib.suppress(TimeoutError):  # nothing more comes
                assert await asyncio.wait_for(reader.read(1), 0.01) == b""
            writer.write(FRAME.pack(FrameType.TAKEN, 0, 4) + len(part).to_bytes(4, "big"))
        writer.close()

    run(scenario())
