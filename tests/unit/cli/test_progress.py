"""Progress of an `up`, on a terminal and elsewhere."""

from __future__ import annotations

import io
from typing import Any

import pytest

from testbed.render import console as consoles
from testbed.render import progress

EVENTS: list[dict[str, Any]] = [
    {"event": "queued"},
    {"event": "replaces", "text": "the table is deleted"},
    {"event": "phase", "phase": "apply", "state": "start"},
    {"event": "phase", "phase": "diff", "state": "done", "ms": 1.0},
    {"event": "phase", "phase": "nodes", "state": "done", "ms": 2.0},
    {"event": "phase", "phase": "links", "state": "done", "ms": 3.0},
    {"event": "waiting", "pending": ["a", "b", "c", "d", "e"], "done": 1, "total": 6},
    {"event": "waiting", "pending": [], "done": 6, "total": 6},
    {"event": "applied"},
    {"event": "something new"},
]


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.PlainProgress() as shown:
        for event in EVENTS:
            shown.event(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "waiting for another change of this testbed to finish",
        "note: the table is deleted",
        "building",
        "built (5 ms)",
        "waiting: 1 of 6 ready; not yet: a; b; c; 2 more",
        "waiting: 6 of 6 ready",
    ]


def test_live(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    output = io.StringIO()
    terminal = Console(file=output, force_terminal=True, width=80)
    monkeypatch.setattr(consoles, "console", lambda **_: terminal)
    with progress.LiveProgress() as shown:
        for event in EVENTS:
            shown.event(event)
    assert "the table is deleted" in output.getvalue()
    assert "built (5 ms)" in output.getvalue()


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress(quiet=True) as shown:
        for event in EVENTS:
            shown.event(event)
        shown.done("load", 1.0)
        shown.doing("x")
    assert capsys.readouterr() == ("", "")


def test_nothing_to_change_builds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.PlainProgress() as shown:
        for event in (EVENTS[1], EVENTS[2], EVENTS[-2]):
            shown.event(event)
    assert "built" not in capsys.readouterr().err


def test_the_start_is_over_with_the_keepers_first_event(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.PlainProgress() as shown:
        shown.starting("booting a micro VM")
        for event in EVENTS[2:4]:
            shown.event(event)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "booting a micro VM"
    assert lines[1].startswith("started (")
    assert lines[2:] == ["building"]


def test_why_a_micro_vm_is_used_stays_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    output = io.StringIO()
    terminal = Console(file=output, force_terminal=True, width=80)
    monkeypatch.setattr(consoles, "console", lambda **_: terminal)
    with progress.LiveProgress() as shown:
        shown.starting("this kernel lacks bond: using a micro VM")
        shown.starting("booting a micro VM")
    assert "\u2022 this kernel lacks bond: using a micro VM\n" in output.getvalue()
    assert "\u2022 booting" not in output.getvalue()
