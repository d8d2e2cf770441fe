"""The service link's management channel: metrics, and those of an outage after it (facts: 1.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP

from testbed.cli.metrics import diagnoses_of
from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("management.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

DEVICES = ("cnd1", "cnd2")


def points(testbed: Testbed, metric: str, **dimensions: str) -> list[dict[str, Any]]:
    """The datapoints of one metric, oldest first."""
    for series in testbed.status()["metrics"]["AWS/Outposts"]:
        first = series[0]
        if first["metric"] == metric and dimensions.items() <= first["dimensions"].items():
            found: list[dict[str, Any]] = series
            return found
    return []


def last(testbed: Testbed, metric: str, **dimensions: str) -> float | None:
    found = points(testbed, metric, **dimensions)
    return float(found[-1]["value"]) if found else None


def connected(testbed: Testbed) -> bool:
    [row] = testbed.status()["management"]
    return bool(row["ok"])


def test_metrics_have_cloudwatch_names(testbed: Testbed) -> None:
    testbed.eventually(lambda: last(testbed, "ConnectedStatus", OutpostId="op") == 1)
    testbed.eventually(lambda: last(testbed, "LagStatus", OutpostId="op", LagId="op-lag1") == 1)
    for vif in ("op-sl-vif1", "op-lgw-vif2"):
        state = last(testbed, "VifBgpSessionState", OutpostsId="op", VirtualInterfaceId=vif)
        assert state == 6  # Established
        assert last(testbed, "VifConnectionStatus", VirtualInterfaceId=vif) == 1

    def flows(metric: str) -> bool:
        """Through either OND: which one is the hash's choice."""
        vifs = ("op-sl-vif1", "op-sl-vif2")
        return any(last(testbed, metric, VirtualInterfaceId=vif) for vif in vifs)

    testbed.eventually(lambda: flows("IfTrafficIn") and flows("IfTrafficOut"))


def test_the_channel_is_tcp_443_from_the_infrastructure_subnet(testbed: Testbed) -> None:
    with testbed["region.outposts-api"].capture("edge", "tcp dst port 443") as seen:
        testbed.eventually(lambda: len(points(testbed, "LagStatus")) > 3 and len(seen.packets) > 0)
    assert {packet[IP].src for packet in seen.packets} == {"10.200.0.10"}
    assert all(1025 <= packet[TCP].sport <= 65535 for packet in seen.packets)


def test_prometheus_scrapes_the_endpoint(testbed: Testbed) -> None:
    testbed.eventually(lambda: last(testbed, "ConnectedStatus") == 1)
    reply = testbed["op.host1"].http("http://198.51.100.30:9090/metrics")
    assert 'aws_outposts_connected_status{outpost_id="op"} 1 ' in reply.text


def test_a_service_link_session_that_is_down_is_diagnosed(testbed: Testbed) -> None:
    """The matrix of LAG and sessions points to the service link VIF's configuration (M3)."""
    control = ["birdc", "-s", "/run/node/cnd1/bird.ctl"]
    testbed["cnd1"].run([*control, "disable", "op_service_link"])
    try:
        testbed.eventually(
            lambda: last(testbed, "VifConnectionStatus", VirtualInterfaceId="op-sl-vif1") == 0
        )
        latest = [series[-1] for series in testbed.status()["metrics"]["AWS/Outposts"]]
        assert diagnoses_of(latest)[0] == {
            "LagId": "op-lag1",
            "points_to": "the configuration of the service link VIF",
        }
        assert connected(testbed)  # by the other networking device (M2)
    finally:
        testbed["cnd1"].run([*control, "enable", "op_service_link"])
    testbed.eventually(
        lambda: last(testbed, "VifConnectionStatus", VirtualInterfaceId="op-sl-vif1") == 1, 30
    )


def test_metrics_of_an_outage_come_after_it(testbed: Testbed) -> None:
    """They are kept in the rack, and keep the times that they were measured at (facts: H3)."""
    testbed.eventually(lambda: last(testbed, "ConnectedStatus") == 1)
    for device in DEVICES:
        testbed[device].run(["ip", "link", "set", "region", "down"])
    try:
        testbed.eventually(lambda: last(testbed, "ConnectedStatus") == 0, 20)
        started = points(testbed, "ConnectedStatus")[-1]["time"]
        assert not connected(testbed)

        def during() -> list[float]:
            found = points(testbed, "ConnectedStatus")
            return [point["value"] for point in found if point["time"] >= started]

        testbed.eventually(lambda: len(during()) >= 4, 20)
        ended = points(testbed, "ConnectedStatus")[-1]["time"]
        assert set(during()) == {0}
        assert all(point["time"] < ended for point in points(testbed, "LagStatus"))
    finally:
        for device in DEVICES:
            testbed[device].run(["ip", "link", "set", "region", "up"])
    testbed.eventually(lambda: connected(testbed), 60)

    def delivered() -> list[dict[str, Any]]:
        found = points(testbed, "LagStatus", LagId="op-lag1")
        return [point for point in found if started <= point["time"] <= ended]

    testbed.eventually(lambda: len(delivered()) >= 4)
    assert all(point["delivered"] > point["time"] + 1 for point in delivered()[:2])
    assert testbed["op.host1"].run(["ls", "/run/node/op.host1"]).text.count("spool") <= 1
