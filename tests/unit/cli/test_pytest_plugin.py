"""The plugin and the handles it gives, with keepers that only pretend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from testbed import lower
from testbed.errors import NetworkError, UsageError
from testbed.testing import Testbed, eventually
from testbed.topology import load

from .conftest import TOPOLOGY, small_plan
from .fake_keeper import FakeKeeper

pytest_plugins = ["pytester"]
SHARED = (load, lower)  # imported here: a run inside this process would load C libraries anew

FAKES = """
import sys
sys.path.insert(0, {tests!r})
import pytest
from testbed import launch

@pytest.fixture(scope="session", autouse=True)
def fakes():
    from cli.fake_keeper import FakeKeeper
    started = {{}}
    def ensure_running(name, **options):
        if options["vm"] == "never":
            from testbed.errors import HostError
            raise HostError("this kernel lacks: bond", hint="testbed doctor")
        if not launch.alive(name):
            started[name] = FakeKeeper(name)
    def end(name, ask):
        ask()
        print("ended", name)
        assert started[name].stopped.wait(10)
        launch.sweep()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "ensure_running", ensure_running)
        patch.setattr(launch, "end", end)
        yield started
"""


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    tests = str(TOPOLOGY.parents[1] / "tests" / "unit")
    pytester.makeconftest(FAKES.format(tests=tests))
    (pytester.path / "two.yaml").write_text(TOPOLOGY.read_text())
    return pytester


def run(inner: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return inner.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def test_one_testbed_for_a_session(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import pytest
        names = []

        @pytest.mark.topology("two.yaml")
        @pytest.mark.parametrize("index", [1, 2])
        def test_it(testbed, index):
            names.append(testbed.name)
            assert testbed["a"].address == "10.77.7.88"
            assert testbed["a"].run(["echo", "x"]).text == "x\\n"

        def test_factory(testbed_factory):
            names.append(testbed_factory("two.yaml").name)

        def test_names(fakes):
            assert len(set(names)) == 1
            assert names[0].startswith("pytest-")
            assert list(fakes) == names[:1]
        """
    )
    result = run(inner, "-s")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*ended pytest-*"])


def test_option_and_keep(inner: pytest.Pytester) -> None:
    inner.makepyfile("def test_it(testbed): assert testbed.nodes")
    result = run(inner, "--topology", "two.yaml", "--testbed-keep", "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*testbed pytest-* is left running"])
    result.stdout.no_fnmatch_line("*ended*")


def test_without_a_topology(inner: pytest.Pytester) -> None:
    inner.makepyfile("def test_it(testbed): pass")
    result = run(inner)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no topology: use @pytest.mark.topology*"])


def test_a_host_that_cannot_fails_the_tests(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        def test_one(testbed): pass
        def test_two(testbed): pass
        """
    )
    result = run(inner, "--topology", "two.yaml", "--testbed-vm", "never")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*this kernel lacks: bond", "hint: testbed doctor"])


def test_changes_are_undone_after_the_test(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import dataclasses
        import pytest
        pytestmark = pytest.mark.topology("two.yaml")

        def test_change(testbed):
            testbed.apply(dataclasses.replace(testbed.plan, nodes=testbed.plan.nodes[:3]))
            assert len(testbed.nodes) == 3

        def test_next(testbed, fakes):
            assert len(testbed.client.plan()[0].nodes) == 31
            applies = [r for r in fakes[testbed.name].requests if r["op"] == "apply"]
            assert len(applies) == 3

        def test_after(testbed, fakes):
            applies = [r for r in fakes[testbed.name].requests if r["op"] == "apply"]
            assert len(applies) == 3
        """
    )
    run(inner).assert_outcomes(passed=3)


def test_a_failed_test_reports_the_testbeds_state(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        def test_it(testbed, fakes):
            row = {"title": "LAG 1", "state": "no partner", "ok": False}
            fakes[testbed.name].replies["status"] = lambda *_: {"ok": False, "lags": [row]}
            assert False
        """
    )
    result = run(inner, "--topology", "two.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*state of testbed pytest-*", "LAG 1: no partner"])


@pytest.fixture
def handle(keeper: FakeKeeper) -> Testbed:
    return Testbed("demo")


def test_handles(handle: Testbed) -> None:
    assert [node.name for node in handle.nodes] == ["region.edge", "cnd1", "op-a.ond1", "a"]
    assert handle.address("a") == "10.77.7.88"
    assert handle.address("192.0.2.1") == "192.0.2.1"
    assert handle.address(handle["region.edge"]) == "100.65.0.1"
    with pytest.raises(UsageError, match="no node 'x'"):
        handle["x"]


def test_a_command_that_fails_says_why(handle: Testbed) -> None:
    words = ["sh", "-c", "echo why >&2; exit 3"]
    with pytest.raises(NetworkError, match="exit status 3") as caught:
        handle["a"].run(words)
    assert caught.value.hint == "why"
    assert handle["a"].run(words, check=False).returncode == 3
    with pytest.raises(UsageError):
        handle["a"].run("echo x")


def test_up_that_is_not_ready_is_taken_down(
    starting: dict[str, FakeKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = [{"title": "LAG 1", "state": "no partner"}]
    answer = {"changed": True, "steps": 1, "timings": {}, "pending": pending}
    monkeypatch.setattr(FakeKeeper, "_apply", lambda *_: answer)
    with pytest.raises(NetworkError) as caught:
        Testbed.up(TOPOLOGY, name="mine")
    assert caught.value.hint == "LAG 1: no partner"
    assert starting["mine"].stopped.is_set()


def test_up_and_down(starting: dict[str, FakeKeeper]) -> None:
    plan = replace(small_plan(), name="other")
    with Testbed.up(plan, name="mine") as testbed:
        assert testbed.plan.name == "mine"
    assert starting["mine"].stopped.is_set()


def test_eventually(keeper_of: Callable[..., FakeKeeper]) -> None:
    values = iter([0, None, 7])
    assert eventually(lambda: next(values), interval=0) == 7
    with pytest.raises(AssertionError, match="the last value was 'x'"):
        eventually(lambda: "" or Falsy("x"), 0.01)

    def fails() -> bool:
        raise NetworkError("down")

    with pytest.raises(AssertionError, match="the last error was: down"):
        eventually(fails, 0.01)


class Falsy(str):
    __slots__ = ()

    def __bool__(self) -> bool:
        return False
