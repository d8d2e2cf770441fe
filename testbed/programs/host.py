"""`testbed-host`: runs programs of many nodes, each as a thread in its node's network namespace.

An interpreter for each would take ten times the memory, and most of the time that a testbed
takes to come up. The keeper starts it with a socket as its standard input; a message on that
starts a program (with descriptors: network namespace, log) or ends one. It answers with
what has ended, and how.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import socket
import sys
import threading
import traceback
from importlib import import_module
from typing import Any

from testbed.kernel import namespace
from testbed.programs import PROGRAMS, waiting

LONGEST = 64 * 1024
FAILED = 1
HOSTED = ("testbed-services", "testbed-metadata", "testbed-management", "testbed-ecs")
STACK = 512 * 1024


class Streams(io.TextIOBase):
    """What a thread writes goes to the log of its program."""

    def __init__(self, otherwise: Any) -> None:
        self._otherwise = otherwise
        self._own = threading.local()

    def use(self, file: Any) -> None:
        """Have this thread write to `file`."""
        self._own.file = file

    def write(self, text: str) -> int:
        """Write to this thread's file."""
        return int(getattr(self._own, "file", self._otherwise).write(text))

    def flush(self) -> None:
        """Flush this thread's file."""
        getattr(self._own, "file", self._otherwise).flush()


class Host:
    """The programs that run, and the socket to the keeper."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._ends: dict[int, int] = {}  # by program: what is closed to end it
        self._collecting = threading.Lock()
        self._streams = Streams(sys.stdout), Streams(sys.stderr)
        sys.stdout, sys.stderr = self._streams

    def run(self) -> None:
        """Serve the keeper until it has ended."""
        while True:
            message, descriptors = socket.recv_fds(self._control, LONGEST, 2)[:2]
            if not message:
                os._exit(0)
            task = json.loads(message)
            if "end" in task:
                if (end := self._ends.pop(task["end"], None)) is not None:
                    os.close(end)
                continue
            inner, self._ends[task["number"]] = os.pipe()
            arguments = (task, inner, *descriptors)
            threading.Thread(target=self._program, args=arguments, daemon=True).start()

    def _program(self, task: dict[str, Any], end: int, network: int, log: int) -> None:
        """Run a program, in a thread of its own, and tell how it ended."""
        with open(log, "w", encoding="utf-8", errors="replace", buffering=1) as file:
            for stream in self._streams:
                stream.use(file)
            status = self._ran(task, end, network)
        os.close(end)
        os.close(network)
        with contextlib.suppress(KeyError, OSError):
            os.close(self._ends.pop(task["number"]))
        with self._collecting:  # a collection beside another does nothing
            gc.collect()  # sockets that are left hold the network namespace
        with contextlib.suppress(OSError):
            self._control.send(json.dumps([task["number"], status]).encode())

    @staticmethod
    def _ran(task: dict[str, Any], end: int, network: int) -> int:
        waiting.may_be_ended(end)
        try:
            namespace.enter(network)
            import_module(PROGRAMS[task["name"]]).main(task["argv"])
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 0
        except BaseException:  # noqa: BLE001 - as an interpreter does
            traceback.print_exc()
            return FAILED
        return 0


def main(_: list[str]) -> None:
    """Run what the keeper asks for, until it has ended."""
    for name in HOSTED:
        import_module(PROGRAMS[name])
    threading.stack_size(STACK)
    gc.collect()
    gc.freeze()
    Host(socket.socket(fileno=os.dup(0))).run()
