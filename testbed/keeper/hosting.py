"""Programs of ours that run as threads of one process, each in its node (`testbed.programs.host`).

To the rest of the keeper each is a process like others: it is signalled, waited for, has a log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.keeper.running import Running
from testbed.programs.host import HOSTED, LONGEST

if TYPE_CHECKING:
    from testbed.plan.model import Process

PROGRAM = "testbed-host"
STOP_LIMIT_S = 3.0
EXIT_STATUS = 8  # bits by which waitpid(2) shifts it
Begin = Callable[[socket.socket], int]


@dataclass
class Hosted(Running):
    """A program that runs as a thread; `pid` is that of the process which has it."""

    number: int = 0
    end: Callable[[int], None] | None = None

    def signal(self, number: int) -> None:
        """End it; there are no other signals that it would know."""
        if self.status is None and self.end is not None and number != signal.SIGHUP:
            self.end(self.number)


class Hosting:
    """The process that has them, started with the first one. `begin` starts it with a socket."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._control: socket.socket | None = None
        self._pid = 0
        self._count = 0
        self.running: dict[int, Hosted] = {}

    @staticmethod
    def takes(process: Process) -> bool:
        """Whether a process of the plan's can run like this."""
        return process.container is None and process.argv[0] in HOSTED and not process.env

    def start(self, node: str, process: Process, network: int, log: int) -> Hosted | None:
        """Start a program in a node's namespace; None where it has to be started as others."""
        name, *argv = process.argv
        self._count += 1
        task = {"number": self._count, "name": name, "argv": argv}
        message = json.dumps(task).encode()
        if len(message) > LONGEST:
            return None
        with contextlib.suppress(OSError):
            control = self._started()
            socket.send_fds(control, [message], [network, log])
            running = Hosted(self._pid, process.name, node, number=self._count, end=self._end)
            self.running[self._count] = running
            return running
        return None

    def _started(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._pid = self._begin(theirs)
            self._control = ours
            asyncio.get_running_loop().add_reader(ours, self.heard)
        return self._control

    def _end(self, number: int) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(json.dumps({"end": number}).encode())

    def heard(self) -> None:
        """Take what it says of programs that have ended."""
        while self._control is not None:
            try:
                message = self._control.recv(LONGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:  # it has ended; who reaps it says how
                self._close()
                return
            number, code = json.loads(message)
            self._ended(number, code << EXIT_STATUS)

    def wait(self, running: Hosted, timeout: float | None) -> bool:
        """Block until the program has ended, but not for ever: a thread cannot be killed."""
        limit = STOP_LIMIT_S if timeout is None else timeout
        deadline = time.monotonic() + limit
        while running.status is None and self._control is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            poll.poll(left * 1000)
            self.heard()
        if running.status is None and timeout is None:
            self._ended(running.number, signal.SIGKILL)
        return running.status is not None

    def lost(self, pid: int, status: int) -> None:
        """Note that a process has ended: if it is the one that has them, so have they."""
        if pid != self._pid:
            return
        self.heard()
        self._close()
        self._pid = 0
        for number in list(self.running):
            self._ended(number, status)

    def _close(self) -> None:
        if self._control is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None

    def _ended(self, number: int, status: int) -> None:
        if (running := self.running.pop(number, None)) is not None:
            running.status = status
            running.ended.set()
