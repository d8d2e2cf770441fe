"""The HTTPS server of `testbed-front`: a thread for each connection."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import queue
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 443
LARGEST = 16 * 2**20  # bytes of a body
CONNECTIONS = 100
IDLE_S = 75.0
ANSWER_S = 600.0
AUTHORITY = "ca.pem"
NOT_REPEATED = ("connection", "content-length", "date", "server", "transfer-encoding")

Message = dict[str, Any]


class Front:
    """A server that hands requests to `ask` and waits until `answered` has their answers."""

    def __init__(self, about: Message, ask: Callable[[Message], None]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Message]] = {}
        directory = about["directory"]
        os.makedirs(directory, exist_ok=True)  # noqa: PTH103
        with open(os.path.join(directory, AUTHORITY), "w", encoding="ascii") as file:  # noqa: PTH118, PTH123
            file.write(about["authority"])
        self._server = _Server((about["address"], PORT), self, _context(about))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def exchange(self, request: Message) -> Message | None:
        """Return the answer to a request; None where there is none in time."""
        box: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = box
            self._ask({"id": number, **request})
        try:
            return box.get(timeout=ANSWER_S)
        except queue.Empty:
            return None
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def answered(self, message: Message) -> None:
        """Hand an answer to the connection that waits for it."""
        with self._lock:
            box = self._waiting.get(message["id"])
        if box is not None:
            box.put(message)


def _context(about: Message) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
        file.write(about["certificate"] + about["key"])
        file.flush()
        context.load_cert_chain(file.name)
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], front: Front, context: ssl.SSLContext) -> None:
        self.front = front
        self._context = context
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without looking up the address's name, which would ask a resolver."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = str(self.server_address[0]), PORT

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection by a thread; one too many is closed."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Speak TLS first, in the connection's own thread: who is slow there stops nobody."""
        try:
            request.settimeout(IDLE_S)
            with contextlib.suppress(OSError):
                secure = self._context.wrap_socket(request, server_side=True)
                with contextlib.suppress(OSError):
                    self.finish_request(secure, client_address)
                self.shutdown_request(secure)
        finally:
            self.shutdown_request(request)
            self._room.release()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        """Pass one request on, whatever its method."""
        line = self.raw_requestline = self.rfile.readline(65537)
        if not line or len(line) > 65536 or not self.parse_request():
            self.close_connection = True
            return
        body = self._body()
        if body is None:
            self.close_connection = True
            self.send_error(413)
            return
        path, _, query = self.path.partition("?")
        answer = self.server.front.exchange(
            {
                "method": self.command,
                "path": path,
                "query": query,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": base64.b64encode(body).decode(),
            }
        )
        if answer is None:
            self.close_connection = True
            self.send_error(503)
            return
        self._send(answer)

    def _body(self) -> bytes | None:
        """Return the request's body; None where it is too large, or has no length."""
        if (
            "transfer-encoding" in self.headers
            or len(self.headers.get_all("content-length", [])) > 1
        ):
            return None
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST:
            return None
        return self.rfile.read(int(length))

    def _send(self, answer: Message) -> None:
        body = base64.b64decode(answer["body"])
        self.send_response_only(answer["status"])
        for name, value in answer["headers"].items():
            if name.lower() not in NOT_REPEATED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing: the endpoint has a log."""
