"""Without the more specific routes two racks can't reach each other: the Region blocks it."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/two-racks-blocked.yaml")]

B = "10.77.11.119"


def test_blocked_by_the_region_until_the_routes_are_added(testbed: Testbed) -> None:
    """The packet reaches the VPC's router in the Region and goes no further (facts: S4, H5).

    Then the topology with the routes is applied to the running testbed.
    """
    region = testbed["region.vpc-app"]
    with (
        region.capture(interface="op-op-a", filter="icmp") as comes,
        region.capture(interface="op-op-b", filter="icmp") as goes,
        testbed["op-a.vpc-app"].capture(interface="lgw", filter="icmp") as gateway,
    ):
        assert testbed["a"].ping(B, count=2).received == 0
    assert [packet for packet in comes.packets if packet[IP].dst == B]
    assert not goes.packets
    assert not gateway.packets

    outcome = testbed.apply("topologies/two-racks.yaml")
    assert outcome["changed"]
    assert testbed["a"].ping(B, count=2).received == 2

    testbed.apply("topologies/two-racks-blocked.yaml")
    assert testbed["a"].ping(B, count=2).received == 0
