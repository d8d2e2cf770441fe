"""`testbed-fetch`: sends standard input over a TCP connection and prints what comes back.

It ends when the other end closes, or when nothing comes for SECONDS; a failure is one line
on standard error, and status 1.
"""

from __future__ import annotations

import socket
import sys

CHUNK = 65536


def main(argv: list[str]) -> None:
    """`testbed-fetch HOST PORT SECONDS`."""
    host, port, seconds = argv
    try:
        with socket.create_connection((host, int(port)), float(seconds)) as sock:
            sock.sendall(sys.stdin.buffer.read())
            while data := sock.recv(CHUNK):
                sys.stdout.buffer.write(data)
    except OSError as error:
        sys.exit(error.strerror or str(error))
