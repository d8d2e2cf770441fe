"""`testbed-requests`: sends requests, many at once, and prints what came back for each, as JSON.

Standard input is a JSON object: ``seconds`` to wait, and ``requests``, each an
object with ``to`` (an address), ``protocol`` ("icmp", "tcp", "udp"), ``port``,
and if wanted ``size`` (bytes of the IP packet, sent with DF; ICMP only),
``source`` (an address of the node's), ``device`` (an interface or VRF),
``source_port`` and ``mark`` (of the socket, for policy rules). The output is a
list of objects: ``answer`` ("reply", "open", "refused" or null), ``error``, the
ICMP error's ``sender`` and ``mtu``, the answer's ``ttl`` and ``peer``,
``local`` where this node's kernel did not send it, and ``ms``, how long it took.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import struct
import sys
import time
from typing import Any

IP_MTU_DISCOVER, PROBE, DONT = 10, 3, 0
IP_RECVERR, IP_RECVTTL, IP_TTL = 11, 12, 2
IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 23, 25, 51, 52
SO_MARK = 36
MSG_ERRQUEUE = 0x2000
FROM_ICMP, FROM_ICMPV6 = 2, 3
HEADERS, HEADERS_IPV6 = 28, 48
PAYLOAD = b"testbed"
BROADCAST = "255.255.255.255"
AT_ONCE = 400  # requests, with a descriptor for each
ECHO, ECHO_IPV6 = 8, 128
SOCKETS = {
    "icmp": (socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
    "udp": (socket.SOCK_DGRAM, 0),
    "tcp": (socket.SOCK_STREAM, 0),
}


def start(request: dict[str, Any]) -> socket.socket:
    """Send one request; its socket, which is not blocking. OSError where the node itself cannot."""
    protocol, size = request["protocol"], request.get("size")
    six = ":" in request["to"]
    kind, number = SOCKETS[protocol]
    number = socket.IPPROTO_ICMPV6 if six and number else number
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind, number)
    sock.setblocking(False)
    if device := request.get("device"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    if mark := request.get("mark"):
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    level = socket.IPPROTO_IPV6 if six else socket.SOL_IP
    sock.setsockopt(level, IPV6_RECVERR if six else IP_RECVERR, 1)
    if request["to"] == BROADCAST:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(level, IPV6_RECVHOPLIMIT if six else IP_RECVTTL, 1)
    if protocol != "tcp":
        option = IPV6_MTU_DISCOVER if six else IP_MTU_DISCOVER
        sock.setsockopt(level, option, PROBE if size else DONT)
    if request.get("source") or request.get("source_port"):
        sock.bind((request.get("source") or "", request.get("source_port") or 0))
    address = (request["to"], 0 if protocol == "icmp" else request["port"])
    code = sock.connect_ex(address)
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
    if protocol == "icmp":
        headers = HEADERS_IPV6 if six else HEADERS
        payload = PAYLOAD.ljust((size or 0) - headers, b"\0")
        sock.send(struct.pack("!BBHHH", ECHO_IPV6 if six else ECHO, 0, 0, 0, 1) + payload)
    elif protocol == "udp":
        sock.send(PAYLOAD)
    return sock


def icmp_error(sock: socket.socket) -> dict[str, Any] | None:
    """What the ICMP error says that the socket has got; None without one."""
    try:
        _, notes, _, _ = sock.recvmsg(4096, 512, MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in notes:
        if (level, kind) in {
            (socket.SOL_IP, IP_RECVERR),
            (socket.IPPROTO_IPV6, IPV6_RECVERR),
        }:
            code, origin, *_, info, _ = struct.unpack("=IBBBBII", data[:16])
            said: dict[str, Any] = {"error": errno.errorcode.get(code, str(code))}
            if origin == FROM_ICMP:
                said["sender"] = socket.inet_ntoa(data[20:24])
            elif origin == FROM_ICMPV6:
                said["sender"] = socket.inet_ntop(socket.AF_INET6, data[24:40])
            if code == errno.EMSGSIZE:
                said["mtu"] = info
            if code == errno.ECONNREFUSED:
                said = {"answer": "refused"}
            return said
    return None


def outcome(sock: socket.socket, asked: str) -> dict[str, Any] | None:
    """What came for a socket that is ready, and asks this address; None for nothing yet."""
    if said := icmp_error(sock):
        return said
    try:
        return received(sock, asked)
    except BlockingIOError:
        return None
    except ConnectionRefusedError:
        return {"answer": "refused"}
    except OSError as error:
        return {"error": word(error)}


def received(sock: socket.socket, asked: str) -> dict[str, Any] | None:
    """The answer; OSError where the socket has got an error instead.

    None for one that comes from another address than was asked: sockets for pings get it, too.
    """
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, "")
    if sock.type == socket.SOCK_STREAM:
        return {"answer": "open", "peer": sock.getpeername()[0]}
    _, notes, _, peer = sock.recvmsg(65536, 64)
    if peer[0].partition("%")[0] != asked.partition("%")[0] and asked != BROADCAST:
        return None
    ttl = [
        struct.unpack("=i", data)[0] for _, kind, data in notes if kind in {IP_TTL, IPV6_HOPLIMIT}
    ]
    return {"answer": "reply", "peer": peer[0], "ttl": ttl[0] if ttl else None}


def word(error: OSError) -> str:
    """The name of an error, such as EHOSTUNREACH."""
    return errno.errorcode.get(error.errno or 0, str(error.errno))


def begin(
    selector: selectors.BaseSelector,
    results: list[dict[str, Any]],
    index: int,
    request: dict[str, Any],
) -> None:
    """Send a request and have the selector watch for what comes back."""
    try:
        sock = start(request)
    except OSError as error:
        results[index]["error"] = word(error)
        results[index]["local"] = True
        return
    results[index]["at"] = time.monotonic()
    tcp = sock.type == socket.SOCK_STREAM
    selector.register(sock, selectors.EVENT_WRITE if tcp else selectors.EVENT_READ, index)


def ask(requests: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Send these, wait, and say what came of each."""
    selector = selectors.DefaultSelector()
    results: list[dict[str, Any]] = [{"answer": None, "error": None} for _ in requests]
    for index, request in enumerate(requests):
        begin(selector, results, index, request)
    deadline = time.monotonic() + seconds
    while selector.get_map() and (left := deadline - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            if (found := outcome(sock, requests[key.data]["to"])) is None:
                continue
            result = results[key.data]
            result.update(found, ms=(time.monotonic() - result["at"]) * 1000)
            selector.unregister(sock)
            sock.close()
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    selector.close()
    return results


def main(_: list[str]) -> None:
    """`testbed-requests`."""
    task = json.load(sys.stdin)
    requests, results = task["requests"], []
    for first in range(0, len(requests), AT_ONCE):
        results += ask(requests[first : first + AT_ONCE], task["seconds"])
    json.dump(results, sys.stdout)
