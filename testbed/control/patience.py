"""How long a client waits for a testbed that says nothing, and whom it blames then.

A request may take as long as it likes while the keeper still answers others: a
client that hears nothing asks it, on a second connection, who it is. One that
does not answer even that is blamed after `ANSWER_S`; one that somebody has
stopped (SIGSTOP, a debugger) at the second look.
"""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

from testbed.control.protocol import HEADER, dial, pack_message
from testbed.errors import HostError

QUIET_S = 20.0  # of silence, before the keeper is asked
ANSWER_S = 120.0  # a busy machine has emulated guests stand still for a minute


class Patience:
    """Watches one connection to testbed `name`, which process `pid` holds."""

    def __init__(self, name: str, pid: int) -> None:
        self._name = name
        self._pid = pid
        self._since = time.monotonic()
        self._asked: float | None = None
        self._question: socket.socket | None = None
        self._was_stopped = False

    def heard(self) -> None:
        """Something has come."""
        self._since = time.monotonic()
        self._forget_question()

    def tick(self) -> None:
        """Call every few seconds of silence; HostError once the testbed counts as not answering."""
        stopped = stopped_process(self._pid)
        if stopped is not None and self._was_stopped:
            text = f"testbed {self._name} does not answer: process {stopped} is stopped"
            end = f"testbed down -n {self._name}"
            raise HostError(
                text, hint=f"continue it: kill -CONT {stopped}; or stop the testbed: {end}"
            )
        self._was_stopped = stopped is not None
        if self._question is not None:
            self._await_answer(self._question)
        elif time.monotonic() - self._since >= QUIET_S:
            self._ask()

    def _ask(self) -> None:
        self._asked = time.monotonic()
        try:
            self._question = dial(self._name)
            self._question.setblocking(False)
            self._question.send(pack_message({"op": "hello"}))
        except OSError:  # it has just ended, which the connection itself will show
            self._forget_question()

    def _await_answer(self, question: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            if question.recv(HEADER.size):
                self.heard()
                return
        if self._asked is not None and time.monotonic() - self._asked >= ANSWER_S:
            seconds = time.monotonic() - self._since
            text = f"testbed {self._name} does not answer: process {self._pid}"
            text += f" has been silent for {seconds:.0f} s"
            hint = f"stop it: testbed down -n {self._name}; its console: testbed logs --guest"
            raise HostError(text, hint=hint)

    def _forget_question(self) -> None:
        if self._question is not None:
            self._question.close()
            self._question = None


def stopped_process(pid: int) -> int | None:
    """The process that holds a testbed, or the guest's kernel below it, where it is stopped."""
    for process in (pid, *_machines(pid)):
        with contextlib.suppress(OSError, IndexError):
            state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2]
            if state[:1] == b"T":
                return process
    return None


def _machines(pid: int) -> list[int]:
    """The kernel or emulator below a relay; a keeper's children are programs in nodes."""
    try:
        if b"testbed.guest.relay" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return []
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []
