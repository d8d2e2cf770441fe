"""What the handles of a test suite send, see and read, compared with other ways to look."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from testbed.errors import NetworkError, UsageError
from testbed.probes import bundle
from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/rack.yaml")]

WEB, ROUTER = "10.1.3.112", "10.1.3.1"
LAN = "192.168.10.0/24"


@pytest.fixture
def listener(testbed: Testbed) -> Iterator[str]:
    """Something that takes UDP datagrams, so that no ICMP error answers them."""
    script = (
        "import socket, time; s = socket.socket(2, 2); s.bind(('', 7777)); print('up'); input()"
    )
    with testbed["web"].testbed.client.popen("web", ["python3", "-uc", script]) as process:
        assert next(iter(process)).startswith(b"up")
        yield WEB


# Packets


def test_a_packet_arrives_as_it_was_built(testbed: Testbed, listener: str) -> None:
    packet = IP(dst=listener, tos=0xB8, ttl=40) / UDP(sport=4000, dport=7777) / b"hello"
    desk, web = testbed["desk"], testbed.instance("web")
    with web.expect("eth0", "udp dst port 7777", count=3) as arrived:
        assert desk.send(packet, count=3, interval_s=0.01) == 3
    assert [bytes(one[UDP].payload) for one in arrived.packets] == [b"hello"] * 3
    first = arrived.packets[0][IP]
    assert (first.src, first.tos) == (desk.address, 0xB8)
    assert 30 <= first.ttl < 40
    checked = IP(bytes(first))
    del checked[UDP].chksum
    assert IP(bytes(checked))[UDP].chksum == first[UDP].chksum


@pytest.mark.testbed(time="real")
def test_sending_without_end_holds_nobody_up(testbed: Testbed) -> None:
    """Others are served meanwhile, and it ends with the client that has asked for it."""
    packet = bytes(IP(src=testbed["desk"].address, dst=WEB) / UDP(dport=7778) / (b"x" * 1000))
    send = f"from testbed.control.client import Client; Client({testbed.name!r}).send"
    script = f"{send}('desk', [bytes.fromhex('{packet.hex()}')], count=10**9)"

    def sent() -> int:
        return testbed["desk"].counters()["eth0"].tx_packets

    before = sent()
    with subprocess.Popen([sys.executable, "-c", script]) as sending:
        try:
            testbed.eventually(lambda: sent() > before + 1000)
            assert testbed.status()["ok"]
            assert sending.poll() is None
        finally:
            sending.kill()
    testbed.eventually(lambda: sent() == sent())


def test_a_frame_leaves_by_the_interface(testbed: Testbed) -> None:
    """An ARP request of the customer's device on the VLAN of the local gateway is answered."""
    device = testbed.device("cnd1")
    frame = Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="172.16.0.1")
    with device.expect("op.2001", lambda packet: ARP in packet and packet[ARP].op == 2) as answer:
        device.send(frame, interface="op.2001")
    reply = answer.packets[0][ARP]
    assert (reply.psrc, reply.pdst) == ("172.16.0.1", "172.16.0.2")
    assert reply.hwsrc == testbed.device("op.ond1").mac("bond0.2001")
    assert reply.hwdst == device.mac("op.2001")


def test_what_does_not_come_is_told_with_what_came(testbed: Testbed) -> None:
    desk, web = testbed["desk"], testbed["web"]
    with (
        pytest.raises(AssertionError, match=r"(?s)'udp port 7': 0 of 1 came to web eth0.*ICMP"),
        web.expect("eth0", "udp port 7", timeout=0.3),
    ):
        assert desk.ping(web, count=1).ok
    with (
        pytest.raises(AssertionError, match="none should have come to web eth0, but 1"),
        web.expect("eth0", lambda packet: ICMP in packet and packet[ICMP].type == 8, count=0),
    ):
        assert desk.ping(web, count=1).ok
    with web.expect("eth0", "udp", count=0, timeout=0.2):
        assert desk.ping(web, count=1).ok
    with pytest.raises(AssertionError, match="it saw nothing"), web.expect("lo", timeout=0.1):
        pass


def test_what_can_not_be_sent_says_why(testbed: Testbed) -> None:
    desk = testbed["desk"]
    with pytest.raises(NetworkError, match="cannot send from desk, eth0: Message too long"):
        desk.send(Ether(dst="ff:ff:ff:ff:ff:ff") / IP(dst=WEB) / (b"x" * 2000), interface="eth0")
    with pytest.raises(UsageError, match="no interface 'eth7'"):
        desk.send(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst=WEB), interface="eth7")
    with pytest.raises(UsageError, match="MAC address a frame is for"):
        desk.send(Ether() / IP(dst=WEB), interface="eth0")
    with pytest.raises(UsageError, match="begin with Ether, IP or IPv6"):
        desk.send(UDP())
    with pytest.raises(UsageError, match="not a filter: 'udp prot 7'"):
        desk.expect("eth0", "udp prot 7")


# States


@pytest.mark.parametrize("device", ["cnd1", "cnd2"])
def test_bgp_of_bird_and_of_frr(testbed: Testbed, device: str) -> None:
    """Both ends of the local gateway's session agree about what passed it."""
    ond = testbed.device(device.replace("cnd", "op.ond"))
    ours = {session.asn: session for session in testbed.device(device).bgp()}
    theirs = {session.asn: session for session in ond.bgp() if session.asn == 65000}
    assert set(ours) >= {64512, 64513, 7224}
    mine = ours[64513]
    (other,) = [s for s in ond.bgp() if (s.asn, s.local_asn) == (65000, 64513)]
    assert mine.established
    assert other.established
    assert theirs
    assert "10.1.3.0/24" in mine.prefixes()
    assert LAN in other.prefixes()
    for sender, receiver in ((mine, other), (other, mine)):
        sent = {route.prefix: route.as_path for route in sender.announced}
        assert {(route.prefix, route.as_path) for route in receiver.received} <= set(sent.items())
    assert {route.as_path for route in other.received} == {(65000,)}
    assert all(route.next_hop == mine.neighbor for route in mine.received)
    assert all(not session.received for session in ond.bgp(routes=False))


def test_bgp_where_there_is_none(testbed: Testbed) -> None:
    with pytest.raises(UsageError, match="web runs no BGP daemon"):
        testbed["web"].bgp()


def test_lacp_as_the_kernel_writes_it(testbed: Testbed) -> None:
    (lag,) = testbed.device("cnd1").lacp()
    assert lag.aggregated
    assert testbed.link("op.ond1", "cnd1").lag().partner_mac == testbed["cnd1"].mac(lag.name)
    said = testbed["cnd1"].run(["cat", f"/proc/net/bonding/{lag.name}"], check=False)
    for member in lag.members:
        assert member.rate == member.partner_rate == "fast"
        assert {"activity", "collecting", "distributing", "synchronization"} <= member.actor
        assert said.returncode or f"Slave Interface: {member.name}" in said.text
    link = testbed.link("cnd1", "op.ond1")
    assert link.up
    testbed["op.ond1"].run(["ip", "link", "set", "uplink1", "down"])
    try:
        testbed.eventually(lambda: not testbed.device("cnd1").lacp()[0].aggregated)
        assert not link.up
        assert testbed.device("cnd1").lacp()[0].member("op_1").problem
    finally:
        testbed["op.ond1"].run(["ip", "link", "set", "uplink1", "up"])


def test_tunnels(testbed: Testbed) -> None:
    before = testbed.outpost("op").service_link()
    assert [tunnel.peer for tunnel in before] == ["anchor1", "anchor2"]
    assert all(tunnel.up and tunnel.endpoint for tunnel in before)
    assert testbed["web"].ping("db", count=5, size=1000).ok
    after = testbed.outpost("op").service_link()
    assert sum(t.tx_bytes for t in after) - sum(t.tx_bytes for t in before) > 5 * 1028


def test_counters(testbed: Testbed) -> None:
    web = testbed["web"]
    before = web.counters()["eth0"]
    assert testbed["desk"].ping(web, count=4, size=100).ok
    seen = web.counters()["eth0"] - before
    assert seen.rx_packets >= 4
    assert seen.tx_packets >= 4
    assert seen.rx_bytes >= 4 * 142
    link = testbed.link("cnd1", "op.ond1").counters()
    assert set(link) == {"op_1", "op_2", "op_3", "op_4"}
    assert all(counted.tx_packets for counted in link.values())  # LACPDUs pass each of them


def test_nft_counters(testbed: Testbed) -> None:
    """Each rule that counts is told with what it has counted."""
    node = testbed["web"]
    ruleset = (
        "table inet mine { chain in { type filter hook input priority 0; udp dport 7 counter; }; }"
    )
    node.run(["nft", ruleset])
    try:
        testbed["desk"].send(IP(dst=WEB) / UDP(dport=7), count=2)
        (counter,) = testbed.eventually(
            lambda: [c for c in node.nft_counters() if c.table == "inet mine" and c.packets >= 2]
        )
        assert (counter.chain, counter.rule) == ("in", "udp dport 7 counter")
        assert counter.bytes == 2 * 28
    finally:
        node.run(["nft", "delete table inet mine"])


def test_resolving_names(testbed: Testbed) -> None:
    web = testbed["web"]
    found = web.resolve("ip-10-1-3-112.us-west-2.compute.internal")
    assert found.ok, found
    assert found.data == [WEB]
    assert found.server == "10.1.0.2"
    missing = web.resolve("ip-10-1-3-250.us-west-2.compute.internal")
    assert (missing.ok, missing.rcode) == (False, "NXDOMAIN")
    with pytest.raises(NetworkError, match=r"web cannot resolve a.example.: .*timed out"):
        web.resolve("a.example.", server="192.0.2.1", timeout_s=0.2)
    with pytest.raises(UsageError, match="cannot ask DNS for"):
        web.resolve("a..example")


# Bundles


def test_the_bundle_shows_what_the_node_shows(testbed: Testbed, tmp_path: Path) -> None:
    files, errors = bundle.gather(testbed.client)
    assert not errors
    for node in testbed.nodes:
        assert {f"nodes/{node}/ip.json", f"nodes/{node}/state.json"} <= set(files)
    shown = json.loads(testbed["cnd1"].run(["ip", "-json", "route", "show", "table", "all"]).text)
    kept = json.loads(files["nodes/cnd1/ip.json"])["routes"]
    assert {(r["dst"], r.get("table")) for r in shown} == {(r["dst"], r.get("table")) for r in kept}
    assert re.search(rb"BGP state:\s+Established", files["nodes/cnd1/bird.txt"])
    assert b"10.1.3.0/24" in files["nodes/cnd2/bgpd.txt"]
    assert json.loads(files["status.json"])["ok"]
    assert b"outposts" in files["document.json"]
    assert "counter" in files["nodes/op.vpc-app/ruleset.nft"].decode()
