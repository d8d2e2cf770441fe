"""`testbed fault` and `heal`, as far as no testbed is needed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from testbed.faults.catalog import KINDS
from testbed.probes.impairment import evaluate


def test_the_list_has_every_kind(call: Callable[..., Result]) -> None:
    result = call("fault", "--list", "--json")
    assert [row["kind"] for row in json.loads(result.output)] == list(KINDS)
    text = call("fault", "--list").output
    assert all(name in text for name in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_help_with_its_parameters_and_an_example(
    kind: str, call: Callable[..., Result]
) -> None:
    result = call("fault", kind, "--help")
    assert result.exit_code == 0
    assert f"testbed fault {kind} " in result.output
    for parameter in KINDS[kind].parameters:
        assert f"--{parameter.name} " in result.output


def test_an_unknown_kind_gets_a_suggestion(call: Callable[..., Result]) -> None:
    result = call("fault", "link-dwn", "web")
    assert result.exit_code == 2
    assert "did you mean 'link-down'" in result.output


def test_figures_of_arrivals() -> None:
    """Ten sent, one lost, one twice, one that overtakes; a delay of 10 ms."""
    ms = 1_000_000
    rows = [[n, n * ms, (n + 10) * ms] for n in range(8)]
    rows.append([9, 9 * ms, 9 * ms + 1])
    rows.insert(3, rows[2])
    burst = [[n, 0, n * ms] for n in range(11)]
    found = evaluate("a", "eth0", 10, {"steady": rows, "burst": burst}, with_rate=True, reorder=10)
    assert found.loss_percent == 10
    assert found.duplicate_percent == pytest.approx(100 / 9, abs=0.01)
    assert found.reorder_percent == pytest.approx(100 / 9, abs=0.01)
    assert found.delay_ms == 10
    assert found.jitter_ms == 0
    assert found.rate_mbps == pytest.approx(11.2)


def test_all_delays_count_where_nothing_is_reordered() -> None:
    """A hiccup of the machine is not the delay, nor is the upper part of a wide jitter."""
    ms = 1_000_000
    hiccup = [[n, 10 * n * ms, (10 * n + 5) * ms] for n in range(99)] + [[99, 990 * ms, 1015 * ms]]
    found = evaluate("a", "eth0", 100, {"steady": hiccup, "burst": []}, with_rate=False)
    assert found.delay_ms == pytest.approx(5.2)
    wide = [[n, 20 * n * ms, (20 * n + 2 + n % 17) * ms] for n in range(170)]
    found = evaluate("a", "eth0", 170, {"steady": wide, "burst": []}, with_rate=False)
    assert found.delay_ms == pytest.approx(10.0)


def test_nothing_that_arrives_is_no_figure() -> None:
    found = evaluate("a", "eth0", 10, {"steady": [], "burst": []}, with_rate=True)
    assert found.loss_percent == 100
    assert (found.delay_ms, found.reorder_percent, found.rate_mbps) == (None, None, None)
