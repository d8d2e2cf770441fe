"""What checks read instead of asking, and how they ask without a trace."""

from __future__ import annotations

from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from testbed.conformance import apart, sessions
from testbed.conformance.session_routes import parse
from testbed.programs import half_open

ROUTES = """\
BIRD 2.0.12 ready.
Table t_sl:
10.200.0.32/27       unicast [to_sl 00:00:03.337] * (100) [AS64512i]
\tvia 100.99.0.17 on to-sl
\tType: BGP univ
\tBGP.as_path: 64512 64512
                     unicast [other 00:00:03.337] (100) [AS1i]
\tBGP.as_path: 1
198.51.100.0/24      unreachable [static_t_sl 00:00:01.000] * (200)
\tType: static univ
203.0.113.0/24       unicast [to_sl 00:00:03.337] * (100) [AS1i]
\tBGP.as_path: 1 {2 3}
"""


def test_routes_are_read_with_their_paths() -> None:
    found = parse(ROUTES.splitlines())
    assert found[IPv4Network("10.200.0.32/27")] == (1,)  # of one session there is one
    assert found[IPv4Network("198.51.100.0/24")] == ()
    assert found[IPv4Network("203.0.113.0/24")] == (1, 2, 3)


def test_nothing_announced_is_no_route() -> None:
    assert parse(["BIRD 2.0.12 ready.", "Table t_sl:"]) == {}


def test_a_syn_is_one_on_the_wire() -> None:
    segment = half_open.syn("192.0.2.1", "192.0.2.2", 40000, 179, 7)
    packet = IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=6) / Raw(segment)))
    assert (packet[TCP].flags, packet[TCP].sport, packet[TCP].dport) == ("S", 40000, 179)
    sent = packet[TCP].chksum
    del packet[TCP].chksum
    assert IP(bytes(packet))[TCP].chksum == sent


@pytest.mark.parametrize(
    ("flags", "ack", "said"), [("SA", 8, "open"), ("RA", 8, "refused"), ("SA", 9, ""), ("A", 8, "")]
)
def test_answers_are_told_apart(flags: str, ack: int, said: str) -> None:
    ip = IP(src="192.0.2.2", dst="192.0.2.1")
    packet = bytes(ip / TCP(sport=179, dport=40000, flags=flags, ack=ack))
    assert half_open.answer(packet, "192.0.2.2", 40000, 179, 7) == said
    assert half_open.answer(packet, "192.0.2.3", 40000, 179, 7) == ""
    assert half_open.answer(packet, "192.0.2.2", 40001, 179, 7) == ""


def test_a_route_is_copied_without_its_state() -> None:
    assert apart._plain("default via 10.0.0.1 dev eth0 proto bird metric 32 linkdown") == (
        "default via 10.0.0.1 dev eth0 metric 32"
    )


def test_a_rule_is_copied_for_marked_packets_only() -> None:
    rule = {"priority": 100, "src": "10.0.0.4", "table": "101"}
    assert apart._rule(rule, 2) == f"pref 2 fwmark {apart.MARK} from 10.0.0.4/32"
    assert apart._rule({"priority": 1, "src": "all", "table": "main"}, 1).endswith(str(apart.MARK))


def test_a_port_of_signed_segments_is_known() -> None:
    text = "LISTEN 0 8 0.0.0.0%sl:179 0.0.0.0:* cubic cwnd:10 md5keys:198.18.0.0/32=secret\n"
    node = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(text=text))
    plan = SimpleNamespace(nodes=[SimpleNamespace(name="cnd1")])
    site: Any = SimpleNamespace(plan=plan, testbed={"cnd1": node})
    assert sessions.signed(site, ["cnd1", "real"], "198.18.0.1", "198.18.0.0", 179)
    assert not sessions.signed(site, ["cnd1"], "198.18.0.9", "198.18.0.8", 179)
    assert not sessions.signed(site, ["real"], "198.18.0.1", "198.18.0.0", 179)
