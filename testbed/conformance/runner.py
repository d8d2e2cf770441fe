"""Running the suites from a program: what `testbed check` and `testbed chaos` do."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from testbed.conformance import collecting
from testbed.conformance.graph import graph
from testbed.conformance.results import Report, Result
from testbed.conformance.suites import SUITES, Check, file_of, name_of, suite_of
from testbed.errors import HostError, UsageError, similar
from testbed.lifecycle.bringup import links_of
from testbed.testing import Testbed
from testbed.topology.model import Topology

OnResult = Callable[[Result, int], None]
OnStart = Callable[[str, str, int, int], None]
ISOLATED = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while the checks ran; `report` has those that were over."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.problem)
        self.report = report


class _Collector:
    """A pytest plugin: what is under check goes in, results come out."""

    def __init__(
        self,
        testbed: Testbed | None,
        topology: Topology | None,
        wanted: Callable[[pytest.Item], bool],
        on_result: OnResult | None,
        on_start: OnStart | None = None,
        *,
        asks: bool = True,
    ) -> None:
        self._asks = asks
        self._testbed = testbed
        self._topology = topology
        self._wanted = wanted
        self._on_result = on_result
        self._on_start = on_start
        self._told = 0
        self._begun = 0
        self.interrupted = False  # by Ctrl-C
        self.items: list[pytest.Item] = []
        self.results: list[Result] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        if self._testbed is not None:
            config.stash[collecting.TESTBED] = self._testbed
        if self._topology is not None:
            config.stash[collecting.TOPOLOGY] = self._topology
        config.stash[collecting.RESULTS] = self.results
        config.stash[collecting.ASKS] = self._asks

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        left_out = [item for item in items if not self._wanted(item)]
        if left_out:
            items[:] = [item for item in items if self._wanted(item)]
            config.hook.pytest_deselected(items=left_out)
        self.items = list(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        if self._on_start is not None:
            name, subject = collecting.check_of(item).name, collecting.subject_of(item)
            about = "" if subject is None else str(subject)
            self._on_start(name, about, self._begun, len(self.items))
        self._begun += 1

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest's own Interrupted is that it could not collect the checks.
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    def pytest_runtest_logfinish(self) -> None:
        for result in self.results[self._told :]:
            if self._on_result is not None:
                self._on_result(result, len(self.items))
        self._told = len(self.results)


def check_names(names: Collection[str]) -> None:
    """Raise UsageError for a name that is neither a suite nor a check (``bgp.peer-answers``)."""
    known = {*SUITES, *all_checks()}
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no suite or check {name!r}", hint=similar(name, known, SUITES)
            )


def all_checks() -> dict[str, Check]:
    """All checks by name, suite by suite; they are run in the order of the graph."""
    order = sorted(graph().items(), key=lambda entry: SUITES.index(entry[1].check.suite))
    return {name: vertex.check for name, vertex in order}


def run(
    testbed: Testbed,
    topology: Topology,
    names: Collection[str] = (),
    *,
    disruptive: bool = True,
    subjects: Collection[str] = (),
    fail_fast: bool = False,
    alone: bool = False,
    on_result: OnResult | None = None,
    on_start: OnStart | None = None,
) -> Report:
    """Run suites or single checks (`names`; none: all) against a running testbed.

    `subjects` limits them to those objects (by any of their keys), `disruptive`
    False leaves out what breaks something on purpose. `alone`: nothing is run that was not
    asked for, to find out what a check stands on. `on_start` is called before
    each check with its name, what it is run for, how many are over and how many
    there are; `on_result` after it, with its result and how many there are.
    HostError where pytest itself could not run, Interrupted after Ctrl-C.
    """
    check_names(names)
    suites = [suite for suite in SUITES if not names or _touches(suite, names)]
    options = ["--exitfirst"] if fail_fast else []
    report = Report(
        testbed.name,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=environment_of(testbed),
    )
    asks = bool(names or subjects) and not alone
    wanted = _wanted(names, subjects, disruptive=disruptive)
    collector = _Collector(testbed, topology, wanted, on_result, on_start, asks=asks)
    started = time.monotonic()
    interrupted = False
    try:
        report.problem = _pytest([str(file_of(suite)) for suite in suites], options, collector)
    except KeyboardInterrupt:
        interrupted = True
        done, planned = len(collector.results), len(collector.items)
        report.problem = f"interrupted: {done} of {planned} checks are done"
    report.duration_s = time.monotonic() - started
    report.results = collector.results
    if interrupted:
        raise Interrupted(report)
    if not report.problem:
        report.problem = _nothing_checked(report)
    return report


def _wanted(
    names: Collection[str], subjects: Collection[str], *, disruptive: bool
) -> Callable[[pytest.Item], bool]:
    """Return what says of a check whether it was asked for."""

    def wanted(item: pytest.Item) -> bool:
        name = name_of(item.path, getattr(item, "originalname", item.name))
        if names and not {name, suite_of(item.path)} & set(names):
            return False
        if not disruptive and item.get_closest_marker("disruptive"):
            return False
        return not subjects or bool(collecting.keys_of(item) & set(subjects))

    return wanted


def _nothing_checked(report: Report) -> str:
    """Why a run has checked nothing; "" if it has checked something."""
    if not report.results:
        return "nothing to check: no check concerns it"
    if len(report.of("not-applicable")) < len(report.results):
        return ""
    reasons = dict.fromkeys(result.text for result in report.results)
    return f"nothing to check: {'; '.join(reasons)}"


def environment_of(testbed: Testbed) -> dict[str, str]:
    """What a report says that it was run with."""
    hello = testbed.client.hello()
    guest, plan = hello["guest"], testbed.plan
    seed = f", seed {plan.seed}" if testbed.is_virtual else ""
    return {
        "testbed": f"{testbed.name}, {len(plan.nodes)} nodes, {links_of(plan)} links",
        "version": str(hello["version"]),
        "kernel": f"Linux {hello['kernel']}",
        "micro VM": f"{guest}" if guest else "none",
        "time": f"{plan.time}{seed}",
        "Python": platform.python_version(),
        "pytest": pytest.__version__,
    }


def _touches(suite: str, names: Collection[str]) -> bool:
    return any(name.partition(".")[0] == suite for name in names)


def _pytest(files: list[str], options: list[str], collector: _Collector) -> str:
    """Run pytest in this process, without the user's own configuration; what went wrong, or ""."""
    arguments = ["-c", os.devnull, f"--rootdir={Path(files[0]).parent}", "-p", "no:cacheprovider"]
    # Each would collect all garbage at the end of every run.
    arguments += ["-p", "no:unraisableexception", "-p", "no:threadexception"]
    arguments += ["-p", "testbed.pytest_plugin", "-q", "--tb=short", *options, *files]
    said = io.StringIO()
    with _environment(ISOLATED), contextlib.redirect_stdout(said):
        code = pytest.main(arguments, plugins=[collector])
    if code in {
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    }:
        return ""
    if collector.interrupted:
        raise KeyboardInterrupt
    hint = said.getvalue().strip()[-2000:]
    raise HostError(f"the checks could not run: pytest ended with {code!r}", hint=hint)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
