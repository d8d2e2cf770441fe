"""`testbed-link-meter`: sends frames at one end of a link, and tells how they arrive at the other.

It runs in the nodes at both ends. Frames are Ethernet's
own, of the Ethertype for local experiments (IEEE 802 clause 9.2.4), so that
members of LAGs and interfaces without an address can be measured, too. Both
ends read the same kernel's clock, so that one-way delays are exact.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import struct
import time

ETHERTYPE = 0x88B5
EVERY_PROTOCOL = 0x0003  # ETH_P_ALL
OUTGOING = 4  # PACKET_OUTGOING
SMALL, LARGE = 64, 1400  # bytes of the frames that measure delay and loss, and the rate
STEADY, BURST = 0, 1
SO_TIMESTAMPNS = 35
BROADCAST = b"\xff" * 6
HEAD = struct.Struct("!6s6sH")
BODY = struct.Struct("!16sBIq")  # run, kind, sequence number, when sent in ns
STAMP = struct.Struct("=qq")
TYPE = ETHERTYPE.to_bytes(2, "big")
LEAST = HEAD.size + BODY.size
CHUNK = 2048


def _socket(interface: str) -> socket.socket:
    """A socket that hears all protocols: a bridge leaves nothing to those for one of them."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    made.bind((interface, EVERY_PROTOCOL))
    return made


def send(interface: str, run: bytes, count: int, spacing_s: float, burst: int) -> None:
    """Send `count` small frames, evenly spaced, then `burst` large ones at once."""
    with _socket(interface) as sock:
        source = sock.getsockname()[4]
        head = HEAD.pack(BROADCAST, source[:6].ljust(6, b"\0"), ETHERTYPE)
        begin = time.monotonic()
        for number in range(count):
            wait = begin + number * spacing_s - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            body = BODY.pack(run, STEADY, number, time.time_ns())
            _send(sock, (head + body).ljust(SMALL, b"\0"))
        for number in range(burst):
            body = BODY.pack(run, BURST, number, time.time_ns())
            _send(sock, (head + body).ljust(LARGE, b"\0"))


def _send(sock: socket.socket, frame: bytes) -> None:
    """Send a frame. One that the queue has no room for is as lost as any other."""
    try:
        sock.send(frame)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise


def receive(interface: str, run: bytes, idle_s: float) -> dict[str, list[list[int]]]:
    """Receive until nothing has come for so long.

    For each kind of frame its arrivals in order: sequence number, when it was
    sent and when it arrived in ns.
    """
    arrivals: dict[str, list[list[int]]] = {"steady": [], "burst": []}
    with _socket(interface) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sock.settimeout(idle_s)
        print("ready", flush=True)  # noqa: T201 - a program's output
        heard = time.monotonic()
        with contextlib.suppress(TimeoutError):
            while True:
                data, extra, _, sender = sock.recvmsg(CHUNK, 256)
                if sender[2] == OUTGOING or data[12:14] != TYPE or len(data) < LEAST:
                    if time.monotonic() - heard > idle_s:
                        break
                    continue
                heard = time.monotonic()
                of, kind, number, sent = BODY.unpack_from(data, HEAD.size)
                if of == run:
                    row = [number, sent, _stamp(extra)]
                    arrivals["burst" if kind == BURST else "steady"].append(row)
    return arrivals


def _stamp(extra: list[tuple[int, int, bytes]]) -> int:
    """When the kernel received a frame, in ns."""
    for level, kind, value in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = STAMP.unpack(value[: STAMP.size])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()


def main(argv: list[str]) -> None:
    """`send INTERFACE RUN COUNT SPACING BURST` or `receive INTERFACE RUN IDLE`."""
    action, interface, run, *rest = argv
    tag = run.encode().ljust(16, b"\0")[:16]
    if action == "send":
        count, spacing, burst = rest
        send(interface, tag, int(count), float(spacing), int(burst))
    else:
        print(json.dumps(receive(interface, tag, float(rest[0]))))  # noqa: T201
