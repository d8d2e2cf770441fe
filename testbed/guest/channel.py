"""One connection of the many over a guest's control port, and the frames that carry it."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.guest.mux import Mux

FRAME = struct.Struct("!BII")
WINDOW = struct.Struct("!I")
CREDIT = 256 * 1024
CHUNK = 32 * 1024
REPORT_AFTER = CREDIT // 4
HIGH_WATER = 64 * 1024


class FrameType(IntEnum):
    """Types of frame on the stream."""

    OPEN = 0
    DATA = 1
    CLOSE = 2
    WINDOW = 3
    CLOCK = 4
    ABANDON = 5
    TAKEN = 6


class ProtocolError(Exception):
    """The other end does not speak the protocol."""


class Channel(asyncio.Transport):
    """One connection, as the transport of an asyncio protocol."""

    def __init__(self, mux: Mux, number: int) -> None:
        super().__init__()
        self.number = number
        self._mux = mux
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self._sendable = CREDIT
        self._receivable = CREDIT
        self._consumed = 0
        self._unsent: deque[bytes] = deque()
        self._unsent_size = 0
        self._undelivered: deque[bytes] = deque()
        self._reading = True
        self._writing_paused = False
        self._closing = False
        self._remote_closed = False
        self._lost = False

    # What protocols and streams call

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` when the credit allows."""
        if self._lost or self._closing or self._remote_closed or not data:
            return
        self._unsent.append(bytes(data))
        self._unsent_size += len(data)
        self._mux.flush(self)
        self._update_pressure()

    def close(self) -> None:
        """Close the channel after all that was written has been sent."""
        if self._closing:
            return
        self._closing = True
        if self._remote_closed:
            self.finish(None)
        else:
            self._mux.flush(self)

    def abort(self) -> None:
        """Close the channel at once; what was not sent yet is lost."""
        self._unsent.clear()
        self._unsent_size = 0
        self._closing = False
        self.close()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._closing or self._remote_closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to `protocol` from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is delivered to."""
        return self._protocol

    def is_reading(self) -> bool:
        """Whether data is delivered."""
        return self._reading

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver what came meanwhile, and go on."""
        self._reading = True
        asyncio.get_running_loop().call_soon(self._deliver)

    def can_write_eof(self) -> bool:
        """Channels have no half-closed state."""
        return False

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for credit or for the stream."""
        return self._unsent_size

    # What the multiplexer calls

    def next_frame(self) -> bytes | None:
        """Take the next frame that may be sent now, or None."""
        if self._lost:
            return None
        if not self._unsent:
            if self._closing and not self._remote_closed:
                self.finish(None)
                return FRAME.pack(FrameType.CLOSE, self.number, 0)
            return None
        if not self._sendable:
            return None
        head = self._unsent.popleft()
        size = min(len(head), CHUNK, self._sendable)
        if size < len(head):
            self._unsent.appendleft(head[size:])
            head = head[:size]
        self._sendable -= size
        self._unsent_size -= size
        self._update_pressure()
        return FRAME.pack(FrameType.DATA, self.number, size) + head

    def is_starved(self) -> bool:
        """Whether it has something to send, and no credit left."""
        return bool(self._unsent) and not self._sendable

    def received(self, data: bytes) -> None:
        """Take in what the other end sent."""
        self._receivable -= len(data)
        if self._receivable < 0:
            raise ProtocolError(f"channel {self.number} sent more than its credit")
        self._undelivered.append(data)
        self._deliver()

    def granted(self, size: int) -> None:
        """Send on: the other end consumed `size` bytes."""
        self._sendable += size
        self._mux.flush(self)

    def remote_closed(self) -> None:
        """Close, after delivering what came before the other end closed."""
        self._remote_closed = True
        self._unsent.clear()
        self._unsent_size = 0
        self._update_pressure()
        self._deliver()

    def finish(self, error: Exception | None) -> None:
        """Tell the protocol, once, that the channel is gone."""
        if self._lost:
            return
        self._lost = True
        self._undelivered.clear()
        self._mux.forget(self)
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def _deliver(self) -> None:
        while self._undelivered and (self._reading or self._closing):
            data = self._undelivered.popleft()
            self._consumed += len(data)
            if not self._closing and isinstance(self._protocol, asyncio.Protocol):
                self._protocol.data_received(data)
        if self._remote_closed:
            if not self._undelivered:
                self.finish(None)
        elif self._consumed >= REPORT_AFTER:
            self._receivable += self._consumed
            self._mux.send(FRAME.pack(FrameType.WINDOW, self.number, WINDOW.size), self._consumed)
            self._consumed = 0

    def _update_pressure(self) -> None:
        if self._unsent_size > HIGH_WATER and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()
        elif self._unsent_size <= HIGH_WATER // 4 and self._writing_paused:
            self._writing_paused = False
            self._protocol.resume_writing()
