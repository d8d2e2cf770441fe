"""Waiting until a testbed is what its plan says, and stays so.

What cannot become ready is told as soon as that is certain: a daemon that refuses its
configuration at once, a session that is refused or reset again and again after some
seconds, routes that do not come though all that could bring them is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError
from testbed.keeper.observer import NO_HANDSHAKE, Observer
from testbed.keeper.scope import Scope
from testbed.keeper.stability import Stability
from testbed.plan.checks import (
    BgpCheck,
    Check,
    LocalGatewayCheck,
    RouteCheck,
    TableRouteCheck,
    TunnelCheck,
)
from testbed.plan.model import Plan

if TYPE_CHECKING:
    from testbed.keeper.processes import ProcessTable
    from testbed.keeper.running import Running
    from testbed.kernel.apply import Kernel

SHORTEST_POLL_S = 0.05
CALL_AGAIN_S = (0.8, 0.4, 0.4, 0.4, 1.0, 2.0, 3.0)  # each longer than a round trip
QUIET_S = 35.0  # longer than the longest advertisement interval (30 s: RFC 4271, 10)
ROUTES = (RouteCheck, TableRouteCheck, LocalGatewayCheck)
ROUTERS = {"bird", "bgpd"}
Row = dict[str, Any]


@dataclass
class Look:
    """What was not ready, (title, state) of each, of how many, and why it will not be, if so."""

    pending: list[tuple[str, str]]
    total: int
    hopeless: str | None = None


async def watch(
    plan: Callable[[], Plan],
    kernel: Kernel,
    processes: ProcessTable,
    timeout_s: float,
    *,
    scope: Scope | None = None,
    at_least_s: float = 0.0,
) -> AsyncIterator[Look]:
    """Yield what is not ready yet, until all is, the time is over, or it is of no use to wait.

    All has to be ready after `at_least_s` seconds: what daemons have just been told may take
    some time to show.
    `plan` is asked each time: where it has become another one, that is waited for. `scope` says
    what of it, and may grow meanwhile.
    Raises HostError when a daemon of the plan dies meanwhile, or refused its configuration.
    """
    begun = time.monotonic()
    deadline = begun + timeout_s
    waits = iter(CALL_AGAIN_S)
    next_call = time.monotonic() + next(waits)
    scope = scope or Scope(everything=True)
    waiting = _Waiting(plan(), scope.checks(plan()), kernel, processes)
    while True:
        if waiting.plan is not plan():
            waiting = _Waiting(plan(), scope.checks(plan()), kernel, processes)
        started = time.monotonic()
        processes.reap()
        if dead := processes.dead():
            raise _died(dead[0])
        if refusing := processes.refusing():
            raise _refused(refusing[0])
        rows = waiting.look()
        now = time.monotonic()
        hopeless = waiting.hopeless(now) if rows else None
        pending = [(row["title"], _why(row)) for _, row in rows]
        yield Look(pending, len(waiting.checks), hopeless)
        if (not rows and now >= begun + at_least_s) or hopeless or now >= deadline:
            return
        if now >= next_call:
            next_call = now + next(waits, timeout_s)
            _call_again(kernel, rows)
        await asyncio.sleep(min(max(SHORTEST_POLL_S, now - started), deadline - now))


@dataclass
class _Waiting:
    """The checks of a plan that do not hold yet, and what is known of how that goes on."""

    plan: Plan
    checks: list[Check]
    kernel: Kernel
    processes: ProcessTable
    stability: Stability = field(default_factory=Stability)
    pending: list[Check] = field(init=False)
    last: object = None
    changed_at: float = 0.0

    def __post_init__(self) -> None:
        self.pending = self.checks

    def look(self) -> list[tuple[Check, Row]]:
        """What does not hold now."""
        rows = self._not_ok(self.pending)
        if not rows:  # what was ready first may have gone meanwhile
            rows = self._not_ok(self.checks)
        self.pending = [check for check, _ in rows]
        return rows

    def _not_ok(self, checks: list[Check]) -> list[tuple[Check, Row]]:
        observer = Observer(self.plan, self.kernel, self.processes)
        rows = []
        for check in checks:
            row = observer.row(check)
            if isinstance(check, BgpCheck):
                row = self.stability.judge(check, row, observer.refused_signatures)
            if not row["ok"]:
                rows.append((check, row))
        return rows

    def hopeless(self, now: float) -> str | None:
        """Why what does not hold will not come, if that is certain."""
        if reason := self.stability.hopeless():
            return reason
        if self.pending != self.last or not self._only_routes():
            self.last, self.changed_at = self.pending, now
        if now - self.changed_at < QUIET_S:
            return None
        return f"every session is up, and for {QUIET_S:g} s no route has come or gone"

    def _only_routes(self) -> bool:
        """Whether only routes lack, and all sessions that could bring them are known to be up.

        A configuration of the customer's own may have others, and OSPF, which takes its time.
        """
        checks = (check for check in self.plan.checks if isinstance(check, BgpCheck))
        known = {check.node for check in checks if check.protocol}
        return all(isinstance(check, ROUTES) for check in self.pending) and all(
            node.name in known
            for node in self.plan.nodes
            if ROUTERS & {process.name for process in node.processes}
        )


def _call_again(kernel: Kernel, rows: list[tuple[Check, Row]]) -> None:
    """Let tunnels without a handshake try now: the first time they did there was no route yet.

    By itself WireGuard tries again after five seconds only (REKEY_TIMEOUT). Not
    done without end: an answer that takes longer than that would never count.
    """
    for check, row in rows:
        if isinstance(check, TunnelCheck) and row["state"] == NO_HANDSHAKE:
            kernel.call_again(check.node, check.interface)


def _why(row: Row) -> str:
    reason = row.get("reason")
    return f"{row['state']} ({reason})" if reason else str(row["state"])


def _died(process: Running) -> HostError:
    tail = process.tail()
    return HostError(
        f"{process.name} in {process.node} {process.describe()}",
        hint=f"its log ends:\n{tail}" if tail else "it wrote nothing to its log",
    )


def _refused(process: Running) -> HostError:
    hint = f"{process.refused}; until that is corrected, it keeps its previous configuration"
    return HostError(f"{process.name} in {process.node} refused its configuration", hint=hint)
