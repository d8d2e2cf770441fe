"""No way through the Region leads from one Outpost to another (facts: S4, H5)."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP

from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("apart.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]


@pytest.mark.parametrize(
    ("source", "destination"), [("cloud-a", "b"), ("a", "cloud-b"), ("b", "cloud-a")]
)
def test_each_outpost_reaches_the_other_vpc_in_the_region(
    testbed: Testbed, source: str, destination: str
) -> None:
    assert testbed[source].ping(testbed[destination], count=1).received == 1


@pytest.mark.parametrize(
    ("source", "destination", "router", "port"),
    [
        ("a", "b", "region.vpc-two", "op-op-2"),  # by the peering connection
        ("b", "a", "region.vpc-one", "op-op-1"),  # by the transit gateway
    ],
)
def test_outposts_do_not_reach_each_other(
    testbed: Testbed, source: str, destination: str, router: str, port: str
) -> None:
    address = testbed.address(destination)
    with testbed[router].capture(port, "icmp") as seen:
        assert testbed[source].ping(address, count=2).received == 0
    assert not [packet for packet in seen.packets if packet[IP].dst == address]
    rules = testbed[router].run(["nft", "list", "chain", "inet", "vpc", "forward"]).text
    counter = rules.split("@between_outposts counter packets ")[1]
    assert int(counter.split()[0]) >= 2
