"""Which tests a process runs together, in which order, and how long they took.

Tests of one topology and one kind of time form a group, so that one running testbed serves
them all; other tests of one file do. The groups that took longest in the recorded run come
first, and a group that takes very long is divided. `--record-durations` records anew.
"""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from effort import THOROUGH

from testbed.pytest_plugin import wanted

HERE = Path(__file__).parent
RECORDED = HERE / "durations.json"
LONGEST_GROUP_S = 75.0
UNKNOWN_S = {"packets": 5.0, "native": 5.0}  # by folder; of other tests a tenth of a second


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-durations",
        action="store_true",
        help=f"write how long each test took to {RECORDED.relative_to(HERE.parent)}",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A shell ignores SIGINT in what it runs in the background, and programs inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile("here", derandomize=not THOROUGH, deadline=None)
    hypothesis.settings.load_profile("here")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(config), "durations")


def recorded() -> dict[str, float]:
    """Seconds by test, as of the last run that was recorded."""
    found: dict[str, float] = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    return found


def folder_of(test: str) -> str:
    """The folder of a test's id, in tests/: packets, or one of tests/unit."""
    parts = Path(test.partition("::")[0]).parts[1:-1]
    return "/".join(parts[:2])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark each group for pytest-xdist, and put those that take longest first.

    Within a group the order is the random one that pytest-randomly makes meanwhile.
    """
    known = recorded()
    groups: dict[str, list[tuple[pytest.Item, float]]] = defaultdict(list)
    for item in items:
        unknown = UNKNOWN_S.get(folder_of(item.nodeid), 0.1)
        groups[group_of(item)].append((item, known.get(item.nodeid, unknown)))
    for group in groups.values():
        group.sort(key=lambda entry: is_last(entry[0]))
    parts = [part for name, group in groups.items() for part in divided(name, group)]
    parts.sort(key=lambda part: -sum(seconds for _, seconds in part[1]))
    rank: dict[int, int] = {}  # by identity: pytest-xdist renames tests, and their hash with it
    for number, (name, part) in enumerate(parts):
        for item, _ in part:
            item.add_marker(pytest.mark.xdist_group(name))
            rank[id(item)] = number
    yield
    items.sort(key=lambda item: (rank[id(item)], is_last(item)))


def is_last(item: pytest.Item) -> bool:
    """Whether a test comes after all others of its testbed."""
    return item.get_closest_marker("last") is not None


def group_of(item: pytest.Item) -> str:
    """The name of the tests that are to be run by one process."""
    key = wanted(item)
    if key is None:
        return item.nodeid.partition("::")[0]
    return "-".join(map(str, (key.file.stem, *dict(key.settings).values(), key.time, key.seed)))


def divided(
    name: str, group: list[tuple[pytest.Item, float]]
) -> Iterator[tuple[str, list[tuple[pytest.Item, float]]]]:
    """Divide a testbed's group that takes very long into parts of about equal duration."""
    if wanted(group[0][0]) is None:  # tests of one file may have one name for what they make
        yield name, group
        return
    total = sum(seconds for _, seconds in group)
    number = int(total // LONGEST_GROUP_S) + 1
    parts: list[list[tuple[pytest.Item, float]]] = [[] for _ in range(number)]
    before = 0.0
    for item, seconds in group:
        parts[min(int(before / total * number), number - 1)].append((item, seconds))
        before += seconds
    yield from ((f"{name}-{index}", part) for index, part in enumerate(parts) if part)


class Durations:
    """Says at the end where the time went, and records it where that is asked for."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._took: dict[str, float] = defaultdict(float)
        self._grouped = config.getoption("dist", "no") == "loadgroup"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test, at, _ = report.nodeid.rpartition("@")  # pytest-xdist appends the group
        self._took[test if at and self._grouped else report.nodeid] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        folders: dict[str, list[float]] = defaultdict(list)
        for test, seconds in self._took.items():
            folders[folder_of(test)].append(seconds)
        terminalreporter.section("where the time went")
        for folder, times in sorted(folders.items(), key=lambda entry: -sum(entry[1])):
            terminalreporter.write_line(
                f"{sum(times):8.1f} s  {len(times):5} tests  tests/{folder}"
            )
        slowest = sorted(self._took.items(), key=lambda entry: -entry[1])[:10]
        terminalreporter.write_line("slowest:")
        for test, seconds in slowest:
            terminalreporter.write_line(f"{seconds:8.1f} s  {test}")
        if self._config.getoption("record_durations"):
            rounded = {test: round(seconds, 1) for test, seconds in sorted(self._took.items())}
            kept = {test: seconds for test, seconds in rounded.items() if seconds >= 0.5}
            RECORDED.write_text(json.dumps(kept, indent=0) + "\n")
