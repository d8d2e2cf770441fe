"""What a guest whose time is virtual calls to its host, as reasons for time to pass come and go."""

from __future__ import annotations

import os
import selectors
from pathlib import Path
from typing import Any, cast

import pytest

from testbed.guest.gate import Call, unpack
from testbed.guest.mux import Mux
from testbed.keeper import clock as clocks
from testbed.keeper.clock import VirtualClock


class Silent:
    """A mux over which nothing is sent."""

    sent = 0

    def is_starved(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        assert data == b"one"


class Bench:
    """A clock, and what it has called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "calls"
        self.file.touch()
        monkeypatch.setattr(clocks, "CALL_FILE", str(self.file))
        monkeypatch.setattr(os, "write", self.write)
        (folder / "1").write_bytes(b"one")
        inbox = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.calls: list[Call] = []
        self.clock = VirtualClock(1, inbox, cast("Mux", Silent()))

    def write(self, _: int, data: bytes) -> int:
        self.calls.append(unpack(int(data, 16))[0])
        return len(data)

    def wait(self) -> list[Call]:
        """What is called when the event loop waits."""
        self.clock.wait(self.poll, 0)
        calls, self.calls = self.calls, []
        return calls

    def poll(self, _: float | None) -> list[tuple[selectors.SelectorKey, Any]]:
        return []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_it_runs_while_somebody_needs_time_and_then_stands(bench: Bench) -> None:
    with bench.clock.driven():
        assert bench.wait() == [Call.RUN]
        assert bench.wait() == []
    assert bench.wait() == [Call.REST, Call.STAND]


def test_time_that_is_needed_again_before_it_stood_is_told(bench: Bench) -> None:
    """Else the host would keep to itself what it has to say until the guest stands: for ever."""
    with bench.clock.driven():
        bench.wait()
    with bench.clock.driven():
        assert bench.wait() == [Call.REST, Call.RUN]
        assert bench.wait() == []
    assert bench.wait() == [Call.REST, Call.STAND]


def test_one_of_two_reasons_changes_nothing(bench: Bench) -> None:
    with bench.clock.driven():
        with bench.clock.driven():
            assert bench.wait() == [Call.RUN]
        assert bench.wait() == []
