"""`testbed-stream`: constant requests to several addresses, and when answers were missing.

``testbed-stream echo PORT`` answers UDP. ``testbed-stream send TASK`` sends what TASK, a JSON
object, says: ``interval`` and ``grace`` in seconds (after which a request counts as
lost) and ``flows``, each with ``to``, ``protocol`` ("icmp", "udp"), ``port`` and
``count``, how many sockets (and so source ports) it has. It prints a JSON object
five times a second: ``clean``, the shortest time since any socket has lost a
request, or since a line ``watch``, and ``watched``, the time since that line. A line
``mark`` on its standard input begins a new phase; a line ``report`` prints the gaps of
the phases since the last report: for each flow and phase the longest time between two
answered requests with unanswered ones between them, in ms (null while it still lasts),
and how many were sent and lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
import sys
import time
from typing import Any

TELL_S = 0.2
HEADER = struct.pack("!BBHHH", 8, 0, 0, 0, 1)
NUMBER = struct.Struct("!I")


class Lane:
    """One socket of a flow: what it has sent when, and what was answered."""

    def __init__(self, flow: dict[str, Any]) -> None:
        self.icmp = flow["protocol"] == "icmp"
        kind = socket.IPPROTO_ICMP if self.icmp else 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, kind)
        self.sock.setblocking(False)
        self.sock.connect((flow["to"], 0 if self.icmp else flow["port"]))
        self.sent: list[float] = []
        self.answered = bytearray()
        self.first = 0  # of the requests, the first that has not been looked at
        self.lost_at = time.monotonic()

    def send(self, now: float) -> None:
        """Send the next request."""
        data = NUMBER.pack(len(self.sent))
        self.sent.append(now)
        self.answered.append(0)
        with contextlib.suppress(OSError):
            self.sock.send(HEADER + data if self.icmp else data)

    def receive(self) -> None:
        """Take in all answers that are there."""
        with contextlib.suppress(OSError):
            while True:
                data = self.sock.recv(100)
                (number,) = NUMBER.unpack_from(data, len(HEADER) if self.icmp else 0)
                if number < len(self.answered):
                    self.answered[number] = 1

    def clean_s(self, now: float, grace: float) -> float:
        """For how long nothing has been lost, as far as that is known."""
        while self.first < len(self.sent):
            at = self.sent[self.first]
            if not self.answered[self.first]:
                if now - at < grace:
                    return at - self.lost_at
                self.lost_at = at
            self.first += 1
        return now - self.lost_at

    def gap_ms(self, start: int, end: int) -> float | None:
        """The longest gap that begins with a request of start to end; None: it has not ended."""
        longest, number = 0.0, start
        while number < end:
            if self.answered[number]:
                number += 1
                continue
            after = self.answered.find(1, number)
            if after < 0:
                return None
            before = self.sent[number - 1] if number else self.sent[number]
            longest = max(longest, self.sent[after] - before)
            number = after
        return longest * 1000


class Sender:
    """All flows of a node."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.interval, self.grace = task["interval"], task["grace"]
        self.flows = [[Lane(flow) for _ in range(flow["count"])] for flow in task["flows"]]
        self.lanes = [lane for flow in self.flows for lane in flow]
        self.marks = [0]
        self.watched_at = time.monotonic()

    def report(self, now: float) -> list[list[dict[str, Any]]]:
        """By flow and phase; what may still be answered is left out."""
        ends = [*self.marks[1:], self._settled(now)]
        phases = list(zip(self.marks, ends, strict=True))
        self.marks = [len(self.lanes[0].sent)]
        return [[self._phase(flow, *phase) for phase in phases] for flow in self.flows]

    def _settled(self, now: float) -> int:
        times = self.lanes[0].sent
        number = len(times)
        while number and now - times[number - 1] < self.grace:
            number -= 1
        return number

    @staticmethod
    def _phase(flow: list[Lane], start: int, end: int) -> dict[str, Any]:
        gaps = [lane.gap_ms(start, end) for lane in flow]
        lost = sum(lane.answered[start:end].count(0) for lane in flow)
        longest = None if None in gaps else max(gap or 0.0 for gap in gaps)
        return {"gap_ms": longest, "lost": lost, "sent": max(end - start, 0) * len(flow)}

    def run(self) -> None:
        """Send, receive, tell, until standard input ends."""
        selector = selectors.DefaultSelector()
        selector.register(0, selectors.EVENT_READ)
        for lane in self.lanes:
            selector.register(lane.sock, selectors.EVENT_READ, lane)
        due = told = time.monotonic()
        while True:
            for key, _ in selector.select(max(due - time.monotonic(), 0)):
                if key.data is not None:
                    key.data.receive()
                elif not self.obey(os.read(0, 4096)):
                    return
            now = time.monotonic()
            if now >= due:
                for lane in self.lanes:
                    lane.send(now)
                due = max(due + self.interval, now)
            if now - told >= TELL_S:
                told = now
                clean = min(lane.clean_s(now, self.grace) for lane in self.lanes)
                say({"clean": clean, "watched": now - self.watched_at})

    def obey(self, words: bytes) -> bool:
        """Do what standard input says; False at its end."""
        for word in words.split():
            if word == b"mark":
                self.marks.append(len(self.lanes[0].sent))
                say({"marked": len(self.marks)})
            elif word == b"watch":
                self.watched_at = time.monotonic()
                for lane in self.lanes:
                    lane.lost_at = self.watched_at
                say({"lanes": len(self.lanes)})
            elif word == b"report":
                say({"report": self.report(time.monotonic())})
        return bool(words)


def say(message: dict[str, Any]) -> None:
    """Print a message."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def echo(port: int) -> None:
    """Answer every datagram, for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        say({"ready": port})
        while True:
            with contextlib.suppress(OSError):
                data, peer = sock.recvfrom(2000)
                sock.sendto(data, peer)


def main(argv: list[str]) -> None:
    """`testbed-stream echo PORT` or `testbed-stream send TASK`."""
    role, what = argv
    if role == "echo":
        echo(int(what))
    else:
        Sender(json.loads(what)).run()
