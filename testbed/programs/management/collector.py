"""The Region's end of the management channel."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import time
from bisect import insort
from typing import Any

from testbed.programs import waiting
from testbed.programs.management.metrics import FILE, Sample, prometheus
from testbed.programs.management.peer import MISSED_BEATS, PORT, Peer, heartbeat_s

SCRAPE_PORT = 9090
RETENTION_S = 15 * 86400  # CloudWatch's, for datapoints of one minute
HISTORY = 120  # datapoints of each metric in the file

Key = tuple[str, tuple[tuple[str, str], ...]]


class Store:
    """The datapoints that came, by metric and dimensions, in the order of their times."""

    def __init__(self) -> None:
        self.series: dict[Key, list[tuple[float, float, float]]] = {}

    def add(self, sample: Sample, when: float, delivered: float) -> None:
        """Keep a datapoint; one that came twice is kept once."""
        key = (sample["metric"], tuple(sample["dimensions"].items()))
        points = self.series.setdefault(key, [])
        if any(point[0] == when for point in reversed(points[-HISTORY:])):
            return
        insort(points, (when, float(sample["value"]), delivered))
        while points[0][0] < delivered - RETENTION_S:
            points.pop(0)

    def latest(self) -> list[Sample]:
        """The last datapoint of each metric."""
        return [_point(key, points[-1]) for key, points in self.series.items()]

    def history(self) -> list[list[Sample]]:
        """The last datapoints of each metric."""
        return [
            [_point(key, point) for point in points[-HISTORY:]]
            for key, points in self.series.items()
        ]


def _point(key: Key, point: tuple[float, float, float]) -> Sample:
    when, value, delivered = point
    metric, dimensions = key
    return {
        "metric": metric,
        "dimensions": dict(dimensions),
        "time": when,
        "value": value,
        "delivered": delivered,
    }


class Outpost:
    """What the collector knows of an Outpost's connection."""

    def __init__(self) -> None:
        self.heard = 0.0
        self.tunnels = False


class Collector:
    """Takes connections of agents and scrapes, until killed."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.directory = str(config["directory"])
        self.address = str(config["address"])
        self.period = float(config["period_s"])
        self.beat = heartbeat_s(self.period)
        self.outposts = {name: Outpost() for name in config["outposts"]}
        self.store = Store()
        self.selector = waiting.Selector()
        self.shown: dict[str, bool] = {}
        self.changed = False

    def run(self) -> None:
        """Serve until killed."""
        self._listen((self.address, PORT), self._take)
        self._listen(("", SCRAPE_PORT), self._scrape)
        next_period = self._boundary()
        self._write()
        while True:
            left = min(next_period, time.time() + self.beat) - time.time()
            for key, mask in self.selector.select(max(0.0, left)):
                key.data(mask)
            if time.time() >= next_period:
                self._connected_status(next_period)
                next_period = self._boundary()
            if self.changed or self.shown != self._connected():
                self._write()

    def _boundary(self) -> float:
        return (time.time() // self.period + 1) * self.period

    def _listen(self, address: tuple[str, int], accepted: Any) -> None:
        sock = socket.create_server(address, backlog=64)
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ, lambda _: accepted(sock.accept()[0]))

    def _connected(self) -> dict[str, bool]:
        """Each Outpost: whether it lives, and has a tunnel that works."""
        oldest = time.time() - MISSED_BEATS * self.beat
        return {name: o.tunnels and o.heard >= oldest for name, o in self.outposts.items()}

    def _connected_status(self, when: float) -> None:
        for name, connected in self._connected().items():
            dimensions = {"OutpostId": name}
            sample = {"metric": "ConnectedStatus", "dimensions": dimensions, "value": connected}
            self.store.add(sample, when, time.time())
        self._write()

    def _take(self, sock: socket.socket) -> None:
        peer = Peer(sock)
        name = ""

        def ready(_: int) -> None:
            nonlocal name
            try:
                for message in peer.receive():
                    name = str(message.get("outpost", name))
                    self._message(peer, self.outposts.get(name), message)
                peer.flush()
            except (OSError, KeyError, TypeError, ValueError):
                self.selector.unregister(sock)
                sock.close()

        self.selector.register(sock, selectors.EVENT_READ, ready)

    def _message(self, peer: Peer, outpost: Outpost | None, message: dict[str, Any]) -> None:
        if outpost is None:
            raise ConnectionError("of no Outpost that is known here")
        if "heartbeat" in message:
            outpost.heard, outpost.tunnels = time.time(), bool(message.get("connected"))
            peer.send({"heartbeat": message["heartbeat"]})
        if "samples" in message:
            now = time.time()
            for sample in message["samples"]:
                self.store.add(sample, float(message["time"]), now)
            peer.send({"acknowledged": message["sequence"]})
            self.changed = True

    def _scrape(self, sock: socket.socket) -> None:
        """Answer an HTTP request, whatever it asks for, with the last datapoints."""
        with contextlib.suppress(OSError), sock:
            sock.settimeout(self.beat)
            sock.recv(65536)
            body = prometheus(self.store.latest()).encode()
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            sock.sendall(head.encode() + body)

    def _write(self) -> None:
        """Let `testbed status` see what is here."""
        self.shown, self.changed = self._connected(), False
        text = json.dumps({"connected": self.shown, "series": self.store.history()})
        path = f"{self.directory}/{FILE}"
        with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        os.replace(f"{path}.new", path)  # noqa: PTH105
