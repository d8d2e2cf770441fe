"""The pytest plugin: a fixture that brings topologies up (docs/pytest.md).

It is loaded in every pytest run on a machine that has the package, so it
imports next to nothing before a test asks for a testbed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.pytest_plugin import failures, options, skips
from testbed.pytest_plugin.pool import Pool, TestbedWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from testbed.testing import Testbed

    TestbedFactory = Callable[..., Testbed]

__all__ = ["TestbedWarning", "testbed", "testbed_factory"]

MARKERS = (
    "topology(file, **settings): the topology file of the `testbed` fixture, and its variables",
    "testbed(time, seed): the `testbed` time, real or virtual, and what chance begins with",
    "after(*checks, part, every): conformance: not run for an object for which one of them failed",
    "follows(*checks): conformance: a failure is put down to one of them that failed nearby",
    "disruptive: conformance: breaks something in the testbed on purpose, and repairs it",
)
POOL: pytest.StashKey[Pool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command line options."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    options.check(config)
    config.pluginmanager.register(skips.Judge(), "testbed-skips")
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin with an empty folder of bundles."""
    if not hasattr(session.config, "workerinput"):
        failures.forget_old_bundles(session.config)


@pytest.fixture(scope="session")
def testbed_factory(pytestconfig: pytest.Config) -> Iterator[TestbedFactory]:
    """Return the function that brings a topology file up: `factory(file, **settings) -> Testbed`.

    The same file with the same settings is brought up once in a session, and
    taken down at its end. `testbed_time` and `testbed_seed` are those of the
    marker `testbed`.
    """
    pool = pytestconfig.stash[POOL] = Pool(pytestconfig)

    def factory(
        file: str | Path,
        *,
        testbed_time: str | None = None,
        testbed_seed: int | None = None,
        **settings: Any,
    ) -> Testbed:
        return pool.get(file, settings, testbed_time, testbed_seed)

    try:
        yield factory
    finally:
        pool.end()


@pytest.fixture
def testbed(request: pytest.FixtureRequest, testbed_factory: TestbedFactory) -> Iterator[Testbed]:
    """Give the running testbed of the test's `topology` marker, of --topology, or of its module.

    What the test changed with `Testbed.apply` is put back after it.
    """
    marker = request.node.get_closest_marker("topology")
    settings = _time_of(request) | (marker.kwargs if marker else {})
    made = testbed_factory(_topology(request, marker), **settings)
    if (pool := request.config.stash.get(POOL, None)) is not None:
        pool.hand_over(made, request.node.nodeid)
    recorder = None
    if request.config.getoption("testbed_pcap") is not None:
        from testbed.pytest_plugin.captures import Recorder  # noqa: PLC0415

        recorder = request.node.stash[failures.RECORDER] = Recorder(made)
    yield made
    if recorder is not None:
        recorder.stop()
    made.restore()


def _time_of(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the marker `testbed` asks for, as arguments of the factory."""
    marker = request.node.get_closest_marker("testbed")
    asked = dict(marker.kwargs) if marker else {}
    settings = {f"testbed_{key}": asked.pop(key, None) for key in ("time", "seed")}
    if asked or (marker and marker.args):
        pytest.fail("the marker testbed takes time=… and seed=… only", pytrace=False)
    return settings


def _topology(request: pytest.FixtureRequest, marker: pytest.Mark | None) -> Path:
    """The topology file: the marker's, that of --topology, or the one beside the test's module."""
    if marker is not None and marker.args:
        beside = Path(request.path.parent, marker.args[0])
        return beside if beside.exists() else Path(request.config.rootpath, marker.args[0])
    if option := request.config.getoption("topology"):
        chosen: Path = request.config.invocation_params.dir / option
        return chosen
    own = own_topologies(request.path)
    if found := next((path for path in own if path.exists()), None):
        return found
    names = " or ".join(path.name for path in own)
    text = 'no topology: use @pytest.mark.topology("FILE") or --topology FILE'
    pytest.fail(f"{text}, or put {names} beside {request.path.name}", pytrace=False)


def own_topologies(module: Path) -> list[Path]:
    """Where the topology file of a test module may be: of its own name, else `topology`."""
    stems = (module.stem, "topology")
    return [module.parent / f"{stem}{end}" for stem in stems for end in (".yaml", ".yaml.j2")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what is wrong in its testbed, and keep what is needed."""
    report = yield
    skips.require_reason(item, report)
    if report.failed and call.excinfo is not None and skips.uses_testbed(item):
        failures.describe(item, report)
    return report


def pytest_exception_interact(
    node: pytest.Item | pytest.Collector, report: pytest.TestReport | pytest.CollectReport
) -> None:
    """Open a shell in the testbed of the test that has failed."""
    if node.config.getoption("testbed_shell_on_error") and isinstance(node, pytest.Item):
        failures.open_shell(node, report.longreprtext)
