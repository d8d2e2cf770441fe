"""The testbed under check: what its file declares, what runs, and what checks often ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from testbed.plan.model import Plan
from testbed.testing import Testbed, eventually
from testbed.testing.polling import POLL_S
from testbed.topology.model import Topology

T = TypeVar("T")
SETTLE_S = 5.0  # what is on its way when a check begins: a handshake, an update of BGP


class Site:
    """A running testbed and the topology that it was built from."""

    def __init__(self, testbed: Testbed, topology: Topology) -> None:
        self.testbed = testbed
        self.topology = topology
        self._patience: float | None = None
        self._kept: dict[object, Any] = {}

    def once(self, key: object, look: Callable[[], T]) -> T:
        """What a look has found the first time: for what nothing changes while checks run."""
        if key not in self._kept:
            self._kept[key] = look()
        found: T = self._kept[key]
        return found

    @contextmanager
    def patience(self, longest: float | None) -> Iterator[None]:
        """Wait no longer than so many seconds for anything within the block; None: as ever."""
        before, self._patience = self._patience, longest
        try:
            yield
        finally:
            self._patience = before

    @property
    def plan(self) -> Plan:
        """What was built."""
        return self.testbed.plan

    def rows(self, kind: str, **wanted: object) -> list[dict[str, Any]]:
        """The rows of a kind ("lags", "bgp", …) of `testbed status` that have these members."""
        rows: list[dict[str, Any]] = self.testbed.status().get(kind) or []
        return [row for row in rows if all(row.get(key) == wanted[key] for key in wanted)]

    def row(self, kind: str, **wanted: object) -> dict[str, Any]:
        """The one row of a kind with these members; without one, a row that says so."""
        rows = self.rows(kind, **wanted)
        return rows[0] if rows else {"ok": False, "state": "not known to the testbed"}

    def settled(
        self,
        look: Callable[[], T],
        ok: Callable[[T], object],
        within: float,
        *,
        interval: float = POLL_S,
    ) -> T:
        """Look until it is ok or the time is over; what was seen last."""
        within = within if self._patience is None else min(within, self._patience)
        seen: list[T] = []

        def look_again() -> object:
            seen.append(look())
            return ok(seen[-1])

        try:
            self.testbed.eventually(look_again, within, interval=interval)
        except AssertionError:
            if not seen:
                raise
        return seen[-1]

    def answers(self, source: str, destination: str, **options: Any) -> Mapping[str, Any]:
        """Ping; the result as `testbed ping --json` prints it."""
        return self.testbed[source].ping(destination, **options).to_json()


__all__ = ["SETTLE_S", "Site", "eventually"]
