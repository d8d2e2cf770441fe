"""A client's end of one connection on the control socket: frames both ways, never stuck.

What is to be sent is queued and leaves while the client waits for answers,
so that a command that writes before it reads cannot block both sides.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError
from testbed.protocol import HEADER, MAX_FRAME, Frame, pack, pack_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

CHUNK = 1 << 18


class Connection:
    """One request's connection. One thread may send while another receives."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._lock = threading.Lock()
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._frames: deque[tuple[Frame, bytes]] = deque()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The socket's descriptor, for poll(2)."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let go; the keeper cancels what the request asked for."""
        self._socket.close()

    # Sending

    @property
    def pending(self) -> bool:
        """Whether something queued has not left yet."""
        return bool(self._outgoing)

    def queue(self, kind: Frame, payload: bytes) -> None:
        """Have a frame sent by the next `flush`, `write_some` or `receive`."""
        with self._lock:
            self._outgoing += pack(kind, payload)

    def queue_message(self, message: dict[str, Any]) -> None:
        """Have a message sent."""
        with self._lock:
            self._outgoing += pack_message(message)

    def write_some(self) -> None:
        """Send what the socket takes now. What a closed peer would not read is dropped."""
        with self._lock:
            try:
                while self._outgoing:
                    sent = self._socket.send(memoryview(self._outgoing)[:CHUNK])
                    del self._outgoing[:sent]
            except BlockingIOError:
                pass
            except OSError:
                self._outgoing.clear()  # the peer's reason is still to be read

    def flush(self) -> None:
        """Send everything that is queued."""
        self.write_some()
        while self._outgoing:
            _poll(self.fileno(), select.POLLOUT, None)
            self.write_some()

    # Receiving

    def read_some(self) -> bool:
        """Take in what has arrived; False once the peer has closed."""
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self._ended = True
            return False
        self._incoming += data
        self._decode()
        return True

    def _decode(self) -> None:
        start = 0
        while len(self._incoming) - start >= HEADER.size:
            kind, length = HEADER.unpack_from(self._incoming, start)
            if length > MAX_FRAME:
                raise HostError("protocol error: the testbed sent a frame that is too long")
            if len(self._incoming) - start - HEADER.size < length:
                break
            body = start + HEADER.size
            self._frames.append((Frame(kind), bytes(self._incoming[body : body + length])))
            start = body + length
        del self._incoming[:start]

    def arrived(self) -> Iterator[tuple[Frame, bytes]]:
        """The frames that have been taken in."""
        while self._frames:
            yield self._frames.popleft()

    def receive(self, deadline: float | None = None) -> tuple[Frame, bytes] | None:
        """The next frame, None at the end of the connection.

        `deadline` is on the monotonic clock; TimeoutError when it passes.
        """
        while not self._frames:
            if self._ended:
                return None
            events = select.POLLIN | (select.POLLOUT if self._outgoing else 0)
            ready = _poll(self.fileno(), events, deadline)
            if ready & select.POLLOUT:
                self.write_some()
            if ready & ~select.POLLOUT:
                self.read_some()
        return self._frames.popleft()


def message_of(payload: bytes) -> dict[str, Any]:
    """The object in a message frame."""
    message = json.loads(payload)
    if not isinstance(message, dict):
        raise HostError("protocol error: the testbed sent a message that is no object")
    return message


def _poll(descriptor: int, events: int, deadline: float | None) -> int:
    """What the descriptor is ready for; TimeoutError when nothing by the deadline."""
    poller = select.poll()
    poller.register(descriptor, events)
    timeout = None
    if deadline is not None:
        timeout = max(0.0, deadline - time.monotonic()) * 1000
    ready = poller.poll(timeout)
    if not ready:
        raise TimeoutError
    return ready[0][1]
