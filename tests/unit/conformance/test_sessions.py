"""Whether a session stays up is judged by what has happened and what happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from testbed.conformance import sessions

UP, STOP, START = "Established", "stop", "start"


def told(events: list[tuple[float, str]], now: float, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of a session of which that happens, when one looks at `now`."""
    clock = [now]
    rows: list[dict[str, Any]] = [
        {"at": at, "node": "ond", "kind": "bgp", "subject": "peer", "state": s} for at, s in events
    ]

    def settled(look: Callable[[], Any], done: Callable[[Any], bool], within: float) -> Any:
        until = clock[0] + within
        while not done(look()) and clock[0] < until:
            clock[0] += 0.5
        return look()

    testbed = SimpleNamespace(
        events=lambda: [row for row in rows if row["at"] <= clock[0]], elapsed=lambda: clock[0]
    )
    state = SimpleNamespace(up=True, reason="reset", __str__=lambda _: UP)
    monkeypatch.setattr(sessions, "session_of", lambda *_: state)
    site: Any = SimpleNamespace(testbed=testbed, settled=settled)
    return sessions.steady(site, "ond", "peer", "192.0.2.1")


def test_a_quiet_past_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(1.0, UP), (9.0, STOP)]
    assert told(events, 5.0, monkeypatch) == "stays Established"


def test_what_has_just_come_back_is_watched_however_long_it_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = [(1.0, UP), (10.0, STOP), (10.0, START), (60.0, UP), (62.0, STOP)]
    assert told(events, 60.5, monkeypatch) == "went down 1 times during the check: reset"


def test_what_stays_up_after_one_failure_is_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(1.0, UP), (10.0, STOP), (12.0, UP)]
    assert told(events, 12.5, monkeypatch) == "stays Established"
