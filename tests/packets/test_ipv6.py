"""IPv6 in a VPC: public and egress-only gateways, over the service link, not the local gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6

from testbed.testing import Node, Testbed

TOPOLOGY = Path(__file__).with_name("ipv6.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

WWW = "2001:db8:ffff::10"
WEB, WORKER, RACK = "2001:db8:1:aa00::4", "2001:db8:1:aa01::4", "2001:db8:1:aa08::4"
FETCH = """
import socket, sys
try:
    sock = socket.create_connection((sys.argv[1], 80), 2)
    sock.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
    answer = sock.recv(1000).decode()
    print(answer.partition("client ")[2].split()[0].rpartition(":")[0])
except OSError:
    print("nothing")
"""


def seen_by(node: Node, address: str) -> str:
    """The address that an HTTP server sees the node come from, or ``nothing``."""
    text: str = node.run(["python3", "-S", "-c", FETCH, address]).text
    return text.strip()


def pings(node: Node, address: str, *options: str) -> bool:
    done = node.run(["ping", "-6", "-n", "-c1", "-W2", *options, address], check=False)
    return bool(done.returncode == 0)


@pytest.mark.parametrize(
    ("name", "address"), [("web", WEB), ("worker", WORKER), ("rack-web", RACK)]
)
def test_addresses_are_public(testbed: Testbed, name: str, address: str) -> None:
    """No translation on the way out, by either gateway, from the rack as well (facts: V)."""
    assert seen_by(testbed[name], WWW) == address


def test_an_egress_only_gateway_lets_nobody_in(testbed: Testbed) -> None:
    assert seen_by(testbed["www"], WEB) == seen_by(testbed["www"], RACK) == WWW
    assert seen_by(testbed["www"], WORKER) == "nothing"
    assert not pings(testbed["www"], WORKER)


def test_an_mtu_too_small_for_ipv6_is_undone(testbed: Testbed) -> None:
    """Below 1280 bytes Linux ends IPv6 on an interface, addresses and routes included."""
    web = testbed["web"]
    with testbed.fault("mtu", "web:eth0", mtu=1200):
        assert "inet6" not in web.run(["ip", "addr", "show", "eth0"]).text
        assert seen_by(web, WWW) == "nothing"
        assert web.ping(testbed["worker"].address).received
    assert seen_by(web, WWW) == WEB


def test_the_vpc_is_one_network(testbed: Testbed) -> None:
    assert seen_by(testbed["web"], WORKER) == WEB
    with testbed["op.vpc-app"].capture("sl", "ip6") as crossing:
        assert seen_by(testbed["rack-web"], WORKER) == RACK
    assert crossing.packets
    assert seen_by(testbed["web"], testbed["worker"].address) == testbed["web"].address


def test_path_mtu_across_the_service_link(testbed: Testbed) -> None:
    """1300 bytes (facts: S1); the router of the VPC says so."""
    testbed["www"].run(["ip", "-6", "route", "flush", "cache"])  # what another test has found out
    assert pings(testbed["www"], RACK, "-s", "1252")
    with testbed["www"].capture(filter="icmp6") as seen:
        assert not pings(testbed["www"], RACK, "-s", "1253", "-M", "do")
    errors = [packet for packet in seen.packets if ICMPv6PacketTooBig in packet]
    assert {error[ICMPv6PacketTooBig].mtu for error in errors} == {1300}


def test_a_forged_address_is_dropped(testbed: Testbed) -> None:
    node, forged = testbed["web"], "2001:db8:1:aa00::77"
    node.run(["ip", "-6", "address", "add", f"{forged}/128", "dev", "lo"])
    try:
        with testbed["region.vpc-app"].capture("igw", f"src host {forged}") as seen:
            assert not pings(node, WWW, "-I", forged)
    finally:
        node.run(["ip", "-6", "address", "del", f"{forged}/128", "dev", "lo"])
    assert not seen.packets


def test_a_route_to_an_interface(testbed: Testbed) -> None:
    """From the rack, over the service link, and without destination check (facts: V)."""
    with testbed["router"].capture(filter="icmp6 and dst host 2001:db8:77::1") as seen:
        pings(testbed["rack-web"], "2001:db8:77::1")
    assert {packet[IPv6].src for packet in seen.packets} == {RACK}


def test_ping_trace_and_reach(testbed: Testbed) -> None:
    """The probes take IPv6, and packets do what the rules say."""
    web = testbed["web"]
    assert web.ping(WORKER).ok
    assert not web.ping(RACK, size=1253, df=True).ok
    assert testbed.trace("rack-web", WWW, protocol="tcp", port=80).ok
    refused = testbed.trace("www", WORKER)
    assert refused.dropped_at == "region.eigw-app"
    assert refused.reason == "nobody outside opens a connection through an egress-only gateway"
    small = testbed.trace("www", RACK, size=1301, df=True)
    assert small.error is not None
    assert small.error.error.text == "ICMPv6 packet too big (MTU 1300)"
    rows = [row for row in testbed.reach(icmp=True, tcp=[80]) if row.request.address.version == 6]
    assert {row.predicted for row in rows} == {True, False}
    assert all(row.agrees for row in rows)
    assert {row.request.source for row in rows} == {"web", "router", "worker", "rack-web", "www"}


def test_nothing_of_it_where_nobody_asked_for_it(testbed: Testbed) -> None:
    for name in ("plain", "op.lgw", "op.sl", "cnd1", "desk"):
        assert "inet6" not in testbed[name].run(["ip", "-6", "address"]).text, name


def test_routes_show_their_state(testbed: Testbed, tmp_path: Path) -> None:
    file = tmp_path / "stopped.yaml"
    file.write_text(
        TOPOLOGY.read_text().replace("router: {subnet", "router: {state: stopped, subnet")
    )
    testbed.apply(file)
    rows = testbed.status()["route_tables"]
    states = {(row["route_table"], row["destination"]): row["state"] for row in rows}
    assert states["public", "2001:db8:77::/48"] == "blackhole"
    assert states["public", "::/0"] == states["private", "::/0"] == "active"
