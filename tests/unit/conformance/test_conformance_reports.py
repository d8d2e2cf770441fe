"""The reports of a run: HTML, JUnit and the terminal's, with texts that mean harm."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from testbed.conformance.expectation import Measurement
from testbed.conformance.report import charts, html, junit
from testbed.conformance.report.progress import LiveProgress, PlainProgress
from testbed.conformance.report.table import print_report
from testbed.conformance.results import Report, Result
from testbed.errors import HostError, UsageError
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.model import Plan

HOSTILE = "<script>alert('x')</script> & \"quoted\" \x1b[31m\x00"
PASSED = Result("lag.carrier", "op.lag1 (op.ond1 - cnd1)", "passed", "op.lag1 (op.ond1 - cnd1)")
FAILED = Result(
    "bgp.established",
    "cnd1 198.19.0.0",
    "failed",
    "op.lag1.service-link",
    summary="The session is Established.",
    expected="Established",
    seen=HOSTILE,
    remedy="correct the ASN",
    source="A6 (T1)",
    measurements=(Measurement("up after", 12, "s", at_most=3),),
)
OUTAGES = (
    Measurement("desk to web", 0, "ms", at_most=1000),
    Measurement("web to db", 10.0, "s", at_most=3),
    Measurement("db to web", 100, "ms"),
)
FAILOVER = Result("failover.link", "op-b.lag2", "passed", "op-b.lag2", measurements=OUTAGES)
REPORT = Report("t", [PASSED, FAILED, FAILOVER], 2.0, "2026-11-28T19:20:00+00:00")


@pytest.fixture(scope="module")
def plan() -> Plan:
    root = Path(__file__).parents[3]
    return lower_topology(load_topology(root / "topologies" / "first.yaml", {}))


class Page(HTMLParser):
    """What of a page could load or run something, and whether its elements are balanced."""

    VOID = {"meta", "input", "br", "hr", "img", "link"}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts = 0
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [f"{tag} {name}={value}" for name, value in attrs if self.loading(tag, name)]

    @staticmethod
    def loading(tag: str, name: str) -> bool:
        return name in {"src", "srcset", "data"} or name.startswith("on") or tag in {"link", "base"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_loads_nothing_and_hostile_texts_are_text(plan: Plan) -> None:
    text = html.render(replace_all(REPORT), plan)
    page = Page(text)
    assert page.open == []
    assert page.scripts == 1  # the page's own
    assert page.loads == []
    assert "@import" not in text
    assert "url(" not in text
    assert any("<script>alert('x')</script>" in data for data in page.texts)


def replace_all(report: Report) -> Report:
    """The report with hostile texts everywhere."""
    names = ("subject", "about", "summary", "expected", "seen", "remedy", "source", "text")
    figure = Measurement(HOSTILE, 1.0, HOSTILE, at_most=2.0)
    texts: dict[str, Any] = dict.fromkeys(names, HOSTILE)
    results = [replace(entry, measurements=(figure,), **texts) for entry in report.results]
    return replace(report, results=results, problem=HOSTILE, environment={HOSTILE: HOSTILE})


def test_the_page_says_what_matters_first(plan: Plan) -> None:
    text = html.render(REPORT, plan)
    assert "<title>t: failed</title>" in text
    assert text.index("Cause: cnd1 198.19.0.0") < text.index("By subject")
    assert 'href="https://docs.aws.amazon.com/outposts/' in text
    assert "at most 3 s" in text
    assert "correct the ASN" in text


def test_a_run_that_passed_has_no_failures(plan: Plan) -> None:
    text = html.render(Report("t", [PASSED]), plan)
    assert "<title>t: passed</title>" in text
    assert "Cause" not in text
    assert "What else failed" not in text
    assert "<title>t: could not run</title>" in html.render(Report("t", problem="x"), plan)


def test_without_graphviz_the_picture_is_text(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> bytes:
        raise HostError("graphviz is not installed")

    monkeypatch.setattr(html, "to_image", missing)
    text = html.render(REPORT, plan)
    assert "<pre" in text
    assert 'class="picture' not in text
    assert "cnd1" in text[text.index("<pre") :]


def test_nodes_that_something_failed_at_are_marked(plan: Plan) -> None:
    assert html.nodes_of([FAILED], plan) == {"cnd1"}
    assert html.nodes_of([PASSED], plan) == {"op.ond1", "cnd1"}
    if 'class="picture' in (text := html.render(REPORT, plan)):  # graphviz is optional
        assert text.count('class="node marked"') == 1


def test_outages_are_drawn_by_kind_of_failure() -> None:
    [plot] = charts.outage_plots([PASSED, FAILED, FAILOVER])
    assert plot.check == "failover.link"
    none, long, unlimited = plot.rows
    assert (none.width, long.width) == (0.0, charts.PLOT_WIDTH)
    assert none.budget_at is not None
    assert none.budget_at == pytest.approx(0.75 * charts.PLOT_WIDTH)
    assert none.ok
    assert not long.ok
    assert unlimited.budget_at is None
    assert [label for label, _ in plot.ticks] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]


def test_gauges_compare_with_the_limit() -> None:
    bar = charts.gauge(Measurement("RTT", 100, "ms", at_most=200))
    assert bar is not None
    assert bar.width == pytest.approx(bar.limit_at / 2, abs=0.1)
    assert bar.limit_at < charts.GAUGE_WIDTH
    assert charts.gauge(Measurement("RTT", 100, "ms")) is None
    assert charts.gauge(Measurement("RTT", float("inf"), "ms", at_most=1)) is None
    assert charts.gauge(Measurement("loss", 0, "%", at_most=0)) is not None


def test_a_file_that_can_not_be_written_is_an_error(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        html.write(tmp_path / "no" / "x.html", REPORT, plan)
    with pytest.raises(UsageError, match="cannot write"):
        junit.write(tmp_path / "no" / "x.xml", REPORT)


def test_junit_has_stable_names_and_says_why(tmp_path: Path) -> None:
    blocked = Result("bgp.routes", "op", "blocked", "op", text="bgp.established failed for cnd1")
    error = Result("mtu.underlay", "op", "error", "op", text=HOSTILE)
    report = replace(REPORT, results=[*REPORT.results, blocked, error])
    junit.write(tmp_path / "x.xml", report)
    root = ET.parse(tmp_path / "x.xml").getroot()
    assert root.get("name") == "t"
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["lag", "bgp", "mtu", "failover"]
    bgp = suites["bgp"]
    assert (bgp.get("tests"), bgp.get("failures"), bgp.get("skipped")) == ("2", "1", "1")
    case = bgp.find("testcase")
    assert case is not None
    assert case.get("name") == "bgp.established op.lag1.service-link"
    failure = case.find("failure")
    assert failure is not None
    assert "cnd1 198.19.0.0: expected Established" in (failure.get("message") or "")
    assert "remedy: correct the ASN" in (failure.text or "")
    values = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
    assert values["up after"] == "12 s (at most 3 s)"
    assert bgp.findall("testcase")[1].find("skipped") is not None
    assert suites["mtu"].find("testcase/error") is not None


def test_junit_of_a_run_that_could_not_be_run_is_no_success(tmp_path: Path) -> None:
    junit.write(tmp_path / "x.xml", Report("t", problem="the testbed died"))
    case = ET.parse(tmp_path / "x.xml").getroot().find("testsuite/testcase/error")
    assert case is not None
    assert case.get("message") == "the testbed died"


def shown(report: Report, width: int, *, everything: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    print_report(console, report, everything=everything)
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminals_report_fits_and_ends_with_the_cause(width: int) -> None:
    text = shown(REPORT, width)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert max(map(len, lines)) <= width
    assert lines[-1] == "t: 2 passed, 1 failed in 2.0 s"
    assert re.search(r"^ *cause cnd1 198.19.0.0: expected Established", text, re.MULTILINE)
    assert "not run" not in text  # outcomes that did not come have no column
    assert "lag.carrier" not in text
    assert "lag.carrier  op.lag1" in shown(REPORT, width, everything=True)


def test_plain_progress_is_a_line_for_each_result(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress() as progress:
        progress.started("lag.carrier", "op.lag1", 0, 2)
        progress.result(PASSED, 2)
        progress.result(replace(PASSED, outcome="not-applicable"), 2)
    said = capsys.readouterr()
    assert said.err.split("\n")[:-1] == ["        passed lag.carrier  op.lag1 (op.ond1 - cnd1)"]
    assert not said.out


def test_live_progress_keeps_only_what_did_not_pass(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with LiveProgress() as progress:
        progress.started("lag.carrier", "op.lag1", 0, 2)
        progress.result(PASSED, 2)
        progress.started("bgp.established", "op.lag1", 1, 2)
        progress.result(FAILED, 2)
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "failed bgp.established  cnd1 198.19.0.0" in said
    assert "passed" not in said
