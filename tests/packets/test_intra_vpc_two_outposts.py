"""One VPC on two Outposts of one data centre: through the local gateways, not the Region."""

from __future__ import annotations

import pytest
from observing import bgp_paths, captured, ends

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/intra-vpc-two-outposts.yaml")]

A, B, CLOUD = "10.0.3.4", "10.0.4.4", "10.0.1.4"


def test_the_packets_cross_the_customers_devices(testbed: Testbed) -> None:
    """Facts: H5, blog of 30 August 2023; addresses are untouched, the Region sees nothing."""
    vifs = {
        "op-a": [("cnd1", "op-a.2001"), ("cnd2", "op-a.2002")],
        "op-b": [("cnd1", "op-b.2003"), ("cnd2", "op-b.2004")],
    }
    region = [("op-a.vpc-app", "sl"), ("op-b.vpc-app", "sl")]
    with captured(testbed, [*vifs["op-a"], *vifs["op-b"], *region], "icmp") as seen:
        assert testbed["a"].ping(B, count=3).received == 3
        assert testbed["b"].ping(A, count=3).received == 3
    for places in vifs.values():
        crossed = {pair for place in places for pair in ends(seen[place])}
        assert crossed == {(A, B), (B, A)}
    assert not [place for place in region if seen[place].packets]


def test_the_region_is_reached_by_the_service_link(testbed: Testbed) -> None:
    with testbed["op-a.vpc-app"].capture("lgw", "icmp") as gateway:
        assert testbed["a"].ping(CLOUD, count=1).received == 1
    assert not gateway.packets


@pytest.mark.parametrize("device", ["cnd1", "cnd2"])
def test_each_outpost_announces_its_own_subnet(testbed: Testbed, device: str) -> None:
    assert bgp_paths(testbed, device, "op_a_local_gateway") == {"10.0.3.0/24": [64513]}
    assert bgp_paths(testbed, device, "op_b_local_gateway") == {"10.0.4.0/24": [64515]}
