"""How commands end early: by Ctrl-C, and when nobody reads what they write."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result as Ended

from testbed.cli import check
from testbed.conformance import runner
from testbed.conformance.results import Report, Result
from testbed.topology.model import Topology

from .conftest import program, small_plan
from .fake_keeper import FakeKeeper


@pytest.mark.parametrize(
    "words", [["events"], ["events", "--json"], ["logs", "cnd1"], ["inspect", "--json"]]
)
def test_nobody_reads_on(words: list[str], environment: dict[str, str], keeper: FakeKeeper) -> None:
    event = {"at": 1.0, "node": "cnd1", "kind": "link", "subject": "op", "state": "up"}
    keeper.replies["events"] = lambda *_: {"events": [event] * 20_000, "dropped": 0}
    keeper.log = b"a line\n" * 200_000
    keeper.plan["nodes"] *= 300
    environment.pop("PYTHONUNBUFFERED", None)
    process = subprocess.Popen(
        [*program(), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (141, b"")


def test_an_interrupted_check_reports_what_is_over(
    call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keeper: FakeKeeper
) -> None:
    done = Result("lag.bundled", "op-a.lag1", "passed", about="op-a.lag1")
    problem = "interrupted: 1 of 9 checks are done"

    def run(*_: Any, **__: Any) -> Report:
        raise runner.Interrupted(Report("demo", [done], problem=problem))

    def choose(*_: Any) -> SimpleNamespace:
        plan = small_plan()
        return SimpleNamespace(plan=plan, topology=SimpleNamespace(), new=None)

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(check, "choose", choose)
    html, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    ended = call("check", "--html", str(html), "--junit", str(junit))
    assert ended.exit_code == 130
    assert problem in ended.output
    assert "lag" in ended.output
    assert problem in html.read_text()
    assert problem in junit.read_text()
    assert '"problem": "interrupted' in call("check", "--json").stdout


def test_an_interrupted_run_has_its_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: list[str], __: list[str], collector: runner._Collector) -> str:
        collector.results.append(Result("lag.bundled", "op-a.lag1", "passed"))
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_pytest", interrupted)
    monkeypatch.setattr(runner, "environment_of", lambda _: {})
    testbed: Any = SimpleNamespace(name="demo")
    topology: Topology = SimpleNamespace()  # type: ignore[assignment]
    with pytest.raises(runner.Interrupted) as caught:
        runner.run(testbed, topology, ["lag"])
    assert [result.outcome for result in caught.value.report.results] == ["passed"]
    assert caught.value.report.problem.startswith("interrupted: 1 of")
