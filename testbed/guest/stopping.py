"""Tell the connection that stops a testbed from all others.

Its result promises that everything is gone, which in a guest is true only
when the guest has ended: the relay holds the result back until then.
"""

from __future__ import annotations

from typing import Any

from testbed.control.protocol import HEADER, Frame, message_of
from testbed.errors import UsageError


class StopWatcher:
    """Looks at what passes on one connection."""

    def __init__(self) -> None:
        self.stopping = False
        self.held = b""
        self._first: bytearray | None = bytearray()
        self._answer = bytearray()

    def request(self, data: bytes) -> bytes:
        """Look at what the client sends, and pass it on."""
        if self._first is not None:
            self._first += data
            message = _whole_message(self._first)
            if message is not None:
                self.stopping = message.get("op") == "stop"
            if message is not None or len(self._first) > 4096:
                self._first = None
        return data

    def answer(self, data: bytes) -> bytes:
        """Look at what the keeper answers; return what may be passed on now."""
        if not self.stopping:
            return data
        self._answer += data
        passed = b""
        while len(self._answer) >= HEADER.size:
            end = HEADER.size + HEADER.unpack_from(self._answer)[1]
            if len(self._answer) < end:
                break
            frame = bytes(self._answer[:end])
            message = _whole_message(frame)
            del self._answer[:end]
            if message is not None and "result" in message:
                self.held = frame
            else:
                passed += frame
        return passed


def _whole_message(data: bytes | bytearray) -> dict[str, Any] | None:
    if len(data) < HEADER.size:
        return None
    kind, length = HEADER.unpack_from(data)
    if kind != Frame.MESSAGE or len(data) < HEADER.size + length:
        return None
    try:
        return message_of(data[HEADER.size : HEADER.size + length])
    except UsageError:
        return None
