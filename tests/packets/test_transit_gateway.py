"""VPC peering and a transit gateway with two route tables: who reaches whom, and which way."""

from __future__ import annotations

import pytest

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/transit-gateway.yaml")]

PAIRS = [
    ("app-1", "data-1", True),  # peering, on the rack
    ("app-1", "data-2", True),  # peering, rack to Region
    ("app-2", "data-1", True),  # peering, Region to rack
    ("app-2", "data-2", True),  # peering in the Region
    ("app-1", "shared-1", True),  # transit gateway over the service link
    ("data-1", "shared-1", True),
    ("dev-1", "shared-1", True),
    ("app-1", "dev-1", False),  # both associated with `isolated`
    ("data-2", "dev-1", False),  # peering is not transitive: app does not lead on to dev
    ("app-3", "shared-1", False),  # its route table leads nowhere
    ("desk", "app-1", True),  # Direct Connect, transit gateway, service link
    ("desk", "app-2", True),
    ("desk", "app-3", False),  # a static blackhole, longer than what app propagates
    ("desk", "data-2", True),
    ("shared-2", "app-1", False),  # no attachment in its Availability Zone
]


@pytest.mark.parametrize(("source", "destination", "reaches"), PAIRS)
def test_who_reaches_whom(
    testbed: Testbed, source: str, destination: str, *, reaches: bool
) -> None:
    result = testbed[source].ping(testbed[destination], count=1)
    assert result.received == reaches


def test_peering_of_one_rack_stays_on_it(testbed: Testbed) -> None:
    """Two VPCs with subnets on one Outpost (facts: W, H3)."""
    with (
        testbed["op.vpc-app"].capture("sl", "icmp") as service_link,
        testbed["op.vpc-data"].capture("pcx-app-data", "icmp") as peering,
    ):
        assert testbed["app-1"].ping(testbed["data-1"], count=2).received == 2
    assert not service_link.packets
    assert len(peering.packets) == 4


def test_the_transit_gateway_is_reached_over_the_service_link(testbed: Testbed) -> None:
    with testbed["region.tgw-hub"].capture("att-app", "icmp") as seen:
        assert testbed["app-1"].ping(testbed["shared-1"], count=2).received == 2
    assert len(seen.packets) == 4


@pytest.mark.parametrize(
    ("source", "destination", "mtu"),
    [
        ("app-1", "data-1", 9001),  # the peering on the rack
        ("app-2", "data-2", 9001),  # the peering in the Region
        ("dev-1", "shared-1", 8500),  # the transit gateway
        ("shared-1", "app-1", 1300),  # the service link behind it
        ("data-2", "app-1", 1300),  # the service link behind the peering
    ],
)
def test_mtu(testbed: Testbed, source: str, destination: str, mtu: int) -> None:
    """The largest packet passes, the next one brings back the MTU."""
    node = testbed[source]
    assert node.ping(testbed[destination], count=1, size=mtu - 28, df=True).received == 1
    if mtu < 9001:
        address = testbed.address(testbed[destination])
        node.ping(address, count=2, size=mtu - 27, df=True)
        assert f"mtu {mtu}" in node.run(["ip", "route", "get", address]).text


def test_no_answer_tells_why(testbed: Testbed) -> None:
    """What is not allowed vanishes without an ICMP error."""
    for source, destination in (("app-1", "dev-1"), ("data-2", "dev-1"), ("shared-2", "app-1")):
        with testbed[source].capture("eth0", "icmp[icmptype] = icmp-unreach") as seen:
            testbed[source].ping(testbed[destination], count=1)
        assert not seen.packets


def test_the_direct_connect_gateway_announces_the_allowed_prefixes(testbed: Testbed) -> None:
    """By default the attached VPCs' CIDR blocks, with its own ASN, not the transit gateway's."""
    command = ["birdc", "-s", "/run/node/cnd1/bird.ctl", "show", "route", "all", "table", "t_lgw"]
    shown = testbed["cnd1"].run(command)
    for prefix in ("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"):
        assert prefix in shown.text
    assert "BGP.as_path: 64800\n" in shown.text
    learned = testbed["region.tgw-hub"].run(["ip", "route", "show", "table", "1"]).text
    assert "192.168.10.0/24 via" in learned
