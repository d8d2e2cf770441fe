"""Two Direct Connect connections: which AWS answers over, and what it notices, and when."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from packets.mutations import in_protocol
from testbed.errors import NetworkError
from testbed.lifecycle.installation import load_topology
from testbed.plan.model import Plan
from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("direct-connects.yaml.j2")
GATEWAY = "region.vgw-app"
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]


def ways(testbed: Testbed) -> list[str]:
    """The virtual private gateway's interfaces towards the office."""
    command = ["ip", "-j", "route", "show", "172.23.0.0/24"]
    [route] = json.loads(testbed[GATEWAY].run(command).text)
    return sorted(hop["dev"] for hop in route.get("nexthops", [route]))


def exporting(plan: Plan, statements: str) -> Plan:
    """The plan with what the device `left` does to all that it announces to AWS."""
    text = f"export filter {{ {statements} accept; }};"
    return in_protocol("left", "dx_one_private", "export all;", text)(plan)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("", ["dx-one", "dx-two"]),
        ("bgp_community.add((7224, 7200));", ["dx-one", "dx-two"]),
        ("bgp_community.add((7224, 7100));", ["dx-two"]),
        ("bgp_community.add((7224, 7300)); bgp_path.prepend(65030);", ["dx-one"]),
        ("bgp_path.prepend(65030);", ["dx-two"]),
    ],
)
def test_communities_choose_the_way_before_the_as_path(
    testbed: Testbed, statements: str, expected: list[str]
) -> None:
    testbed.apply(exporting(testbed.plan, statements))
    testbed.eventually(lambda: ways(testbed) == expected)
    assert testbed["desk"].ping("db", count=1).received == 1


def test_status_lists_what_is_propagated_to_a_route_table(testbed: Testbed) -> None:
    rows = {
        row["destination"]: (row["target"], row["state"])
        for row in testbed.status()["route_tables"]
        if (row["owner"], row["route_table"]) == ("app", "main")
        and row["origin"] == "EnableVgwRoutePropagation"
    }
    gateway = ("virtual-private-gateway", "active")
    assert rows == {"172.23.0.0/24": gateway, "172.24.0.0/24": gateway}


@pytest.mark.parametrize(("device", "lost"), [("left", "one"), ("right", "two")])
def test_a_connection_without_a_link_is_noticed_at_both_ends(
    testbed: Testbed, device: str, lost: str
) -> None:
    """At once, without BFD: the hold time is 90 s."""
    other = {"one": "dx-two", "two": "dx-one"}[lost]
    with testbed.fault("link-down", f"{device}:dx-{lost}"):
        testbed.advance(1.0)
        assert ways(testbed) == [other]
        assert testbed["desk"].ping("db", count=1).received == 1
    testbed.eventually(lambda: len(ways(testbed)) == 2)


def test_too_many_prefixes_are_never_ready(testbed: Testbed) -> None:
    """Though the session is Established again and again; and it is told before the time is over."""
    topology = replace(load_topology(TOPOLOGY, {"prefixes": "1"}), name=testbed.name)
    begun = testbed.elapsed()
    with pytest.raises(NetworkError) as caught:
        testbed.apply(topology, timeout_s=100.0)
    assert "Cease sent: maximum number of prefixes reached" in caught.value.message
    assert "went down" in str(caught.value.hint)
    assert testbed.elapsed() - begun < 30
