"""The plugin and the handles it gives, with keepers that only pretend."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
from testbed.control import registry
from testbed.lifecycle import start

@pytest.fixture(scope="session", autouse=True)
def fakes():
    from cli.fake_keeper import FakeKeeper
    started = {{}}
    def ensure_running(name, **options):
        if options["vm"] == "never":
            from testbed.errors import HostError
            raise HostError("this kernel lacks: bond", hint="testbed doctor")
        if registry.alive(name):
            return False
        started[name] = FakeKeeper(name)
        return True
    def end(name, ask):
        ask()
        print("ended", name)
        assert started[name].stopped.wait(10)
        registry.sweep()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "ensure_running", ensure_running)
        patch.setattr(start, "end", end)
        yield started
"""


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    tests = str(TOPOLOGY.parents[1] / "tests" / "unit")
    pytester.makeconftest(FAKES.format(tests=tests))
    (pytester.path / "two.yaml").write_text(TOPOLOGY.read_text())
    return pytester


def run(inner: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    options = ("-p", "no:cacheprovider", "-p", "no:randomly", "--testbed-bundles", "bundles")
    return inner.runpytest_inprocess(*options, *arguments)


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


def test_topologies_by_name(inner: pytest.Pytester) -> None:
    """Beside the test, in the folder `topologies` of the root directory, among the examples."""
    (inner.path / "topologies").mkdir()
    (inner.path / "topologies" / "site.yaml").write_text((inner.path / "two.yaml").read_text())
    below = inner.mkdir("below")
    (below / "test_it.py").write_text(
        """
import pytest
from pathlib import Path

def file(testbed):
    return Path(testbed.client.plan()[1]["file"]).parts[-2:]

@pytest.mark.topology("two")
def test_root(testbed): assert file(testbed)[1] == "two.yaml"

@pytest.mark.topology("site")
def test_folder(testbed): assert file(testbed) == ("topologies", "site.yaml")

@pytest.mark.topology("two-racks")
def test_example(testbed, testbed_factory):
    assert file(testbed) == ("topologies", "two-racks.yaml")
    assert testbed_factory("two-racks") is testbed

def test_option(testbed): assert file(testbed)[1] == "first.yaml"
"""
    )
    run(inner, "--topology", "first").assert_outcomes(passed=4)


def test_a_topology_that_is_not_there(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import pytest

        @pytest.mark.topology("two-rakcs.yaml")
        def test_it(testbed): pass
        """
    )
    result = run(inner)
    result.assert_outcomes(errors=1)
    wanted = ["there is no topology 'two-rakcs.yaml'", "hint: did you mean 'two-racks'?"]
    result.stdout.fnmatch_lines(wanted, consecutive=True)


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


def test_the_modules_own_topology(inner: pytest.Pytester) -> None:
    """The file of the module's name, before one called `topology`."""
    (inner.path / "two.yaml").rename(inner.path / "topology.yaml")
    inner.makepyfile(
        test_site="def test_it(testbed): assert 'test_site' in testbed.client.plan()[1]['file']",
        test_other="def test_it(testbed): assert testbed.nodes",
    )
    (inner.path / "test_site.yaml").write_text((inner.path / "topology.yaml").read_text())
    run(inner).assert_outcomes(passed=2)


BREAKS = """
    def test_breaks(testbed, fakes):
        row = {"title": "LAG 1", "state": "no partner", "ok": False}
        fake = fakes[testbed.name]
        fake.replies["status"] = lambda *_: {"ok": False, "lags": [row]}

    def test_next(testbed):
        assert not testbed.problems()
"""


def test_a_testbed_that_stays_broken_is_brought_up_anew(inner: pytest.Pytester) -> None:
    inner.makepyfile(BREAKS)
    result = run(inner, "--topology", "two.yaml", "-s")
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(
        ["*::test_breaks has left testbed pytest-* with", "*LAG 1: no partner"]
    )
    assert result.stdout.str().count("ended pytest-") == 2


def test_a_testbed_that_recovers_is_kept(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        def test_breaks(testbed, fakes):
            fake = fakes[testbed.name]
            row = {"title": "LAG 1", "state": "no partner", "ok": False}
            apply = fake.replies["apply"]
            def repair(*arguments):
                row["ok"] = True
                return apply(*arguments)
            fake.replies |= {"status": lambda *_: {"lags": [row]}, "apply": repair}

        def test_next(testbed): assert not testbed.problems()
        """
    )
    result = run(inner, "--topology", "two.yaml", "-s")
    result.assert_outcomes(passed=2, warnings=0)
    assert result.stdout.str().count("ended pytest-") == 1


def test_what_is_down_by_plan_is_no_problem(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import pytest

        @pytest.fixture
        def down(fakes):
            from cli.fake_keeper import FakeKeeper
            row = {"title": "a eth1", "state": "administratively down", "ok": False}
            make = FakeKeeper.__init__
            def made(self, *arguments):
                make(self, *arguments)
                self.replies["status"] = lambda *_: {"ok": False, "links": [row]}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(FakeKeeper, "__init__", made)
                yield

        def test_one(down, testbed): assert testbed.problems()
        def test_two(testbed): assert testbed.problems()
        """
    )
    result = run(inner, "--topology", "two.yaml", "-s")
    result.assert_outcomes(passed=2, warnings=0)


def test_a_failed_test_has_a_support_bundle(inner: pytest.Pytester) -> None:
    inner.makepyfile("def test_it(testbed): assert testbed is None")
    result = run(inner, "--topology", "two.yaml", "--testbed-bundles", "kept")
    result.assert_outcomes(failed=1)
    (bundle,) = (inner.path / "kept").iterdir()
    result.stdout.fnmatch_lines([f"support bundle: {bundle}*"])
    with tarfile.open(bundle) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
        assert {"about.json", "plan.json", "status.json", "events.json", "document.json"} <= files
        text = archive.extractfile(f"{bundle.name.removesuffix('.tar.gz')}/test.txt")
        assert text is not None
        assert "assert testbed is None" in text.read().decode()


def test_only_the_last_runs_bundles_are_in_the_cache(inner: pytest.Pytester) -> None:
    inner.makepyfile("def test_it(testbed): assert False")
    for _ in range(2):
        inner.runpytest_inprocess("--topology", "two.yaml").assert_outcomes(failed=1)
        assert len(list(inner.path.glob(".pytest_cache/d/testbed-bundles/*.tar.gz"))) == 1
    inner.makepyfile("def test_it(testbed): pass")
    inner.runpytest_inprocess("--topology", "two.yaml").assert_outcomes(passed=1)
    assert not list(inner.path.glob(".pytest_cache/d/testbed-bundles/*.tar.gz"))


@pytest.mark.parametrize("skip", ["pytest.skip()", "pytest.skip('')"])
def test_a_skip_says_why(inner: pytest.Pytester, skip: str) -> None:
    inner.makepyfile(
        f"""
        import pytest

        def test_in_the_test(testbed): {skip}

        @pytest.mark.skip
        def test_marked(testbed): pass

        def test_without_a_testbed(): {skip}

        @pytest.mark.xfail
        def test_expected(testbed): assert False

        def test_with_a_reason(testbed): pytest.skip("needs two racks")
        """
    )
    result = run(inner, "--topology", "two.yaml")
    result.assert_outcomes(failed=1, errors=1, skipped=2, xfailed=1)
    result.stdout.fnmatch_lines(["*skipped without a reason: say why*"])


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_all_skipped_is_not_passed(inner: pytest.Pytester, workers: tuple[str, ...]) -> None:
    inner.makepyfile(
        """
        import pytest

        def test_one(testbed): pytest.skip("needs two racks")
        @pytest.mark.skip(reason="not yet")
        def test_two(testbed): pass
        def test_three(): pass
        """
    )
    result = run(inner, "--topology", "two.yaml", *workers)
    result.assert_outcomes(skipped=2, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*nothing was tested"])


def test_skipped_without_a_testbed_is_not_our_business(inner: pytest.Pytester) -> None:
    inner.makepyfile("import pytest\ndef test_one(): pytest.skip()")
    assert run(inner).ret == pytest.ExitCode.OK


def test_each_worker_has_its_own_testbeds(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import os, pathlib, pytest

        @pytest.mark.parametrize("index", range(4))
        def test_it(testbed, index, worker_id):
            assert testbed.name.startswith(f"pytest-{worker_id}-")
            pathlib.Path(__file__).with_name(testbed.name).touch()
        """
    )
    run(inner, "--topology", "two.yaml", "-n", "2").assert_outcomes(passed=4)
    assert len(list(inner.path.glob("pytest-gw*"))) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [(["-n", "1"], "*pytest-xdist's workers*"), ([], "*needs a terminal*")],
)
def test_a_shell_needs_the_terminal(
    inner: pytest.Pytester, options: list[str], message: str
) -> None:
    inner.makepyfile("def test_it(testbed): assert False")
    result = inner.runpytest_subprocess("--testbed-shell-on-error", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_shell_at_the_failed_test(inner: pytest.Pytester, runtime: Path) -> None:
    """On a terminal of its own: choose a node, a wrong one first, type a command, go on."""
    inner.makepyfile("def test_it(testbed): assert False\ndef test_next(testbed): print('hidden')")
    options = ["--topology", "two.yaml", "--testbed-shell-on-error"]
    options += ["-p", "no:cacheprovider", "-p", "no:randomly"]
    typed = [
        ("(empty: continue) ", "x\n"),
        ("(empty: continue) ", "a\n"),
        (":a] ", "echo $((6*7)); exit\n"),
    ]
    typed.append(("(empty: continue) ", "\n"))
    said, code = at_terminal([sys.executable, "-m", "pytest", *options], inner.path, typed)
    assert "no node 'x'" in said
    assert "42" in said
    assert "1 failed, 1 passed" in said
    assert "hidden" not in said
    assert code == pytest.ExitCode.TESTS_FAILED


def at_terminal(argv: list[str], folder: Path, typed: list[tuple[str, str]]) -> tuple[str, int]:
    """Run a program at a terminal, type each answer once its prompt is there; output and status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(argv[0], argv)
    said, answers = "", iter([*typed, ("\0", "")])
    prompt, answer = next(answers)
    start = 0
    with contextlib.suppress(OSError):  # the terminal's end
        while select.select([terminal], [], [], 120)[0] and (data := os.read(terminal, 65536)):
            said += data.decode(errors="replace")
            if (found := said.find(prompt, start)) >= 0:
                start = found + len(prompt)
                os.write(terminal, answer.encode())
                prompt, answer = next(answers)
        os.kill(pid, signal.SIGKILL)
        pytest.fail(f"nothing more came, {prompt!r} is awaited: {said}")
    os.close(terminal)
    return said, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_testbeds_are_held_until_the_end(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        def test_it(testbed, fakes):
            fake = fakes[testbed.name]
            assert [r["hold"] for r in fake.requests if r["op"] == "apply"] == [True]
            assert not fake.released.is_set()
        """
    )
    run(inner, "--topology", "two.yaml").assert_outcomes(passed=1)
    inner.makepyfile(
        "def test_it(testbed, fakes):\n"
        "    assert not any(r.get('hold') for r in fakes[testbed.name].requests)"
    )
    run(inner, "--topology", "two.yaml", "--testbed-keep").assert_outcomes(passed=1)


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
    with pytest.raises(AssertionError, match=r"asked [0-9]+ times; the last value was 'x'"):
        eventually(lambda: "" or Falsy("x"), 0.01, interval=0)

    def fails() -> bool:
        raise NetworkError("down")

    with pytest.raises(AssertionError, match="the last error was: down"):
        eventually(fails, 0.01)


class Falsy(str):
    __slots__ = ()

    def __bool__(self) -> bool:
        return False
