"""A program's control socket, at which the keeper asks what it knows, or to read its file anew.

A connection carries one request and its answer, each a line of JSON. The socket is beside the
program's file: NODE_DIRECTORY/NODE/PROCESS.ctl.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
from collections.abc import Callable
from typing import Any

from testbed.programs import waiting

RELOAD = "reload"
LONGEST = 4 << 20  # bytes of a request
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Inquiries:
    """The control socket at `path`; `answer` makes the answer of a request.

    What `answer` raises is told to whoever asks, and ends nothing.
    """

    def __init__(self, path: str, selector: waiting.Selector, answer: Answer) -> None:
        self._selector = selector
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - pathlib is slow to import
        self._socket.bind(path)
        self._socket.listen(16)
        self._socket.setblocking(False)
        selector.register(self._socket, selectors.EVENT_READ, lambda _: self._accept())

    def _accept(self) -> None:
        connection = self._socket.accept()[0]
        connection.setblocking(False)
        inbox, outbox = bytearray(), bytearray()

        def ready(_: int) -> None:
            try:
                if not outbox and self._read(connection, inbox):
                    outbox.extend(self._answered(bytes(inbox)))
                    self._selector.modify(connection, selectors.EVENT_WRITE, ready)
                    return
                if outbox:
                    del outbox[: connection.send(outbox)]
                    if outbox:
                        return
                    raise ConnectionResetError
            except BlockingIOError:
                return
            except OSError:
                self._selector.unregister(connection)
                connection.close()

        self._selector.register(connection, selectors.EVENT_READ, ready)

    @staticmethod
    def _read(connection: socket.socket, inbox: bytearray) -> bool:
        """Read what there is; whether the request is complete."""
        data = connection.recv(65536)
        if not data or len(inbox) > LONGEST:
            raise ConnectionResetError
        inbox.extend(data)
        return inbox.endswith(b"\n")

    def _answered(self, line: bytes) -> bytes:
        try:
            reply = self._answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whoever asks is told, whatever it is
            reply = {"error": f"{type(error).__name__}: {error}"}
        return json.dumps(reply, separators=(",", ":")).encode() + b"\n"
