"""Amazon ECS: its control plane in the Region, tasks on a rack, and what a cut changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.testing import Node, Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology("topologies/ecs.yaml"),
]
ENDPOINT = "ecs.us-west-2.amazonaws.com"
TARGET = "AmazonEC2ContainerServiceV20141113"


def called(node: Node, operation: str, **parameters: Any) -> dict[str, Any]:
    """What ECS answers to a request that an instance sends it."""
    body = json.dumps(parameters)
    head = f"POST / HTTP/1.1\r\nHost: {ENDPOINT}\r\nX-Amz-Target: {TARGET}.{operation}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}"
    said = node.run(["testbed-fetch", ENDPOINT, "443", "5"], input=request.encode())
    found: dict[str, Any] = json.loads(said.stdout.partition(b"\r\n\r\n")[2])
    return found


def test_instances_reach_ecs_over_the_service_link(testbed: Testbed) -> None:
    with testbed["op.vpc-app"].capture("sl", "tcp port 443") as crossing:
        [cluster] = called(testbed["one"], "DescribeClusters", clusters=["edge"])["clusters"]
    assert crossing.packets
    assert cluster["clusterArn"] == "arn:aws:ecs:us-west-2:123456789012:cluster/edge"
