"""`testbed-resolve`: asks one DNS question as a C library does, and prints the answer.

Standard input is the message. Each server is asked over UDP, and over TCP where its answer was
truncated, until one answers. Standard output is a line with that server's address, then its
message; without an answer standard error says why, and the status is 1.
"""

from __future__ import annotations

import socket
import sys

PORT = 53
LONGEST = 65535
TRUNCATED = 2  # in the third byte of a message (RFC 1035, section 4.1.1)
CONFIGURATION = "/etc/resolv.conf"


def servers_here() -> list[str]:
    """Return the name servers of the node's resolv.conf(5)."""
    with open(CONFIGURATION, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
        lines = [line.split() for line in file]
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def exchange(server: str, query: bytes, seconds: float, kind: socket.SocketKind) -> bytes:
    """Ask one server over UDP or TCP; OSError when it does not answer."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, kind) as sock:
        sock.settimeout(seconds)
        sock.connect((server, PORT))
        if kind == socket.SOCK_DGRAM:
            sock.send(query)
            while True:
                data = sock.recv(LONGEST)
                if data[:2] == query[:2]:
                    return data
        sock.sendall(len(query).to_bytes(2, "big") + query)
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            more = sock.recv(LONGEST)
            if not more:
                raise OSError("connection closed")
            data += more
        return data[2:]


def ask(server: str, query: bytes, seconds: float) -> bytes:
    """Ask one server; OSError when it does not answer."""
    data = exchange(server, query, seconds, socket.SOCK_DGRAM)
    if len(data) > 2 and data[2] & TRUNCATED:
        data = exchange(server, query, seconds, socket.SOCK_STREAM)
    return data


def main(argv: list[str]) -> None:
    """`testbed-resolve SECONDS ATTEMPTS [SERVER…]`; without servers those of the node."""
    seconds, attempts, *servers = argv
    query = sys.stdin.buffer.read()
    servers = servers or servers_here()
    if not servers:
        sys.exit(f"no name server in {CONFIGURATION}")
    problems = []
    for server in servers * int(attempts):
        try:
            data = ask(server, query, float(seconds))
        except OSError as error:
            problems.append(f"{server}: {error.strerror or error}")
            continue
        sys.stdout.buffer.write(server.encode() + b"\n" + data)
        return
    sys.exit("; ".join(problems))
