"""What happens in a testbed, with the time at which it does, by the testbed's own clock.

Interfaces, LACP and routes are told by the kernel; sessions of BGP and BFD by
the daemons, in their logs. What is read is the change of a state; a state
that comes and goes within one moment may be missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError
from testbed.kernel.inotify import IN_MODIFY, Inotify
from testbed.kernel.monitor import Monitor
from testbed.plan.files import files_of
from testbed.plan.model import NODE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from testbed.keeper.clock import Clock
    from testbed.plan.model import Plan

KEPT = 100_000
FIELDS = ("at", "node", "kind", "subject", "state")
SHORTEST_LOOK_S = 0.1  # as often as the kernel's own LACP looks at its state
SETTLED_AFTER_S = 200.0  # more than twice LACP's slow timeout

# BIRD with `debug protocols { states }`: "… <TRACE> NAME: State changed to up", and of its BFD
# with events: "… <TRACE> NAME: Session to 10.0.0.1 changed state from Up to Down".
BIRD_STATE = re.compile(r"> (?P<subject>\w+): State changed to (?P<state>\w+)$")
BIRD_BFD = re.compile(r"Session to (?P<subject>\S+) changed state from \w+ to (?P<state>\w+)")
FRR_BGP = re.compile(
    r"%ADJCHANGE: neighbor (?P<subject>\S+?)\(.*?\) in vrf (?P<vrf>\S+) "
    r"(?P<state>Up|Down)(?: (?P<why>.*))?$"
)
BIRD_SESSION = re.compile(r"^\s*protocol bgp (\w+)", re.MULTILINE)


def session_change(line: str, sessions: Container[str]) -> tuple[str, str, str] | None:
    """Kind, subject and state of the session whose change a daemon's log line tells of.

    `sessions` are BIRD's protocols that are BGP sessions: others have states, too.
    """
    if match := FRR_BGP.search(line):
        state = "Established" if match["state"] == "Up" else f"down: {match['why'] or 'unknown'}"
        return "bgp", f"{match['subject']} vrf {match['vrf']}", state
    if match := BIRD_BFD.search(line):
        return "bfd", match["subject"], match["state"]
    if (match := BIRD_STATE.search(line)) and match["subject"] in sessions:
        return "bgp", match["subject"], "Established" if match["state"] == "up" else match["state"]
    return None


def _row(event: tuple[float, str, str, str, str]) -> dict[str, Any]:
    return dict(zip(FIELDS, event, strict=True))


class Recorder:
    """Watches a testbed's nodes and keeps what has changed; `tell` hears of each event, too."""

    def __init__(self, clock: Clock, tell: Callable[[dict[str, Any]], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._events: deque[tuple[float, str, str, str, str]] = deque(maxlen=KEPT)
        self._count = 0
        self._looking: set[str] = set()
        self._sessions: dict[str, frozenset[str]] = {}
        self._monitors: dict[str, tuple[int, Monitor]] = {}
        self._logs: dict[int, tuple[str, Path]] = {}
        self._offsets: dict[Path, int] = {}
        self._inotify: Inotify | None = None

    def to_json(self, since: float = 0.0) -> dict[str, Any]:
        """The events since then (s) that are kept, oldest first, and how many are no longer."""
        events = [_row(event) for event in self._events if event[0] >= since]
        return {"events": events, "dropped": self._count - len(self._events)}

    @property
    def kept(self) -> int:
        """How many events are kept."""
        return len(self._events)

    def follow(self, plan: Plan, namespaces: dict[str, int]) -> None:
        """Watch these nodes from now on; those that are watched already are not disturbed."""
        loop = asyncio.get_running_loop()
        identities = {node: os.fstat(descriptor).st_ino for node, descriptor in namespaces.items()}
        for node, (identity, _) in list(self._monitors.items()):
            if identities.get(node) != identity:  # it has gone, or was built anew
                self._forget(node)
        for node, descriptor in namespaces.items():
            if node not in self._monitors:
                monitor = Monitor(descriptor)
                self._monitors[node] = identities[node], monitor
                loop.add_reader(monitor, self._read_monitor, node, monitor)
                if monitor.unsettled:
                    self._settle(node, monitor, self._clock.elapsed())
        for entry in plan.nodes:
            text = "".join(files_of(entry).values())
            self._sessions[entry.name] = frozenset(BIRD_SESSION.findall(text))
            for process in entry.processes:
                self._watch_log(entry.name, Path(NODE_DIRECTORY, entry.name, f"{process.name}.log"))

    def close(self) -> None:
        """Watch nothing any more: a socket would keep its namespace alive."""
        for node in list(self._monitors):
            self._forget(node)

    def _forget(self, node: str) -> None:
        _, monitor = self._monitors.pop(node)
        asyncio.get_running_loop().remove_reader(monitor)
        monitor.close()

    def add(self, node: str, kind: str, subject: str, state: str) -> None:
        """Record that something has happened just now."""
        self._count += 1
        # The same few texts come again and again: kept once, an event takes some 100 bytes.
        once = sys.intern
        event = (self._clock.elapsed(), once(node), once(kind), once(subject), once(state))
        self._events.append(event)
        self._tell({"event": "occurred", **_row(event)})

    def _read_monitor(self, node: str, monitor: Monitor) -> None:
        try:
            for change in monitor.read():
                self.add(node, *change)
        except OSError as error:  # more at once than its socket holds
            self.add(node, "trace", "kernel", f"incomplete: {error.strerror}")
        if monitor.unsettled:
            self._settle(node, monitor, self._clock.elapsed())

    def _settle(self, node: str, monitor: Monitor, since: float) -> None:
        """Look after a LAG that is changing until it no longer does, ever more rarely."""
        age = self._clock.elapsed() - since
        if node in self._looking or age > SETTLED_AFTER_S:
            return
        self._looking.add(node)
        delay = max(SHORTEST_LOOK_S, age / 20)
        asyncio.get_running_loop().call_later(delay, self._look, node, monitor, since)

    def _look(self, node: str, monitor: Monitor, since: float) -> None:
        self._looking.discard(node)
        if self._monitors.get(node, (0, None))[1] is not monitor:
            return
        with contextlib.suppress(OSError):  # the node has just gone
            changes = monitor.refresh()
            for change in changes:
                self.add(node, *change)
            if monitor.unsettled:
                self._settle(node, monitor, self._clock.elapsed() if changes else since)

    def _watch_log(self, node: str, path: Path) -> None:
        if path in self._offsets or not path.exists():
            return
        if self._inotify is None:
            try:
                self._inotify = Inotify()
            except OSError as error:
                hint = "allow more: sysctl fs.inotify.max_user_instances=1024"
                text = f"cannot watch the daemons' logs: {error.strerror}"
                raise HostError(text, hint=hint) from error
            asyncio.get_running_loop().add_reader(self._inotify, self._read_inotify)
        watch = self._inotify.add(path, IN_MODIFY)
        self._offsets[path] = 0
        if watch is not None:
            self._logs[watch] = node, path
            self._read_log(node, path)

    def _read_inotify(self) -> None:
        assert self._inotify is not None
        for watch in self._inotify.read():
            if watch in self._logs:
                self._read_log(*self._logs[watch])

    def _read_log(self, node: str, path: Path) -> None:
        """Take in the whole lines that have been added."""
        with contextlib.suppress(OSError), path.open("rb") as file:
            file.seek(self._offsets[path])
            whole, newline, _ = file.read().rpartition(b"\n")
            self._offsets[path] += len(whole) + len(newline)
            for line in whole.decode(errors="replace").splitlines():
                if change := session_change(line, self._sessions[node]):
                    self.add(node, *change)
