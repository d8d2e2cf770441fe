"""Two racks of one VPC, as in AWS's Compute blog of 30 August 2023, on real packets.

a -- op-a ==LAG== cnd1, cnd2 -- WAN -- cnd3, cnd4 ==LAG== op-b -- b
        `-- service link --- Region (c) --- service link --'
"""

from __future__ import annotations

from functools import partial
from ipaddress import ip_interface
from typing import Any

import pytest
from observing import bgp_paths, captured, python
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from testbed.testing import Node, Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/two-racks.yaml")]

A, B, C = "10.77.7.88", "10.77.11.119", "10.77.1.4"
MEMBERS = [("cnd1", "op-a_1"), ("cnd1", "op-a_2"), ("cnd2", "op-a_1"), ("cnd2", "op-a_2")]
ECHO_REQUEST, UNREACHABLE, FRAGMENTATION_NEEDED = 8, 3, 4


def requests(capture: Any) -> list[Any]:
    """The echo requests from a to b in a capture."""
    return [
        packet
        for packet in capture.packets
        if IP in packet
        and (packet[IP].src, packet[IP].dst) == (A, B)
        and ICMP in packet
        and packet[ICMP].type == ECHO_REQUEST
    ]


def test_everything_is_up(testbed: Testbed) -> None:
    status = testbed.status()
    bad = [
        row
        for subject in ("nodes", "links", "lags", "bgp", "tunnels", "routes", "listeners")
        for row in status[subject]
        if not row["ok"]
    ]
    assert not bad
    assert status["ok"]
    assert len(status["lags"]) == 8
    assert len(status["tunnels"]) == 4
    assert {session["state"] for session in status["bgp"]} == {"Established"}


def test_racks_reach_each_other_through_their_local_gateways(testbed: Testbed) -> None:
    """The VLAN-tagged frame is on a LAG member, addresses untouched, TTL one less per router."""
    vlans = {"cnd1": 2001, "cnd2": 2002}
    inner = [("op-a.vpc-app", "eni-a"), ("op-b.vpc-app", "eni-b")]
    service_link = [("op-a.vpc-app", "sl"), ("op-a.sl", "wg1"), ("op-a.sl", "wg2")]
    with (
        captured(testbed, MEMBERS, "vlan and icmp") as tagged,
        captured(testbed, inner + service_link, "icmp") as seen,
    ):
        result = testbed["a"].ping(B, count=3)
    assert result.received == 3

    on_lag = [(place[0], packet) for place in MEMBERS for packet in requests(tagged[place])]
    assert len(on_lag) == 3
    for device, packet in on_lag:
        assert packet[Dot1Q].vlan == vlans[device]
    sent = requests(seen["op-a.vpc-app", "eni-a"])
    arrived = requests(seen["op-b.vpc-app", "eni-b"])
    assert {packet[IP].ttl for packet in sent} == {64}
    # VPC router, local gateway, OND, device | WAN | device, OND, local gateway, VPC router
    assert {packet[IP].ttl for packet in arrived} == {64 - 9}
    assert {packet[IP].ttl for _, packet in on_lag} == {64 - 3}
    for place in service_link:
        assert not requests(seen[place]), f"a to b crossed {place}"


def test_service_link_carries_1300_bytes_and_not_1301(testbed: Testbed) -> None:
    """Packets of 1300 bytes pass; for 1301 with DF the VPC router sends its MTU (facts: S1)."""
    assert testbed["a"].ping(C, count=2, size=1272, df=True).received == 2
    with testbed["a"].capture(filter="icmp") as capture:
        result = testbed["a"].ping(C, count=1, size=1273, df=True)
    assert result.received == 0
    errors = [p for p in capture.packets if ICMP in p and p[ICMP].type == UNREACHABLE]
    assert errors, "no ICMP error came back"
    assert errors[0][ICMP].code == FRAGMENTATION_NEEDED
    assert errors[0][ICMP].nexthopmtu == 1300
    assert errors[0][IP].src == "10.77.7.1"


def test_nothing_of_the_service_link_is_in_the_clear(testbed: Testbed) -> None:
    """On the customer's wire there are only WireGuard packets, UDP 443 to 443 (facts: S4)."""
    with captured(testbed, MEMBERS, "ip or vlan") as seen:
        assert testbed["a"].ping(C, count=3).received == 3
    packets = [packet for capture in seen.values() for packet in capture.packets]
    tunnel = [p for p in packets if UDP in p and p[UDP].dport == 443]
    assert tunnel
    assert {packet[UDP].sport for packet in tunnel} == {443}
    assert {packet[Dot1Q].vlan for packet in tunnel} <= {1001, 1002}
    inner = {A, C}
    clear = [p for p in packets if IP in p and ({p[IP].src, p[IP].dst} & inner)]
    assert not clear
    assert not [p for p in tunnel if b"\x0a\x4d\x07\x58" in bytes(p[UDP].payload)]


def test_a_tunnel_is_one_flow_to_every_router_and_lag(testbed: Testbed) -> None:
    """Whatever is inside: where it took several ways, two firewalls would each see a part."""
    with captured(testbed, MEMBERS, "vlan and udp port 443") as seen:
        for _ in range(12):  # connections, each with a port of its own
            assert testbed["a"].http(f"http://{C}/").status == 200
    ways: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for place, capture in seen.items():
        for packet in capture.packets:
            ways.setdefault((packet[IP].src, packet[IP].dst), set()).add(place)
    assert {len(places) for places in ways.values()} == {1}, ways


def test_tunnels_are_opened_by_the_outpost_only(testbed: Testbed) -> None:
    """What comes from outside to a server without having been asked for is dropped."""
    server = testbed["op-a.host1"]
    uninvited = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("198.51.100.11", 4443))
sock.sendto(b"uninvited", ("10.200.0.10", 443))
"""
    with captured(testbed, [("op-a.host1", "eth0")], "udp and src port 4443") as seen:
        python(testbed["region.anchor1"], uninvited)
        testbed.eventually(lambda: b"uninvited" in seen["op-a.host1", "eth0"].pcap)
    rules = server.run(["nft", "list", "ruleset"]).text
    dropped = int(rules.split("counter packets ")[1].split()[0])
    assert dropped >= 1


def test_vpc_has_no_broadcast_domain(testbed: Testbed) -> None:
    """The router answers ARP for the gateway, nobody for an address that is not there (V)."""
    node = testbed["a"]
    for address, state in (("10.77.7.1", "REACHABLE"), ("10.77.7.200", "FAILED")):
        node.ping(address, count=1)
        shown = testbed.eventually(partial(settled, node, address))
        assert shown == state


def settled(node: Node, address: str) -> str | None:
    """The state of a neighbour (ARP) entry, once it is one that stays."""
    text = node.run(["ip", "neigh", "show", "to", address, "dev", "eth0"]).text
    states = [state for state in ("REACHABLE", "FAILED") if state in text.split()]
    return states[0] if states else None


def test_source_check_drops_a_forged_address(testbed: Testbed) -> None:
    """A packet whose source is not the interface's own does not get past the router (E eni)."""
    with captured(testbed, [("op-a.vpc-app", "eni-a"), ("op-a.vpc-app", "lgw")], "icmp") as seen:
        forged = ["ping", "-n", "-c", "2", "-W", "1", "-I", "10.77.7.99", B]
        node = testbed["a"]
        node.run(["ip", "address", "add", "10.77.7.99/32", "dev", "lo"])
        try:
            assert node.run(forged, check=False).returncode == 1
        finally:
            node.run(["ip", "address", "del", "10.77.7.99/32", "dev", "lo"])
    assert any(p[IP].src == "10.77.7.99" for p in seen["op-a.vpc-app", "eni-a"].packets)
    assert not seen["op-a.vpc-app", "lgw"].packets


def test_announcements_of_the_service_link(testbed: Testbed) -> None:
    """Each OND announces its own /27 with path length 1, the other's with 4 (facts: R1, R2)."""
    for device, own, other in (
        ("cnd1", "10.200.0.0/27", "10.200.0.32/27"),
        ("cnd2", "10.200.0.32/27", "10.200.0.0/27"),
    ):
        paths = bgp_paths(testbed, device, "op_a_service_link")
        assert paths == {own: [64512], other: [64512] * 4}


def test_announcements_of_the_local_gateway(testbed: Testbed) -> None:
    """Only the subnet whose route table targets the gateway, never the VPC CIDR (R1 tip, L2)."""
    for device in ("cnd1", "cnd2"):
        assert bgp_paths(testbed, device, "op_a_local_gateway") == {"10.77.7.0/24": [64513]}


def test_services(testbed: Testbed) -> None:
    """HTTP and echo answer across the racks and from the customer's LAN."""
    assert "client 10.77.7.88" in testbed["a"].http(f"http://{B}/").text
    assert "client 192.168.10.10" in testbed["desk"].http(f"http://{A}/").text
    for kind in ("SOCK_STREAM", "SOCK_DGRAM"):
        talk = f"""
import socket
sock = socket.socket(socket.AF_INET, socket.{kind})
sock.settimeout(5)
sock.connect(("{B}", 7))
sock.send(b"hello")
print(sock.recv(100).decode())
"""
        assert python(testbed["a"], talk) == "hello\n"


def test_lacp_is_fast_on_both_sides(testbed: Testbed) -> None:
    """LACPDUs every second with the short timeout set (facts: R1, R1b)."""
    with testbed["cnd1"].capture(interface="op-a_1", filter="ether proto 0x8809") as capture:
        testbed["a"].ping(B, count=4, interval_s=1.0)
    short_timeout, active = 0x02, 0x01
    actors = {bytes(packet[Ether].payload)[18] for packet in capture.packets}
    assert len(capture.packets) >= 4
    assert all(state & short_timeout and state & active for state in actors)


def test_nothing_is_in_the_clear_without_tunnels(testbed: Testbed) -> None:
    """A customer may announce a default route into the service link VRF (facts: T1)."""
    node, ond = testbed["op-a.sl"], testbed["op-a.ond1"]
    link = node.run(["ip", "-4", "-o", "address", "show", "dev", "ond1"]).text.split()[3]
    default = ["default", "via", str(ip_interface(link).ip - 1)]
    outward = ["default", "via", "198.18.0.1", "vrf", "sl"]
    tunnels = ("wg1", "wg2")
    inner = "vlan and (udp port 4789 or net 100.96.0.0/12)"
    try:
        node.run(["ip", "route", "add", *default])
        ond.run(["ip", "route", "add", *outward])
        for tunnel in tunnels:
            node.run(["ip", "link", "set", tunnel, "down"])
        with captured(testbed, MEMBERS, inner) as seen:
            assert testbed["a"].ping(C, count=3).received == 0
        assert not [packet for capture in seen.values() for packet in capture.packets]
    finally:
        for tunnel in tunnels:
            node.run(["ip", "link", "set", tunnel, "up"])
        node.run(["ip", "route", "del", *default])
        ond.run(["ip", "route", "del", *outward])
    testbed.eventually(lambda: testbed.status()["ok"], timeout=60)


def test_vrf_does_not_fall_back_to_the_main_table(testbed: Testbed) -> None:
    """Whatever the device's main table says.

    What a VRF has no route to is unreachable; from the local gateway's VIF an
    OND has one way, to the local gateway.
    """
    for name in ("op-a.ond1", "cnd1"):
        node = testbed[name]
        node.run(["ip", "link", "add", "stray0", "type", "dummy"])
        try:
            node.run(["ip", "address", "add", "203.0.113.1/24", "dev", "stray0"])
            node.run(["ip", "link", "set", "stray0", "up"])
            for vrf in ("sl", "lgw"):
                way = ["ip", "route", "get", "203.0.113.9", "vrf", vrf]
                found = node.run(way, check=False)
                if (name, vrf) == ("op-a.ond1", "lgw"):
                    assert "dev to-lgw" in found.text
                else:
                    assert found.returncode != 0
        finally:
            node.run(["ip", "link", "del", "stray0"])


def test_local_gateway_drops_silently_what_has_no_route(testbed: Testbed) -> None:
    """No error comes from an address inside AWS."""
    with testbed["a"].capture(filter="icmp") as capture:
        assert testbed["a"].ping("203.0.113.9", count=2).received == 0
    assert not [packet for packet in capture.packets if packet[IP].dst == A]


WHO_HAS = """
import socket, sys
interface, source, *addresses = sys.argv[1:]
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
sock.bind((interface, 0x0806))
mac = sock.getsockname()[4]
sock.settimeout(10)
for address in addresses:
    arp = bytes.fromhex("0001080006040001") + mac + socket.inet_aton(source)
    arp += bytes(6) + socket.inet_aton(address)
    sock.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + arp)
answered = ""
while answered != addresses[-1]:
    frame = sock.recv(100)
    if frame[20:22] == b"\\x00\\x02":
        answered = socket.inet_ntoa(frame[28:32])
        print(answered)
"""


def test_ond_answers_arp_for_its_own_address_only(testbed: Testbed) -> None:
    """Not for those of the links inside the rack: asked for first, it would answer first."""
    inside = testbed["op-a.ond1"].run(["ip", "-4", "-o", "address", "show", "dev", "to-sl"]).text
    addresses = [str(ip_interface(inside.split()[3]).ip), "198.18.0.0"]
    assert python(testbed["cnd1"], WHO_HAS, "op-a.1001", "198.18.0.1", *addresses).split() == [
        "198.18.0.0"
    ]
