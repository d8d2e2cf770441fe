"""What an instance may put on its wire, what gets to others, and how large it may be."""

from __future__ import annotations

import json

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from testbed.testing import Node, Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/security-groups.yaml")]

BROADCAST = "ff:ff:ff:ff:ff:ff"
FOREIGN = "02:00:00:00:00:01"
SEND = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for frame in sys.argv[1:]:
    s.send(bytes.fromhex(frame))
"""


def send(node: Node, *frames: Packet) -> None:
    """Put frames on the wire of the node's eth0, as they are."""
    node.run(["python3", "-c", SEND, *(bytes(frame).hex() for frame in frames)])


def mac(node: Node) -> str:
    """The MAC address of the node's eth0."""
    return str(json.loads(node.run(["ip", "-json", "link", "show", "eth0"]).text)[0]["address"])


def gateway(node: Node) -> str:
    """The MAC address that the node has for its default gateway."""
    node.ping("10.77.7.1", count=1)
    entries = json.loads(node.run(["ip", "-json", "neighbor", "show", "10.77.7.1"]).text)
    return str(entries[0]["lladdr"])


def datagram(source: str, destination: str) -> Packet:
    """A datagram to the echo service that says where it claims to be from."""
    return IP(src=source, dst=destination) / UDP(sport=7777, dport=7) / b"spoofed"


def arrived(testbed: Testbed, sender: str, *frames: Packet, control: Packet) -> list[Packet]:
    """What gets to twin of the frames; `control`, sent last, is known to."""
    twin = testbed["twin"]
    with twin.capture(filter="arp or udp dst port 7 or icmp") as seen:
        send(testbed[sender], *frames, control)
        testbed["loner"].ping("twin", count=1)
    packets = [packet for packet in seen.packets if packet[Ether].src != mac(twin)]
    assert any(ICMP in packet for packet in packets)
    return [packet for packet in packets if UDP in packet or ARP in packet]


def test_a_foreign_address_or_mac_is_dropped(testbed: Testbed) -> None:
    loner, twin = testbed["loner"], testbed["twin"]
    router, own = gateway(loner), mac(loner)
    true = Ether(src=own, dst=router) / datagram(loner.address, twin.address)
    frames = (
        Ether(src=own, dst=router) / datagram(testbed["app"].address, twin.address),
        Ether(src=own, dst=router) / datagram("192.0.2.1", twin.address),
        Ether(src=FOREIGN, dst=router) / datagram(loner.address, twin.address),
        Ether(src=mac(twin), dst=router) / datagram(loner.address, twin.address),
    )
    received = arrived(testbed, "loner", *frames, control=true)
    assert [packet[IP].src for packet in received if UDP in packet] == [loner.address]


def test_a_false_arp_changes_nothing(testbed: Testbed) -> None:
    """Another's address in ARP gets to nobody, and the router keeps what it knows."""
    loner, twin = testbed["loner"], testbed["twin"]
    own = mac(loner)
    lies = [
        Ether(src=own, dst=BROADCAST)
        / ARP(op=operation, hwsrc=own, psrc=twin.address, hwdst=hardware, pdst=twin.address)
        for operation, hardware in ((1, "00:00:00:00:00:00"), (2, BROADCAST))
    ]
    true = Ether(src=own, dst=gateway(loner)) / datagram(loner.address, twin.address)
    received = arrived(testbed, "loner", *lies, control=true)
    assert not [p for p in received if ARP in p and p[ARP].hwsrc == own]
    neighbors = (
        testbed["op.vpc-app"].run(["ip", "-json", "neighbor", "show", "dev", "eni-twin"]).text
    )
    assert [entry["lladdr"] for entry in json.loads(neighbors)] == [mac(twin)]
    with loner.capture(filter=f"icmp and dst host {twin.address} and icmp[icmptype] = 8") as seen:
        assert testbed["loner"].ping("twin", count=1).received == 1
    assert {packet[Ether].dst for packet in seen.packets} == {gateway(loner)}


def test_there_is_no_broadcast_and_no_multicast(testbed: Testbed) -> None:
    loner, twin = testbed["loner"], testbed["twin"]
    own, router = mac(loner), gateway(loner)
    frames = [
        Ether(src=own, dst=hardware) / datagram(loner.address, destination)
        for hardware, destination in (
            (BROADCAST, "255.255.255.255"),
            (BROADCAST, "10.77.7.255"),
            (router, "10.77.7.255"),
            (mac(twin), twin.address),
            ("01:00:5e:00:00:fb", "224.0.0.251"),
            ("01:00:5e:01:01:01", "239.1.1.1"),
            (router, "239.1.1.1"),
        )
    ]
    true = Ether(src=own, dst=router) / datagram(loner.address, twin.address)
    received = arrived(testbed, "loner", *frames, control=true)
    assert [packet[IP].dst for packet in received if UDP in packet] == [twin.address]


def test_jumbo_frames_inside_an_outpost_and_1500_bytes_through_its_local_gateway(
    testbed: Testbed,
) -> None:
    loner = testbed["loner"]
    assert loner.ping("twin", count=1, size=9001 - 28, df=True).received == 1
    assert loner.ping("desk", count=1, size=1500 - 28, df=True).received == 1
    with loner.capture(filter="icmp[icmptype] = 3") as seen:
        assert loner.ping("desk", count=1, size=1501 - 28, df=True).received == 0
    assert [packet[ICMP].nexthopmtu for packet in seen.packets] == [1500]


def test_1300_bytes_to_the_region(testbed: Testbed) -> None:
    """An answer that is too large is fragmented, as the answer to an echo request may be."""
    app = testbed["app"]
    app.run(["ip", "route", "flush", "cache"])
    with app.capture(filter="icmp[icmptype] = 3") as seen:
        assert app.ping("db", count=1, size=1301 - 28, df=True).received == 0
    assert [packet[ICMP].nexthopmtu for packet in seen.packets] == [1300]
