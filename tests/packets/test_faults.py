"""Every kind of fault at the wire, and that healing it brings everything back.

One rack for all: cnd1 runs BIRD, cnd2 FRR, both behind a firewall that translates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from observing import Flow, bgp_paths, python
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Dot1Q, Ether

from testbed.errors import UsageError
from testbed.guest import uml_kernels
from testbed.plan.model import Node, Veth
from testbed.probes.impairment import ends_of, measure
from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("faults.yaml")
SKIPS_TIME = uml_kernels.find((), virtual_time=True) is not None  # else it takes its time
pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology(str(TOPOLOGY)),
    pytest.mark.testbed(time="virtual" if SKIPS_TIME else "real"),
]

T = TypeVar("T")
BAD_PEER_AS = rb"\xff{16}..\x03\x02\x02"  # a NOTIFICATION
LACP = 0x8809
READY_S = 150  # more than the hold time of BGP


def until(testbed: Testbed, function: Callable[[], T], timeout: float = READY_S) -> T:
    """As `Testbed.eventually`, with a look each half second: virtual time is made of looks."""
    return testbed.eventually(function, timeout, interval=0.5 if SKIPS_TIME else 0.1)


@pytest.fixture(autouse=True)
def _healed(testbed: Testbed) -> Iterator[None]:
    """Everything is as it should be before and after."""
    until(testbed, lambda: testbed.status()["ok"])
    yield
    testbed.heal(wait=False)
    until(testbed, lambda: testbed.status()["ok"])


def state(testbed: Testbed, subject: str, title: str) -> str:
    """The state of the row of the status with this title."""
    rows = {row["title"]: row for row in testbed.status()[subject]}
    return str(rows[title]["state"])


def sessions(testbed: Testbed, node: str) -> set[str]:
    """The states of a node's BGP sessions with ONDs."""
    rows = testbed.status()["bgp"]
    return {row["state"] for row in rows if row["node"] == node and "OND" in row["title"]}


def imported(testbed: Testbed, ond: int) -> dict[str, list[int]]:
    """What an OND has learned over the service link VLAN."""
    return bgp_paths(testbed, f"op.ond{ond}", "customer_service_link")


def learned(testbed: Testbed, ond: int) -> dict[str, list[int]]:
    """What an OND has learned over the local gateway VLAN."""
    return bgp_paths(testbed, f"op.ond{ond}", "customer_local_gateway")


def pings(testbed: Testbed, source: str, destination: str) -> int:
    return testbed[source].ping(destination, count=2, interval_s=0.05).received


# Links


def test_member_down(testbed: Testbed) -> None:
    with testbed.fault("link-down", "cnd1:op_1"):
        links = {(r["node"], r["interface"]): r["state"] for r in testbed.status()["links"]}
        assert links["cnd1", "op_1"] == "administratively down"
        assert links["op.ond1", "uplink1"] == "no carrier"
        assert until(testbed, lambda: pings(testbed, "web", "desk"))


def test_lag_down(testbed: Testbed) -> None:
    with testbed.fault("link-down", "op.lag1"):
        title = "LAG op.ond1 bond0 - cnd1"
        until(testbed, lambda: state(testbed, "lags", title).startswith("0 of 2"))
        until(testbed, lambda: pings(testbed, "web", "desk") == 2)


def test_vlan_down(testbed: Testbed) -> None:
    with testbed.fault("link-down", "cnd1:op.1001"):
        title = "cnd1 - op OND1, service-link VLAN 1001"
        until(testbed, lambda: state(testbed, "bgp", title) != "Established")
        assert state(testbed, "lags", "LAG cnd1 op - op.ond1").startswith("2 of 2")


def tags(testbed: Testbed, node: str, interfaces: tuple[str, ...]) -> set[int]:
    """The VIDs of frames that arrive at the members of a LAG."""
    found: set[int] = set()
    for interface in interfaces:
        with testbed[node].capture(interface, "inbound and vlan") as seen:
            testbed["cnd1"].run(
                ["ping", "-c", "3", "-i", "0.2", "-W", "1", "-I", "op.1001", "198.18.0.0"],
                check=False,
            )
        found |= {packet[Dot1Q].vlan for packet in seen.packets if Dot1Q in packet}
    return found


def test_vlan_removed(testbed: Testbed) -> None:
    with testbed.fault("vlan-removed", "cnd1:op.1001"):
        assert "op.1001" not in testbed["cnd1"].run(["ip", "-o", "link"]).text
        title = "op OND1 - cnd1, service-link VLAN 1001"
        until(testbed, lambda: state(testbed, "bgp", title) != "Established", 120)


def test_vlan_wrong(testbed: Testbed) -> None:
    with testbed.fault("vlan-wrong", "cnd1:op.1001", vid=77):
        assert 77 in tags(testbed, "op.ond1", ("uplink1", "uplink2"))


def test_vlans_swapped(testbed: Testbed) -> None:
    with testbed.fault("vlans-swapped", "cnd1:op"):
        text = testbed["cnd1"].run(["ip", "-d", "-o", "link", "show", "op.1001"]).text
        assert "vlan protocol 802.1Q id 2001" in text


def test_mtu(testbed: Testbed) -> None:
    assert testbed["web"].ping("desk", count=1, size=1472, df=True).ok
    with testbed.fault("mtu", "web", mtu=1400):
        result = testbed["web"].ping("desk", count=1, size=1472, df=True)
        assert result.error is not None
        assert "1400" in result.error
        assert testbed["web"].ping("desk", count=1, size=1372, df=True).ok
    assert testbed["web"].ping("desk", count=1, size=1472, df=True).ok


def test_mtu_of_a_lag(testbed: Testbed) -> None:
    with (
        testbed.fault("mtu", "op.lag1", mtu=1400, ends="both"),
        testbed.fault("mtu", "op.lag2", mtu=1400, ends="both"),
    ):
        result = testbed["desk"].ping("web", count=2, size=1472, df=True)
        assert "1400" in str(result.error)


@pytest.mark.parametrize("target", ["fw1:in-cnd1", "cnd1:op"])
def test_impairment_is_what_was_asked_for(testbed: Testbed, target: str) -> None:
    """Measured by frames; also of a member of a LAG."""
    asked = {"delay": "40ms", "loss": "10%", "rate": "10M"}
    with testbed.fault("impair", target, **asked) as fault:
        pairs = ends_of(testbed.plan, fault.fault)
        found = measure(testbed.client, pairs[0], fault.row["values"])
    assert found.delay_ms is not None
    assert 40 <= found.delay_ms < 80  # a busy machine adds some
    assert 5 < found.loss_percent < 16
    assert found.rate_mbps is not None
    assert 7 < found.rate_mbps < 11


def test_reordering_and_duplicates(testbed: Testbed) -> None:
    asked = {"delay": 30, "reorder": 25, "duplicate": 20}
    with testbed.fault("impair", "desk", **asked) as fault:
        found = measure(testbed.client, ends_of(testbed.plan, fault.fault)[0], fault.row["values"])
    assert found.reorder_percent is not None
    assert found.duplicate_percent is not None
    assert 10 < found.reorder_percent < 45
    assert 8 < found.duplicate_percent < 35


# LAGs


def test_lacp_slow(testbed: Testbed) -> None:
    """The other side is asked for slow LACPDUs: the short timeout's bit is not set."""
    with testbed.fault("lacp-slow", "cnd1:op"):
        partner = "ad_partner_oper_port_state_str <"

        def flags() -> str:
            text = testbed["op.ond1"].run(["ip", "-d", "-o", "link", "show", "uplink1"]).text
            return text.partition(partner)[2].partition(">")[0]

        until(testbed, lambda: "active" in flags() and "short_timeout" not in flags())


def test_lacp_silent(testbed: Testbed) -> None:
    with testbed.fault("lacp-silent", "cnd1:op"):
        with testbed["op.ond1"].capture("uplink1", "ether proto 0x8809") as seen:
            until(
                testbed,
                lambda: state(testbed, "lags", "LAG op.ond1 bond0 - cnd1").startswith("0 of 2"),
                30,
            )
        senders = {packet[Ether].src for packet in seen.packets if packet[Ether].type == LACP}
        mine = testbed.plan.node("op.ond1").interface("bond0").mac
        members = {testbed.plan.node("op.ond1").interface(f"uplink{n}").mac for n in (1, 2)}
        assert senders <= {mine, *members}
        assert senders


def test_lag_member_missing(testbed: Testbed) -> None:
    with testbed.fault("lag-member-missing", "cnd1:op_1"):
        assert state(testbed, "lags", "LAG cnd1 op - op.ond1") == (
            "1 of 2 members collecting and distributing; op_1: not a member"
        )


# BGP


@pytest.mark.parametrize(("device", "interface"), [("cnd1", "op.1001"), ("cnd2", "op.1002")])
def test_bgp_reset(testbed: Testbed, device: str, interface: str) -> None:
    with testbed["op.ond" + device[-1]].capture(f"bond0.100{device[-1]}", "tcp port 179") as seen:
        testbed.client.fault("bgp-reset", f"{device}:{interface}")
        until(testbed, lambda: sessions(testbed, device) != {"Established"})
        until(testbed, lambda: sessions(testbed, device) == {"Established"})
    assert [packet for packet in seen.packets if TCP in packet and "R" in packet[TCP].flags]
    states = [row["state"] for row in testbed.faults()]
    assert states == ["over"]


@pytest.mark.parametrize("device", ["cnd1", "cnd2"])
def test_bgp_blocked(testbed: Testbed, device: str) -> None:
    """A session that has ended does not come back."""
    with testbed.fault("bgp-blocked", device):
        testbed.client.fault("bgp-reset", device, for_s=0.1)
        until(testbed, lambda: "Established" not in sessions(testbed, device))
        testbed.advance(5)
        assert "Established" not in sessions(testbed, device)


@pytest.mark.parametrize("device", ["cnd1", "cnd2"])
@pytest.mark.parametrize("side", ["remote", "local"])
def test_bgp_wrong_asn(testbed: Testbed, device: str, side: str) -> None:
    """The OPEN message is answered with Bad Peer AS (RFC 4271, 6.2: code 2, subcode 2)."""
    number = device[-1]
    ond, port = f"op.ond{number}", f"bond0.100{number}"
    with (
        testbed[ond].capture(port, "tcp port 179") as seen,
        testbed.fault("bgp-wrong-asn", f"{device}:op.100{number}", side=side),
    ):
        title = f"{device} - op OND{number}, service-link VLAN 100{number}"
        until(testbed, lambda: state(testbed, "bgp", title) != "Established")
        testbed.advance(6)
        assert state(testbed, "bgp", title) != "Established"
    payloads = [bytes(packet[TCP].payload) for packet in seen.packets if TCP in packet]
    assert any(re.search(BAD_PEER_AS, text, re.DOTALL) for text in payloads)


@pytest.mark.parametrize("ond", [1, 2])
def test_route_withdrawn(testbed: Testbed, ond: int) -> None:
    assert "192.168.10.0/24" in learned(testbed, ond)
    with testbed.fault("route-withdrawn", f"cnd{ond}:op.200{ond}", prefix="192.168.10.0/24"):
        until(testbed, lambda: "192.168.10.0/24" not in learned(testbed, ond))
    with testbed.fault("route-withdrawn", f"cnd{ond}:op.100{ond}"):
        until(testbed, lambda: not imported(testbed, ond))


@pytest.mark.parametrize("ond", [1, 2])
def test_route_leaked(testbed: Testbed, ond: int) -> None:
    leak = "10.9.0.0/16"
    with testbed.fault("route-leaked", f"cnd{ond}:op.100{ond}", prefix=leak):
        until(testbed, lambda: leak in imported(testbed, ond))
        with testbed.fault("route-withdrawn", f"cnd{ond}:op.100{ond}", prefix=leak):
            until(testbed, lambda: leak not in imported(testbed, ond))
        until(testbed, lambda: leak in imported(testbed, ond))


def test_ond_drained(testbed: Testbed) -> None:
    """It announces its own half with path length 4, the other OND with 1."""
    half = "10.200.0.0/27"

    def path(device: str, protocol: str) -> list[int]:
        return bgp_paths(testbed, device, protocol).get(half, [])

    assert len(path("cnd1", "op_service_link")) == 1
    with testbed.fault("device-drained", "op.ond1"):
        until(testbed, lambda: len(path("cnd1", "op_service_link")) == 4)


@pytest.mark.parametrize("device", [1, 2])
def test_customer_device_drained(testbed: Testbed, device: int) -> None:
    def lengths() -> set[int]:
        return {len(path) for path in imported(testbed, device).values()}

    before = lengths()
    with testbed.fault("device-drained", f"cnd{device}"):
        until(testbed, lambda: lengths() == {length + 3 for length in before})
        until(testbed, lambda: pings(testbed, "web", "desk") == 2)


# Filters and translation


@pytest.mark.parametrize("action", ["drop", "reject"])
def test_firewall(testbed: Testbed, action: str) -> None:
    web = testbed.address("web")
    assert testbed["desk"].http(f"http://{web}/").status == 200
    with testbed.fault("firewall", "web", protocol="tcp", port=80, action=action):
        code = (
            "import socket, sys; s = socket.socket(); s.settimeout(1)\n"
            "try: s.connect((sys.argv[1], 80)); print('connected')\n"
            "except TimeoutError: print('silence')\n"
            "except OSError as e: print('refused')\n"
        )
        wanted = "silence" if action == "drop" else "refused"
        assert python(testbed["desk"], code, web).strip() == wanted
        assert pings(testbed, "desk", "web") == 2
    assert testbed["desk"].http(f"http://{web}/").status == 200


def test_nat_exhausted(testbed: Testbed) -> None:
    """The tunnels go on; what is new does not get out."""
    host = testbed["op.host1"]
    with testbed.fault("nat-exhausted", "fw1"):
        assert pings(testbed, "web", "db") == 2
        code = (
            "import socket, sys; s = socket.socket(); s.settimeout(1.5); "
            "s.bind(('10.200.0.10', 0))\n"
            "try: s.connect((sys.argv[1], 443)); print('connected')\n"
            "except OSError as e: print('not')\n"
        )
        assert python(host, code, "198.51.100.30").strip() == "not"
    assert python(host, code, "198.51.100.30").strip() == "connected"


# The service link and the Region


def test_service_link_cut_and_one_tunnel(testbed: Testbed) -> None:
    with testbed.fault("service-link-cut", "op", tunnel=1):
        until(testbed, lambda: pings(testbed, "web", "db") == 2)
        with testbed["op.host2"].capture("eth0", "udp port 443") as seen:
            pings(testbed, "web", "db")
        assert seen.packets
    with testbed.fault("service-link-cut", "op"):
        testbed.advance(0.1)  # longer than the link delays what was on its way
        with testbed["fw1"].capture("region", "udp port 443") as seen:
            assert pings(testbed, "web", "db") == 0
        assert not [packet for packet in seen.packets if packet[IP].src.startswith("100.67")]
        assert pings(testbed, "web", "desk") == 2  # the local gateway does not need it


def test_service_link_slow(testbed: Testbed) -> None:
    before = testbed["web"].ping("db").rtt_ms
    with testbed.fault("service-link-slow", "op", delay="50ms"):
        after = testbed["web"].ping("db").rtt_ms
    assert before is not None
    assert after is not None
    assert after.min - before.min > 95


@pytest.mark.parametrize("target", ["op", "region"])
def test_region_api_down(testbed: Testbed, target: str) -> None:
    with testbed.fault("region-api-down", target):
        testbed.advance(0.1)  # longer than the link delays what was on its way
        with testbed["op.host1"].capture("eth0", "tcp port 443") as seen:
            code = (
                "import socket, sys; s = socket.socket(); s.settimeout(1.5)\n"
                "try: s.connect(('198.51.100.30', 443)); print('connected')\n"
                "except OSError as e: print('not')\n"
            )
            assert python(testbed["op.host1"], code).strip() == "not"
        answers = [p for p in seen.packets if TCP in p and p[TCP].sport == 443]
        assert not answers
        assert pings(testbed, "web", "db") == 2


# Nodes


@pytest.mark.parametrize("node", ["cnd1", "cnd2", "op.ond1", "op.ond2", "op.host1"])
def test_device_stopped(testbed: Testbed, node: str) -> None:
    with testbed.fault("node-stopped", node):

        def is_off() -> bool:
            text = testbed[node].run(["ip", "-o", "link"]).text
            return " state UP " not in text

        until(testbed, is_off)
        until(testbed, lambda: pings(testbed, "web", "desk") == 2)
        until(testbed, lambda: pings(testbed, "web", "db") == 2)


def test_instance_stopped(testbed: Testbed) -> None:
    with testbed.fault("node-stopped", "web"):
        assert pings(testbed, "desk", "web") == 0
    until(testbed, lambda: pings(testbed, "desk", "web") == 2)


def test_route_missing(testbed: Testbed) -> None:
    with testbed.fault("route-missing", "desk"):
        assert testbed["desk"].ping("web", count=1).error == "Network is unreachable"


# The keeper


def test_a_changed_plan_keeps_the_fault_and_drops_what_has_no_target(testbed: Testbed) -> None:
    plan = testbed.plan
    with testbed.fault("impair", "desk", delay="30ms"), testbed.fault("node-stopped", "web"):
        other = replace(plan, checks=plan.checks[:1])
        testbed.apply(other)
        assert {row["name"]: row["state"] for row in testbed.faults()} == {
            "impair": "active",
            "node-stopped": "active",
        }
        assert pings(testbed, "desk", "web") == 0
        nodes = tuple(_without_web(node) for node in plan.nodes if node.name != "web")
        less = replace(plan, nodes=nodes, checks=plan.checks[:1])
        result = testbed.apply(less)
        assert [row["name"] for row in testbed.faults()] == ["impair"]
        assert any("node-stopped" in notice for notice in result["notices"])
        testbed.apply(plan, wait=False)
        testbed.client.fault("node-stopped", "web")  # so that there is one to leave


def _without_web(node: Node) -> Node:
    kept = tuple(
        i
        for i in node.interfaces
        if not (isinstance(i.device, Veth) and i.device.peer_node == "web")
    )
    return replace(node, interfaces=kept)


def test_what_is_wrong_changes_nothing(testbed: Testbed) -> None:
    before = len(testbed.events())
    with pytest.raises(UsageError, match="no node"):
        testbed.client.fault("node-stopped", "nobody")
    with pytest.raises(UsageError, match="no fault"):
        testbed.heal("nothing")
    assert not [event for event in testbed.events()[before:] if event["kind"] == "fault"]
    assert testbed.faults() == []


def test_restore_heals(testbed: Testbed) -> None:
    testbed.client.fault("impair", "desk", {"delay": 5})
    testbed.restore()
    assert testbed.faults() == []


def test_traffic_survives_flapping(testbed: Testbed) -> None:
    """A member that flaps: the schedule goes on by itself until it is healed."""
    with Flow(testbed, "web", testbed.address("desk")) as flow:
        flow.wait_for(2)
        with testbed.fault("link-down", "cnd1:op_1", for_="300ms", every="1s"):
            flow.wait_for(60)
        gap = flow.longest_gap()
    events = [e for e in testbed.events() if e["kind"] == "fault" and e["subject"] == "link-down"]
    assert sum(event["state"].startswith("injected") for event in events) >= 2
    assert gap < 100
