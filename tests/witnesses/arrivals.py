"""Programs in the nodes that packets are for: raw sockets see what the kernel delivers there.

That is behind routing, reassembly and the rules of the input hook. Nothing of it is shared with
`testbed trace`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.control.process import RemoteProcess
    from testbed.testing import Testbed

READY, GRACE_S = "listening", 60.0
PROGRAM = """
import select, socket, sys
found = []
for family, numbers in ((socket.AF_INET, (1, 6, 17)), (socket.AF_INET6, (58, 6, 17))):
    for number in numbers:
        try:
            found.append((family, number, socket.socket(family, socket.SOCK_RAW, number)))
        except OSError:
            pass
by = {entry[2]: entry for entry in found}
for sock in by:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
print("listening", flush=True)
while True:
    ready = select.select([sys.stdin, *by], [], [])[0]
    for sock in ready:
        if sock is sys.stdin:
            sys.exit()
        family, number, _ = by[sock]
        data = sock.recv(65535)
        if family == socket.AF_INET:
            data = data[(data[0] & 15) * 4:]
        print(number, len(data), data[:64].hex(), flush=True)
"""


class Arrivals:
    """What the kernel of one node has delivered, as long as its program runs."""

    def __init__(self, process: RemoteProcess) -> None:
        self._process = process
        self._rows: list[tuple[int, int, bytes]] = []

    def end(self) -> None:
        """Take in what it has seen."""
        self._process.close_stdin()
        done = self._process.wait(GRACE_S)
        lines = (line.split() for line in done.text.splitlines() if line != READY)
        self._rows = [(int(n), int(size), bytes.fromhex(data)) for n, size, data in lines]

    def got_request(self, cookie: int, size: int) -> bool:
        """Whether a request with the cookie came whole: `size` bytes behind the IP header."""
        return any(
            kind(number, data, cookie) == "request" and length == size
            for number, length, data in self._rows
        )

    def got_answer(self, cookie: int, port: int) -> bool:
        """Whether an answer to it came: a reply, a reset, or that its port is closed."""
        return any(
            kind(number, data, cookie, port) in {"answer", "closed"}
            for number, _, data in self._rows
        )


def kind(number: int, data: bytes, cookie: int, port: int = 0) -> str:
    """What a packet is to the probe of a cookie: request, answer, closed, or nothing."""
    mark = cookie.to_bytes(4, "big")
    if number in {1, 58}:
        return _icmp(data, mark)
    if number == 6:
        if data[4:8] == mark and data[13] & 0x12 == 2:
            return "request"
        acknowledged = int.from_bytes(data[8:12], "big") - cookie
        return "answer" if 1 <= acknowledged <= 1 << 16 and data[13] & 0x10 else ""
    if data[8:12] != mark:
        return ""
    return "answer" if port and int.from_bytes(data[:2], "big") == port else "request"


def _icmp(data: bytes, mark: bytes) -> str:
    kinds = {8: "request", 128: "request", 0: "answer", 129: "answer"}
    if data[0] in kinds:
        return kinds[data[0]] if data[8:12] == mark else ""
    closed = data[:2] in {b"\x03\x03", b"\x01\x04"}
    return "closed" if closed and mark in data else ""


@contextlib.contextmanager
def arrivals(testbed: Testbed, nodes: Iterable[str]) -> Iterator[dict[str, Arrivals]]:
    """Listen in these nodes while the block runs."""
    argv = ["python3", "-S", "-c", PROGRAM]
    found: dict[str, Arrivals] = {}
    for name in nodes:
        process = testbed.client.popen(name, argv)
        assert READY in next(process.chunks()).decode()
        found[name] = Arrivals(process)
    yield found
    for each in found.values():
        each.end()
