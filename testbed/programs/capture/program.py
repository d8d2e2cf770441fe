"""`testbed-capture`: reads packet sockets that the keeper has opened, writes one pcapng file.

Its argument is the number of a descriptor with its task as JSON. It ends when
its standard input does, after `seconds`, or with the `count`-th packet; then
standard error has the counts as one line of JSON. Packets are written in the
order of their times: one is held back until none before it can still come.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any

from testbed.programs.capture import pcapng

SOL_PACKET, PACKET_STATISTICS, PACKET_AUXDATA = 263, 6, 8
SCM_TIMESTAMPNS = 35
VLAN_VALID, VLAN_TPID_VALID = 0x10, 0x40
OUTGOING = 4
ADDRESSES = 12  # bytes before the EtherType, where a VLAN tag belongs
AT_ONCE = 512  # packets of one interface, before others have their turn
AUXDATA = struct.Struct("=IIIHHHH")
TIMESPEC = struct.Struct("=qq")
ROOM = socket.CMSG_SPACE(AUXDATA.size) + socket.CMSG_SPACE(TIMESPEC.size)
Entry = tuple[int, int, bytes, int]  # time, number of the interface, block, length


class Source:
    """One interface: its socket and what came from it."""

    def __init__(self, number: int, row: dict[str, Any], buffer: bytearray) -> None:
        self.number = number
        self.socket = socket.socket(fileno=row["descriptor"])
        self.loopback = bool(row["loopback"])
        self.packets = 0
        self.bytes = 0
        self.received = 0
        self.dropped = 0
        self._buffer = buffer
        self._view = memoryview(buffer)

    def read(self, into: list[Entry]) -> int | None:
        """Take what is there; the time of the last packet where there may be more."""
        last = None
        for _ in range(AT_ONCE):
            try:
                size, parts, _, address = self.socket.recvmsg_into(
                    [self._buffer], ROOM, socket.MSG_DONTWAIT | socket.MSG_TRUNC
                )
            except BlockingIOError:
                return None
            except OSError:  # the interface has gone down; it may come up again
                continue
            outgoing = address[2] == OUTGOING
            if outgoing and self.loopback:
                continue  # it comes in again, as the same packet
            data = bytes(self._view[: min(size, len(self._buffer))])
            last, tag = _auxiliary(parts)
            if tag:
                data = data[:ADDRESSES] + tag + data[ADDRESSES:]
            direction = pcapng.OUTBOUND if outgoing else pcapng.INBOUND
            length = size + len(tag)
            block = pcapng.packet(self.number, last, data, length, direction)
            into.append((last, self.number, block, length))
        return last

    def count_drops(self) -> None:
        """Ask the kernel how many there were, and for how many there was no room."""
        raw = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        received, dropped = struct.unpack("=II", raw)
        self.received += received
        self.dropped += dropped


def _auxiliary(parts: list[tuple[int, int, bytes]]) -> tuple[int, bytes]:
    """A packet's time in ns, and the VLAN tag that the kernel keeps apart from it."""
    ns, tag = 0, b""
    for level, kind, data in parts:
        if level == socket.SOL_SOCKET and kind == SCM_TIMESTAMPNS:
            seconds, rest = TIMESPEC.unpack_from(data)
            ns = seconds * 1_000_000_000 + rest
        elif level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = AUXDATA.unpack_from(data)
            if status & VLAN_VALID:
                known = tpid if status & VLAN_TPID_VALID else 0x8100
                tag = struct.pack("!HH", known, tci)
    return ns, tag


class Program:
    """The whole capture."""

    def __init__(self, task: dict[str, Any]) -> None:
        buffer = bytearray(pcapng.SNAPLEN)
        rows = task["interfaces"]
        self.sources = [Source(number, row, buffer) for number, row in enumerate(rows)]
        self._left = task.get("count") or None
        self._seconds = task.get("seconds")
        self._slack = int(task.get("slack_ns", 0))
        self._held: list[Entry] = []
        self._started = time.time_ns()
        head = pcapng.section(
            comment=task["comment"], system=task["system"], application=task["application"]
        )
        blocks = (
            pcapng.interface(row["link_type"], row["name"], row["description"], task["filter"])
            for row in rows
        )
        write(head + b"".join(blocks))

    def run(self) -> None:
        """Capture until it is to end."""
        poller = select.epoll(len(self.sources) + 1)
        by_descriptor = {source.socket.fileno(): source for source in self.sources}
        for descriptor in (0, *by_descriptor):
            poller.register(descriptor, select.EPOLLIN)
        end = None if self._seconds is None else time.monotonic() + self._seconds
        ended = False
        while not ended and self._left != 0:
            safe = time.time_ns() - self._slack
            for descriptor, _ in poller.poll(self._timeout(end)):
                if descriptor == 0:
                    ended = ended or not os.read(0, 4096)
                elif (last := by_descriptor[descriptor].read(self._held)) is not None:
                    safe = min(safe, last)
            ended = ended or (end is not None and time.monotonic() >= end)
            self._write_until(safe)
        self._finish()

    def _timeout(self, end: float | None) -> float | None:
        waits = [max(0.0, end - time.monotonic())] if end is not None else []
        if self._held:
            waits.append(self._slack / 1e9)
        return min(waits) if waits else None

    def _write_until(self, safe: int) -> None:
        """Write the packets that were seen until `safe`."""
        if not self._held:
            return
        self._held.sort(key=lambda entry: entry[:2])
        ready = 0
        for ns, number, _, length in self._held:
            if ns > safe or self._left == 0:
                break
            ready += 1
            source = self.sources[number]
            source.packets += 1
            source.bytes += length
            if self._left is not None:
                self._left -= 1
        write(b"".join(entry[2] for entry in self._held[:ready]))
        del self._held[:ready]

    def _finish(self) -> None:
        """Write what had come until now, and the counts."""
        now = time.time_ns()
        for source in self.sources:
            if self._left != 0:
                while (last := source.read(self._held)) is not None and last <= now:
                    pass
            source.count_drops()
        self._write_until(now)
        write(
            b"".join(
                pcapng.statistics(s.number, self._started, now, s.received, s.dropped)
                for s in self.sources
            )
        )
        counts = [[s.packets, s.bytes, s.dropped] for s in self.sources]
        sys.stderr.write(json.dumps({"counts": counts}) + "\n")


def write(data: bytes) -> None:
    """Write all of it to standard output."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main(argv: list[str]) -> None:
    """`testbed-capture DESCRIPTOR`."""
    with os.fdopen(int(argv[0])) as file:
        task = json.load(file)
    try:
        Program(task).run()
    except BrokenPipeError:
        sys.exit(1)
