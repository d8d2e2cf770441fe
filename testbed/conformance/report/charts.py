"""Where the bars of a report's charts go: measurements with limits, outages, durations.

All lengths are in the units of an SVG's view box; the template draws them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from testbed.conformance.expectation import Measurement
from testbed.conformance.results import Result

GAUGE_WIDTH = 200.0
PLOT_WIDTH = 560.0
ROW_HEIGHT = 22.0
BEYOND = 1.15  # how far a gauge goes beyond the greater of value and limit
IN_MS = {"ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Gauge:
    """A measurement as a bar, with a mark at its limit."""

    measurement: Measurement
    width: float
    limit_at: float


def gauge(measurement: Measurement) -> Gauge | None:
    """The bar of a measurement; None without a limit to compare it with."""
    limit = measurement.at_most if measurement.at_most is not None else measurement.at_least
    if limit is None or not math.isfinite(measurement.value):
        return None
    most = max(measurement.value, limit, 0.0) * BEYOND or 1.0
    ends = (max(value, 0.0) / most * GAUGE_WIDTH for value in (measurement.value, limit))
    return Gauge(measurement, *(round(end, 1) for end in ends))


@dataclass(frozen=True, slots=True)
class Outage:
    """One row of a plot: how long one flow had no answer, on a logarithmic axis."""

    subject: str
    flow: str
    value: str
    ok: bool
    width: float
    budget: str
    budget_at: float | None
    y: float


@dataclass(frozen=True, slots=True)
class OutagePlot:
    """The outages of one kind of failure; `ticks` are the powers of ten with their places."""

    check: str
    summary: str
    ticks: tuple[tuple[str, float], ...]
    rows: tuple[Outage, ...]
    width: float = PLOT_WIDTH

    @property
    def height(self) -> float:
        """Of all rows, without the axis."""
        return len(self.rows) * ROW_HEIGHT


def outage_plots(results: Iterable[Result]) -> list[OutagePlot]:
    """One plot for each kind of failure of the suite failover that measured outages."""
    kinds: dict[str, list[Result]] = {}
    for result in results:
        if result.suite == "failover" and any(m.unit in IN_MS for m in result.measurements):
            kinds.setdefault(result.check, []).append(result)
    return [_plot(check, found) for check, found in kinds.items()]


def _plot(check: str, results: Sequence[Result]) -> OutagePlot:
    measured = [(r, m) for r in results for m in r.measurements if m.unit in IN_MS]
    axis = _Axis([v for _, m in measured for v in (_ms(m), _budget_ms(m)) if v is not None])
    rows = tuple(
        Outage(
            result.about,
            measurement.name,
            str(measurement),
            measurement.ok,
            axis.place(_ms(measurement)),
            measurement.limit,
            None if (budget := _budget_ms(measurement)) is None else axis.place(budget),
            index * ROW_HEIGHT,
        )
        for index, (result, measurement) in enumerate(measured)
    )
    return OutagePlot(check, results[0].summary, axis.ticks(), rows)


def _ms(measurement: Measurement) -> float:
    return measurement.value * IN_MS[measurement.unit]


def _budget_ms(measurement: Measurement) -> float | None:
    return None if measurement.at_most is None else measurement.at_most * IN_MS[measurement.unit]


class _Axis:
    """A logarithmic axis of milliseconds, from 1 ms or the decade below the least value."""

    def __init__(self, values: Sequence[float]) -> None:
        positive = [value for value in values if 0 < value < math.inf]
        self._low = math.floor(math.log10(min([1.0, *positive])))
        self._high = max(math.ceil(math.log10(max([10.0, *positive]))), self._low + 1)

    def place(self, ms: float) -> float:
        if ms <= 0:
            return 0.0
        share = (min(math.log10(ms), self._high) - self._low) / (self._high - self._low)
        return round(max(share, 0.0) * PLOT_WIDTH, 1)

    def ticks(self) -> tuple[tuple[str, float], ...]:
        decades = range(self._low, self._high + 1)
        return tuple((_time(10.0**decade), self.place(10.0**decade)) for decade in decades)


def _time(ms: float) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"
