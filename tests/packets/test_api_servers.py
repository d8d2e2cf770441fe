"""AWS's API about Outposts servers: a tunnel comes up with the key that a connection was made with.

srv1 (wg1, wg2) -- transit -- cnd1 -- region.edge -- region.anchor1, anchor2
"""

from __future__ import annotations

import base64
import sys
from typing import Any

import pytest
from api_clients import client
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from testbed.lifecycle.live import live
from testbed.lower.rack.service_link import outpost_key
from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.timeout(300),
    pytest.mark.topology("two-servers"),
]
SET_KEY = """\
import sys
from pyroute2 import WireGuard
with WireGuard() as wireguard:
    wireguard.set(sys.argv[1], private_key=sys.argv[2])
"""


def tunnel(testbed: Testbed, server: str) -> dict[str, Any]:
    """What the kernel knows of a server's first tunnel."""
    [status] = [row for row in testbed.client.status()["tunnels"] if row["interface"] == "wg1"
                and row["node"].startswith(server)]  # fmt: skip
    return dict(status)


def test_a_tunnel_comes_up_with_the_key_of_its_connection(testbed: Testbed, api_url: str) -> None:
    outposts = client(api_url, "outposts")
    server = live(testbed.client).topology().outposts["srv1"]
    key = X25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    made = outposts.start_connection(
        AssetId=f"{server.number:04d}000001", ClientPublicKey=public, NetworkInterfaceDeviceIndex=0
    )
    shown = outposts.get_connection(ConnectionId=made["ConnectionId"])["ConnectionDetails"]
    node = tunnel(testbed, "srv1")["node"]
    # The server still has its old key: the anchor does not answer that any more.
    testbed.advance(200)
    testbed.eventually(lambda: not tunnel(testbed, "srv1")["ok"], 200)
    install(testbed, node, base64.b64encode(key.private_bytes_raw()).decode())
    testbed.eventually(lambda: tunnel(testbed, "srv1")["ok"], 60)
    [state] = [
        row for row in testbed.client.observe([node])[node]["tunnels"] if row["interface"] == "wg1"
    ]
    assert state["public_key"] == shown["ServerPublicKey"]
    assert state["endpoint"] == shown["ServerEndpoint"]
    install(
        testbed, node, outpost_key(server, 0)
    )  # the plan's own, which this has changed behind it


def install(testbed: Testbed, node: str, private: str) -> None:
    """Give a server's first tunnel a private key, as its installation does."""
    argv = [sys.executable, "-c", SET_KEY, "wg1", private]
    done = testbed.client.run(node, argv, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def test_cloudwatch_has_what_the_servers_have_sent(testbed: Testbed, api_url: str) -> None:
    cloudwatch, outposts = client(api_url, "cloudwatch"), client(api_url, "outposts")
    ids = {row["OutpostId"] for row in outposts.list_outposts()["Outposts"]}

    def connected() -> set[str]:
        listed = cloudwatch.list_metrics(Namespace="AWS/Outposts", MetricName="ConnectedStatus")
        return {row["Dimensions"][0]["Value"] for row in listed["Metrics"]}

    testbed.advance(130)
    testbed.eventually(lambda: connected() == ids, 60)
    [point, *_] = testbed.client.status()["metrics"]["AWS/Outposts"][0]
    metric = {
        "Namespace": "AWS/Outposts",
        "MetricName": "ConnectedStatus",
        "Dimensions": [{"Name": "OutpostId", "Value": min(ids)}],
    }
    query = {"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}
    [found] = cloudwatch.get_metric_data(
        MetricDataQueries=[query], StartTime=point["time"] - 3600, EndTime=point["time"] + 3600
    )["MetricDataResults"]
    assert 1.0 in found["Values"]
