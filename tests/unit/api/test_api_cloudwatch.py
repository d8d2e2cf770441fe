"""CloudWatch's operations on datapoints as `testbed status` has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from test_api_operations import Account

from testbed.api.cloudwatch.metrics import NAMESPACE, SERVICE
from testbed.api.errors import ApiError
from testbed.api.operations import OPERATIONS, Ask

BEGIN = 1_767_225_600  # 2026-01-01, the beginning of a minute


def series(metric: str, dimensions: dict[str, str], *values: float) -> list[dict[str, Any]]:
    """Datapoints of one metric, one at the end of each minute."""
    return [
        {"metric": metric, "dimensions": dimensions, "time": BEGIN + 60 * n, "value": value}
        for n, value in enumerate(values, start=1)
    ]


STATES = {
    "metrics": {
        NAMESPACE: [
            series("ConnectedStatus", {"OutpostId": "op"}, 1, 1, 0, 0, 1),
            series("LagStatus", {"OutpostId": "op", "LagId": "op-lag1"}, 1),
        ]
    }
}


class CloudWatch:
    """Calls CloudWatch's operations."""

    def __init__(self) -> None:
        self.aws = Account()
        self.world = replace(self.aws.world(), states=STATES)
        self.outpost = self.world.id("outpost", "op")
        self.metric = {
            "Namespace": NAMESPACE,
            "MetricName": "ConnectedStatus",
            "Dimensions": [{"Name": "OutpostId", "Value": self.outpost}],
        }

    def __call__(self, name: str, **parameters: Any) -> dict[str, Any]:
        operation = OPERATIONS[SERVICE, name]
        assert operation.needs_states
        assert operation.look
        return operation.look(Ask(name, parameters, self.world))


def minutes(number: int) -> datetime:
    return datetime.fromtimestamp(BEGIN + 60 * number, UTC)


@pytest.fixture
def cloudwatch() -> CloudWatch:
    return CloudWatch()


def test_metrics_are_listed_under_awss_identifiers(cloudwatch: CloudWatch) -> None:
    listed = cloudwatch("ListMetrics")["Metrics"]
    assert cloudwatch.metric in listed
    lag = cloudwatch.world.id("outpost-lag", "op", "1")
    by_lag = cloudwatch("ListMetrics", Dimensions=[{"Name": "LagId"}])["Metrics"]
    assert [row["Dimensions"][-1]["Value"] for row in by_lag] == [lag]
    assert cloudwatch("ListMetrics", Namespace="AWS/EC2")["Metrics"] == []
    assert len(cloudwatch("ListMetrics", MetricName="LagStatus")["Metrics"]) == 1
    other = [{"Name": "OutpostId", "Value": "op-00000000000000000"}]
    assert cloudwatch("ListMetrics", Dimensions=other)["Metrics"] == []


def test_statistics_are_of_the_datapoints_of_each_period(cloudwatch: CloudWatch) -> None:
    asked = {**cloudwatch.metric, "StartTime": minutes(0), "EndTime": minutes(6)}
    shown = cloudwatch(
        "GetMetricStatistics", Period=120, Statistics=["Average", "SampleCount"], **asked
    )
    found = {row["Timestamp"]: (row["Average"], row["SampleCount"]) for row in shown["Datapoints"]}
    assert found == {minutes(0): (1.0, 2.0), minutes(2): (0.0, 2.0), minutes(4): (1.0, 1.0)}
    with pytest.raises(ApiError, match="Period"):
        cloudwatch("GetMetricStatistics", Period=90, Statistics=["Sum"], **asked)
    with pytest.raises(ApiError, match="p99"):
        cloudwatch("GetMetricStatistics", Period=60, Statistics=["p99"], **asked)


def test_metric_data_is_of_a_span_in_the_order_asked_for(cloudwatch: CloudWatch) -> None:
    query = {
        "Id": "a",
        "MetricStat": {"Metric": cloudwatch.metric, "Period": 60, "Stat": "Minimum"},
    }
    span = {"StartTime": minutes(1), "EndTime": minutes(4)}
    [data] = cloudwatch("GetMetricData", MetricDataQueries=[query], **span)["MetricDataResults"]
    assert list(zip(data["Timestamps"], data["Values"], strict=True)) == [
        (minutes(3), 0.0),
        (minutes(2), 0.0),
        (minutes(1), 1.0),
    ]
    how = {"ScanBy": "TimestampAscending", **span}
    [data] = cloudwatch("GetMetricData", MetricDataQueries=[query], **how)["MetricDataResults"]
    assert data["Values"] == [1.0, 0.0, 0.0]
    with pytest.raises(ApiError, match="expressions"):
        cloudwatch("GetMetricData", MetricDataQueries=[{"Id": "b", "Expression": "a*2"}], **span)
