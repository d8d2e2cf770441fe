"""Watchers: what they are told, in which order, and that none keeps another waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from testbed.keeper import watching
from testbed.keeper.watching import LIMIT, Watcher, Watchers


def row(title: str, *, ok: bool = True, state: str = "up") -> dict[str, Any]:
    return {"title": title, "ok": ok, "state": state}


class Watched:
    """A testbed with one LAG, whose state the test sets; `run` watches it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "GATHER_S", 0.0)
        monkeypatch.setattr(watching, "LOOK_S", 3600.0)
        self.status: dict[str, Any] = {"version": 1, "lags": [row("a")], "faults": [row("x")]}
        self.watchers = Watchers(lambda: self.status, lambda: 7.0)

    def set(self, *rows: dict[str, Any]) -> None:
        self.status = {**self.status, "lags": list(rows)}
        self.watchers.stir()


def told(watched: Watched, count: int, then: Callable[[], None]) -> list[dict[str, Any]]:
    """The first message, then what follows after `then` has been called."""

    async def watch() -> list[dict[str, Any]]:
        with watched.watchers.joined() as watcher:
            messages = [await watcher.next()]
            then()
            return messages + [await watcher.next() for _ in range(count)]

    return asyncio.run(asyncio.wait_for(watch(), 30))


def test_readiness_first_then_states_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    broken = row("a", ok=False, state="1 of 2 members")
    assert told(watched, 2, lambda: watched.set(broken)) == [
        {"event": "ready", "at": 7.0, "ok": True, "pending": []},
        {"event": "state", "at": 7.0, "subject": "lags", **broken},
        {
            "event": "ready",
            "at": 7.0,
            "ok": False,
            "pending": [{"title": "a", "state": "1 of 2 members"}],
        },
    ]


def test_what_goes_is_told_and_ages_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.set(row("a"), row("t", state="last handshake 5 s ago"))

    def later() -> None:
        watched.set(row("t", state="last handshake 9 s ago"))

    [_, gone] = told(watched, 1, later)
    assert gone == {
        "event": "state",
        "at": 7.0,
        "subject": "lags",
        "title": "a",
        "ok": None,
        "state": "gone",
    }


def test_who_comes_later_hears_whether_all_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)

    async def watch() -> tuple[Any, Any]:
        with watched.watchers.joined() as first:
            one = await first.next()
            with watched.watchers.joined() as second:
                return one, await second.next()

    one, other = asyncio.run(asyncio.wait_for(watch(), 30))
    assert one == other
    assert one["event"] == "ready"


def test_nothing_is_looked_at_while_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    told(watched, 0, lambda: None)

    def status() -> dict[str, Any]:
        raise AssertionError

    async def idle() -> None:
        watchers = Watchers(status, lambda: 0.0)
        watchers.tell({"event": "revision"})
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(idle())


def test_a_slow_one_is_told_what_it_missed() -> None:
    async def read() -> list[dict[str, Any]]:
        slow, quick = Watcher(), Watcher()
        heard = []
        for number in range(LIMIT + 5):
            for watcher in (slow, quick):
                watcher.tell({"event": "x", "number": number})
            heard.append((await quick.next())["number"])
        assert heard == list(range(LIMIT + 5))
        messages = [await slow.next() for _ in range(LIMIT + 1)]
        slow.tell({"event": "x", "number": -1})
        return [*messages[-2:], await slow.next()]

    assert asyncio.run(read()) == [
        {"event": "x", "number": LIMIT - 1},
        {"event": "missed", "messages": 5},
        {"event": "x", "number": -1},
    ]
