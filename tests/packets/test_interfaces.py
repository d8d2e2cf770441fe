"""Network interfaces: several of an instance, moved, and as the targets of routes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP

from testbed.testing import Node, Testbed

TOPOLOGY = Path(__file__).with_name("interfaces.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

Apply = Callable[[str, str], None]

SERVER, FLOATING, SECONDARY = "10.1.2.4", "10.1.2.100", "10.1.1.50"


@pytest.fixture
def apply_changed(testbed: Testbed, tmp_path: Path) -> Apply:
    """Apply the topology with one text of its file replaced."""

    def apply(old: str, new: str) -> None:
        text = TOPOLOGY.read_text()
        assert text.count(old) == 1
        file = tmp_path / "changed.yaml"
        file.write_text(text.replace(old, new))
        testbed.apply(file, wait=False)

    return apply


def test_secondary_addresses_and_interfaces_answer(testbed: Testbed) -> None:
    spare = testbed["spare"]
    assert spare.ping(FLOATING, count=1).received == 1
    assert testbed["server"].run(["ip", "-br", "addr", "show", "eth1"]).text.count(FLOATING) == 1
    assert testbed["firewall"].ping(SECONDARY, count=1).received == 1
    with spare.capture(filter="icmp") as seen:  # its answer leaves by the interface it came to
        assert (
            testbed["server"].run(["ping", "-n", "-c1", "-W2", "-I", FLOATING, spare.address]).text
        )
    assert FLOATING in {packet[IP].src for packet in seen.packets}


def test_a_more_specific_route_leads_through_the_appliance(testbed: Testbed) -> None:
    """The route to another subnet of the VPC targets a network interface (facts: V)."""
    firewall = testbed["firewall"]
    firewall.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    with (
        firewall.capture("eth0", "icmp and src net 10.1.1.0/24") as front,
        firewall.capture("eth1", "icmp and src net 10.1.1.0/24") as back,
    ):
        assert testbed["client"].ping(SERVER, count=2).received == 2
    for seen in (front, back):
        assert {(packet[IP].src, packet[IP].dst) for packet in seen.packets} == {
            ("10.1.1.4", SERVER)
        }


def test_a_route_to_an_interface_across_the_service_link(testbed: Testbed) -> None:
    """The table that a packet's subnet uses holds on both sides of the service link."""
    with testbed["appliance"].capture(filter="icmp") as seen:
        testbed["client"].ping("172.16.3.4", count=2)
    assert [(packet[IP].src, packet[IP].dst) for packet in seen.packets][:1] == [
        ("10.1.1.4", "172.16.3.4")
    ]


def test_the_destination_check_drops_what_is_for_another(testbed: Testbed) -> None:
    with testbed["plain"].capture(filter="icmp") as seen:
        testbed["client"].ping("172.17.0.1", count=2)
    assert not seen.packets
    rules = testbed["op.vpc-app"].run(["nft", "list", "chain", "inet", "vpc", "to_interface"]).text
    assert int(rules.split("counter packets ")[1].split()[0]) >= 2


def test_an_interface_moves_to_another_instance_live(
    testbed: Testbed, apply_changed: Apply
) -> None:
    firewall = testbed["firewall"]
    assert firewall.ping(FLOATING, count=1).received == 1
    old = hardware(testbed["server"])
    apply_changed("back, instance: server, address", "back, instance: spare, address")
    assert hardware(testbed["spare"]) == old
    assert firewall.ping(FLOATING, count=1).received == 1
    assert "eth1" not in testbed["server"].run(["ip", "-br", "link"]).text


def hardware(node: Node) -> str:
    """The MAC address of the node's eth1."""
    words: list[str] = node.run(["ip", "-br", "link", "show", "eth1"]).text.split()
    return words[2]


def test_a_stopped_instance_makes_its_routes_blackholes(
    testbed: Testbed, apply_changed: Apply
) -> None:
    apply_changed("appliance: {subnet: cloud,", "appliance: {subnet: cloud, state: stopped,")
    assert "appliance" not in {node.name for node in testbed.nodes}
    routes = testbed["op.vpc-app"].run(["ip", "route", "show", "table", "2"]).text
    assert "blackhole 172.16.0.0/16" in routes
