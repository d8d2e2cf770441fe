"""Local gateway ingress routing: what is for the inner subnet passes the appliance.

desk -- office == op: 10.0.4.0/24 -> firewall 10.0.3.4 -> server 10.0.4.4
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from observing import captured, ends
from scapy.layers.inet import IP

from testbed.testing import Testbed

FILE = Path(__file__).parents[2] / "topologies" / "ingress-routing-appliance.yaml"
pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology("topologies/ingress-routing-appliance.yaml"),
]

FIREWALL, SERVER, DESK = "10.0.3.4", "10.0.4.4", "192.168.10.10"
KNOWN_TO_IT = "172.30.1.1"
DROP_HTTP = """
table ip appliance {
  chain forward { type filter hook forward priority filter; tcp dport 80 drop; }
}
"""


@pytest.fixture
def forwarding(testbed: Testbed) -> Iterator[None]:
    """The firewall forwards."""
    firewall = testbed["firewall"]
    firewall.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    yield
    firewall.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"])


@pytest.fixture
def _customer_route(testbed: Testbed) -> Iterator[None]:
    """The customer routes the range that the appliance knows to the Outpost."""
    routes = {
        "cnd1": ["172.16.0.0/12", "via", "198.19.0.0", "vrf", "lgw"],
        "desk": ["172.16.0.0/12", "via", "192.168.10.2"],
    }
    for name, route in routes.items():
        testbed[name].run(["ip", "route", "add", *route])
    yield
    for name, route in routes.items():
        testbed[name].run(["ip", "route", "del", *route])


@pytest.mark.usefixtures("forwarding")
def test_both_directions_pass_the_appliance(testbed: Testbed) -> None:
    with testbed["firewall"].capture(filter="icmp") as seen, testbed["server"].capture() as end:
        assert testbed["desk"].ping(SERVER, count=2).received == 2
    assert ends(seen) == {(DESK, SERVER), (SERVER, DESK)}
    assert len(seen.packets) == 8  # each of them comes and goes
    assert (DESK, SERVER) in ends(end)


@pytest.mark.usefixtures("forwarding")
def test_what_the_appliance_drops_does_not_arrive(testbed: Testbed) -> None:
    desk, firewall = testbed["desk"], testbed["firewall"]
    assert f"client {DESK}:" in desk.http(f"http://{SERVER}/").text
    firewall.run(["nft", "-f", "-"], input=DROP_HTTP.encode())
    try:
        with testbed["server"].capture(filter="tcp port 80") as seen:
            refused = desk.run(["curl", "-s", "-m", "2", f"http://{SERVER}/"], check=False)
        assert refused.returncode == 28  # timed out
        assert not seen.packets
        assert desk.ping(SERVER, count=1).received == 1
    finally:
        firewall.run(["nft", "delete", "table", "ip", "appliance"])


def test_without_the_appliance_there_is_no_way(testbed: Testbed) -> None:
    """The static route holds, whether or not the firewall forwards."""
    with testbed["server"].capture(filter="icmp") as seen:
        assert testbed["desk"].ping(SERVER, count=2).received == 0
    assert not seen.packets
    assert testbed["desk"].ping(FIREWALL, count=1).received == 1  # by the propagated route


@pytest.mark.usefixtures("_customer_route")
def test_any_range_can_be_led_to_an_interface(testbed: Testbed) -> None:
    """The destination is left as it is (facts: L2), and what is from it may leave."""
    firewall = testbed["firewall"]
    firewall.run(["ip", "address", "add", f"{KNOWN_TO_IT}/32", "dev", "lo"])
    try:
        with firewall.capture(filter="icmp") as seen:
            assert testbed["desk"].ping(KNOWN_TO_IT, count=2).received == 2
        assert ends(seen) == {(DESK, KNOWN_TO_IT), (KNOWN_TO_IT, DESK)}
    finally:
        firewall.run(["ip", "address", "del", f"{KNOWN_TO_IT}/32", "dev", "lo"])


@pytest.mark.usefixtures("_customer_route")
def test_a_route_to_a_stopped_instance_is_a_blackhole(testbed: Testbed) -> None:
    states = {
        route["destination"]: route["state"]
        for table in testbed.status()["local_gateways"]
        for route in table["routes"]
    }
    assert states["172.31.0.0/16"] == "blackhole"
    assert states["172.30.0.0/16"] == states["10.0.4.0/24"] == "active"
    places = [("op.lgw", "vpc-app"), ("cnd1", "op.2001")]
    with captured(testbed, places, "icmp") as seen:
        assert testbed["desk"].ping("172.31.0.1", count=2).received == 0
    assert not seen[places[0]].packets
    assert {packet[IP].src for packet in seen[places[1]].packets} == {DESK}  # silence


@pytest.mark.usefixtures("_customer_route")
def test_starting_the_instance_makes_the_route_active(testbed: Testbed, tmp_path: Path) -> None:
    file = tmp_path / "started.yaml"
    text = FILE.read_text()
    assert text.count(", state: stopped") == 1
    file.write_text(text.replace(", state: stopped", ""))
    testbed.apply(file)
    with testbed["spare"].capture(filter="icmp") as seen:
        testbed["desk"].ping("172.31.0.1", count=2)
    assert (DESK, "172.31.0.1") in ends(seen)


def test_in_coip_mode_it_is_not_translated_either(testbed: Testbed, tmp_path: Path) -> None:
    """Not even where the route leads a part of a pool: its destination is preserved (L2)."""
    text = FILE.read_text()
    pool = "coip_pools: {campus: {cidrs: [172.20.0.0/26]}}"
    firewall, server = "firewall: {subnet: outside,", "server: {subnet: inside,"
    outside = "server: {subnet: outside,"
    for old, new in (
        ("    local_gateway:\n", f"    local_gateway:\n      mode: coip\n      {pool}\n"),
        ("10.0.4.0/24, target: firewall", "172.20.0.32/27, target: firewall"),
        (server, f"{outside} customer_owned_ip: 172.20.0.40,"),
        (firewall, f"{firewall} customer_owned_ip: 172.20.0.5,"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    file = tmp_path / "coip.yaml"
    file.write_text(text)
    testbed.apply(file)
    desk, appliance = testbed["desk"], testbed["firewall"]
    with appliance.capture(filter="icmp") as seen:
        assert desk.ping("172.20.0.5", count=1).received == 1
        assert desk.ping("172.20.0.40", count=1).received == 0
    assert {(DESK, "10.0.3.4"), (DESK, "172.20.0.40")} <= ends(seen)
    assert (DESK, "172.20.0.5") not in ends(seen)
    appliance.run(["ip", "address", "add", "172.20.0.40/32", "dev", "lo"])
    with desk.capture(filter="icmp") as answers:
        assert desk.ping("172.20.0.40", count=1).received == 1
    assert ("172.20.0.40", DESK) in ends(answers)
