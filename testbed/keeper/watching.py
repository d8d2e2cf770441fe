"""Those who watch a testbed: what they are told, and that nobody waits for a slow one.

They are told each new revision, each event, and what of the testbed's state has changed.
The state is looked at only while somebody watches: soon after something has happened,
else every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

Message = dict[str, Any]
Status = Callable[[], Message]

LIMIT = 1000  # messages that a watcher may be behind
LOOK_S = 2.0
GATHER_S = 0.1  # what happens within it is looked at once
SHARE = 5  # looking takes at most one part in so many of the time
AGE = re.compile(r"\b\d+ s ago")


class Watcher:
    """One who watches."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._missed = 0
        self._told = asyncio.Event()

    def tell(self, message: Message) -> None:
        """Keep a message until it is taken; one too many is only counted."""
        if self._missed or len(self._messages) >= LIMIT:
            self._missed += 1
        else:
            self._messages.append(message)
        self._told.set()

    async def next(self) -> Message:
        """Return the next message, or how many were missed after those before."""
        while not self._messages:
            if self._missed:
                missed, self._missed = self._missed, 0
                return {"event": "missed", "messages": missed}
            self._told.clear()
            await self._told.wait()
        return self._messages.popleft()


class Watchers:
    """All who watch. `status` gives the testbed's state as of `testbed status`."""

    def __init__(self, status: Status, elapsed: Callable[[], float]) -> None:
        self._status = status
        self._elapsed = elapsed
        self._watchers: list[Watcher] = []
        self._stirred = asyncio.Event()
        self._looker: asyncio.Task[None] | None = None
        self._states: dict[tuple[str, str], Message] = {}
        self._pending: list[Message] | None = None  # None: not looked yet

    @contextlib.contextmanager
    def joined(self) -> Iterator[Watcher]:
        """Add a watcher for the time of the block."""
        watcher = Watcher()
        self._watchers.append(watcher)
        if self._looker is None:
            self._looker = asyncio.create_task(self._look_on())
        elif self._pending is not None:
            watcher.tell(self._readiness(self._pending))
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
            if not self._watchers:
                self._looker.cancel()
                self._looker, self._states, self._pending = None, {}, None

    def tell(self, message: Message) -> None:
        """Tell everybody; nobody is waited for."""
        for watcher in self._watchers:
            watcher.tell(message)
        self.stir()

    def stir(self) -> None:
        """Note that the testbed's state may have changed."""
        self._stirred.set()

    async def _look_on(self) -> None:
        """Look again and again; as long as the testbed cannot be looked at, nothing is told."""
        while True:
            started = time.monotonic()
            self._stirred.clear()
            with contextlib.suppress(OSError, KeyError):
                self._look()
            took = time.monotonic() - started
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), max(LOOK_S, SHARE * took))
            await asyncio.sleep(max(GATHER_S, SHARE * took))

    def _look(self) -> None:
        """Tell what has changed since the last look; of the first one, only what is not ready."""
        status = self._status()
        states = dict(_states(status))
        if self._pending is not None:
            for key, row in states.items():
                if row != self._states.get(key):
                    self._tell_state(key, row)
            for key in self._states.keys() - states.keys():
                self._tell_state(key, {"ok": None, "state": "gone"})
        self._states = states
        pending = [
            {"title": title, "state": row["state"]}
            for (_, title), row in states.items()
            if not row["ok"]
        ]
        if pending != self._pending:
            self._pending = pending
            self._tell(self._readiness(pending))

    def _tell_state(self, key: tuple[str, str], row: Message) -> None:
        subject, title = key
        at = self._elapsed()
        self._tell({"event": "state", "at": at, "subject": subject, "title": title, **row})

    def _readiness(self, pending: list[Message]) -> Message:
        return {"event": "ready", "at": self._elapsed(), "ok": not pending, "pending": pending}

    def _tell(self, message: Message) -> None:
        for watcher in self._watchers:
            watcher.tell(message)


def _states(status: Message) -> Iterator[tuple[tuple[str, str], Message]]:
    """The state of each thing in a status, without ages, which change all the time."""
    for subject, rows in status.items():
        if subject == "faults" or not isinstance(rows, list):
            continue
        for row in rows:
            state = AGE.sub("some time ago", str(row["state"]))
            yield (subject, row["title"]), {"ok": row["ok"], "state": state}
