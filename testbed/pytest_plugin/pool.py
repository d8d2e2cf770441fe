"""The testbeds of one pytest process: each topology with its settings once."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.testing import Testbed

UNDER_WAY_S = 1.0  # for connections that have just been closed
RESET_TIMEOUT_S = 15.0  # longer than it takes to bring most topologies up anew


class TestbedWarning(pytest.PytestWarning):
    """A test has left its testbed in a state in which no other could use it."""

    __test__ = False


@dataclass(frozen=True, slots=True)
class Key:
    """What a testbed is made from: one for each of these."""

    file: Path
    settings: tuple[tuple[str, str], ...]
    time: str | None
    seed: int | None


def key_of(
    file: str | Path, settings: Mapping[str, Any], time: str | None, seed: int | None
) -> Key:
    """Return the key of a topology file with its variables, time and seed."""
    variables = sorted((name, str(value)) for name, value in settings.items())
    return Key(Path(file).resolve(), tuple(variables), time, seed)


@dataclass
class _Entry:
    testbed: Testbed
    used_by: str | None = None  # the test that had it last
    usual: frozenset[str] = frozenset()  # what is not ok by plan, such as a link that is down


class Pool:
    """Brings testbeds up when they are first asked for, and all of them down at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._entries: dict[Key, _Entry] = {}
        self._failed: dict[Key, str] = {}
        self._made = 0

    def get(self, key: Key) -> Testbed:
        """The testbed of a key; the test fails where it cannot be brought up."""
        from testbed.errors import TestbedError  # noqa: PLC0415
        from testbed.testing import Testbed  # noqa: PLC0415

        if key not in self._entries and key not in self._failed:
            try:
                testbed = Testbed.up(
                    key.file,
                    dict(key.settings),
                    name=self._name(),
                    vm=self._config.getoption("testbed_vm"),
                    timeout_s=self._config.getoption("testbed_timeout"),
                    time=key.time,
                    seed=key.seed,
                    hold=not self._config.getoption("testbed_keep"),
                )
            except TestbedError as error:
                self._failed[key] = _failure(key.file, error)  # a second attempt would take time
            else:
                self._entries[key] = _Entry(testbed)
        if key in self._failed:
            pytest.fail(self._failed[key], pytrace=False)
        return self._entries[key].testbed

    def take_down(self, key: Key) -> None:
        """Take a testbed down that no test needs any more, if it is up and not to be kept."""
        if key in self._entries and not self._config.getoption("testbed_keep"):
            self._entries.pop(key).testbed.down()

    def hand_over(self, testbed: Testbed, test: str) -> None:
        """Give a testbed to a test: as it was brought up, whatever the one before has done to it.

        Where not everything is ok again in time, it is brought up anew.
        """
        entries = (entry for entry in self._entries.values() if entry.testbed is testbed)
        entry = next(entries, _Entry(testbed))  # a factory of the user's own may give others
        before, entry.used_by = entry.used_by, test
        if before is None:
            entry.usual = frozenset(testbed.problems())
            return
        if testbed.is_virtual:  # else the last packets of the test before would come in this one
            testbed.advance(UNDER_WAY_S)
        if not (problems := _still_wrong(testbed, entry.usual, self._reset_timeout())):
            return
        text = f"{before} has left testbed {testbed.name} with"
        text += "".join(f"\n  {problem}" for problem in problems)
        warnings.warn(TestbedWarning(f"{text}\nit was brought up anew"), stacklevel=2)
        self._rebuild(testbed)

    def _reset_timeout(self) -> float:
        return min(RESET_TIMEOUT_S, float(self._config.getoption("testbed_timeout")))

    def _rebuild(self, testbed: Testbed) -> None:
        from testbed.errors import TestbedError  # noqa: PLC0415

        try:
            testbed.rebuild()
        except TestbedError as error:
            key = next(key for key, entry in self._entries.items() if entry.testbed is testbed)
            del self._entries[key]
            self._failed[key] = _failure(testbed.name, error)
            pytest.fail(self._failed[key], pytrace=False)

    def _name(self) -> str:
        worker = re.sub(r"[^a-z0-9]", "", os.environ.get("PYTEST_XDIST_WORKER", "").lower())
        self._made += 1
        parts = ("pytest", worker[:8], str(os.getpid()), str(self._made))
        return "-".join(part for part in parts if part)

    def end(self) -> None:
        """Take all of them down, or say what they are called."""
        with contextlib.ExitStack() as stack:  # one that won't end doesn't keep the others
            for entry in self._entries.values():
                if self._config.getoption("testbed_keep"):
                    say(self._config, f"testbed {entry.testbed.name} is left running")
                else:
                    stack.callback(entry.testbed.down)


def _still_wrong(testbed: Testbed, usual: frozenset[str], timeout_s: float) -> list[str]:
    """What is not as planned, after daemons that died were started again and all had its time."""
    from testbed.errors import TestbedError  # noqa: PLC0415

    try:
        if usual.issuperset(testbed.problems()):
            return []
        testbed.settle(timeout_s)
        if testbed.plan.faults:  # declared: what is wrong comes and goes with them
            return []
        return [problem for problem in testbed.problems() if problem not in usual]
    except TestbedError as error:
        return [error.message]


def _failure(what: str | Path, error: Any) -> str:
    text = f"testbed of {what}: {error.message}"
    return f"{text}\nhint: {error.hint}" if error.hint else text


def say(config: pytest.Config, text: str) -> None:
    """Write a line to the terminal."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(text)
