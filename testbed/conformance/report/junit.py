"""The report as JUnit XML, for CI systems: each result is a test case, its name always the same."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from testbed.conformance.report.table import WORDS
from testbed.conformance.results import Report, Result
from testbed.render import files

PACKAGE = "testbed.conformance"
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0


def write(path: Path, report: Report) -> None:
    """Write the report; UsageError if the file cannot be written."""
    files.write(path, ET.tostring(to_xml(report), encoding="utf-8", xml_declaration=True))


def to_xml(report: Report) -> ET.Element:
    """The report as JUnit's `testsuites`; what is blocked or does not apply is skipped."""
    root = ET.Element("testsuites", _totals(report.testbed, report.results, report.duration_s))
    for name in report.suites:
        results = [result for result in report.results if result.suite == name]
        seconds = sum(result.duration_s for result in results)
        suite = ET.SubElement(root, "testsuite", _totals(name, results, seconds))
        suite.set("timestamp", report.started.partition("+")[0])
        _properties(suite, report.environment)
        for result in results:
            _case(suite, result)
    if report.problem:
        suite = ET.SubElement(root, "testsuite", name="run", tests="1", errors="1")
        case = ET.SubElement(suite, "testcase", classname=PACKAGE, name="run")
        ET.SubElement(case, "error", message=_clean(report.problem))
    return root


def _totals(name: str, results: list[Result], seconds: float) -> dict[str, str]:
    outcomes = [result.outcome for result in results]
    skipped = outcomes.count("blocked") + outcomes.count("not-applicable")
    return {
        "name": name,
        "tests": str(len(results)),
        "failures": str(outcomes.count("failed")),
        "errors": str(outcomes.count("error")),
        "skipped": str(skipped),
        "time": f"{seconds:.3f}",
    }


def _case(suite: ET.Element, result: Result) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"{PACKAGE}.{result.suite}",
        name=_clean(f"{result.check} {result.about}"),
        time=f"{result.duration_s:.3f}",
    )
    told = {name: getattr(result, name) for name in ("subject", "outcome", "summary", "source")}
    told |= {m.name: f"{m} ({m.limit})" if m.limit else str(m) for m in result.measurements}
    _properties(case, told)
    if result.outcome == "failed":
        message = f"{result.subject}: expected {result.expected}; seen: {result.seen}"
        failure = ET.SubElement(case, "failure", message=_clean(message), type=result.check)
        failure.text = _clean(f"{message}\nremedy: {result.remedy}" if result.remedy else message)
    elif result.outcome == "error":
        ET.SubElement(case, "error", message=_clean(result.text), type=result.check)
    elif result.outcome != "passed":
        ET.SubElement(case, "skipped", message=_clean(f"{WORDS[result.outcome]}: {result.text}"))


def _properties(parent: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        if value:
            ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _FORBIDDEN.sub("\ufffd", text)
