"""Two Direct Connect connections: which AWS answers over, and what it notices, and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP

from testbed.errors import NetworkError
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed
from testbed.topology import editing as edit
from testbed.topology.document import Document

TOPOLOGY = Path(__file__).with_name("direct-connects.yaml.j2")
GATEWAY = "region.vgw-app"
Edit = Callable[[Document], Document]
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]


def ways(testbed: Testbed) -> list[str]:
    """The virtual private gateway's interfaces towards the office."""
    command = ["ip", "-j", "route", "show", "172.23.0.0/24"]
    [route] = json.loads(testbed[GATEWAY].run(command).text)
    return sorted(hop["dev"] for hop in route.get("nexthops", [route]))


def outbound(device: str, rule: dict[str, Any]) -> Edit:
    """The edit that gives a device a rule for all that it announces."""
    return edit.modify_site_device_bgp(device=device, outbound=[rule])


@pytest.mark.parametrize(
    ("rule", "way"),
    [
        ({}, "both"),
        ({"add_communities": ["7224:7200"]}, "both"),
        ({"add_communities": ["7224:7100"]}, "other"),
        ({"add_communities": ["7224:7300"], "prepend": 1}, "own"),
        ({"prepend": 1}, "other"),
        ({"med": 50}, "other"),
    ],
)
@pytest.mark.parametrize("device", ["left", "right"])
def test_communities_choose_the_way_before_the_as_path(
    testbed: Testbed, device: str, rule: dict[str, Any], way: str
) -> None:
    own, other = ("dx-one", "dx-two") if device == "left" else ("dx-two", "dx-one")
    testbed.edit(outbound(device, rule))
    expected = {"both": ["dx-one", "dx-two"], "own": [own], "other": [other]}[way]
    testbed.eventually(lambda: ways(testbed) == expected)
    assert testbed["desk"].ping("db", count=1).received == 1


@pytest.mark.parametrize(("device", "interface"), [("left", "dx-one.101"), ("right", "dx-two.101")])
def test_both_ends_sign_with_the_virtual_interfaces_key(
    testbed: Testbed, device: str, interface: str
) -> None:
    with testbed[device].capture(interface, "tcp port 179") as capture:
        testbed.edit(outbound(device, {"med": 1}))
        testbed.eventually(lambda: len({packet[IP].src for packet in capture.packets}) == 2)
    for packet in capture.packets:
        assert any(kind == "MD5" for kind, *_ in packet[TCP].options)


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
