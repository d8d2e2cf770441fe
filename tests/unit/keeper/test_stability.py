"""Ready means ready and stable, and what will never be ready is not waited for."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from testbed.keeper import readiness, sessions
from testbed.keeper.processes import ProcessTable
from testbed.keeper.running import Running
from testbed.kernel import observe
from testbed.kernel.apply import Kernel
from testbed.plan.checks import BgpCheck, Check, RouteCheck
from testbed.plan.model import Node, Plan
from testbed.plan.roles import Role

LIMIT = "Received: Maximum number of prefixes reached"
CHECK = BgpCheck("ond", "bird", "customer", "10.0.0.1", "ond - switch")
FRR_CHECK = BgpCheck("switch", "frr", "lgw", "10.0.0.2", "switch - ond")
ROUTE = RouteCheck("ond", 254, "10.1.0.0/16", "ond: 10.1.0.0/16")
Told = tuple[str, str | None, float]  # state, reason, when it got into it


class World:
    """Sessions whose state is a function of the time, which passes by `sleep` only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.session: Any = lambda _: ("Established", None, 0.0)
        self.signatures: Any = lambda _: (0, 0, 0)
        self.route_at = 1e9
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self._sleep)
        monkeypatch.setattr(sessions, "READ", {"bird": self._bird, "frr": self._frr})
        monkeypatch.setattr(sessions, "refused_signatures", lambda _: self.signatures(self.now))
        route = observe.RouteState(
            "10.1.0.0/16", 254, "unicast", "bird", 0, None, (observe.Hop(None, "eth0"),)
        )
        monkeypatch.setattr(
            observe, "routes", lambda *_: [route] if self.now >= self.route_at else []
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _row(self) -> dict[str, Any]:
        state, reason, since = self.session(self.now)
        row = {"ok": state == "Established", "state": state, "reason": reason}
        return row | {
            "since": str(since),
            "age_s": self.now - since,
            "began": since,
            "resets": None,
        }

    def _bird(self, _: str) -> dict[tuple[str, ...], dict[str, Any]]:
        return {("customer",): self._row()}

    def _frr(self, _: str) -> dict[tuple[str, ...], dict[str, Any]]:
        return {
            ("lgw", "10.0.0.2"): self._row()
            | {"age_s": 0.0, "resets": int(self.session(self.now)[2])}
        }

    def wait(self, *checks: Check, at_least_s: float = 0.0) -> list[readiness.Look]:
        """What is seen at each look, for at most two minutes."""
        names = {check.node for check in checks}
        plan = Plan("test", tuple(Node(name, Role.VPC_ROUTER, "g") for name in names), checks)
        processes = ProcessTable(lambda _: -1)
        for name in names:
            for daemon in ("bird", "bgpd"):
                processes.daemons[name, daemon] = Running(os.getpid(), daemon, name)

        class Namespaces:
            def fd(self, _: str) -> int:
                return -1

        async def watch() -> list[readiness.Look]:
            kernel = cast("Kernel", Namespaces())
            looks = readiness.watch(lambda: plan, kernel, processes, 120.0, at_least_s=at_least_s)
            return [look async for look in looks]

        return asyncio.run(watch())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def resetting(period: float, up_for: float, reason: str, until: float = 1e9) -> Any:
    """A session that is Established for some time at the beginning of each period."""

    def session(now: float) -> Told:
        begun = min(now // period * period, until)
        if now < until and now - begun >= up_for:
            return "Idle", reason, begun + up_for
        return "Established", None, begun

    return session


def test_a_session_that_was_up_for_long_is_ready_at_once(world: World) -> None:
    looks = world.wait(CHECK, FRR_CHECK)
    assert [look.pending for look in looks] == [[]]


@pytest.mark.parametrize("phase", [0.0, 0.1, 0.2, 0.9, 2.5])
def test_one_that_is_reset_every_few_seconds_never_is(world: World, phase: float) -> None:
    """Wherever one comes to look, and it is named with what the daemon says."""
    world.now += phase
    world.session = resetting(3.0, 0.3, LIMIT)
    looks = world.wait(FRR_CHECK, CHECK)
    assert all(look.pending for look in looks)
    [state] = [state for title, state in looks[-1].pending if title == CHECK.title]
    assert LIMIT in state
    assert "went down" in state
    hopeless = looks[-1].hopeless
    assert hopeless is not None
    assert hopeless.endswith(LIMIT)
    assert world.now < 100 + 20


def test_one_that_a_change_takes_down_for_good_is_not_ready(world: World) -> None:
    """BIRD takes a session down some time after it was told a lower limit."""

    def session(now: float) -> Told:
        return ("Established", None, 3.0) if now < 100.3 else ("Idle", LIMIT, 100.3)

    world.session = session
    assert world.wait(CHECK)[-1].pending == []
    world.now = 100.0
    assert world.wait(CHECK, at_least_s=0.5)[-1].hopeless


def test_one_that_a_change_takes_down_once_is_ready_when_it_is_back(world: World) -> None:
    back = 101.0

    def session(now: float) -> Told:
        if now < 100.2:
            return "Established", None, 3.0
        return ("Idle", "Hold timer expired", 100.2) if now < back else ("Established", None, back)

    world.session, world.route_at = session, 101.1
    looks = world.wait(CHECK, ROUTE)
    assert CHECK.title not in {title for title, _ in looks[0].pending}
    assert looks[-1].pending == []
    assert world.now < 102


def test_one_that_steadies_is_ready_some_seconds_later(world: World) -> None:
    world.session = resetting(3.0, 0.4, "Hold timer expired", until=105.0)
    looks = world.wait(CHECK)
    assert looks[-1].pending == []
    assert 105 + 6 <= world.now < 105 + 7


@pytest.mark.parametrize(
    "reason", ["Received: Bad peer AS", "OPEN Message Error/Bad Peer AS", LIMIT]
)
def test_one_that_is_refused_again_and_again_is_hopeless(world: World, reason: str) -> None:
    world.session = lambda _: ("Idle", reason, 0.0)
    looks = world.wait(CHECK)
    assert looks[-1].hopeless == f"ond - switch: {reason}"
    assert 10 <= world.now - 100 < 15


def test_one_that_does_not_come_about_may_come_yet(world: World) -> None:
    world.session = lambda _: ("Active", "Socket: No route to host", 0.0)
    assert world.wait(CHECK)[-1].hopeless is None
    assert world.now == pytest.approx(220)


def test_signatures_that_are_refused_meanwhile_are_the_reason(world: World) -> None:
    world.session = lambda _: ("Active", None, 0.0)
    world.signatures = lambda now: (3, int(now), 7)
    hopeless = world.wait(CHECK)[-1].hopeless
    assert hopeless is not None
    assert "refused with an MD5 signature, none is configured here" in hopeless
    world.signatures = lambda _: (3, 500, 7)  # those of another time say nothing
    assert world.wait(CHECK)[-1].hopeless is None


def test_routes_that_do_not_come_though_every_session_is_up(world: World) -> None:
    looks = world.wait(CHECK, ROUTE)
    assert looks[-1].pending == [("ond: 10.1.0.0/16", "not in the table")]
    assert looks[-1].hopeless is not None
    assert 35 <= world.now - 100 < 40


@pytest.mark.parametrize(
    ("since", "seconds"),
    [
        ("12:00:00.500", 29.5),
        ("12:00:00", 30.0),
        ("12:00:31.000", 86399.0),
        ("2026-05-01 12:00:30", 86400.0),
        ("2026-05-01", 129630.0),
        ("never", None),
    ],
)
def test_the_age_of_what_bird_says(since: str, seconds: float | None) -> None:
    assert sessions.age(since, datetime(2026, 5, 2, 12, 0, 30)) == seconds  # noqa: DTZ001


def test_the_kernel_counts_signatures() -> None:
    """In this namespace, by the names that are looked for."""
    with Path("/proc/self/ns/net").open("rb") as namespace:
        if os.geteuid() != 0:
            pytest.skip("entering a namespace needs root")
        counts = sessions.refused_signatures(namespace.fileno())
    assert len(counts) == len(sessions.SIGNATURES)
