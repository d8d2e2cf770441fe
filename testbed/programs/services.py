"""`testbed-services`: small servers for instances and hosts, HTTP on TCP 80, echo on TCP and UDP 7.

What stands for a service of AWS's has HTTP on 80 and 443, without TLS.

An HTTP answer names the node and
the client's address as the node sees it, so that address translation on the
way shows.
"""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import socket
from collections.abc import Callable

from testbed.programs import waiting

HTTP_PORT = 80
ECHO_PORT = 7
SERVICE_PORTS = (80, 443)  # of a service of AWS's; plain HTTP on both
MAX_REQUEST = 65536
MAX_PENDING = 1 << 20  # bytes that a client may leave unread before it is cut off


class TcpClient:
    """A TCP client of one of the services.

    `handle` takes what it sends. Without a request, what is put into `outbox` goes with `flush`,
    and `end` closes. `on_close` hears of the end.
    """

    def __init__(self, sock: socket.socket, peer: str, handle: Callable[[TcpClient], None]) -> None:
        self.sock = sock
        self.handle = handle
        self.flush: Callable[[], None] = lambda: None
        self.on_close: Callable[[], None] = lambda: None
        self.peer = peer
        self.inbox = b""
        self.outbox = b""
        self.closing = False

    def end(self) -> None:
        """Close, without sending what is left."""
        self.closing, self.outbox = True, b""
        self.flush()


def has_ipv6() -> bool:
    """Whether IPv6 is on in this node."""
    try:
        fd = os.open("/proc/sys/net/ipv6/conf/all/disable_ipv6", os.O_RDONLY)
    except OSError:  # a kernel without
        return False
    try:
        return os.read(fd, 8).strip() == b"0"
    finally:
        os.close(fd)


def http_response(name: str, request: bytes, peer: str) -> bytes:
    """The answer to an HTTP request, complete with headers."""
    line = request.split(b"\r\n", 1)[0].decode("latin-1")
    method, _, rest = line.partition(" ")
    status = "200 OK" if method in {"GET", "HEAD"} and rest else "400 Bad Request"
    body = f"{name}\nclient {peer}\nrequest {line}\n".encode() if status[0] == "2" else b""
    head = f"HTTP/1.1 {status}\r\nServer: testbed\r\nContent-Type: text/plain\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == "HEAD" else body)


class Server:
    """All services of one node, in one thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.selector = waiting.Selector()

    def listen(self, port: int, handle: Callable[[TcpClient], None], address: str = "") -> None:
        """Accept TCP connections on `port`; `handle` is called when one has new data."""
        families = [socket.AF_INET]
        if not address and has_ipv6():
            families.append(socket.AF_INET6)
        for family in families:
            sock = socket.create_server((address, port), family=family, backlog=128)
            sock.setblocking(False)
            accept = functools.partial(self._accept, sock, handle)
            self.selector.register(sock, selectors.EVENT_READ, lambda _, accept=accept: accept())

    def echo_udp(self, port: int) -> None:
        """Send every datagram back to where it came from."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("", port))
        sock.setblocking(False)

        def answer(_: int) -> None:
            data, peer = sock.recvfrom(65535)
            sock.sendto(data, peer)

        self.selector.register(sock, selectors.EVENT_READ, answer)

    def _accept(self, listener: socket.socket, handle: Callable[[TcpClient], None]) -> None:
        sock, address = listener.accept()
        sock.setblocking(False)
        connection = TcpClient(sock, f"{address[0]}:{address[1]}", handle)
        open_ = True

        def ready(events: int) -> None:
            nonlocal open_
            if not open_:
                return
            try:
                if events & selectors.EVENT_READ:
                    self._read(connection)
                self._write(connection)
            except BlockingIOError:
                pass
            except OSError:
                connection.closing, connection.outbox = True, b""
            if connection.closing and not connection.outbox:
                open_ = False
                self.selector.unregister(sock)
                sock.close()
                connection.on_close()
            else:
                self._watch(connection, ready)

        connection.flush = lambda: ready(0)
        self.selector.register(sock, selectors.EVENT_READ, ready)

    def _watch(self, connection: TcpClient, ready: Callable[[int], None]) -> None:
        events = 0 if connection.closing else selectors.EVENT_READ
        if connection.outbox:
            events |= selectors.EVENT_WRITE
        self.selector.modify(connection.sock, events, ready)

    @staticmethod
    def _read(connection: TcpClient) -> None:
        data = connection.sock.recv(65536)
        if not data:
            connection.closing = True
            return
        connection.inbox += data
        connection.handle(connection)
        if len(connection.outbox) > MAX_PENDING or len(connection.inbox) > MAX_REQUEST:
            connection.closing = True
            connection.outbox = b""

    @staticmethod
    def _write(connection: TcpClient) -> None:
        if connection.outbox:
            sent = connection.sock.send(connection.outbox)
            connection.outbox = connection.outbox[sent:]

    def http(self, connection: TcpClient) -> None:
        """Answer one request and close."""
        if b"\r\n\r\n" in connection.inbox:
            connection.outbox = http_response(self.name, connection.inbox, connection.peer)
            connection.closing = True
            line = connection.inbox.split(b"\r\n", 1)[0].decode("latin-1")
            print(f"http {connection.peer} {line!r}", flush=True)  # noqa: T201 - the access log

    @staticmethod
    def echo(connection: TcpClient) -> None:
        """Send back what came."""
        connection.outbox += connection.inbox
        connection.inbox = b""

    def run(self) -> None:
        """Serve until killed; a client's broken connection ends only itself."""
        while True:
            for key, events in self.selector.select():
                with contextlib.suppress(OSError):
                    key.data(events)


def main(argv: list[str]) -> None:
    """`testbed-services NODE SERVICE…`."""
    name, *services = argv
    server = Server(name)
    ports = SERVICE_PORTS if "aws" in services else (HTTP_PORT,) if "http" in services else ()
    for port in ports:
        server.listen(port, server.http)
    if "echo" in services:
        server.listen(ECHO_PORT, server.echo)
        server.echo_udp(ECHO_PORT)
    server.run()
