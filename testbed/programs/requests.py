"""`testbed-prober`: sends many requests from one node at once and says what came of each.

Runs as a process of its own inside a node, maybe in an emulated guest:
standard library only. Standard input is a JSON object: ``seconds`` to wait
for an answer, and ``probes``, a list of [address, protocol, port]. Standard
output is a JSON list with, for each, ``answered``, ``refused`` (the far end
itself said no: TCP's RST, ICMP's port unreachable), ``silent``, or what else
an ICMP error or the own kernel said.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
import struct
import sys
import time

ANSWERED, REFUSED, SILENT = "answered", "refused", "silent"
PAYLOAD = b"testbed reach"
ECHO_REQUEST, ECHO_REQUEST6 = (
    struct.pack("!BBHHH", kind, 0, 0, 0, 1) + PAYLOAD for kind in (8, 128)
)
IP_RECVERR, IPV6_RECVERR = 11, 25
AT_ONCE = 400  # requests, with a descriptor for each
Probe = tuple[str, str, int]


def start(address: str, protocol: str, port: int) -> socket.socket:
    """Send one request; OSError where the node itself cannot."""
    six = ":" in address
    family = socket.AF_INET6 if six else socket.AF_INET
    if protocol == "tcp":
        sock = socket.socket(family, socket.SOCK_STREAM)
    elif protocol == "udp":
        sock = socket.socket(family, socket.SOCK_DGRAM)
    else:
        icmp = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
        sock = socket.socket(family, socket.SOCK_DGRAM, icmp)
    try:
        sock.setblocking(False)
        if protocol == "tcp":
            with contextlib.suppress(BlockingIOError):
                sock.connect((address, port))
        else:
            level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
            sock.setsockopt(level, IPV6_RECVERR if six else IP_RECVERR, 1)
            sock.connect((address, port if protocol == "udp" else 0))
            echo = ECHO_REQUEST6 if six else ECHO_REQUEST
            sock.send(PAYLOAD if protocol == "udp" else echo)
    except BaseException:
        sock.close()
        raise
    return sock


def outcome(sock: socket.socket) -> str:
    """What made the socket ready."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not code and sock.type != socket.SOCK_STREAM:
        try:
            sock.recv(2000)
        except OSError as error:
            code = error.errno or errno.EIO
    return spoken(code) if code else ANSWERED


def spoken(code: int) -> str:
    """An error in words; what is only too late is silence."""
    if code == errno.ECONNREFUSED:
        return REFUSED
    return SILENT if code == errno.ETIMEDOUT else os.strerror(code).lower()


def probe(probes: list[Probe], seconds: float) -> list[str]:
    """Send these, wait, and say what came of each."""
    results = [SILENT] * len(probes)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for index, entry in enumerate(probes):
            try:
                sock = stack.enter_context(start(*entry))
            except OSError as error:
                results[index] = spoken(error.errno or errno.EIO)
                continue
            tcp = sock.type == socket.SOCK_STREAM
            selector.register(sock, selectors.EVENT_WRITE if tcp else selectors.EVENT_READ, index)
        deadline = time.monotonic() + seconds
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                assert isinstance(key.fileobj, socket.socket)
                results[key.data] = outcome(key.fileobj)
                selector.unregister(key.fileobj)
    return results


def main(_: list[str]) -> None:
    """`testbed-prober`."""
    task = json.load(sys.stdin)
    probes, results = task["probes"], []
    for first in range(0, len(probes), AT_ONCE):
        results += probe(probes[first : first + AT_ONCE], task["seconds"])
    json.dump(results, sys.stdout)
