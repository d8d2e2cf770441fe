"""Results of checks: verdicts, the diagnosis, what blocks what, and the JSON that programs read."""

from __future__ import annotations

from dataclasses import replace

import jsonschema
import pytest

from testbed.conformance.expectation import NO_DATA, Deviation, Measurement, expect
from testbed.conformance.graph import After
from testbed.conformance.results import Outcome, Report, Result, blocking

PASSED = Result("lag.carrier", "op.lag1", "passed", "op.lag1")
SLOW = Result(
    "lag.fast-rate", "cnd1 op_1", "failed", "op.lag1", keys=frozenset({"op.lag1", "cnd1"})
)
STRING, BOOLEAN, NUMBER = {"type": "string"}, {"type": "boolean"}, {"type": "number"}


def closed(**members: object) -> dict[str, object]:
    """The schema of an object with exactly these members."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


MEASUREMENT = closed(
    name=STRING,
    value=NUMBER,
    unit=STRING,
    at_most={"type": ["number", "null"]},
    at_least={"type": ["number", "null"]},
    ok=BOOLEAN,
)
OUTCOMES = ["passed", "failed", "error", "blocked", "not-applicable"]
RESULT = closed(
    check=STRING,
    suite=STRING,
    subject=STRING,
    about=STRING,
    outcome={"enum": OUTCOMES},
    summary=STRING,
    expected=STRING,
    seen=STRING,
    remedy=STRING,
    source=STRING,
    text=STRING,
    duration_s=NUMBER,
    measurements={"type": "array", "items": MEASUREMENT},
)
REPORT = closed(
    version={"const": 1},
    testbed=STRING,
    started=STRING,
    duration_s=NUMBER,
    ok=BOOLEAN,
    problem={"type": ["string", "null"]},
    environment={"type": "object", "additionalProperties": STRING},
    counts=closed(**{outcome: {"type": "integer"} for outcome in OUTCOMES}),
    diagnosis={"anyOf": [RESULT, {"type": "null"}]},
    results={"type": "array", "items": RESULT},
)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["passed"], 0),
        (["passed", "not-applicable"], 0),
        (["passed", "failed"], 1),
        (["failed", "error"], 1),
        (["passed", "error"], 3),
        (["not-applicable"], 3),
        (["blocked"], 3),
        ([], 3),
    ],
)
def test_exit_codes(outcomes: list[Outcome], code: int) -> None:
    report = Report("t", [replace(PASSED, outcome=outcome) for outcome in outcomes])
    assert report.exit_code == code
    assert report.to_json()["ok"] is (code == 0)


def test_a_run_that_stopped_is_no_pass() -> None:
    assert Report("t", [PASSED], problem="the testbed died").exit_code == 3


def test_the_diagnosis_is_the_failure_nearest_to_the_cables() -> None:
    """Not the first one that came, and of one suite the first."""
    above = Result("mtu.underlay", "op", "failed")
    second = replace(SLOW, subject="cnd1 op_2")
    report = Report("t", [above, PASSED, SLOW, second])
    assert report.diagnosis is SLOW
    assert report.suites == ["lag", "mtu"]
    assert Report("t", [PASSED, replace(SLOW, outcome="error")]).diagnosis is None


def test_what_stands_on_a_failure_is_blocked() -> None:
    own, keys = frozenset({"op.lag1.service-link"}), frozenset({"op.lag1.service-link", "op.lag1"})
    after, other = After(("lag.fast-rate",)), frozenset({"op.lag2"})
    assert blocking([SLOW], after, own, keys) == "lag.fast-rate failed for cnd1 op_1"
    assert not blocking([SLOW], After(("lag.members",)), own, keys)
    assert not blocking([SLOW], after, other, other)
    assert not blocking([replace(SLOW, outcome="passed")], after, own, keys)


def test_a_failed_part_blocks_the_whole() -> None:
    part = replace(SLOW, keys=frozenset({"op.lag1"}), within=frozenset({"op.lag1", "op"}))
    good = replace(part, outcome="passed", keys=frozenset({"op.lag2"}))
    whole, check = frozenset({"op"}), ("lag.fast-rate",)
    assert blocking([good, part], After(check), whole, whole)
    assert not blocking([good, part], After(check, every=True), whole, whole)
    none = replace(good, outcome="not-applicable")
    assert blocking([none, part], After(check, every=True), whole, whole)
    assert blocking([part], After(check, part="lag1"), whole, whole)
    assert not blocking([part], After(check, part="lag2"), whole, whole)


@pytest.mark.parametrize("nothing", [None, "", b"", (), [], {}])
def test_no_data_is_never_a_pass(nothing: object) -> None:
    with pytest.raises(Deviation) as raised:
        expect(True, "cnd1", expected="routes", seen=nothing)
    assert raised.value.seen == NO_DATA


def test_zero_is_data() -> None:
    expect(True, "cnd1", expected="no loss", seen=0)
    with pytest.raises(Deviation, match="cnd1: expected no loss; seen: 3"):
        expect(False, "cnd1", expected="no loss", seen=3)


@pytest.mark.parametrize(
    ("measurement", "ok", "text"),
    [
        (Measurement("RTT", 175, "ms", at_most=175), True, "175 ms"),
        (Measurement("RTT", 175.01, "ms", at_most=175), False, "175 ms"),
        (Measurement("throughput", 499, "Mbit/s", at_least=500), False, "499 Mbit/s"),
        (Measurement("outage", 12345.6, "ms"), True, "12346 ms"),
        (Measurement("jitter", 0.01234, "ms"), True, "0.0123 ms"),
    ],
)
def test_measurements(measurement: Measurement, ok: bool, text: str) -> None:
    assert measurement.ok is ok
    assert str(measurement) == text


def test_the_json_is_what_is_documented() -> None:
    """A member that is added, renamed or dropped needs this schema, docs and maybe a version."""
    figure = Measurement("RTT", 20.0, "ms", at_most=175)
    results = [replace(PASSED, measurements=(figure,)), SLOW]
    report = Report("t", results, 1.5, "2026-11-28T19:20:00+00:00", environment={"time": "real"})
    jsonschema.validate(report.to_json(), REPORT)
    jsonschema.validate(Report("t", problem="nothing to check").to_json(), REPORT)
    assert report.to_json()["diagnosis"]["check"] == "lag.fast-rate"
