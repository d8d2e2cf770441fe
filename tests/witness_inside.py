"""Runs inside a node: on each line of standard input, prints the state of all namespaces, as JSON.

Standard input begins with a line of JSON: the names of nodes by the inode of their network
namespace. Namespaces are entered by the descriptors that the keeper, process 1, has of them; what
is read is read by netlink, so that no process is started.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
DONE, ERROR = 3, 2
RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE = 22, 26, 30, 34
SOCK_DIAG, CONNTRACK = 20, 0x0101
NETFILTER, INET_DIAG = 12, 4
CLONED = 0x200
TICKS = 100  # a second, as the kernel tells it
ESTABLISHED = 1

BGP = 179
COUNTED = ("Slave Interface", "Failure", "Churn", "Aggregator ID")
SEEN_REPLY = 2  # of the status; that a flow is assured, it becomes by itself


def ask(family: int, kind: int, body: bytes) -> Iterator[bytes]:
    """The bodies of the messages of a dump."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family) as sock:
        sock.bind((0, 0))
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, DUMP, 1, 0) + body)
        while True:
            data = sock.recv(1 << 17)
            while len(data) >= 16:
                length, what = struct.unpack("=IH", data[:6])
                if what in (DONE, ERROR):
                    return
                yield data[16:length]
                data = data[(length + 3) & ~3 :]


def attributes(data: bytes) -> dict[int, bytes]:
    """Netlink attributes by type, without the flags of nesting and byte order."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack("=HH", data[:4])
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def ip(data: bytes | None) -> str:
    """An address in words; none is "*"."""
    return (
        socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)
        if data
        else "*"
    )


def routes() -> tuple[list[str], dict[str, float]]:
    """The routes of all tables; and the cached exceptions to them, with the seconds they stay."""
    own: list[str] = []
    cached: dict[str, float] = {}
    for body in ask(0, RTM_GETROUTE, struct.pack("=BBBBBBBBI", socket.AF_INET, *[0] * 8)):
        _, bits, _, _, table, protocol, _, kind, flags = struct.unpack("=BBBBBBBBI", body[:12])
        found = attributes(body[12:])
        table = struct.unpack("=I", found[15])[0] if 15 in found else table
        name = f"{ip(found.get(1))}/{bits} table {table}"
        if flags & CLONED:
            metrics = attributes(found.get(8, b""))
            mtu = struct.unpack("=I", metrics[2])[0] if 2 in metrics else 0
            (ticks,) = struct.unpack("=8xi", found[12][:12]) if 12 in found else (0,)
            if mtu:  # one that has had its time says nothing
                cached[f"{name} mtu {mtu}"] = ticks / TICKS
        else:
            hops = found.get(9, b"").hex() or f"{ip(found.get(5))} {found.get(4, b'').hex()}"
            own.append(f"{name} kind {kind} protocol {protocol} by {hops}")
    return sorted(own), cached


def rules() -> list[str]:
    """The policy rules."""
    request = struct.pack("=12B", socket.AF_INET, *[0] * 11)
    return sorted(body.hex() for body in ask(0, RTM_GETRULE, request))


def neighbours() -> list[str]:
    """Neighbours with a known or a fixed address, and those that were looked for in vain."""
    found = []
    for body in ask(0, RTM_GETNEIGH, struct.pack("=BBHiHBB", socket.AF_INET, *[0] * 6)):
        _, _, _, index, state, _, _ = struct.unpack("=BBHiHBB", body[:12])
        entry = attributes(body[12:])
        if not state & 0x40:  # NUD_NOARP
            mac = entry.get(2, b"").hex() or ("failed" if state & 0x20 else "sought")
            found.append(f"{ip(entry.get(1))} dev {index} {mac}")
    return sorted(found)


def sessions() -> list[str]:
    """The established TCP connections of BGP; the kernel's cookie tells one from the next."""
    request = struct.pack("=BBBBI", socket.AF_INET, 6, 0, 0, 1 << ESTABLISHED) + bytes(48)
    found = []
    for body in ask(INET_DIAG, SOCK_DIAG, request):
        sport, dport = struct.unpack("!HH", body[4:8])
        if BGP in (sport, dport):
            cookie = body[44:52].hex()
            found.append(f"{ip(body[8:12])}:{sport} {ip(body[24:28])}:{dport} {cookie}")
    return sorted(found)


def flow(data: bytes) -> tuple[str, str, int, int, int]:
    """A connection's source, destination, protocol and ports."""
    found = attributes(data)
    ends, ports = attributes(found[1]), attributes(found[2])

    def number(key: int) -> int:
        return struct.unpack("!H", ports[key])[0] if key in ports else 0

    return ip(ends.get(1)), ip(ends.get(2)), ports[1][0], number(2), number(3)


def connections() -> list[Any]:
    """What connection tracking knows: the flow, whether it was answered, the seconds it is kept."""
    found = []
    for body in ask(NETFILTER, CONNTRACK, struct.pack("=BBH", socket.AF_INET, 0, 0)):
        entry = attributes(body[4:])
        status = struct.unpack("!I", entry[3])[0] & SEEN_REPLY
        (seconds,) = struct.unpack("!I", entry[7]) if 7 in entry else (0,)
        found.append([*flow(entry[1]), status, seconds])
    return sorted(found)


def lacp() -> list[str]:
    """What bonding counts: failures of links and churn, which is looked for once, a minute on."""
    folder = Path("/proc/thread-self/net/bonding")
    return [
        f"{file.name} {line.strip()}".replace("monitoring", "none")
        for file in (sorted(folder.iterdir()) if folder.is_dir() else ())
        for line in file.read_text().splitlines()
        if any(word in line for word in COUNTED)
    ]


def state() -> dict[str, Any]:
    """All of the namespace that the thread is in."""
    own, cached = routes()
    return {
        "routes": own,
        "exceptions": cached,
        "rules": rules(),
        "neighbours": neighbours(),
        "sessions": sessions(),
        "connections": connections(),
        "lacp": lacp(),
    }


def logs() -> dict[str, int]:
    """The length of each daemon's log."""
    return {str(path): path.stat().st_size for path in Path("/run/node").glob("*/*.log")}


def main() -> None:
    """Answer each line."""
    library = ctypes.CDLL(None, use_errno=True)
    names = json.loads(sys.stdin.readline())
    handles = {}
    for entry in Path("/proc/1/fd").iterdir():
        target = str(entry.readlink())
        if target in names and names[target] not in handles:
            handles[names[target]] = os.open(entry, os.O_RDONLY)
    for _ in sys.stdin:
        found = {}
        for name, handle in handles.items():
            if library.setns(handle, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), name)
            found[name] = state()
        sys.stdout.write(json.dumps({"nodes": found, "logs": logs()}) + "\n")
        sys.stdout.flush()


main()
