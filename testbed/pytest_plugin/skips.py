"""Skipped tests: each says why, and a run in which nothing was tested has not passed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

FIXTURES = {"testbed", "testbed_factory"}
NO_REASON = {"", "unconditional skip", "<Skipped instance>"}
ATTRIBUTE = "uses_testbed"  # of a report; pytest-xdist hands it on to the controller
NOTHING_TESTED = "every test that uses a testbed was skipped: nothing was tested"


def uses_testbed(item: pytest.Item) -> bool:
    """Return whether the test asks for a testbed, itself or by another fixture."""
    return not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def require_reason(item: pytest.Item, report: pytest.TestReport) -> None:
    """Mark the report of a test that uses a testbed; fail it if it was skipped without a reason."""
    if not uses_testbed(item):
        return
    setattr(report, ATTRIBUTE, True)
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    longrepr: Any = report.longrepr
    said = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr or "")
    if said.removeprefix("Skipped").lstrip(":").strip() in NO_REASON:
        report.outcome = "failed"
        report.longrepr = "skipped without a reason: say why, as in pytest.skip('needs …')"


class Judge:
    """A plugin that fails a run in which every test that uses a testbed was skipped."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()

    @property
    def nothing_tested(self) -> bool:
        """Return whether there were such tests, and all of them were skipped."""
        return bool(self._outcomes["skipped"]) and not self._outcomes["run"]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count how a test that uses a testbed has ended."""
        if getattr(report, ATTRIBUTE, False) and (report.when == "call" or not report.passed):
            is_skip = report.skipped and not hasattr(report, "wasxfail")
            self._outcomes["skipped" if is_skip else "run"] += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail if nothing was tested."""
        if self.nothing_tested and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say so."""
        if self.nothing_tested:
            terminalreporter.section("testbed", red=True)
            terminalreporter.write_line(NOTHING_TESTED)
