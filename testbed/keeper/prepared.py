"""The interpreter that is prepared to become any Python program of a node's."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed import programs
from testbed.programs import PROGRAMS
from testbed.programs.launcher import LONGEST, MOST_DESCRIPTORS, NUMBER

PYTHON = (sys.executable, "-I", "-S", str(Path(programs.__file__).with_name("__main__.py")))


def is_program(name: str) -> bool:
    """Whether a program is one of the testbed's own."""
    return name in PROGRAMS


def words(argv: Sequence[str]) -> list[str]:
    """Return the argument vector of an interpreter that runs the program."""
    return [*PYTHON, *argv]


class Prepared:
    """Starts these programs by a fork; where it cannot, the caller starts an interpreter."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None

    def begin(self) -> None:
        """Start the interpreter, in this process's namespaces, if there is none."""
        if self._control is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = words(["testbed-launcher"])
        with Path(os.devnull).open("r+b") as nothing, theirs:
            streams = (theirs.fileno(), nothing.fileno(), nothing.fileno())
            actions = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate(streams)]
            env = {"LANG": "C.UTF-8"}
            os.posix_spawn(sys.executable, argv, env, file_actions=actions, setsid=True)
        self._control = ours

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        stdio: Sequence[int],
        namespaces: Sequence[int],
        keep: Sequence[int],
        cwd: str | None,
    ) -> int | None:
        """Start a program; its process number, or None where it cannot be started so.

        `namespaces` are those that it is to be in and this process is not.
        """
        name, *rest = argv
        task = {
            "name": name,
            "module": PROGRAMS[name],
            "argv": rest,
            "env": dict(env),
            "cwd": cwd,
            "keep": list(keep),
        }
        message = json.dumps(task).encode()
        sent = [*stdio, *namespaces, *keep]
        if len(message) > LONGEST or len(sent) > MOST_DESCRIPTORS:
            return None
        with contextlib.suppress(OSError):
            self.begin()
            assert self._control is not None
            socket.send_fds(self._control, [message], sent)
            if answer := self._control.recv(NUMBER.size):
                return int(NUMBER.unpack(answer)[0])
        if self._control is not None:  # somebody has killed it
            self._control.close()
            self._control = None
        return None
