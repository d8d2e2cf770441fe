"""How pytest runs the checks: for which objects, in which order, and with which result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.conformance.causes import HURRY_S, Causes, Run, made
from testbed.conformance.expectation import Measurement
from testbed.conformance.graph import Vertex, graph
from testbed.conformance.results import BAD, Outcome, Result
from testbed.conformance.site import Site
from testbed.conformance.site_subjects import remember
from testbed.conformance.subjects import SUBJECTS
from testbed.conformance.suites import FOLDER, Check, describe, name_of
from testbed.errors import HostError, NetworkError, TestbedError
from testbed.lifecycle.finding import find
from testbed.testing import Testbed
from testbed.topology.model import Topology

TOPOLOGY = pytest.StashKey[Topology]()
TESTBED = pytest.StashKey[Testbed]()
RESULTS = pytest.StashKey[list[Result]]()
CAUSES = pytest.StashKey[Causes]()
ASKS = pytest.StashKey[bool]()  # whether checks that were left out are run in silence
MEASURED = pytest.StashKey[list[Measurement]]()


def results_of(config: pytest.Config) -> list[Result]:
    """The results so far."""
    return config.stash.setdefault(RESULTS, [])


def topology_of(config: pytest.Config) -> Topology:
    """The topology under check: of the testbed that --testbed names, or of --topology's file."""
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.lifecycle.installation import load_topology  # noqa: PLC0415
    from testbed.lifecycle.live import running_plan  # noqa: PLC0415

    if TOPOLOGY in config.stash:
        return config.stash[TOPOLOGY]
    try:
        if name := config.getoption("testbed_name"):
            plan, topology = running_plan(Client.connect(name))
            remember(topology, plan)
        elif file := config.getoption("topology"):
            topology = load_topology(find(file, config.invocation_params.dir), {})
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
    """What others stand on comes first: from the cable up."""
    order = {name: number for number, name in enumerate(graph())}

    def rank(item: pytest.Item) -> int:
        known = is_check(item.path) and isinstance(item, pytest.Function)
        return order.get(name_of(item.path, item.originalname), -1) if known else len(order)  # type: ignore[attr-defined]

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def judgeable(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave out at once what can only fail: what it stands on has failed.

    What was not selected is asked in silence where the testbed's status is not in order. A
    check that may follow from what has failed waits for nothing.
    """
    config, run = request.config, run_of(request.node)
    if run is None or not run.vertex.below:
        yield
        return
    site: Site = request.getfixturevalue("site")
    causes = causes_of(config)
    asked = site if _asks(config) and not _in_order(config, site) else None
    if reason := causes.standing_on(run, asked):
        pytest.skip(f"blocked: {reason}")
    with site.patience(HURRY_S if causes.following_from(run, asked) else None):
        yield


def _asks(config: pytest.Config) -> bool:
    return config.stash.get(ASKS, True)


def _in_order(config: pytest.Config, site: Site) -> bool:
    bad = any(result.outcome in BAD for result in results_of(config))
    return not bad and bool(site.testbed.status()["ok"])


def causes_of(config: pytest.Config) -> Causes:
    """What is known of all checks in this run."""
    if CAUSES not in config.stash:
        config.stash[CAUSES] = Causes(topology_of(config), results_of(config))
    return config.stash[CAUSES]


def run_of(item: pytest.Item) -> Run | None:
    """The check and the object that a test is about; None for what is no check of ours."""
    vertex = graph().get(check_of(item).name) if is_check(item.path) else None
    return Run(vertex, subject_of(item), topology_of(item.config)) if vertex else None


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
        result = _explained(item, _result(item, report, call))
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


def vertex_of(item: pytest.Item) -> Vertex:
    """The vertex of a check that is not in the graph."""
    assert isinstance(item, pytest.Function)
    return Vertex(check_of(item), item.function, (), (), None, disruptive=False)


def subject_of(item: pytest.Item) -> Any:
    """What a test is run for; None: the site as a whole."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return next((parameters[name] for name in SUBJECTS if name in parameters), None)


def keys_of(item: pytest.Item) -> frozenset[str]:
    """The keys of what a test is run for; the whole site has all there are."""
    run = run_of(item)
    return run.keys if run else frozenset()


def _result(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Result:
    outcome, text = _outcome(report, call)
    error = call.excinfo.value if call.excinfo else None
    run = run_of(item) or Run(vertex_of(item), subject_of(item), topology_of(item.config))
    return made(
        run,
        outcome,
        text="" if outcome == "failed" else text,
        error=error,
        duration_s=round(report.duration, 3),
        measurements=_measurements(item) if report.when == "call" else (),
    )


def _explained(item: pytest.Item, result: Result) -> Result:
    """A failure as it is, or as the consequence of one below it."""
    run = run_of(item) if result.outcome == "failed" else None
    if run is None or not run.vertex.below:
        return result
    site = getattr(item, "funcargs", {}).get("site") if _asks(item.config) else None
    reason = causes_of(item.config).following_from(run, site)
    return replace(result, outcome="blocked", text=reason, remedy="") if reason else result


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
        file = find(config.getoption("topology"), config.invocation_params.dir)
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
