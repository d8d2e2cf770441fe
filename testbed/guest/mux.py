"""Many connections over one byte stream (docs/protocol.md, "In a micro VM").

Used at both ends of a guest's control port. Each connection is a channel, an
asyncio transport of its own, with 256 KiB of credit in each direction: a
reader that stops stops its own channel only, and neither end ever holds more
than the credit of each channel.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from testbed.guest.channel import (
    CHUNK,
    CREDIT,
    FRAME,
    HIGH_WATER,
    WINDOW,
    Channel,
    FrameType,
    ProtocolError,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Mux(asyncio.Protocol):
    """One end of the stream.

    `accept` is called with each channel that the other end opens, and has to
    set the channel's protocol. `clock` is called with the payload of a clock
    frame, `abandon` on an abandon frame (the launcher is gone), `lost` once
    when the stream has ended.

    A stream that fails when its reader falls behind (a user-mode
    kernel's terminal) has a `pace`: so many bytes are on their way at most,
    and the other end, which `acknowledges`, says what it has taken.
    """

    def __init__(
        self,
        *,
        accept: Callable[[Channel], None] | None = None,
        clock: Callable[[bytes], None] | None = None,
        abandon: Callable[[], None] | None = None,
        lost: Callable[[Exception | None], None] | None = None,
        pace: int | None = None,
        acknowledges: bool = False,
    ) -> None:
        self._pace = pace
        self._acknowledges = acknowledges
        self._held = bytearray()
        self._on_the_way = 0
        self._accept = accept
        self._clock = clock
        self._abandon = abandon
        self._on_lost = lost
        self._buffer = bytearray()
        self.sent = self.received = 0  # bytes
        self.heard: Callable[[], None] = lambda: None  # called when something was taken apart
        self._channels: dict[int, Channel] = {}
        self._waiting: dict[Channel, None] = {}
        self._transport: asyncio.WriteTransport | None = None
        self._paused = False
        self._drained: asyncio.Event | None = None
        self._next = 1
        self.farewell = False
        """Whether the other end has said that it ends: it closed channel 0, which nobody has."""

    def open(self) -> Channel:
        """Open a channel to the other end."""
        channel = Channel(self, self._next)
        self._next = self._next % 0xFFFFFFFF + 1
        self._channels[channel.number] = channel
        self._write(FRAME.pack(FrameType.OPEN, channel.number, 0))
        return channel

    def send_clock(self, payload: bytes) -> None:
        """Send a clock frame: empty asks for the time, `!d` tells it (UNIX seconds)."""
        self._write(FRAME.pack(FrameType.CLOCK, 0, len(payload)) + payload)

    def send_abandon(self) -> None:
        """Tell the other end that the launcher is gone."""
        self._write(FRAME.pack(FrameType.ABANDON, 0, 0))

    def writer_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol for a transport that only writes; see `use_writer`."""
        return _Writer(self)

    async def drained(self) -> None:
        """Wait until everything written so far has left this process."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=0)  # calls pause_writing if need be
            if self._paused:
                self._drained = asyncio.Event()
                await self._drained.wait()

    # What channels call

    def flush(self, channel: Channel) -> None:
        """Send what `channel` has and may send; the rest when the stream has room again."""
        while not self._paused:
            frame = channel.next_frame()
            if frame is None:
                self._waiting.pop(channel, None)
                return
            self._write(frame)
        self._waiting[channel] = None

    def send(self, header: bytes, number: int) -> None:
        """Send a frame whose payload is one number."""
        self._write(header + WINDOW.pack(number))

    def is_starved(self) -> bool:
        """Whether a channel waits for the other end to take in what it was sent."""
        return any(channel.is_starved() for channel in self._channels.values())

    def forget(self, channel: Channel) -> None:
        """Forget a closed channel; what still comes for it is dropped."""
        self._channels.pop(channel.number, None)
        self._waiting.pop(channel, None)

    # What the stream's transport calls

    def use_writer(self, transport: asyncio.WriteTransport) -> None:
        """Write to `transport`."""
        self._transport = transport
        transport.set_write_buffer_limits(high=4 * CHUNK)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with one transport for both directions, unless a writer was set."""
        if self._transport is None and isinstance(transport, asyncio.WriteTransport):
            self.use_writer(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End every channel."""
        self._transport = None
        if self._drained is not None:
            self._drained.set()
        error = exc or ConnectionResetError("the stream to the other end was lost")
        for channel in list(self._channels.values()):
            channel.finish(error)
        if self._on_lost is not None:
            callback, self._on_lost = self._on_lost, None
            callback(exc)

    def pause_writing(self) -> None:
        """Hold everything back: the stream is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """Let every waiting channel send, one frame each in turn."""
        self._paused = False
        if self._drained is not None:
            self._drained.set()
        while self._waiting and not self._paused:
            channel = next(iter(self._waiting))
            del self._waiting[channel]
            frame = channel.next_frame()
            if frame is not None:
                self._waiting[channel] = None
                self._write(frame)

    def data_received(self, data: bytes) -> None:
        """Take apart what came."""
        self.received += len(data)
        if self._acknowledges:
            self.send(FRAME.pack(FrameType.TAKEN, 0, WINDOW.size), len(data))
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= FRAME.size:
                kind, number, length = FRAME.unpack_from(buffer, start)
                if length > CREDIT:
                    raise ProtocolError(f"a frame of {length} bytes")  # noqa: TRY301
                end = start + FRAME.size + length
                if end > len(buffer):
                    break
                self._dispatch(kind, number, bytes(buffer[start + FRAME.size : end]))
                start = end
        except (ProtocolError, struct.error) as error:
            self._fail(error)
            return
        del buffer[:start]
        self.heard()

    def _dispatch(self, kind: int, number: int, payload: bytes) -> None:
        channel = self._channels.get(number)
        if kind == FrameType.OPEN:
            if channel is not None or self._accept is None:
                raise ProtocolError(f"channel {number} cannot be opened")
            channel = self._channels[number] = Channel(self, number)
            self._accept(channel)
        elif kind == FrameType.CLOCK and self._clock is not None:
            self._clock(payload)
        elif kind == FrameType.ABANDON and self._abandon is not None:
            self._abandon()
        elif kind == FrameType.TAKEN and self._pace is not None:
            self._on_the_way -= WINDOW.unpack(payload)[0]
            self._send_held()
        elif kind == FrameType.CLOSE and number == 0:
            self.farewell = True
        elif kind > max(FrameType):
            raise ProtocolError(f"a frame of unknown type {kind}")
        elif channel is not None:
            self._pass_on(kind, channel, payload)

    def _pass_on(self, kind: int, channel: Channel, payload: bytes) -> None:
        if kind == FrameType.DATA:
            channel.received(payload)
        elif kind == FrameType.CLOSE:
            channel.remote_closed()
        elif kind == FrameType.WINDOW:
            channel.granted(WINDOW.unpack(payload)[0])

    def _fail(self, error: Exception) -> None:
        transport = self._transport
        if transport is not None:
            transport.abort()
        self._buffer.clear()
        self.connection_lost(error)

    def _write(self, data: bytes) -> None:
        if self._pace is not None:
            self._held += data
            self._send_held()
        elif self._transport is not None:
            self.sent += len(data)
            self._transport.write(data)

    def _send_held(self) -> None:
        """Write what the pace allows, and hold channels back while much is waiting for it."""
        room = (self._pace or 0) - self._on_the_way
        if room > 0 and self._held and self._transport is not None:
            part = bytes(self._held[:room])
            del self._held[:room]
            self._on_the_way += len(part)
            self._transport.write(part)
        if len(self._held) > HIGH_WATER:
            self._paused = True
        elif self._paused and len(self._held) <= HIGH_WATER // 4:
            self.resume_writing()


class _Writer(asyncio.BaseProtocol):
    def __init__(self, mux: Mux) -> None:
        self._mux = mux

    def pause_writing(self) -> None:
        self._mux.pause_writing()

    def resume_writing(self) -> None:
        self._mux.resume_writing()


def streams(channel: Channel) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`channel` as a pair of streams."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    channel.set_protocol(protocol)
    protocol.connection_made(channel)
    return reader, asyncio.StreamWriter(channel, protocol, reader, loop)
