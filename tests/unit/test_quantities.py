"""The one grammar of delays, spans of time and rates."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import UsageError
from testbed.faults.values import Parameter
from testbed.quantities import delay_ms, rate_mbps, span_s


@pytest.mark.parametrize(
    ("text", "number"), [("15ms", 15), ("100us", 0.1), ("1 s", 1000), ("0.5ms", 0.5)]
)
def test_delays(text: str, number: float) -> None:
    assert delay_ms(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("10M", 10), ("1.5Gbit", 1500), ("800kbit/s", 0.8), ("2g", 2000), ("1Tbps", 1e6)],
)
def test_rates(text: str, number: float) -> None:
    assert rate_mbps(text) == number


@pytest.mark.parametrize(
    ("text", "number"), [("90", 90), ("1h30m", 5400), ("500ms", 0.5), ("7d", 604800), ("1m1s", 61)]
)
def test_spans(text: str, number: float) -> None:
    assert span_s(text) == number


@pytest.mark.parametrize("read", [delay_ms, rate_mbps])
def test_what_a_number_without_a_unit_counts_is_said(
    read: Callable[[str, float | None], float],
) -> None:
    assert read("2000000", 1e-6) == 2
    with pytest.raises(ValueError, match="2000000"):
        read("2000000", None)


@pytest.mark.parametrize("read", [delay_ms, rate_mbps, span_s])
@pytest.mark.parametrize(
    "text", ["", "fast", "-1", "1e3", "nan", "inf", "1,5M", "5 apples", "ms", "1ms2", "٣s", "5s "]
)
def test_what_is_none(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(text)):
        read(text)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert span_s(f"{hours}h{minutes}m{seconds}s") == (hours * 60 + minutes) * 60 + seconds


@pytest.mark.parametrize(
    ("value", "percent"),
    [(0.00001, 0.00001), (0.12345678912, 0.123456789), (1, 1), ("1%", 1), ("0.5 %", 0.5)],
)
def test_a_share_may_be_a_number_or_a_text(value: float | str, percent: float) -> None:
    assert Parameter("loss", "percent", "random loss").parse(value) == percent


@pytest.mark.parametrize("value", [float("nan"), -0.1, 100.1, True, "1e-5", "half"])
def test_what_is_no_share(value: object) -> None:
    with pytest.raises(UsageError, match="a share from 0 to 100%"):
        Parameter("loss", "percent", "random loss").parse(value)
