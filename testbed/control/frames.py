"""A client's end of one connection on the control socket: frames both ways, never stuck.

What is to be sent is queued and leaves while the client waits for answers,
so that a command that writes before it reads cannot block both sides.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from testbed.control import protocol
from testbed.control.printable import SUSPECT, cleaned
from testbed.control.protocol import (
    CREDIT,
    HEADER,
    MAX_FRAME,
    STDIN_WINDOW,
    Frame,
    pack,
    pack_message,
)
from testbed.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol, Self

    class Watch(Protocol):
        """Judges a peer that says nothing."""

        def heard(self) -> None:
            """Something has come."""

        def tick(self) -> None:
            """Nothing has come for LOOK_S seconds; raises when that has been too often."""


CHUNK = 1 << 18
LOOK_S = 3.0


class Connection:
    """One request's connection. One thread may send while another receives.

    `watch` judges the silence of who is at the other end.
    """

    def __init__(self, sock: socket.socket, watch: Watch | None = None) -> None:
        sock.setblocking(False)
        self._watch = watch
        self._socket = sock
        self._lock = threading.Lock()
        self._outgoing = bytearray()
        self._input = bytearray()  # standard input that the command has no room for yet
        self._input_ends = False
        self._room = STDIN_WINDOW
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
        return bool(self._outgoing or self._input)

    @property
    def events(self) -> int:
        """What to poll the socket for."""
        return select.POLLIN | (select.POLLOUT if self._outgoing else 0)

    def queue(self, kind: Frame, payload: bytes) -> None:
        """Have a frame sent by the next `flush`, `write_some` or `receive`.

        Standard input leaves as the command reads it, so that a signal, or
        the end of the connection, never waits behind it.
        """
        with self._lock:
            if kind is not Frame.STDIN:
                self._outgoing += pack(kind, payload)
                return
            self._input += payload
            self._input_ends |= not payload
            self._admit()

    def _admit(self) -> None:
        """Send as much standard input as the command has room for."""
        while self._input and self._room:
            piece = bytes(self._input[: min(self._room, CHUNK)])
            del self._input[: len(piece)]
            self._room -= len(piece)
            self._outgoing += pack(Frame.STDIN, piece)
        if self._input_ends and not self._input:
            self._outgoing += pack(Frame.STDIN, b"")
            self._input_ends = False

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
                self._input.clear()

    def flush(self) -> None:
        """Send what is queued, of standard input what the command has room for."""
        self.write_some()
        while self._outgoing:
            try:
                _poll(self.fileno(), select.POLLOUT, time.monotonic() + LOOK_S)
            except TimeoutError:
                self.look()
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
        if self._watch is not None:
            self._watch.heard()
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
            payload = bytes(self._incoming[body : body + length])
            start = body + length
            if kind == Frame.CREDIT:
                with self._lock:
                    self._room += CREDIT.unpack(payload)[0]
                    self._admit()
            else:
                self._frames.append((Frame(kind), payload))
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
            ready = self._await(deadline)
            if ready & select.POLLOUT:
                self.write_some()
            if ready & ~select.POLLOUT:
                self.read_some()
        return self._frames.popleft()

    def _await(self, deadline: float | None) -> int:
        """What the socket is ready for; TimeoutError at the deadline."""
        while True:
            until = time.monotonic() + LOOK_S
            try:
                return _poll(self.fileno(), self.events, min(until, deadline or until))
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise
                self.look()

    def look(self) -> None:
        """Nothing has come for LOOK_S: raise when the other end counts as not answering."""
        if self._watch is not None:
            self._watch.tick()


def message_of(payload: bytes) -> dict[str, Any]:
    """The object in a message frame, safe to print: what is in nodes is others' choice."""
    payload = protocol.plain(payload)
    message = protocol.message_of(payload)
    if SUSPECT.search(payload) is None:
        return message
    return {key: cleaned(value) for key, value in message.items()}


def _poll(descriptor: int, events: int, deadline: float) -> int:
    """What the descriptor is ready for; TimeoutError when nothing by the deadline."""
    poller = select.poll()
    poller.register(descriptor, events)
    ready = poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
    if not ready:
        raise TimeoutError
    return ready[0][1]
