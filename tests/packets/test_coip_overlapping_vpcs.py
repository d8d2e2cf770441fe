"""Two VPCs with the same CIDR block on one Outpost: never a packet from one in the other.

red 10.0.3.10 <-> 172.20.0.10, blue 10.0.3.10 <-> 172.20.0.20
"""

from __future__ import annotations

import pytest
from observing import captured, ends, python, read_until

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/coip-overlapping-vpcs.yaml")]

PRIVATE, DESK = "10.0.3.10", "192.168.10.10"
COIPS = {"red": "172.20.0.10", "blue": "172.20.0.20"}
INSIDE = {"red": ("red", "eth0"), "blue": ("blue", "eth0")}


@pytest.mark.parametrize(("name", "other"), [("red", "blue"), ("blue", "red")])
def test_each_vpc_by_its_own_addresses(testbed: Testbed, name: str, other: str) -> None:
    with captured(testbed, INSIDE.values()) as seen:
        assert f"client {COIPS[name]}" in testbed[name].http(f"http://{DESK}/").text
        answer = testbed["desk"].http(f"http://{COIPS[name]}/").text.splitlines()
    assert answer[0] == name
    assert {(PRIVATE, DESK), (DESK, PRIVATE)} <= ends(seen[INSIDE[name]])
    assert not ends(seen[INSIDE[other]])


def test_the_same_ports_at_the_same_time(testbed: Testbed) -> None:
    """Connections that differ in nothing but their VPC are kept apart."""
    talk = """
import socket, sys
sock = socket.socket()
sock.bind(("", 4711))
sock.settimeout(10)
sock.connect((sys.argv[1], 7))
sock.send(sys.argv[2].encode())
print(sock.recv(100).decode(), flush=True)
sys.stdin.readline()
sock.send(b"still " + sys.argv[2].encode())
print(sock.recv(100).decode())
"""
    with (
        testbed.client.popen("red", ["python3", "-c", talk, DESK, "red"]) as red,
        testbed.client.popen("blue", ["python3", "-c", talk, DESK, "blue"]) as blue,
    ):
        said = {"red": read_until(red, "\n"), "blue": read_until(blue, "\n")}
        for name, process in (("red", red), ("blue", blue)):
            process.write(b"\n")
            said[name] += process.wait(60).text
    assert said == {"red": "red\nstill red\n", "blue": "blue\nstill blue\n"}


def test_the_two_reach_each_other_by_customer_owned_addresses(testbed: Testbed) -> None:
    """Each packet is translated at both ends, and stays on the Outpost."""
    onds = [("op.lgw", "ond1"), ("op.lgw", "ond2")]
    with captured(testbed, [*onds, *INSIDE.values()], "icmp or tcp port 80") as seen:
        assert testbed["red"].ping(COIPS["blue"], count=2).received == 2
        answer = testbed["blue"].http(f"http://{COIPS['red']}/").text
        assert answer.startswith(f"red\nclient {COIPS['blue']}:")
    assert not [place for place in onds if seen[place].packets]
    for name, other in (("red", "blue"), ("blue", "red")):
        pairs = {(PRIVATE, COIPS[other]), (COIPS[other], PRIVATE)}
        assert ends(seen[INSIDE[name]]) == pairs


def test_errors_between_the_two_are_translated(testbed: Testbed) -> None:
    refused = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
sock.connect((sys.argv[1], 9))
sock.send(b"x")
try:
    sock.recv(1)
except ConnectionRefusedError:
    print("refused")
"""
    assert python(testbed["red"], refused, COIPS["blue"]) == "refused\n"


def test_no_address_no_way_between_them(testbed: Testbed) -> None:
    """Neither from an instance without a CoIP, nor by an address inside AWS."""
    links = testbed["op.lgw"].run(["ip", "-4", "-o", "address"]).text
    inner = [line.split()[3].partition("/")[0] for line in links.splitlines() if "coip-" in line]
    assert len(inner) == 2
    with captured(testbed, [INSIDE["blue"], ("op.vpc-blue", "lgw")], "icmp") as seen:
        assert testbed["red-alone"].ping(COIPS["blue"], count=2).received == 0
        for address in inner:
            testbed["red"].ping(address, count=1)
    assert not [place for place in seen if seen[place].packets]
