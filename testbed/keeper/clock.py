"""The clock of a testbed: real time, which passes by itself, or virtual time.

Virtual time passes only while somebody drives it: an `apply` that waits, a
command that runs, an `advance`. Otherwise the guest stands still at its gate
(testbed/guest/gate.py), and nothing in it runs until the host has something
to say. To give the same trace twice, nothing that depends on the host may
pass time in between; therefore the event loop does not look at the clock
then, and what the host sends is read from files: that takes no time, and
needs no interrupt, whose moment the kernel's random numbers would depend on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import time
from typing import TYPE_CHECKING, Any

from testbed.guest.gate import CALL_FILE, DOORBELL, Call, pack, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.guest.mux import Mux

QUANTUM_NS = 1_000_000
"""Time begins and ends to pass at multiples of it: small differences in between leave no trace."""
PACE_S = 0.02


class Clock:
    """Real time."""

    kind = "real"
    seed: int | None = None

    def __init__(self) -> None:
        self._started = time.monotonic()

    @contextlib.contextmanager
    def driven(self, *, paced: bool = False, at_once: bool = True) -> Iterator[Drive]:
        """Let time pass in the block; `paced`: not faster than real time.

        With `at_once` false it does so only when the drive is told to start.
        """
        drive = Drive(self, paced=paced)
        if at_once:
            drive.start()
        try:
            yield drive
        finally:
            drive.stop()

    def changed(self, drive: Drive, *, running: bool) -> None:
        """Note that a drive has started or stopped."""

    def stir(self) -> None:
        """Note that a process of the testbed was given something to do."""

    def elapsed(self) -> float:
        """How many seconds it has run, in whole microseconds."""
        return round(time.monotonic() - self._started, 6)

    def to_json(self) -> dict[str, Any]:
        """For `hello` and `status` (docs/protocol.md)."""
        return {"time": self.kind, "elapsed_s": self.elapsed(), "now": time.time()}


class Drive:
    """One reason for time to pass."""

    def __init__(self, clock: Clock, *, paced: bool) -> None:
        self.paced = paced
        self._clock = clock
        self._running = False

    def start(self) -> None:
        """Let time pass."""
        if not self._running:
            self._running = True
            self._clock.changed(self, running=True)

    def stop(self) -> None:
        """Need no more time."""
        if self._running:
            self._running = False
            self._clock.changed(self, running=False)


class VirtualClock(Clock):
    """Virtual time, in a guest that was started for it.

    `mux` is fed with what the host sends. `inbox` is a descriptor of the
    directory that the host writes to.
    """

    kind = "virtual"

    def __init__(self, seed: int, inbox: int, mux: Mux) -> None:
        super().__init__()
        self.seed = seed
        self.now = time.monotonic()
        self._inbox = inbox
        self._mux = mux
        self._gate = os.open(CALL_FILE, os.O_WRONLY | os.O_CLOEXEC)
        self._taken = 0
        self._rings = b""
        self._free = 0
        self._paced = 0
        self._announced = False
        self._resting = False
        self._stirred = True

    def to_json(self) -> dict[str, Any]:
        """For `hello` and `status` (docs/protocol.md)."""
        return super().to_json() | {"seed": self.seed}

    def changed(self, drive: Drive, *, running: bool) -> None:
        """Note that a drive has started or stopped."""
        step = 1 if running else -1
        if drive.paced:
            self._paced += step
        else:
            self._free += step
        self._stirred = True
        if self._announced and not (self._free or self._paced):
            # Before anybody on the host can hear that what needed time is over.
            self._resting = True
            self._call(Call.REST, told(self._mux.sent, self._taken))

    def stir(self) -> None:
        """Note that a process of the testbed was given something to do."""
        self._stirred = True

    def rung(self, data: bytes) -> None:
        """Take what came over the control port: numbers of files that are there."""
        data = self._rings + data
        end = len(data) - len(data) % DOORBELL.size
        self._rings = data[end:]
        for (number,) in DOORBELL.iter_unpack(data[:end]):
            while self._taken < number:
                self._take()

    def noticed(self) -> None:
        """Note that something has happened in the guest."""
        self._stirred = True
        if self._announced:
            self.now = time.monotonic()

    def wait(self, poll: Callable[[float | None], list[Any]], timeout: float | None) -> list[Any]:
        """Wait until something happens in the guest, or until the host has said something."""
        if not (self._free or self._paced):
            return self._stand(poll)
        if not self._announced:
            self._announced = True
            self._align()
            self._run()
        elif self._resting:  # time is needed again, before it stood
            self._run()
        if self._mux.is_starved():
            self._call(Call.STALL, told(self._mux.sent, self._taken))
        elif not self._free:
            timeout = PACE_S if timeout is None else min(timeout, PACE_S)
            self._call(Call.PACE, time.monotonic_ns())
        events = poll(timeout)
        self.now = time.monotonic()
        return events

    def _stand(self, poll: Callable[[float | None], list[Any]]) -> list[Any]:
        """Let everything come to rest, then stand still until the host says something."""
        if self._announced or self._stirred:
            self._announced = self._stirred = self._resting = False
            self._align()
            if events := poll(0):
                self._stirred = True
                return events
        self._call(Call.STAND, told(self._mux.sent, self._taken))
        self._take()
        return []

    def _run(self) -> None:
        self._resting = False
        self._call(Call.RUN, told(self._mux.sent, self._taken))

    def _align(self) -> None:
        """Sleep a moment: the others of this guest run until they have to wait, too."""
        now = time.monotonic_ns()
        time.sleep((QUANTUM_NS - now % QUANTUM_NS) / 1e9)
        self.now = time.monotonic()

    def _call(self, call: Call, number: int) -> None:
        os.write(self._gate, b"%#x" % pack(call, number))

    def _take(self) -> None:
        self._taken += 1
        descriptor = os.open(str(self._taken), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._inbox)
        try:  # no file object: it makes a system call that fails, and failing takes time
            data = os.read(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
        self._mux.data_received(data)


class GateSelector(selectors.EpollSelector):
    """What the event loop waits with where time is virtual."""

    clock: VirtualClock | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait for events; where nobody needs time, without any passing."""
        if self.clock is None:
            return super().select(timeout)
        events = super().select(0)
        if events:
            self.clock.noticed()
            return events
        if timeout is not None and timeout <= 0:
            return []
        return self.clock.wait(super().select, timeout)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose idea of the time costs none."""

    def __init__(self) -> None:
        self._gate = GateSelector()
        super().__init__(self._gate)

    def use(self, clock: VirtualClock) -> None:
        """Wait by this clock from now on."""
        self._gate.clock = clock

    def time(self) -> float:
        """Return the time, as of the last wait."""
        clock = self._gate.clock
        return super().time() if clock is None else clock.now
