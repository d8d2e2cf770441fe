"""Reading metrics: which there are, and their statistics by period (facts: M1 to M4).

Datapoints are those that the Region's collector has, under AWS's identifiers: what a
disconnected Outpost has not sent yet is missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Result, looks
from testbed.api.racks import tables
from testbed.api.world import World

SERVICE: Final = "cloudwatch"
NAMESPACE = "AWS/Outposts"
MOST_DATAPOINTS = 1440  # of a call of GetMetricStatistics (AWS: CloudWatch API reference)
MOST_QUERIES = 500
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "SampleCount": len,
    "Average": lambda values: sum(values) / len(values),
    "Sum": sum,
    "Minimum": min,
    "Maximum": max,
}
UNITS = {"IfTrafficIn": "Bits/Second", "IfTrafficOut": "Bits/Second"}


@dataclass(frozen=True)
class Series:
    """A metric with its dimensions; `points` are (seconds since 1970, value), oldest first."""

    name: str
    dimensions: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Return the metric as answers have it."""
        pairs = [{"Name": name, "Value": value} for name, value in self.dimensions.items()]
        return {"Namespace": NAMESPACE, "MetricName": self.name, "Dimensions": pairs}


def _series(world: World) -> Iterator[Series]:
    ids = _identifiers(world)
    for points in world.states.get("metrics", {}).get(NAMESPACE, []):
        dimensions = {name: ids.get(text, text) for name, text in points[0]["dimensions"].items()}
        values = sorted((float(each["time"]), float(each["value"])) for each in points)
        yield Series(points[0]["metric"], dimensions, values)


def _identifiers(world: World) -> dict[str, str]:
    """Return AWS's identifiers by the names that the racks' agents send."""
    found = {name: world.id("outpost", name) for name in world.topology.outposts}
    for rack in world.topology.racks.values():
        for lag in rack.lags:
            own = (rack.name, str(lag.number))
            found[f"{rack.name}-lag{lag.number}"] = world.id("outpost-lag", *own)
            link = world.id("service-link-virtual-interface", *own)
            found[f"{rack.name}-sl-vif{lag.number}"] = link
    for table in tables(world.topology):
        of = f"-{table.domain.name}" if table.domain.name else ""
        group = world.id("local-gateway-virtual-interface-group", table.name)
        found[f"{table.rack.name}-lgw-vif-group{of}"] = group
        for lag, _ in table.vifs():
            vif = world.id("local-gateway-virtual-interface", *table.vif_names(lag))
            found[f"{table.rack.name}-lgw-vif{lag.number}{of}"] = vif
    return found


@looks("ListMetrics", SERVICE, states=True)
def list_metrics(ask: Ask) -> Result:
    """List the metrics that there are datapoints of."""
    rows = []
    for series in _series(ask.world):
        wanted = ask.get("Dimensions") or []
        matches = (
            each["Name"] in series.dimensions
            and each.get("Value", series.dimensions[each["Name"]])
            == series.dimensions[each["Name"]]
            for each in wanted
        )
        if (
            all(matches)
            and ask.get("Namespace", NAMESPACE) == NAMESPACE
            and ask.get("MetricName", series.name) == series.name
        ):
            rows.append(series.to_json())
    return {"Metrics": rows}


def _points(world: World, metric: Mapping[str, Any]) -> Sequence[tuple[float, float]]:
    """Return the datapoints of a metric with exactly these dimensions; none of an unknown one."""
    wanted = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []}
    if metric.get("Namespace") != NAMESPACE:
        return ()
    for series in _series(world):
        if (series.name, series.dimensions) == (metric["MetricName"], wanted):
            return series.points
    return ()


def _by_period(
    points: Sequence[tuple[float, float]], start: datetime, end: datetime, period: int
) -> dict[datetime, list[float]]:
    """Return the values of each period from `start` to before `end`, by when it begins."""
    if (
        period < 1
        or (period > 60 and period % 60)
        or (period < 60 and period not in (1, 5, 10, 30))
    ):
        message = "The parameter Period must be 1, 5, 10, 30 or a multiple of 60."
        raise ApiError("InvalidParameterValue", message)
    if start >= end:
        message = "The parameter StartTime must be less than the parameter EndTime."
        raise ApiError("InvalidParameterValue", message)
    found: dict[datetime, list[float]] = defaultdict(list)
    for at, value in points:
        # A datapoint is stamped with its period's end, and belongs to what has begun before.
        begun = datetime.fromtimestamp((at - 1) // period * period, UTC)
        if start <= begun < end:
            found[begun].append(value)
    return found


def _statistic(name: str) -> Callable[[Sequence[float]], float]:
    if name not in STATISTICS:
        message = f"The statistic {name} is not emulated here; there are {', '.join(STATISTICS)}."
        raise ApiError("InvalidParameterValue", message)
    return STATISTICS[name]


@looks("GetMetricStatistics", SERVICE, states=True)
def get_metric_statistics(ask: Ask) -> Result:
    """Return statistics of a metric, period by period."""
    wanted = [*(ask.get("Statistics") or []), *(ask.get("ExtendedStatistics") or [])]
    if not wanted:
        message = (
            "At least one of the parameters Statistics and ExtendedStatistics must be specified."
        )
        raise ApiError("MissingRequiredParameter", message)
    chosen = {name: _statistic(name) for name in wanted}
    span = (_time(ask["EndTime"]) - _time(ask["StartTime"])).total_seconds()
    if span / max(ask["Period"], 1) > MOST_DATAPOINTS:
        message = f"The request is for more than {MOST_DATAPOINTS} datapoints."
        raise ApiError("InvalidParameterCombination", message)
    points = _points(ask.world, ask.parameters)
    times = _time(ask["StartTime"]), _time(ask["EndTime"])
    unit = UNITS.get(ask["MetricName"], "None")
    rows = [
        {"Timestamp": begun, "Unit": unit}
        | {name: float(statistic(values)) for name, statistic in chosen.items()}
        for begun, values in _by_period(points, *times, ask["Period"]).items()
    ]
    return {"Label": ask["MetricName"], "Datapoints": rows}


@looks("GetMetricData", SERVICE, states=True)
def get_metric_data(ask: Ask) -> Result:
    """Return the values of several metrics; expressions are refused."""
    queries = ask["MetricDataQueries"]
    if len(queries) > MOST_QUERIES:
        raise ApiError("ValidationError", f"At most {MOST_QUERIES} queries can be made at once.")
    rows = [_data(ask, query) for query in queries if query.get("ReturnData", True)]
    return {"MetricDataResults": rows, "Messages": []}


def _data(ask: Ask, query: Mapping[str, Any]) -> dict[str, Any]:
    if (stat := query.get("MetricStat")) is None:
        message = "Metric math expressions are not emulated here."
        raise ApiError("ValidationError", message)
    points = _points(ask.world, stat["Metric"])
    times = _time(ask["StartTime"]), _time(ask["EndTime"])
    statistic = _statistic(stat["Stat"])
    values = sorted(_by_period(points, *times, stat["Period"]).items())
    if ask.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        values.reverse()
    return {
        "Id": query["Id"],
        "Label": query.get("Label", stat["Metric"].get("MetricName")),
        "Timestamps": [begun for begun, _ in values],
        "Values": [float(statistic(group)) for _, group in values],
        "StatusCode": "Complete",
    }


def _time(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
