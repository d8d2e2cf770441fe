"""`testbed-transfer`: carries bytes over TCP, both ways.

``testbed-transfer serve MARK PORT BYTES`` says "ready", takes BYTES from one client and sends
as many; ``testbed-transfer ask MARK ADDRESS PORT BYTES`` does the other half, and prints how
many it got. MARK is that of the sockets, for policy rules.
"""

from __future__ import annotations

import socket
import sys

PATIENCE_S = 8.0
CHUNK = 65536
SO_MARK = 36


def take(sock: socket.socket, wanted: int) -> int:
    """Receive until it is all there, the other end closes, or nothing comes for too long."""
    got = 0
    while got < wanted:
        data = sock.recv(min(CHUNK, wanted - got))
        if not data:
            break
        got += len(data)
    return got


def serve(mark: int, port: int, number: int) -> None:
    """Serve one client."""
    with socket.create_server(("", port)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)  # of what it accepts, too
        listener.settimeout(PATIENCE_S)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            if take(sock, number) == number:
                sock.sendall(bytes(number))
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)


def ask(mark: int, address: str, port: int, number: int) -> None:
    """Send to a server, and take as much from it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        sock.settimeout(PATIENCE_S)
        sock.connect((address, port))
        sock.sendall(bytes(number))
        sys.stdout.write(f"{take(sock, number)}\n")


def main(argv: list[str]) -> None:
    """Serve or ask; a failure is one line on standard error, and status 1."""
    role, mark, *rest = argv
    try:
        if role == "serve":
            serve(int(mark), int(rest[0]), int(rest[1]))
        else:
            ask(int(mark), rest[0], int(rest[1]), int(rest[2]))
    except OSError as error:
        sys.exit(error.strerror or str(error))
