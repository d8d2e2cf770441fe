"""Internet gateway, Elastic IPs, NAT gateway, zones, on real packets.

www, office -- internet -- internet gateway -- VPC router --- web, two, bare, nat1   us-west-2a
                  |                                |  |------ far                    us-west-2b
               Region's edge                       `-- service link -- rack-web, rack-worker
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment

from testbed.errors import NetworkError
from testbed.testing import Node, Testbed

TOPOLOGY = Path(__file__).with_name("internet.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

Apply = Callable[..., None]

WWW, OFFICE = "192.0.2.10", "192.0.2.81"
WEB, RACK_WEB, NAT = "203.0.113.10", "203.0.113.11", "203.0.113.200"
UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4
ZONE_DELAY_MS = 5.0


@pytest.fixture
def apply_changed(testbed: Testbed, tmp_path: Path) -> Apply:
    """Apply the topology with texts of its file replaced."""

    def apply(*changes: tuple[str, str]) -> None:
        text = TOPOLOGY.read_text()
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        file = tmp_path / "changed.yaml"
        file.write_text(text)
        testbed.apply(file)

    return apply


def seen_by(node: Node, destination: str) -> str:
    """The address that an HTTP server sees the node come from; nothing when it does not answer."""
    try:
        text = node.http(f"http://{destination}/", timeout_s=2).text
    except NetworkError:
        return ""
    return text.split("client ")[1].split(":")[0]


def states(testbed: Testbed) -> dict[tuple[str, str], tuple[str, str]]:
    """State and origin of each route, by table and destination."""
    rows = testbed.status()["route_tables"]
    return {(row["route_table"], row["destination"]): (row["state"], row["origin"]) for row in rows}


def test_an_elastic_ip_is_translated_one_to_one_both_ways(testbed: Testbed) -> None:
    assert seen_by(testbed["web"], WWW) == WEB
    assert seen_by(testbed["www"], WEB) == WWW
    with testbed["www"].capture(filter="tcp") as outside, testbed["web"].capture() as inside:
        testbed["web"].run([sys.executable, "-S", "-c", CONNECT, WWW, "80", "4711"])
    ports = {packet[TCP].sport for packet in outside.packets if packet[IP].src == WEB}
    assert ports == {4711}  # no port translation
    assert {p[IP].src for p in inside.packets if TCP in p and p[TCP].sport == 4711} == {"10.1.0.4"}


CONNECT = """
import socket, sys
host, port, own = sys.argv[1:]
sock = socket.create_connection((host, int(port)), 5, ("", int(own)))
"""


def test_without_an_elastic_ip_nothing_gets_through(testbed: Testbed) -> None:
    with testbed["www"].capture(filter="icmp") as seen:
        assert testbed["bare"].ping(WWW, count=2).received == 0
    assert not seen.packets
    assert testbed["www"].ping("203.0.113.77", count=1).received == 0  # nobody's


def test_secondary_addresses_have_elastic_ips_of_their_own(testbed: Testbed) -> None:
    """203.0.113.1 and .2 are the first free ones."""
    two = testbed["two"]
    assert seen_by(testbed["www"], "203.0.113.1") == seen_by(testbed["www"], "203.0.113.2") == WWW
    with testbed["www"].capture(filter="icmp") as seen:
        two.run(["ping", "-n", "-c1", "-W2", "-I", "10.1.0.50", WWW])
    assert "203.0.113.2" in {packet[IP].src for packet in seen.packets}


def test_an_instance_of_a_rack_uses_the_internet_gateway_over_the_service_link(
    testbed: Testbed,
) -> None:
    with testbed["op.vpc-app"].capture("sl", "tcp") as crossing:
        assert seen_by(testbed["rack-web"], WWW) == RACK_WEB
    assert crossing.packets
    assert seen_by(testbed["www"], RACK_WEB) == WWW


def test_path_mtu_through_the_internet_gateway(testbed: Testbed) -> None:
    """1500 at the gateway, 1300 across the service link, and who sends more is told (E mtu, S1)."""
    assert testbed["web"].ping(WWW, count=1, size=1472, df=True).received == 1
    assert testbed["www"].ping(RACK_WEB, count=1, size=1272, df=True).received == 1
    for name, target, size, mtu in (("web", WWW, 1473, 1500), ("www", RACK_WEB, 1273, 1300)):
        with testbed[name].capture(filter="icmp") as seen:
            assert testbed[name].ping(target, count=1, size=size, df=True).received == 0
        errors = [packet for packet in seen.packets if packet[ICMP].type == UNREACHABLE]
        assert errors, name
        assert (errors[0][ICMP].code, errors[0][ICMP].nexthopmtu) == (FRAGMENTATION_NEEDED, mtu)
    assert {error[IP].src for error in errors} == {RACK_WEB}  # no address inside AWS


def test_elastic_ips_of_one_vpc_reach_each_other(testbed: Testbed) -> None:
    assert seen_by(testbed["web"], RACK_WEB) == WEB


def test_an_elastic_ip_moves_live_and_old_connections_end(
    testbed: Testbed, apply_changed: Apply
) -> None:
    """An open connection does not keep the association that it was made by."""
    apply_changed(
        ("web: {subnet: public, elastic_ip: 203.0.113.10,", "web: {subnet: public,"),
        ("bare: {subnet: public}", "bare: {subnet: public, elastic_ip: 203.0.113.10}"),
    )
    assert seen_by(testbed["bare"], WWW) == WEB
    assert seen_by(testbed["web"], WWW) == ""


def test_a_nat_gateway_translates_ports_and_lets_nobody_in(testbed: Testbed) -> None:
    with testbed["www"].capture(filter="tcp") as seen:
        for name in ("worker", "rack-worker"):
            testbed[name].run([sys.executable, "-S", "-c", CONNECT, WWW, "80", "4712"])
    ports = {packet[TCP].sport for packet in seen.packets if packet[IP].src == NAT}
    assert len(ports) == 2  # the same source port of two clients cannot be kept twice
    assert min(ports) >= 1024
    assert testbed["www"].ping(NAT, count=2).received == 0
    assert testbed["web"].ping("10.1.0.254", count=2).received == 0
    assert testbed["worker"].ping(WWW, count=1).received == 1


def test_a_nat_gateway_translates_tcp_udp_and_icmp_only(testbed: Testbed) -> None:
    send = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
sock.sendto(bytes(8), (sys.argv[1], 0))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 4713))
sock.settimeout(5)
sock.sendto(b"x", (sys.argv[1], 7))
sock.recv(10)
"""
    with testbed["www"].capture(filter="ip proto 47 or udp") as seen:
        testbed["worker"].run([sys.executable, "-S", "-c", send, WWW])
    assert {packet[IP].src for packet in seen.packets if UDP in packet} >= {NAT}
    assert not [packet for packet in seen.packets if packet[IP].proto == 47]


def test_a_nat_gateway_lets_nothing_out_untranslated(testbed: Testbed) -> None:
    """Answers to what it has not seen begin, and fragments of other than UDP (facts: AWS)."""
    worker, own = testbed["worker"], testbed["worker"].address
    ports = {"sport": 80, "dport": 4714}
    strays = [IP(dst=WWW) / TCP(flags=flags, **ports) for flags in ("SA", "A", "R")]
    strays.append(IP(dst=WWW) / ICMP(type=0, id=7) / b"an echo reply")
    whole = IP(src=own, dst=WWW, id=9)  # checksums are made before it is cut
    large = [fragment(whole / kind / bytes(2000)) for kind in (ICMP(), UDP(dport=9))]
    with testbed["region.vpc-app"].capture("igw", "ip") as left:
        worker.send([*strays, *large[0], *large[1]])
        assert worker.ping(WWW, count=1).received == 1
    seen = [packet[IP] for packet in left.packets]
    assert own not in {packet.src for packet in seen}
    assert {packet.proto for packet in seen if packet.frag or packet.flags.MF} == {17}
    assert not [packet for packet in seen if TCP in packet]


def test_routes_show_their_state(testbed: Testbed, apply_changed: Apply) -> None:
    """What a deleted NAT gateway is the target of is a blackhole (facts: V)."""
    before = states(testbed)
    assert before["main", "10.1.0.0/16"] == ("active", "CreateRouteTable")
    assert before["public", "0.0.0.0/0"] == ("active", "CreateRoute")
    assert before["main", "0.0.0.0/0"] == ("blackhole", "CreateRoute")
    assert before["private", "offices"] == ("blackhole", "CreateRoute")
    apply_changed(("gone: {subnet: public, state: deleted}", "gone: {subnet: public}"))
    after = states(testbed)
    assert after["main", "0.0.0.0/0"] == after["private", "offices"] == ("active", "CreateRoute")
    assert seen_by(testbed["worker"], OFFICE) == "203.0.113.254"


def test_a_cidr_block_goes_before_a_prefix_list(testbed: Testbed) -> None:
    """Both have 192.0.2.10/32; 192.0.2.80/28 is longer than the default route (facts: V)."""
    assert seen_by(testbed["worker"], WWW) == NAT
    assert seen_by(testbed["worker"], OFFICE) == ""


def test_the_edge_announces_the_internet(testbed: Testbed) -> None:
    """The customer's way to the Region is one to the internet, too."""
    for destination in ("192.0.2.0/24", "203.0.113.0/24"):
        show = ["ip", "route", "show", "vrf", "sl", destination]
        assert "dev region" in testbed["cnd1"].run(show).text


def test_the_site_has_internet_access_of_its_own(testbed: Testbed) -> None:
    """For hosts, and for instances whose default route targets the local gateway (facts: L1)."""
    for name in ("desk", "local"):
        with testbed["op.vpc-app"].capture(
            "sl", f"host {WWW} and tcp[tcpflags] & tcp-syn != 0"
        ) as way:
            assert seen_by(testbed[name], WWW) == "192.0.2.254"
        assert not way.packets  # but for what others may still have to say of connections before
    assert seen_by(testbed["desk"], WEB) == "192.0.2.254"
    assert testbed["www"].ping(testbed["desk"].address, count=1).received == 0


def test_nothing_is_forwarded_to_the_reserved_range(testbed: Testbed) -> None:
    """169.254.168.0/22 is not the default route's (facts: V)."""
    with testbed["region.vpc-app"].capture("igw", "net 169.254.168.0/22") as seen:
        testbed["web"].ping("169.254.170.2", count=2)
    assert not seen.packets


def test_delay_between_zones(testbed: Testbed) -> None:
    """One way from zone to zone, none inside of one; the Outpost is in its anchor zone."""
    far, web = testbed["far"], testbed["web"]
    assert best(far, "10.1.0.4") >= 2 * ZONE_DELAY_MS
    assert best(web, "10.1.0.5") < ZONE_DELAY_MS
    across = best(testbed["rack-worker"], far.address)
    assert across - best(testbed["rack-worker"], "10.1.0.4") > ZONE_DELAY_MS


def best(node: Node, address: str) -> float:
    """The shortest of some round trips, in milliseconds."""
    result = node.ping(address, count=10, interval_s=0.05)
    assert result.rtt_ms is not None
    return result.rtt_ms.min
