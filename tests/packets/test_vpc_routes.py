"""Routes that replace the local one or are more specific, prefix lists, and their states."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("routes.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]


@pytest.fixture(autouse=True)
def _forwarding(testbed: Testbed) -> None:
    testbed["appliance"].run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])


def through(testbed: Testbed, appliance: str, source: str, destination: str) -> bool:
    """Whether an appliance sees what one node sends to another, or to an address."""
    address = testbed.address(destination)
    with testbed[appliance].capture(filter=f"icmp and dst {address}") as seen:
        result = testbed[source].ping(address, count=2)
    assert not destination.isalpha() or result.received == 2
    return bool(seen.packets)


@pytest.mark.parametrize("source", ["a", "r"])
def test_a_replaced_local_route_leads_through_the_appliance(testbed: Testbed, source: str) -> None:
    """From the Region and, over the service link, from the rack (facts: V)."""
    assert through(testbed, "appliance", source, "b")


def test_what_stays_in_its_subnet_follows_no_route(testbed: Testbed) -> None:
    """Route tables are for what leaves a subnet (facts: V)."""
    assert not through(testbed, "appliance", "a", "neighbour")


def test_a_route_to_one_subnet_leads_only_there_through_the_appliance(testbed: Testbed) -> None:
    assert through(testbed, "appliance", "b", "a")
    assert not through(testbed, "appliance", "b", "other")


def test_the_longest_prefix_of_all_lists_wins(testbed: Testbed) -> None:
    assert through(testbed, "appliance", "a", "172.16.8.1")
    assert through(testbed, "other", "a", "172.16.7.1")
    assert not through(testbed, "appliance", "a", "172.16.7.1")
    assert not through(testbed, "other", "a", "172.18.0.1")


def test_the_reserved_range_is_not_forwarded(testbed: Testbed) -> None:
    """Not even by a default route (facts: V)."""
    assert through(testbed, "appliance", "b", "192.0.2.1")
    assert not through(testbed, "appliance", "b", "169.254.170.2")


def test_a_stopped_target_makes_its_routes_blackholes_in_status(
    testbed: Testbed, tmp_path: Path
) -> None:
    """In status as in the data plane; what else there is stays active."""
    file = tmp_path / "stopped.yaml"
    text = TOPOLOGY.read_text()
    file.write_text(text.replace("other: {subnet", "other: {state: stopped, subnet"))
    testbed.apply(file)
    status = testbed.status()
    states = {(row["route_table"], row["destination"]): row for row in status["route_tables"]}
    assert states["inspected", "narrow"]["state"] == "blackhole"
    assert {row["state"] for key, row in states.items() if key[1] != "narrow"} == {"active"}
    assert states["inspected", "10.1.0.0/16"]["target"] == "appliance.instance"
    assert status["ok"]
    assert not through(testbed, "appliance", "a", "172.16.7.1")
