"""A guest's relay and the connections to it, as the client has them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from testbed.control.protocol import HEADER, Frame, control_socket, message_of, pack_message

RELAY = ("-m", "testbed.guest.relay")
TIMEOUT_S = 120


class Started:
    """A relay, started as the client starts it."""

    def __init__(self, name: str, *arguments: str, program: tuple[str, ...] = RELAY) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, *program, name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            start_new_session=True,
        )
        self.messages: list[dict[str, Any]] = []

    def next_message(self) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return None
        self.messages.append(json.loads(line))
        return self.messages[-1]

    def outcome(self) -> dict[str, Any]:
        while self.next_message() is not None:
            pass
        return self.messages[-1]

    def children(self) -> dict[str, int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {
            Path(f"/proc/{pid}/comm").read_text().strip(): int(pid)
            for pid in task.read_text().split()
        }

    def connect(self, **request: Any) -> Connection:
        return Connection(control_socket(self.name), request)

    def ask(self, **request: Any) -> dict[str, Any]:
        with contextlib.closing(self.connect(**request)) as connection:
            return connection.result()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(TIMEOUT_S)


class Connection:
    def __init__(self, path: Path, request: dict[str, Any]) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(str(path))
        self.socket.sendall(pack_message(request))
        self.file = self.socket.makefile("rb")

    def frame(self) -> tuple[int, bytes]:
        kind, length = HEADER.unpack(self.file.read(HEADER.size))
        return kind, self.file.read(length)

    def result(self) -> dict[str, Any]:
        while True:
            kind, payload = self.frame()
            if kind == Frame.MESSAGE and "result" in (message := message_of(payload)):
                result: dict[str, Any] = message["result"]
                return result

    def rest(self) -> bytes:
        """What comes until the connection's end, which is a reset where something was unread."""
        try:
            return self.file.read()
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def gone(pid: int, *, within_s: float = 20) -> bool:
    """Whether a process ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor) as file:
        return bool(select.select([file], [], [], within_s)[0])


def offspring(*pids: int) -> list[int]:
    """The processes below these: in a user-mode guest one for each inside."""
    found: list[int] = []
    for pid in pids:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found += [int(child) for child in children]
        found += offspring(*(int(child) for child in children))
    return found
