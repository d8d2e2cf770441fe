"""How pytest runs the checks: for which objects, in which order, and with which result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.conformance.expectation import Deviation, Measurement
from testbed.conformance.results import After, Outcome, Result, blocking
from testbed.conformance.site import Site
from testbed.conformance.subjects import SUBJECTS, own_name
from testbed.conformance.suites import FOLDER, SUITES, Check, describe, name_of, suite_of
from testbed.errors import HostError, NetworkError, TestbedError
from testbed.testing import Testbed
from testbed.topology.model import Topology

TOPOLOGY = pytest.StashKey[Topology]()
TESTBED = pytest.StashKey[Testbed]()
RESULTS = pytest.StashKey[list[Result]]()
MEASURED = pytest.StashKey[list[Measurement]]()


def results_of(config: pytest.Config) -> list[Result]:
    """The results so far."""
    return config.stash.setdefault(RESULTS, [])


def topology_of(config: pytest.Config) -> Topology:
    """The topology under check: of the testbed that --testbed names, or of --topology's file."""
    from testbed.bringup import load_topology, running_topology  # noqa: PLC0415
    from testbed.client import Client  # noqa: PLC0415

    if TOPOLOGY in config.stash:
        return config.stash[TOPOLOGY]
    try:
        if name := config.getoption("testbed_name"):
            topology = running_topology(Client.connect(name))
        elif file := config.getoption("topology"):
            topology = load_topology(config.invocation_params.dir / file, {})
        else:
            hint = "--testbed NAME (one that runs) or --topology FILE"
            raise pytest.UsageError(f"conformance: say what is to be checked: {hint}")
    except TestbedError as error:
        raise pytest.UsageError(f"{error.message}\n{error.hint or ''}".strip()) from None
    config.stash[TOPOLOGY] = topology
    return topology


def is_check(path: Path) -> bool:
    """Whether a file is one of the suites."""
    return path.parent == FOLDER and path.name.startswith("test_")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each check once for each of the objects that its argument stands for."""
    if not is_check(Path(metafunc.module.__file__ or "")):
        return
    for argument in set(SUBJECTS).intersection(metafunc.fixturenames):
        find, kind = SUBJECTS[argument]
        found = list(find(topology_of(metafunc.config)))
        if found:
            metafunc.parametrize(argument, found, ids=[str(entry) for entry in found])
        else:
            skip = pytest.mark.skip(reason=f"not declared: the topology has no {kind}")
            metafunc.parametrize(argument, [pytest.param(None, marks=skip, id="-")])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """From the cable up; what breaks something comes last in its suite."""
    order = {suite: number for number, suite in enumerate(SUITES)}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        disruptive = item.get_closest_marker("disruptive") is not None
        return order.get(suite_of(item.path), len(SUITES)), disruptive

    items.sort(key=lambda item: rank(item) if is_check(item.path) else (len(SUITES), False))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what can only fail: what it stands on has failed."""
    for mark in item.iter_markers("after") if is_check(item.path) else ():
        after = After(mark.args, **mark.kwargs)
        if reason := blocking(results_of(item.config), after, own_keys(item), keys_of(item)):
            pytest.skip(f"blocked: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what came of a check, for reports and for JUnit."""
    report = yield
    bad_setup = report.when == "setup" and not report.passed
    if not is_check(item.path):
        return report
    if report.when == "teardown" and report.failed:  # what it has changed is not put back
        results_of(item.config).append(_result(item, report, call))
    elif report.when == "call" or bad_setup:
        result = _result(item, report, call)
        results_of(item.config).append(result)
        item.user_properties += [  # JUnit's are those of the report of the teardown
            (name, text)
            for name in ("check", "subject", "outcome", "expected", "seen", "remedy", "source")
            if (text := getattr(result, name))
        ]
        report.user_properties = list(item.user_properties)
    return report


def check_of(item: pytest.Item) -> Check:
    """The check that a test is a run of."""
    assert isinstance(item, pytest.Function)
    return describe(name_of(item.path, item.originalname), item.function)


def subject_of(item: pytest.Item) -> Any:
    """What a test is run for; None: the site as a whole."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return next((parameters[name] for name in SUBJECTS if name in parameters), None)


def keys_of(item: pytest.Item) -> frozenset[str]:
    """The keys of what a test is run for; the whole site has all there are."""
    subject = subject_of(item)
    if subject is not None:
        return frozenset(subject.keys)
    topology = topology_of(item.config)
    return frozenset().union(*(e.keys for find, _ in SUBJECTS.values() for e in find(topology)))


def own_keys(item: pytest.Item) -> frozenset[str]:
    """The key of what a test is run for, without what it stands on, which others share."""
    subject = subject_of(item)
    return keys_of(item) if subject is None else frozenset({own_name(subject)})


def _result(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Result:
    check, subject = check_of(item), subject_of(item)
    outcome, text = _outcome(report, call)
    error = call.excinfo.value if call.excinfo else None
    about = str(subject) if subject is not None else "-"
    name, seen, remedy = about, "", ""
    expected = check.expected or check.summary
    if isinstance(error, Deviation):
        name, expected, seen, remedy = error.subject, error.expected, error.seen, error.remedy
    elif outcome == "failed":
        seen = text
    return Result(
        check=check.name,
        subject=name,
        outcome=outcome,
        about=about,
        summary=check.summary,
        expected=expected,
        seen=seen,
        remedy=(remedy or check.remedy) if outcome == "failed" else "",
        source=check.source,
        text="" if outcome == "failed" else text,
        duration_s=round(report.duration, 3),
        measurements=_measurements(item) if report.when == "call" else (),
        keys=own_keys(item),
        within=keys_of(item),
    )


def _measurements(item: pytest.Item) -> tuple[Measurement, ...]:
    kept: list[Measurement] = item.stash.get(MEASURED, [])
    return tuple(kept)


def _outcome(report: pytest.TestReport, call: pytest.CallInfo[None]) -> tuple[Outcome, str]:
    """The outcome, and the reason in words where it is not "passed"."""
    if report.passed:
        return "passed", ""
    if report.skipped:
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        blocked = reason.startswith("blocked: ")
        return "blocked" if blocked else "not-applicable", reason.removeprefix("blocked: ")
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, AssertionError | NetworkError) and report.when == "call":
        hint = getattr(error, "hint", None)
        return "failed", f"{error}; {hint}" if hint else str(error)
    if isinstance(error, HostError):
        return "error", f"{error.message}; {error.hint}" if error.hint else error.message
    return "error", f"{type(error).__name__}: {error}"


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Give the testbed under check: one that runs, or one that is brought up for it."""
    config = request.config
    topology = topology_of(config)
    if TESTBED in config.stash:
        yield Site(config.stash[TESTBED], topology)
    elif name := config.getoption("testbed_name"):
        yield Site(Testbed(name), topology)
    else:
        factory = request.getfixturevalue("testbed_factory")
        file = config.invocation_params.dir / config.getoption("topology")
        yield Site(factory(file), topology)


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Callable[..., Measurement]:
    """Give the function that keeps a figure for the report, with the limit it has.

    ``measure("RTT", 20.3, "ms", at_most=175)``; it is for the check to fail if
    the figure is not `ok`.
    """
    kept: list[Measurement] = request.node.stash.setdefault(MEASURED, [])

    def keep(
        name: str,
        value: float,
        unit: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> Measurement:
        measurement = Measurement(name, value, unit, at_most, at_least)
        kept.append(measurement)
        return measurement

    return keep


@pytest.fixture(autouse=True)
def undone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Put back what a disruptive check has changed: its faults, its plan.

    Whatever was wrong before it stays so: that is what is under check.
    """
    if not request.node.get_closest_marker("disruptive"):
        yield
        return
    testbed: Testbed = request.getfixturevalue("site").testbed
    plan, before = testbed.plan, {fault["name"] for fault in testbed.faults()}
    yield
    if testbed.plan is not plan:
        testbed.apply(plan, wait=False)
    new = [fault["name"] for fault in testbed.faults() if fault["name"] not in before]
    if new:
        testbed.client.heal(*new)
