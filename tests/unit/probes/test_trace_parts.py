"""The parts of `testbed trace`: headers, routing decisions, listings, socket filter."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from testbed.errors import UsageError
from testbed.keeper.trace import read_probe
from testbed.kernel import marked, nft_trace
from testbed.kernel import tap_filter as tap
from testbed.kernel.marked import checksum
from testbed.kernel.nft_trace import parse
from testbed.kernel.packet_sockets import Instruction
from testbed.plan.model import Plan
from testbed.probes.trace.filters import read_passages
from testbed.probes.trace.order import Wiring, path
from testbed.probes.trace.routing import decide, rule_text
from testbed.probes.trace.sightings import (
    Probe,
    encrypted_lengths,
    read_header,
    read_sightings,
)

COOKIE = 0x51A7C0DE
DATA = struct.pack("!I", COOKIE) + b"x" * 20
PROBE = Probe("a", "10.0.0.2", "icmp", 0, 84, False, COOKIE)
OVER_TCP = replace(PROBE, protocol="tcp", port=80, size=40)
OVER_UDP = replace(PROBE, protocol="udp", port=53)
ECHO = IP(src="10.0.0.1", dst="10.0.0.2", ttl=60) / ICMP(type=8) / DATA
SYN = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4000, dport=80, seq=COOKIE, flags="S")
SYN_ACK = IP() / TCP(sport=80, dport=4000, seq=9, ack=COOKIE + 1, flags="SA")
QUERY = IP() / UDP(sport=4000, dport=53) / DATA
TOO_BIG = IP() / ICMP(type=3, code=4, nexthopmtu=1300) / bytes(ECHO)[:28] / DATA
WAYS = [
    (ECHO, PROBE, "request", "ICMP echo request"),
    (IP() / ICMP(type=0) / DATA, PROBE, "answer", "ICMP echo reply"),
    (TOO_BIG, PROBE, "error", "ICMP fragmentation needed (MTU 1300)"),
    (SYN, OVER_TCP, "request", "TCP SYN to port 80"),
    (SYN_ACK, OVER_TCP, "answer", "TCP SYN, ACK"),
    (IP() / TCP(ack=COOKIE + 1, flags="RA"), OVER_TCP, "answer", "TCP RST, ACK"),
    (IP() / ICMP(type=11) / bytes(SYN)[:28], OVER_TCP, "error", "ICMP time exceeded"),
    (IP() / ICMP(type=3, code=13) / bytes(SYN_ACK), OVER_TCP, "answer-error", None),
    (QUERY, OVER_UDP, "request", "UDP to port 53"),
    (IP() / UDP(sport=53, dport=4000) / DATA, OVER_UDP, "answer", "UDP"),
    (IP() / ICMP(type=8) / b"another packet's payload", PROBE, None, ""),
    (IP() / TCP(seq=COOKIE + 1, flags="R"), OVER_TCP, None, ""),
]


ECHO6 = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=60) / ICMPv6EchoRequest(data=DATA)
SYN6 = IPv6() / TCP(sport=4000, dport=80, seq=COOKIE, flags="S")
TOO_BIG6 = "ICMPv6 packet too big (MTU 1300)"
WAYS += [
    (ECHO6, PROBE, "request", "ICMP echo request"),
    (IPv6() / ICMPv6EchoReply(data=DATA), PROBE, "answer", "ICMP echo reply"),
    (IPv6() / ICMPv6PacketTooBig(mtu=1300) / bytes(ECHO6), PROBE, "error", TOO_BIG6),
    (SYN6, OVER_TCP, "request", "TCP SYN to port 80"),
    (IPv6() / TCP(ack=COOKIE + 1, flags="RA"), OVER_TCP, "answer", "TCP RST, ACK"),
    (IPv6() / UDP(sport=4000, dport=53) / DATA, OVER_UDP, "request", "UDP to port 53"),
]
TUNNELS = {("192.0.2.1", "192.0.2.2")}


def ethertype(packet: IP) -> int:
    return 0x86DD if bytes(packet)[0] >> 4 == 6 else 0x0800


@pytest.mark.parametrize(("packet", "probe", "way", "what"), WAYS)
def test_ways(packet: IP, probe: Probe, way: str | None, what: str | None) -> None:
    header = read_header(bytes(packet), probe, TUNNELS)
    assert header is not None
    assert header.way == way
    assert what in {None, header.what}


@pytest.mark.parametrize(("packet", "probe", "way", "what"), WAYS)
def test_the_same_inside_vxlan(packet: IP, probe: Probe, way: str | None, what: str | None) -> None:
    outer = IP(src="192.0.2.1", dst="192.0.2.2", ttl=9) / UDP(sport=1, dport=4789)
    header = read_header(bytes(outer / VXLAN(vni=257, flags=8) / Ether() / packet), probe, TUNNELS)
    assert header is not None
    assert (header.layer, header.vni, header.way) == ("vxlan", 257, way)
    assert (header.source, header.ttl) == ("192.0.2.1", 9)
    assert what in {None, header.what}


@pytest.mark.parametrize("inner", [ECHO, QUERY])
def test_a_users_own_vxlan_is_a_packet_like_others(inner: IP) -> None:
    """Only between the testbed's own ends is what is inside VXLAN looked at."""
    outer = IP(src="10.1.0.4", dst="10.1.0.5") / UDP(sport=1, dport=4789)
    header = read_header(bytes(outer / VXLAN(vni=257) / Ether() / inner), PROBE, TUNNELS)
    assert header is not None
    assert (header.layer, header.way) == ("packet", None)
    own = replace(PROBE, protocol="udp", port=4789)
    probed = read_header(bytes(outer / DATA), own, TUNNELS)
    assert probed is not None
    assert (probed.layer, probed.way, probed.what) == ("packet", "request", "UDP to port 4789")


def row(data: bytes, interface: str, kind: int = 4, protocol: int = 0x0800) -> dict[str, Any]:
    common = {"node": "a", "at": 0, "vlan": None, "length": len(data)}
    return {"interface": interface, "kind": kind, "protocol": protocol, "data": data.hex()} | common


def test_later_fragments_belong_to_their_first() -> None:
    """By addresses, protocol and identification; those of others are nobody's."""
    large = IP(src="10.0.0.1", dst="10.0.0.2", id=7) / ICMP(type=8) / (DATA + bytes(2000))
    parts = [bytes(part) for part in fragment(large, 1000)]
    other = bytearray(parts[1])
    other[5] = 9
    rows = [row(data, "eth0") for data in (*parts, bytes(other))]
    seen = read_sightings(rows, PROBE, ())
    assert [(s.header.part.start, s.header.way) for s in seen] == [
        (0, "request"),
        (1000, "request"),
        (2000, "request"),
    ]
    assert [s.header.part.last for s in seen] == [False, False, True]


def test_a_lost_fragment_is_a_gap() -> None:
    """Where the first one came by and others did not."""
    large = IP(src="10.0.0.1", dst="10.0.0.2", id=7) / ICMP(type=8) / (DATA + bytes(2000))
    parts = [bytes(part) for part in fragment(large, 1000)]
    wiring = Wiring(Plan("none", (), ()))
    for missing, text in ((1, "its fragment of the bytes 1000 to 2000"), (2, "its fragment from")):
        left = [part for number, part in enumerate(parts) if number != missing]
        rows = [row(part, "eth0", kind=0) for part in parts]
        rows += [row(part, "eth1") for part in left]
        course = path("request", read_sightings(rows, PROBE, ()), wiring)
        assert [s.interface for s in course.sightings] == ["eth0", "eth1"]
        assert course.gap == 1
        assert course.missing.startswith(text)
        whole = read_sightings(rows[:3], PROBE, ())
        assert path("request", whole, wiring).gap is None


def test_wireguard_shows_receiver_and_counter_only() -> None:
    data = b"\4\0\0\0" + bytes(range(12)) + b"secret" * 9
    header = read_header(bytes(IP() / UDP(sport=443, dport=443) / data), PROBE, ())
    assert header is not None
    assert (header.layer, header.way, header.tunnel) == ("wireguard", None, bytes(range(12)))


def test_what_wireguard_adds() -> None:
    assert encrypted_lengths(134, 1420) == {60 + 144}
    assert encrypted_lengths(1415, 1420) == {60 + 1420}
    assert encrypted_lengths(144, None) == {60 + 144}


@given(st.binary(max_size=200), st.sampled_from([PROBE, OVER_TCP, OVER_UDP]))
def test_any_bytes_are_read(data: bytes, probe: Probe) -> None:
    header = read_header(data, probe, ())
    assert header is None or COOKIE.to_bytes(4, "big") in data or header.way is None


# The socket filter, interpreted


def run(code: list[Instruction], packet: bytes, protocol: int = 0x0800) -> int:
    """Classic BPF, as far as the filter uses it: how many bytes it lets through."""
    here = value = 0
    while True:
        kind, yes, no, number = code[here]
        here += 1
        if kind == 0x06:
            return number
        if kind == 0x80:
            value = len(packet)
        elif kind in {0x20, 0x28, 0x30}:
            size = {0x20: 4, 0x28: 2, 0x30: 1}[kind]
            if number == 0xFFFFF000:
                value = protocol
            elif number + size > len(packet):
                return 0
            else:
                value = int.from_bytes(packet[number : number + size], "big")
        else:
            tests = {0x15: value == number, 0x35: value >= number, 0x45: value & number}
            holds = bool(tests[kind])
            here += yes if holds else no


@pytest.mark.parametrize(("packet", "probe", "way", "what"), WAYS)
def test_the_filter_lets_through_what_is_recognised(
    packet: IP, probe: Probe, way: str | None, what: str | None
) -> None:
    del probe, what
    program = tap.program((COOKIE, COOKIE + 1))
    outer = IP() / UDP(sport=1, dport=4789) / VXLAN(vni=257, flags=8) / Ether()
    for whole in (packet, outer / packet):
        passes = run(program, bytes(whole), ethertype(whole)) > 0
        assert passes or way is None
    assert way is None or run(program, bytes(packet), ethertype(packet)) == tap.SNAP


def test_the_filter_lets_later_fragments_through() -> None:
    """By themselves and inside VXLAN; of IPv6 those that have a fragment header."""
    program = tap.program((COOKIE, COOKIE + 1))
    outer = IP() / UDP(sport=1, dport=4789) / VXLAN(vni=257, flags=8) / Ether()
    later = IP(frag=9, proto=17) / (b"x" * 40)
    later6 = IPv6() / IPv6ExtHdrFragment(offset=9) / (b"x" * 40)
    for packet in (later, later6):
        assert run(program, bytes(packet), ethertype(packet)) == tap.SNAP
        assert run(program, bytes(outer / packet)) == tap.SNAP
    first = IP(flags="MF", proto=17) / (b"x" * 40)
    first6 = IPv6() / IPv6ExtHdrFragment(m=1) / (b"x" * 40)
    for packet in (first, first6):
        assert run(program, bytes(packet), ethertype(packet)) == 0
        assert run(program, bytes(outer / packet)) == 0
    asking = IPv6() / ICMPv6ND_NS(tgt="fe80::1")
    assert run(program, bytes(asking), 0x86DD) == tap.SNAP


def test_a_refused_syn_with_data() -> None:
    """The reset acknowledges the data, too (RFC 9293, 3.10.7)."""
    probe = replace(OVER_TCP, size=140)
    reset = bytes(IP() / TCP(ack=COOKIE + 101, flags="RA"))
    header = read_header(reset, probe, ())
    assert header is not None
    assert (header.way, header.what) == ("answer", "TCP RST, ACK")
    sent = marked.Probe("10.0.0.2", "tcp", 80, 140, df=False, cookie=COOKIE)
    assert run(tap.program(sent.marks), reset) == tap.SNAP


def test_the_filter_keeps_others_out() -> None:
    program = tap.program((COOKIE, COOKIE + 1))
    noise = b"z" * 90
    for other in (IP() / ICMP() / noise, IP() / TCP(seq=7), IP() / UDP() / noise, b"\x45"):
        assert run(program, bytes(other)) == 0
    assert run(program, bytes(ECHO), protocol=0x8847) == 0
    assert run(program, bytes(28), protocol=0x0806) == tap.SNAP
    hidden = IP() / UDP(dport=443) / (b"\4\0\0\0" + bytes(60))
    assert run(program, bytes(hidden)) == tap.SNAP


@given(st.binary(max_size=300))
def test_the_filter_ends_on_any_packet(packet: bytes) -> None:
    assert run(tap.program((COOKIE, COOKIE + 1)), packet) in {0, tap.SNAP}


# Routing decisions


def rule(priority: int, table: int, **conditions: Any) -> dict[str, Any]:
    bare = dict.fromkeys(("iif", "oif", "source", "destination", "mark"))
    plain: dict[str, Any] = {"action": "lookup", "l3mdev": False, "inverted": False}
    return {"priority": priority, "table": table} | bare | plain | conditions


def route(
    destination: str, table: int, dev: str | None = "out", kind: str = "unicast"
) -> dict[str, Any]:
    hops = [{"via": "10.9.9.9", "dev": dev, "alive": True}] if dev else []
    common = {"protocol": "static", "metric": 0, "source": None, "hops": hops}
    return {"destination": destination, "table": table, "type": kind} | common


THROW = route("10.0.0.0/8", 7, None, "throw")
NOWHERE = route("0.0.0.0/0", 7, None, "blackhole")
MORE = route("10.1.0.0/16", 254)
DEFAULT = route("0.0.0.0/0", 254, "other")
MARKED = rule(100, 7, mark=(7, 0xFFFFFFFF))
RULES = [rule(0, 255), MARKED, rule(32766, 254)]


def answered(
    answer: dict[str, Any], *routes: dict[str, Any], rules: list[dict[str, Any]] = RULES
) -> Any:
    question = {"source": "10.2.0.1", "destination": "10.1.2.3", "iif": "in", "mark": 7}
    node = {"rules": rules, "routes": {"10.1.2.3": list(routes)}}
    return decide(node, question | answer, 5, None)


def test_a_throw_leads_on_to_the_next_rule() -> None:
    found = answered({"route": MORE, "refusal": None}, THROW, NOWHERE, MORE, DEFAULT)
    assert (found.table, found.dev, found.rule) == (254, "out", "32766: from all")


def test_the_table_of_a_refusal_is_found() -> None:
    found = answered({"route": None, "refusal": "blackhole"}, NOWHERE, DEFAULT)
    assert (found.type, found.table, found.rule) == ("blackhole", 7, "100: from all fwmark 0x7")
    assert not found.leads


def test_a_rule_may_refuse_by_itself() -> None:
    refusing = rule(90, 254, iif="in", action="blackhole")
    found = answered(
        {"route": None, "refusal": "blackhole"}, MORE, rules=[rule(0, 255), refusing, *RULES]
    )
    assert (found.type, found.destination, found.rule) == (
        "blackhole",
        None,
        "90: from all iif in",
    )


def test_the_kernel_is_believed_before_its_rules_are() -> None:
    """Rules that have changed meanwhile lead elsewhere: then the rule is not known."""
    found = answered({"route": MORE, "refusal": None}, NOWHERE, MORE)
    assert (found.table, found.dev, found.rule) == (254, "out", None)
    unknown = answered({"route": None, "refusal": None, "error": "gone"}, MORE)
    assert unknown.type == "unknown"
    nothing = answered({"route": None, "refusal": "no route"})
    assert (nothing.type, nothing.rule) == ("no route", None)


def test_a_refused_source_is_no_blackhole() -> None:
    """Linux has one error for both: only a route or rule makes it a blackhole."""
    assert answered({"route": None, "refusal": "blackhole"}, MORE).type == "martian"
    assert answered({"route": None, "refusal": "reverse path"}, MORE).type == "reverse path"


def test_routes_over_dead_links_may_not_count() -> None:
    dead = MORE | {"hops": [{"via": None, "dev": "out", "alive": False}]}
    nothing = route("10.0.0.0/8", 254, None, "blackhole")
    found = answered({"route": None, "refusal": "blackhole"}, dead, nothing)
    assert (found.type, found.destination, found.rule) == (
        "blackhole",
        "10.0.0.0/8",
        "32766: from all",
    )
    used = answered({"route": dead, "refusal": None}, dead, nothing)
    assert (used.dev, used.rule) == ("out", "32766: from all")


def test_vrfs_and_inverted_rules() -> None:
    vrf = rule(1000, 0, l3mdev=True)
    inside = route("10.0.0.0/8", 5, "vrf-out")
    found = answered({"route": inside, "refusal": None}, inside, MORE, rules=[vrf, *RULES])
    assert found.rule == "1000: from all l3mdev"
    other = rule(50, 5, source="10.2.0.0/16", inverted=True)
    found = answered({"route": MORE, "refusal": None}, inside, MORE, rules=[other, *RULES])
    assert found.rule == "32766: from all"
    assert rule_text(other) == "50: not from 10.2.0.0/16"


# Rules of nftables


def test_a_rule_is_found_in_its_chain() -> None:
    listing = """table inet vpc { # handle 3
\tchain forward { # handle 2
\t\ttype filter hook forward priority filter; policy drop;
\t\tip saddr 10.0.0.0/8 counter packets 3 bytes 90 drop comment "rule 90" # handle 9
\t}
}"""
    step = {
        "node": "r", "packet": 5, "family": "inet", "table": "vpc", "chain": "forward",
        "kind": "rule", "handle": 9, "verdict": "drop", "target": "", "mark": None,
        "iif": "in", "oif": "out", "network": bytes(ECHO)[:20].hex(),
        "transport": bytes(ECHO)[20:40].hex(),
    }  # fmt: skip
    chain = {"node": "r", "family": "inet", "table": "vpc", "chain": "forward", "text": listing}
    policy = step | {"kind": "policy", "handle": 0, "network": "", "transport": ""}
    unknown = step | {"handle": 77, "packet": 6, "chain": "gone"}
    record = {"steps": [step, policy, unknown], "chains": [chain]}
    first, second = read_passages(record, PROBE, ())
    assert (first.way, first.iif) == ("request", "in")
    dropping, by_policy = first.filters
    assert (dropping.rule, dropping.comment) == ("ip saddr 10.0.0.0/8 drop", "rule 90")
    assert (by_policy.text, by_policy.drops) == (
        '"policy drop" in table inet vpc, chain forward',
        True,
    )
    assert second.filters[0].rule == "rule 77"


def test_a_packets_number_may_be_used_again() -> None:
    """The kernel's is where the packet is in memory: another one is soon there."""
    tracing = object.__new__(nft_trace.RuleTrace)
    tracing.table, tracing._packets, tracing._count = "testbed_trace_1", {}, 0

    def step(table: str, packet: IP, *, headers: bool = True) -> nft_trace.Step:
        data = bytes(packet)
        network, transport = (data[:20], data[20:40]) if headers else (b"", b"")
        bare = nft_trace.Step(77, "inet", table, "c", "rule", 1, "accept", "", None, 1, 0, b"", b"")
        return tracing._numbered(replace(bare, network=network, transport=transport))

    one, other = IP(id=5, ttl=9) / UDP(dport=443) / DATA, IP(id=6) / UDP(dport=443) / DATA
    moved = IP(id=5, ttl=8, src="192.0.2.9") / UDP(sport=9, dport=443) / DATA
    steps = [step("testbed_trace_1", one), step("fw", one), step("fw", one, headers=False)]
    steps += [step("testbed_trace_1", moved), step("fw", moved)]
    assert {entry.packet for entry in steps} == {1}
    assert step("testbed_trace_1", other).packet == step("fw", other).packet == 2


@given(st.binary(min_size=4, max_size=120))
def test_any_message_of_the_kernels_is_read(body: bytes) -> None:
    assert parse(body).kind in {"policy", "return", "rule", "unknown"}


# What can be asked for


@pytest.mark.parametrize(
    "request_",
    [
        {"protocol": "sctp"},
        {"protocol": "tcp", "size": 39, "port": 80},
        {"size": 70000},
        {"protocol": "udp", "size": 84, "port": 0},
        {"destination": "2001:db8::1", "size": 51},
    ],
)
def test_what_cannot_be_sent_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        read_probe({"destination": "10.0.0.1"} | request_)


def test_cookies_are_never_what_wireguard_begins_with() -> None:
    cookies = {read_probe({"destination": "10.0.0.1", "size": 84}).cookie for _ in range(200)}
    assert len(cookies) > 190
    assert all(1 << 30 <= cookie < 1 << 31 for cookie in cookies)


@given(st.binary(max_size=99))
def test_checksums(data: bytes) -> None:
    """RFC 1071: with its checksum behind it, data sum up to nothing."""
    even = data + b"\0" * (len(data) % 2)
    assert checksum(even + checksum(even).to_bytes(2, "big")) == 0
