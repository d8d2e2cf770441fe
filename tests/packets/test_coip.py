"""Customer-owned IP addresses: 1:1 translation at the local gateway, seen on the wire.

web 10.0.3.112 <-> 172.20.0.2, app 10.0.3.113 <-> 172.20.0.1, alone has none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from observing import bgp_paths, captured, ends, python, read_until
from scapy.layers.inet import ICMP, IP, IPerror

from testbed.lifecycle.live import running_topology
from testbed.testing import Testbed

FILE = Path(__file__).parents[2] / "topologies" / "coip.yaml"
pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/coip.yaml")]

Apply = Callable[..., dict[str, Any]]

WEB, WEB_COIP = "10.0.3.112", "172.20.0.2"
APP, APP_COIP = "10.0.3.113", "172.20.0.1"
ALONE, DESK = "10.0.4.4", "192.168.10.10"
VIFS = [("cnd1", "op.2001"), ("cnd2", "op.2002")]
TO_ONDS = [("op.lgw", "ond1"), ("op.lgw", "ond2")]
ANY_PRIVATE = "net 10.0.0.0/16"
TIME_EXCEEDED, UNREACHABLE = 11, 3


@pytest.fixture
def apply_changed(testbed: Testbed, tmp_path: Path) -> Apply:
    """Apply the topology with texts of its file replaced, each of them there once."""

    def apply(*changes: tuple[str, str]) -> dict[str, Any]:
        text = FILE.read_text()
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        file = tmp_path / "changed.yaml"
        file.write_text(text)
        return testbed.apply(file)

    return apply


def test_the_local_network_sees_customer_owned_addresses_only(testbed: Testbed) -> None:
    with captured(testbed, VIFS, "ip") as seen, testbed["web"].capture() as inside:
        assert f"client {WEB_COIP}" in testbed["web"].http(f"http://{DESK}/").text
        assert f"client {DESK}" in testbed["desk"].http(f"http://{WEB_COIP}/").text
    outside = {pair for capture in seen.values() for pair in ends(capture)}
    assert {(WEB_COIP, DESK), (DESK, WEB_COIP)} <= outside
    assert not [pair for pair in outside if any(end.startswith("10.0.") for end in pair)]
    assert {(WEB, DESK), (DESK, WEB)} <= ends(inside)
    assert not [pair for pair in ends(inside) if WEB_COIP in pair]


def test_a_subnet_assigns_addresses_on_launch(testbed: Testbed) -> None:
    assert "app" in testbed["desk"].http(f"http://{APP_COIP}/").text.splitlines()


def test_udp_and_ports_are_kept(testbed: Testbed) -> None:
    """One to one: the source port is the one that the instance has chosen."""
    talk = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 4711))
sock.settimeout(10)
sock.sendto(b"hello", (sys.argv[1], 7))
print(sock.recv(100).decode())
"""
    with testbed["desk"].capture(filter="udp port 7") as seen:
        assert python(testbed["web"], talk, DESK) == "hello\n"
    assert {packet.sport for packet in seen.packets if packet[IP].src == WEB_COIP} == {4711}
    assert python(testbed["desk"], talk, WEB_COIP) == "hello\n"


def test_an_instance_without_an_address_has_no_path(testbed: Testbed) -> None:
    """Not outwards, not inwards, not even with its private address routed to the Outpost (R1)."""
    with captured(testbed, [*VIFS, *TO_ONDS], f"icmp and {ANY_PRIVATE}") as seen:
        assert testbed["alone"].ping(DESK, count=2).received == 0
    assert not [place for place in seen if seen[place].packets]
    device = testbed["cnd1"]
    way = ["10.0.0.0/16", "via", "198.19.0.0", "vrf", "lgw"]
    device.run(["ip", "route", "add", *way])
    testbed["desk"].run(["ip", "route", "add", "10.0.0.0/16", "via", "192.168.10.2"])
    try:
        for name, address in (("alone", ALONE), ("web", WEB)):
            with testbed[name].capture(filter="icmp") as seen_inside:
                assert testbed["desk"].ping(address, count=2).received == 0
            assert not seen_inside.packets
    finally:
        device.run(["ip", "route", "del", *way])
        testbed["desk"].run(["ip", "route", "del", "10.0.0.0/16"])


def test_an_address_that_stands_for_nothing_leads_nowhere(testbed: Testbed) -> None:
    with captured(testbed, [*VIFS, ("op.vpc-app", "lgw")], "icmp") as seen:
        assert testbed["desk"].ping("172.20.0.9", count=2).received == 0
    assert not seen["op.vpc-app", "lgw"].packets
    vifs = {pair for place in VIFS for pair in ends(seen[place])}
    assert vifs == {(DESK, "172.20.0.9")}  # nothing came back, no error either


def test_hairpin_stays_on_the_outpost(testbed: Testbed) -> None:
    """Both ends of it are translated: each instance sees the other's customer-owned address."""
    with captured(testbed, [*VIFS, *TO_ONDS], "icmp") as outside, testbed["app"].capture() as app:
        assert testbed["web"].ping(APP_COIP, count=3).received == 3
    assert not [place for place in outside if outside[place].packets]
    assert {(WEB_COIP, APP), (APP, WEB_COIP)} <= ends(app)
    assert f"client {APP_COIP}" in testbed["app"].http(f"http://{WEB_COIP}/").text
    assert f"client {WEB_COIP}" in testbed["web"].http(f"http://{WEB_COIP}/").text  # its own


def test_errors_from_the_local_network_are_translated(testbed: Testbed) -> None:
    """The packet that an error quotes is the one that the instance has sent."""
    hops = ["ping", "-n", "-c", "1", "-W", "2", "-t", "5", DESK]
    with testbed["web"].capture(filter="icmp") as seen:
        said = testbed["web"].run(hops, check=False).text
    assert "Time to live exceeded" in said
    (error,) = [p for p in seen.packets if ICMP in p and p[ICMP].type == TIME_EXCEEDED]
    assert error[IP].dst == WEB
    assert (error[IPerror].src, error[IPerror].dst) == (WEB, DESK)


def test_errors_from_an_instance_are_translated(testbed: Testbed) -> None:
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
    with testbed["desk"].capture(filter="icmp") as seen:
        assert python(testbed["desk"], refused, WEB_COIP) == "refused\n"
    (error,) = [p for p in seen.packets if ICMP in p and p[ICMP].type == UNREACHABLE]
    assert (error[IP].src, error[IP].dst) == (WEB_COIP, DESK)
    assert (error[IPerror].src, error[IPerror].dst) == (DESK, WEB_COIP)


def test_1500_bytes_pass_the_local_gateway_and_not_1501(testbed: Testbed) -> None:
    """Facts: P; inside the VPC it is 9001."""
    assert testbed["web"].ping(DESK, count=2, size=1472, df=True).received == 2
    too_long = testbed["web"].ping(DESK, count=1, size=1473, df=True)
    assert (too_long.received, too_long.error_from) == (0, "10.0.3.1")
    assert "mtu = 1500" in str(too_long.error)
    assert testbed["web"].ping(APP, count=2, size=8973, df=True).received == 2


def test_a_smaller_mtu_on_the_local_network_is_discovered(testbed: Testbed) -> None:
    """The error of a customer's device names the instance's own packet, and so it learns."""
    lan = "lan_office"
    for name in ("cnd1", "cnd2"):
        testbed[name].run(["ip", "link", "set", lan, "mtu", "1400"])
    try:
        web = testbed["web"]
        said = web.ping(DESK, count=1, size=1472, df=True).error
        assert "mtu = 1400" in str(said)
        assert "1400" in web.run(["ip", "route", "get", DESK]).text
    finally:
        for name in ("cnd1", "cnd2"):
            testbed[name].run(["ip", "link", "set", lan, "mtu", "1500"])
        testbed["web"].run(["ip", "route", "flush", "cache"])


@pytest.mark.parametrize("device", ["cnd1", "cnd2"])
def test_the_pool_is_announced_and_nothing_else(testbed: Testbed, device: str) -> None:
    """Facts: R1; path length 1."""
    paths = bgp_paths(testbed, device, "op_local_gateway")
    assert paths == {"172.20.0.0/26": [64513]}


def test_an_address_moves_live(testbed: Testbed, apply_changed: Apply) -> None:
    """What was connected by the old association has no way through any more."""
    desk = testbed["desk"]
    connected = """
import socket, sys
sock = socket.create_connection((sys.argv[1], 7), 10)
sock.settimeout(10)
sock.send(b"before"); print(sock.recv(100).decode(), flush=True)
sys.stdin.readline()
sock.settimeout(1)
sock.send(b"after")
try:
    print(sock.recv(100).decode())
except OSError as error:
    print("lost", flush=True)
"""
    with testbed.client.popen("desk", ["python3", "-c", connected, WEB_COIP]) as talk:
        read_until(talk, "before")
        app = "{subnet: public, address: 10.0.3.113,"
        apply_changed(
            ("customer_owned_ip: 172.20.0.2, ", ""),
            (app, f"{app} customer_owned_ip: {WEB_COIP},"),
        )
        assert "app" in desk.http(f"http://{WEB_COIP}/").text.splitlines()
        moved = running_topology(testbed.client).network_interfaces["web"]
        assert "web" in desk.http(f"http://{moved.customer_owned_ip}/").text.splitlines()
        talk.write(b"\n")
        assert "lost" in talk.wait(60).text


def test_security_groups_apply_to_private_addresses(testbed: Testbed, apply_changed: Apply) -> None:
    """Inwards after the translation, outwards before it: rules name who is where in the VPC."""
    group = "{web: {ingress: [{protocol: tcp, ports: 80, source: 192.168.10.0/24}], egress: []}}"
    web = "{subnet: public, address: 10.0.3.112,"
    apply_changed(
        ("    cidr: 10.0.0.0/16\n", f"    cidr: 10.0.0.0/16\n    security_groups: {group}\n"),
        (web, f"{web} security_groups: [web],"),
    )
    assert testbed["desk"].http(f"http://{WEB_COIP}/").text.startswith("web\n")
    assert testbed["desk"].ping(WEB_COIP, count=1).received == 0
    assert testbed["web"].ping(DESK, count=1).received == 0
    refused = ["curl", "-s", "-m", "2", f"http://{WEB_COIP}/"]  # by a hairpin, not from the LAN
    assert testbed["app"].run(refused, check=False).returncode == 28


def test_a_stopped_instance_has_no_address(testbed: Testbed, apply_changed: Apply) -> None:
    web = "{subnet: public, address: 10.0.3.112,"
    apply_changed((web, f"{web} state: stopped,"))
    assert testbed["desk"].ping(WEB_COIP, count=1).received == 0
    assert testbed["desk"].ping(APP_COIP, count=1).received == 1


def test_status_shows_the_route_table(testbed: Testbed) -> None:
    (table,) = testbed.status()["local_gateways"]
    assert (table["mode"], table["state"], table["ok"]) == ("coip", "active", True)
    routes = [(r["destination"], r["target"], r["type"], r["state"]) for r in table["routes"]]
    assert routes == [
        ("0.0.0.0/0", "vif-group", "static", "active"),
        ("172.20.0.0/26", "campus", "propagated", "active"),
    ]


def test_status_shows_what_the_kernel_has(testbed: Testbed) -> None:
    """Not what it should have: a route that is gone is pending, one without a link blackhole."""
    gateway = testbed["op.lgw"]

    def states() -> dict[str, str]:
        (table,) = testbed.status()["local_gateways"]
        return {route["destination"]: route["state"] for route in table["routes"]}

    way = gateway.run(["ip", "route", "show", "172.20.0.0/26", "table", "1006"]).text.split()
    gateway.run(["ip", "route", "del", "172.20.0.0/26", "table", "1006"])
    try:
        assert states() == {"0.0.0.0/0": "active", "172.20.0.0/26": "pending"}
        assert not testbed.status()["ok"]
        gateway.run(["ip", "route", "add", "blackhole", "172.20.0.0/26", "table", "1006"])
        assert states()["172.20.0.0/26"] == "blackhole"
        gateway.run(["ip", "route", "del", "172.20.0.0/26", "table", "1006"])
    finally:
        gateway.run(["ip", "route", "replace", *way[:5], "table", "1006", "proto", "static"])
    testbed.eventually(lambda: testbed.status()["ok"])


def test_another_mode_is_another_table(testbed: Testbed, apply_changed: Apply) -> None:
    """Delete and create: the pool is withdrawn, the subnet announced, private addresses seen."""
    result = apply_changed(
        ("      mode: coip\n", ""),
        ("      coip_pools: {campus: {cidrs: [172.20.0.0/26]}}\n", ""),
        (", map_customer_owned_ip_on_launch: campus", ""),
        (" customer_owned_ip: 172.20.0.2,", ""),
        ("    local_gateway:\n", "    local_gateway: {}\n"),
    )
    (notice,) = result["notices"]
    assert "from coip to direct-vpc-routing" in notice
    assert "traffic through it stops meanwhile" in notice
    expected = {"10.0.3.0/24": [64513], "10.0.4.0/24": [64513]}
    assert testbed.eventually(lambda: bgp_paths(testbed, "cnd1", "op_local_gateway") == expected)
    assert f"client {DESK}" in testbed["desk"].http(f"http://{WEB}/").text
    assert testbed["alone"].ping(DESK, count=1).received == 1
    assert testbed["desk"].ping(WEB_COIP, count=1).received == 0
    assert "op.coip-app" not in {node.name for node in testbed.nodes}
