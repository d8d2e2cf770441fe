"""The host's end of virtual time: it grants time to a guest, and stops it when told to.

Linux calls it the calendar (include/uapi/linux/um_timetravel.h): a guest asks
for the time at which its next timer is due whenever it has nothing else to
do. It gets it at once, together with leave to go on by itself for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import struct
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import UsageError
from testbed.guest.channel import FrameType
from testbed.guest.gate import DOORBELL, Call, told, unpack, untold

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

MESSAGE = struct.Struct("=IIQ")  # struct um_timetravel_msg: op, seq, time in ns
SHORTEST_NS, LONGEST_NS = 10_000_000, 60_000_000_000
QUICK_S, SLOW_S = 0.01, 0.25  # of real time, for what the guest was last given leave for
PATIENCE_S = 60.0
STALL_S = 0.2  # a reader on the host that does not read only slows its guest down


def patience_s() -> float:
    """Return how long a guest may take for no time at all: TESTBED_SPIN_TIMEOUT, in seconds."""
    text = os.environ.get("TESTBED_SPIN_TIMEOUT", "")
    try:
        seconds = float(text) if text else PATIENCE_S
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise UsageError(f"TESTBED_SPIN_TIMEOUT={text!r} is not a number of seconds")
    return seconds


class Op(IntEnum):
    """enum um_timetravel_ops."""

    ACK = 0
    START = 1
    REQUEST = 2
    WAIT = 3
    GET = 4
    UPDATE = 5
    RUN = 6
    FREE_UNTIL = 7
    GET_TOD = 8
    BROADCAST = 9


class Calendar(asyncio.Protocol):
    """One guest's calendar, and the way of bytes to it.

    `inbox` is where its files go, `doorbell` the control port's other end,
    `heard` how many bytes have come from there.
    `stuck` is called once when the guest makes no progress for `patience_s`
    seconds of real time: a program in it spins.
    """

    def __init__(
        self,
        inbox: Path,
        doorbell: socket.socket,
        *,
        patience_s: float,
        heard: Callable[[], int],
        stuck: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.now_ns = 0
        self.standing = False
        self.writer = Inbox(self)
        self._inbox = inbox
        self._doorbell = doorbell
        self._patience_s = patience_s
        self._heard = heard
        self._stuck = stuck
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._sequence = 0
        self._requested_ns = 0
        self._window_ns = SHORTEST_NS
        self._granted = self._progressed = time.monotonic()
        self._held: tuple[int, Call] | None = None  # a call that has not been answered
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._pace: tuple[float, int] | None = None  # real and virtual time at which pacing began
        self._outgoing = bytearray()
        self._urgent = False
        self._pumping = False
        self._said: int | None = None  # how much the guest has sent before it stands
        self._files = 0
        self._taken = 0

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._progressed = time.monotonic()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End: the guest has."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer what the guest's kernel says."""
        data = self._buffer + data
        end = len(data) - len(data) % MESSAGE.size
        self._buffer = data[end:]
        for op, sequence, value in MESSAGE.iter_unpack(data[:end]):
            if op != Op.ACK:
                self._answer(op, sequence, value)

    def _watch(self) -> None:
        """Look from time to time whether the guest still makes progress."""
        if self._transport is None:
            return
        idle = self._held is not None
        if not idle and time.monotonic() - self._progressed > self._patience_s:
            self._stuck()
            return
        self._loop.call_later(min(1.0, self._patience_s / 4), self._watch)

    # Time

    def _answer(self, op: int, sequence: int, value: int) -> None:
        if op == Op.BROADCAST:
            self._called(sequence, value)
            return
        if op == Op.REQUEST:
            self._requested_ns = value
        elif op == Op.UPDATE:
            self.now_ns = value
        reply = MESSAGE.pack(Op.ACK, sequence, self.now_ns if op == Op.GET else 0)
        self._send(reply + self._grant() if op == Op.WAIT else reply)

    def _grant(self) -> bytes:
        """Let the guest have the time that it asked for, and more if it is quick."""
        now = time.monotonic()
        took, self._granted, self._progressed = now - self._granted, now, now
        if took < QUICK_S:
            self._window_ns = min(2 * self._window_ns, LONGEST_NS)
        elif took > SLOW_S:
            self._window_ns = max(self._window_ns // 2, SHORTEST_NS)
        self.now_ns = self._requested_ns
        self._sequence += 2
        free = MESSAGE.pack(Op.FREE_UNTIL, self._sequence - 1, self.now_ns + self._window_ns)
        return free + MESSAGE.pack(Op.RUN, self._sequence, self.now_ns)

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # Calls

    def _called(self, sequence: int, value: int) -> None:
        call, number = unpack(value)
        self._progressed = time.monotonic()
        self._held = sequence, call
        self._running = call not in {Call.STAND, Call.REST}
        if call != Call.PACE:
            self._pace = None
        if call == Call.STAND:
            self._said, taken = untold(number)
            self._forget_files(taken)
            self._stand()
        elif call in {Call.RUN, Call.REST}:
            self.pump()
            self._release()
        else:
            self._hold(STALL_S if call == Call.STALL else self._ahead_s(number))
            self.pump()

    def listen(self) -> None:
        """Note that something has come from the guest."""
        if self._said is not None:
            self._stand()

    def _stand(self) -> None:
        """Let the guest stand, once all is here that it has sent before."""
        if self._said is None or untold(told(self._heard(), 0))[0] != self._said:
            return
        self._said = None
        if self._files > self._taken:  # it has not looked at what the doorbell was rung for
            self._release()
        else:
            self.standing = True
            self._soon()

    def _ahead_s(self, virtual_ns: int) -> float:
        """Return how far virtual time is ahead of real time since pacing began."""
        real = time.monotonic()
        if self._pace is None:
            self._pace = real, virtual_ns
        start, start_ns = self._pace
        return (virtual_ns - start_ns) / 1e9 - (real - start)

    def _hold(self, seconds: float) -> None:
        """Answer the call after so long."""
        self._timer = self._loop.call_later(max(0.0, seconds), self._release)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held is not None:
            sequence, _ = self._held
            self._held = None
            self.standing = False
            self._granted = self._progressed = time.monotonic()
            self._send(MESSAGE.pack(Op.ACK, sequence, 0))

    # Bytes to the guest

    def write(self, data: bytes) -> None:
        """Send `data` as soon as the guest stands still, or lets time pass."""
        self._outgoing += data
        # Leave to send on waits until the guest needs it: its moment would be the host's.
        self._urgent = self._urgent or data[0] != FrameType.WINDOW
        if self._urgent or not self._running:
            self._soon()

    def _soon(self) -> None:
        """Pump when all that is sent together has been written."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self.pump)

    def pump(self) -> None:
        """Put what is to be sent into a file, if the guest is where it can take it."""
        self._pumping = False
        stalled = self._held is not None and self._held[1] in {Call.STALL, Call.PACE}
        if not self._outgoing or not (self.standing or self._running):
            return
        if not (self.standing or self._urgent or stalled):
            return
        self._urgent = False
        self._files += 1
        path = self._inbox / str(self._files)
        with contextlib.suppress(OSError):  # the guest has just ended
            path.write_bytes(self._outgoing)
            self._outgoing.clear()
            if self._running:
                self._doorbell.send(DOORBELL.pack(self._files))
        if self._held is not None:
            self._release()

    def _forget_files(self, taken: int) -> None:
        for number in range(self._taken + 1, taken + 1):
            with contextlib.suppress(OSError):
                (self._inbox / str(number)).unlink()
        self._taken = taken


class Inbox(asyncio.WriteTransport):
    """The guest's inbox, as what a `Mux` writes to."""

    def __init__(self, calendar: Calendar) -> None:
        super().__init__()
        self._calendar = calendar

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        self._calendar.write(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: what channels may send is limited by their credit."""

    def abort(self) -> None:
        """Do nothing: the guest is ended by whoever notices."""
