"""The rack's end of the management channel."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import time
from collections import deque
from typing import Any

from testbed.programs import waiting
from testbed.programs.management.gauges import Gauges
from testbed.programs.management.metrics import Sample
from testbed.programs.management.peer import MISSED_BEATS, PORT, Peer, heartbeat_s

KEPT_S = 7 * 86400  # what an Outpost spools while it is disconnected (facts: H3)
CONNECT_TIMEOUT_S, SHORTEST_TRY_S = 2.0, 0.05
FIRST_WAIT_S = 0.2
BATCH = 200  # periods sent without an acknowledgement


class Spool:
    """What is measured and not acknowledged yet, in a file, too, to outlive the agent."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.entries: deque[dict[str, Any]] = deque()
        with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:  # noqa: PTH123
            self.entries.extend(json.loads(line) for line in file)

    def add(self, when: float, samples: list[Sample]) -> None:
        """Keep the samples of one period, and forget what is too old."""
        last = self.entries[-1]["sequence"] if self.entries else int(when)
        entry = {"sequence": last + 1, "time": when, "samples": samples}
        self.entries.append(entry)
        while self.entries[0]["time"] < when - KEPT_S:
            self.entries.popleft()
        with open(self.path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps(entry) + "\n")

    def acknowledge(self, sequence: int) -> None:
        """Forget what has been delivered."""
        while self.entries and self.entries[0]["sequence"] <= sequence:
            self.entries.popleft()
        if not self.entries:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108


class Agent:
    """The rack's end of the channel."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.period = float(config["period_s"])
        self.beat = heartbeat_s(self.period)
        self.gauges = Gauges(config)
        self.spool = Spool(config["spool"])
        self.trouble = ""
        self.sent = 0  # the highest sequence number sent on this connection

    def connect(self, until: float) -> Peer | None:
        """A connection to the Region's endpoint, if it can be had soon, and by `until`."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(SHORTEST_TRY_S, min(CONNECT_TIMEOUT_S, until - time.time())))
            sock.bind((self.config["source"], 0))
            sock.connect((self.config["endpoint"], PORT))
        except OSError as error:
            if str(error) != self.trouble:
                self._say(f"no connection to {self.config['endpoint']}: {error}")
            self.trouble = str(error)
            sock.close()
            return None
        self.trouble = ""
        self._say(f"connected to {self.config['endpoint']}")
        peer = Peer(sock)
        peer.send({"outpost": self.config["outpost"]})
        self.sent = 0
        return peer

    @staticmethod
    def _say(text: str) -> None:
        print(text, flush=True)  # noqa: T201 - the program's log

    def run(self) -> None:
        """Measure and deliver until killed."""
        peer: Peer | None = None
        next_period = self._boundary()
        next_beat = wait = 0.0
        while True:
            now = time.time()
            if now >= next_period:
                self.spool.add(next_period, self.gauges.samples())
                next_period = self._boundary()
            if now >= next_beat:
                peer, well = self._beat(peer, next_period)
                # what is not well yet is looked at again soon, then less and less often
                wait = self.beat if well else min(self.beat, max(2 * wait, FIRST_WAIT_S))
                next_beat = time.time() + wait
            if peer is not None:
                peer = self._exchange(peer, min(next_beat, next_period))
                next_beat = next_beat if peer else 0.0
                wait = wait if peer else 0.0
            else:
                waiting.sleep(min(next_beat, next_period) - time.time())

    def _boundary(self) -> float:
        """The end of the period that is now."""
        return (time.time() // self.period + 1) * self.period

    def _beat(self, peer: Peer | None, until: float) -> tuple[Peer | None, bool]:
        """Tell that we live: the connection, if any, and whether all is well.

        A peer that has not answered for too long is given up.
        """
        if peer is not None and time.time() - peer.heard > MISSED_BEATS * self.beat:
            self._say("the endpoint does not answer any more")
            peer.sock.close()
            peer = None
        peer = peer or self.connect(until)
        if peer is None:
            return None, False
        connected = self.gauges.connected()
        with contextlib.suppress(OSError):
            peer.send({"heartbeat": time.time(), "connected": connected})
        return peer, connected

    def _exchange(self, peer: Peer, until: float) -> Peer | None:
        """Send what is spooled, a batch ahead, and take acknowledgements until a time."""
        try:
            while True:
                first = self.spool.entries[0]["sequence"] if self.spool.entries else 0
                for entry in self.spool.entries:
                    if self.sent < entry["sequence"] < first + BATCH:
                        peer.send(entry)
                        self.sent = entry["sequence"]
                left = until - time.time()
                if left <= 0:
                    return peer
                with waiting.Selector() as selector:
                    events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outbox else 0)
                    selector.register(peer.sock, events)
                    for _, mask in selector.select(left):
                        if mask & selectors.EVENT_WRITE:
                            peer.flush()
                        if mask & selectors.EVENT_READ:
                            for message in peer.receive():
                                self.spool.acknowledge(int(message.get("acknowledged", 0)))
        except OSError as error:
            self._say(f"the connection broke: {error}")
            peer.sock.close()
            return None
