"""The pytest plugin: a fixture that brings topologies up (docs/pytest.md).

It is loaded in every pytest run on a machine that has the package, so it
imports next to nothing before a test asks for a testbed.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from testbed.testing import Testbed

    TestbedFactory = Callable[..., Testbed]

MARKERS = (
    "topology(file, **settings): the topology file of the `testbed` fixture, and its variables",
    "testbed(time, seed): the `testbed` time, real or virtual, and what chance begins with",
    "after(*checks): conformance: not run for an object for which one of these checks has failed",
    "disruptive: conformance: breaks something in the testbed on purpose, and repairs it",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command line options."""
    group = parser.getgroup("testbed", "network testbeds")
    group.addoption(
        "--topology",
        metavar="FILE",
        help="topology file for tests that use the fixture `testbed` without the marker",
    )
    group.addoption(
        "--testbed",
        dest="testbed_name",
        metavar="NAME",
        help="the conformance suites: check this testbed, which runs",
    )
    group.addoption(
        "--testbed-vm",
        choices=("auto", "always", "never", "uml", "qemu"),
        default=os.environ.get("TESTBED_VM", "auto"),
        help="run testbeds in a micro VM: where this kernel can't (auto), always, never; "
        "uml or qemu: in that kind",
    )
    group.addoption(
        "--testbed-timeout",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long a testbed may take until everything in it is ready (120)",
    )
    group.addoption(
        "--testbed-keep",
        action="store_true",
        help="leave testbeds running at the end, and say how they are called",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


class _Testbeds:
    """The testbeds of one pytest process: each topology with its settings once."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._running: dict[tuple[Any, ...], Testbed] = {}
        self._failed: dict[tuple[Any, ...], str] = {}

    def get(
        self, file: str | Path, settings: dict[str, Any], time: str | None, seed: int | None
    ) -> Testbed:
        from testbed.errors import TestbedError  # noqa: PLC0415
        from testbed.testing import Testbed  # noqa: PLC0415

        variables = {name: str(value) for name, value in settings.items()}
        key = (str(Path(file).resolve()), *sorted(variables.items()), time, seed)
        if key in self._failed:  # a second attempt would only take time
            pytest.fail(self._failed[key], pytrace=False)
        if key not in self._running:
            try:
                self._running[key] = Testbed.up(
                    file,
                    variables,
                    name=self._name(),
                    vm=self._config.getoption("testbed_vm"),
                    timeout_s=self._config.getoption("testbed_timeout"),
                    time=time,
                    seed=seed,
                )
            except TestbedError as error:
                self._failed[key] = _failure(file, error.message, error.hint)
                pytest.fail(self._failed[key], pytrace=False)
        return self._running[key]

    def _name(self) -> str:
        worker = re.sub(r"[^a-z0-9]", "", os.environ.get("PYTEST_XDIST_WORKER", "").lower())
        parts = ("pytest", worker[:8], str(os.getpid()), str(len(self._running) + 1))
        return "-".join(part for part in parts if part)

    def end(self) -> None:
        with contextlib.ExitStack() as stack:  # one that won't end doesn't keep the others
            for testbed in self._running.values():
                if self._config.getoption("testbed_keep"):
                    _say(self._config, f"testbed {testbed.name} is left running")
                else:
                    stack.callback(testbed.down)


def _failure(file: str | Path, message: str, hint: str | None) -> str:
    text = f"testbed of {file}: {message}"
    return f"{text}\nhint: {hint}" if hint else text


def _say(config: pytest.Config, text: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(text)


@pytest.fixture(scope="session")
def testbed_factory(pytestconfig: pytest.Config) -> Iterator[TestbedFactory]:
    """Return the function that brings a topology file up: `factory(file, **settings) -> Testbed`.

    The same file with the same settings is brought up once in a session, and
    taken down at its end. `testbed_time` and `testbed_seed` are those of the
    marker `testbed`.
    """
    testbeds = _Testbeds(pytestconfig)

    def factory(
        file: str | Path,
        *,
        testbed_time: str | None = None,
        testbed_seed: int | None = None,
        **settings: Any,
    ) -> Testbed:
        return testbeds.get(file, settings, testbed_time, testbed_seed)

    try:
        yield factory
    finally:
        testbeds.end()


@pytest.fixture
def testbed(request: pytest.FixtureRequest, testbed_factory: TestbedFactory) -> Iterator[Testbed]:
    """Give the running testbed of the test's `topology` marker, or of --topology.

    What the test changed with `Testbed.apply` is put back after it.
    """
    marker = request.node.get_closest_marker("topology")
    settings = _time_of(request) | (marker.kwargs if marker else {})
    if marker is not None and marker.args:
        made = testbed_factory(_find(request, marker.args[0]), **settings)
    elif option := request.config.getoption("topology"):
        made = testbed_factory(request.config.invocation_params.dir / option, **settings)
    else:
        text = 'no topology: use @pytest.mark.topology("FILE") or --topology FILE'
        pytest.fail(text, pytrace=False)
    yield made
    made.restore()


def _time_of(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the marker `testbed` asks for, as arguments of the factory."""
    marker = request.node.get_closest_marker("testbed")
    asked = dict(marker.kwargs) if marker else {}
    settings = {f"testbed_{key}": asked.pop(key, None) for key in ("time", "seed")}
    if asked or (marker and marker.args):
        pytest.fail("the marker testbed takes time=… and seed=… only", pytrace=False)
    return settings


def _find(request: pytest.FixtureRequest, file: str | Path) -> Path:
    """The marker's file: beside the test file, else in pytest's root directory."""
    beside = request.path.parent / file
    return beside if beside.exists() else request.config.rootpath / file


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what is wrong in its testbed."""
    report = yield
    made = getattr(item, "funcargs", {}).get("testbed")
    if report.when == "call" and report.failed and made is not None and hasattr(made, "problems"):
        with contextlib.suppress(Exception):
            problems = made.problems()
            text = "\n".join(problems) or "everything is as it should be"
            report.sections.append((f"state of testbed {made.name}", text))
    assert call
    return report
