"""The pytest plugin: a fixture that brings up topologies (docs/pytest.md).

It is loaded in every pytest run on a machine that has the package, so it
imports next to nothing before a test asks for a testbed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.pytest_plugin import failures, options, skips
from testbed.pytest_plugin.lifetimes import Lifetimes
from testbed.pytest_plugin.pool import Key, Pool, TestbedWarning, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from testbed.testing import Testbed

    TestbedFactory = Callable[..., Testbed]

__all__ = ["TestbedWarning", "api_url", "testbed", "testbed_factory"]

MARKERS = (
    "topology(topology, **settings): the topology of `testbed`, a file or a name; its variables",
    "testbed(time, seed): the time of `testbed`, real or virtual, and its random seed",
    "after(*checks, part, every): conformance: skip objects for which one of them has failed",
    "follows(*checks): conformance: attribute a failure to one of them that failed nearby",
    "disruptive: conformance: breaks something on purpose, and repairs it",
)
POOL: pytest.StashKey[Pool] = pytest.StashKey()
LIFETIMES: pytest.StashKey[Lifetimes] = pytest.StashKey()


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


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find out which test is the last one of each testbed."""
    session.config.stash[LIFETIMES] = Lifetimes(session.items, wanted)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Take a testbed down after its last test, so that none idles beside the others."""
    done = yield
    pool, lifetimes = item.config.stash.get(POOL, None), item.config.stash.get(LIFETIMES, None)
    if pool is not None and lifetimes is not None:
        for key in lifetimes.over_after(item):
            pool.take_down(key)
    return done


@pytest.fixture(scope="session")
def testbed_factory(pytestconfig: pytest.Config) -> Iterator[TestbedFactory]:
    """Return the function that brings up a topology: `factory(topology, **settings) -> Testbed`.

    `topology` is a file or a name. With the same settings it is brought up once in a session, and
    taken down when no remaining test can ask for it. `testbed_time` and
    `testbed_seed` are those of the marker `testbed`.
    """
    pool = pytestconfig.stash[POOL] = Pool(pytestconfig)

    def factory(
        file: str | Path,
        *,
        testbed_time: str | None = None,
        testbed_seed: int | None = None,
        **settings: Any,
    ) -> Testbed:
        time = testbed_time or options.time_of(pytestconfig)
        return pool.get(key_of(_found(file), settings, time, testbed_seed))

    try:
        yield factory
    finally:
        pool.end()


@pytest.fixture
def testbed(request: pytest.FixtureRequest, testbed_factory: TestbedFactory) -> Iterator[Testbed]:
    """Give the running testbed of the test's `topology` marker, of --topology, or of its module.

    Changes that the test makes with `Testbed.apply` are undone after it.
    """
    file, settings = _asked(request.node)
    made = testbed_factory(file, **settings)
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


@pytest.fixture
def api_url(testbed: Testbed) -> Iterator[str]:
    """Give the URL at which AWS's API of the test's testbed is served (docs/api.md)."""
    from testbed.lifecycle.api_process import start  # noqa: PLC0415

    process, url = start(testbed.client.name, "--listen", "127.0.0.1:0")
    try:
        yield url
    finally:
        process.terminate()
        process.communicate()


def wanted(item: pytest.Item) -> Key | None:
    """Return the key of the testbed of a test's fixture `testbed`; None if it has none."""
    if "testbed" not in getattr(item, "fixturenames", ()):
        return None
    try:
        file, settings = _asked(item)
    except pytest.fail.Exception:  # told when the test is run
        return None
    time = settings.pop("testbed_time") or options.time_of(item.config)
    return key_of(file, settings, time, settings.pop("testbed_seed"))


def _asked(item: pytest.Item) -> tuple[Path, dict[str, Any]]:
    """Return what a test's markers ask for, as arguments of the factory."""
    marker = item.get_closest_marker("topology")
    return _topology(item, marker), _time_of(item) | dict(marker.kwargs if marker else {})


def _time_of(item: pytest.Item) -> dict[str, Any]:
    marker = item.get_closest_marker("testbed")
    asked = dict(marker.kwargs) if marker else {}
    settings = {f"testbed_{key}": asked.pop(key, None) for key in ("time", "seed")}
    if asked or (marker and marker.args):
        pytest.fail("the marker testbed takes only time=… and seed=…", pytrace=False)
    return settings


def _topology(item: pytest.Item, marker: pytest.Mark | None) -> Path:
    """Return the topology file: the marker's, --topology's, or the one beside the test's module.

    The marker's is looked for beside the module first, then in pytest's root directory.
    """
    if marker is not None and marker.args:
        return _found(marker.args[0], item.path.parent, item.config.rootpath)
    if option := item.config.getoption("topology"):
        return _found(option, item.config.invocation_params.dir)
    own = own_topologies(item.path)
    if found := next((path for path in own if path.exists()), None):
        return found
    names = " or ".join(path.name for path in own)
    text = 'no topology: use @pytest.mark.topology("NAME") or --topology'
    pytest.fail(f"{text}, or put {names} beside {item.path.name}", pytrace=False)


def _found(word: str | Path, *folders: Path) -> Path:
    """Return the file of a topology. The test fails if there is none."""
    from testbed.errors import UsageError  # noqa: PLC0415
    from testbed.lifecycle.finding import find  # noqa: PLC0415

    try:
        return find(word, *folders)
    except UsageError as error:
        text = f"{error.message}\nhint: {error.hint}"
    pytest.fail(text, pytrace=False)


def own_topologies(module: Path) -> list[Path]:
    """Return where a test module's topology file may be: with its own name, else `topology`."""
    stems = (module.stem, "topology")
    return [module.parent / f"{stem}{end}" for stem in stems for end in (".yaml", ".yaml.j2")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what is wrong in its testbed to the report of a failed test, and keep a bundle."""
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
