"""A connection of the channel, as both ends have it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

PORT = 443
HEARTBEAT_S = 5.0
BEATS_PER_PERIOD = 4
MISSED_BEATS = 3  # after as many the other end counts as gone
MAX_LINE = 1 << 20


def heartbeat_s(period_s: float) -> float:
    """How often the agent tells that it lives."""
    return min(HEARTBEAT_S, period_s / BEATS_PER_PERIOD)


class Peer:
    """A connection that carries lines of JSON."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.inbox = b""
        self.outbox = b""
        self.heard = time.time()

    def send(self, message: dict[str, Any]) -> None:
        """Put a message into the outbox, and send what goes."""
        self.outbox += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send what goes now."""
        with contextlib.suppress(BlockingIOError):
            while self.outbox:
                self.outbox = self.outbox[self.sock.send(self.outbox) :]

    def receive(self) -> Iterator[dict[str, Any]]:
        """The messages that have come; ConnectionError at the end or at nonsense."""
        with contextlib.suppress(BlockingIOError):
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionResetError("closed")
            self.inbox += data
        *lines, self.inbox = self.inbox.split(b"\n")
        if len(self.inbox) > MAX_LINE:
            raise ConnectionError("a line without an end")
        for line in lines:
            self.heard = time.time()
            try:
                message = json.loads(line)
            except ValueError as error:
                raise ConnectionError("not JSON") from error
            if isinstance(message, dict):
                yield message
