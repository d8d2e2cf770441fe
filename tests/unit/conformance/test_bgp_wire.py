"""Reading how BGP sessions begin and end from captured packets."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from testbed.conformance.bgp_wire import (
    Heard,
    Notification,
    Open,
    joined,
    listen,
    messages,
)

ASNS = st.integers(1, 2**32 - 1)


def message(kind: int, body: bytes) -> bytes:
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def opened(asn: int) -> bytes:
    capability = bytes([65, 4]) + struct.pack("!I", asn)
    parameter = bytes([2, len(capability)]) + capability
    short = asn if asn < 2**16 else 23456
    fixed = struct.pack("!BHH", 4, short, 90) + bytes([10, 0, 0, 1]) + bytes([len(parameter)])
    return message(1, fixed + parameter)


@given(ASNS)
def test_an_open_has_the_long_as_number(asn: int) -> None:
    assert list(messages(opened(asn))) == [Open(asn, 90, IPv4Address("10.0.0.1"))]


@given(st.binary(max_size=200))
def test_anything_is_read_without_an_error(data: bytes) -> None:
    list(messages(data))
    list(messages(b"\xff" * 16 + data))


def test_a_notification_in_words() -> None:
    assert [str(m) for m in messages(message(3, bytes([2, 2, 0, 0])))] == [
        "NOTIFICATION OPEN message error, bad peer AS"
    ]
    assert str(Notification(4, 0)) == "NOTIFICATION hold timer expired"


@given(st.data())
def test_a_stream_is_put_together_again(data: st.DataObject) -> None:
    """In whatever pieces and order it came, some of it twice."""
    stream = opened(65000) + message(2, bytes(20)) + message(3, bytes([6, 4]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=6)))
    ends = [*cuts, len(stream)]
    pieces = list(zip([0, *cuts], ends, strict=True))
    order = data.draw(st.permutations(pieces))
    segments: dict[int, bytes] = {}
    for start, end in [*order, *order[:1]]:
        segments.setdefault(1000 + start, stream[start:end])
    assert joined(segments) == stream
    assert list(messages(stream))[1:] == [Notification(6, 4)]


def test_what_each_end_says_is_kept_apart() -> None:
    def packet(source: str, to: str, seq: int, payload: bytes, sport: int = 179) -> Ether:
        tcp = TCP(sport=sport, dport=40000 if sport == 179 else 179, seq=seq)
        return Ether(bytes(Ether() / IP(src=source, dst=to) / tcp / Raw(payload)))

    heard = listen(
        [
            packet("10.0.0.1", "10.0.0.0", 5, message(2, bytes(4))),
            packet("10.0.0.0", "10.0.0.1", 9, opened(64512), sport=40000),
            packet("10.0.0.1", "10.0.0.0", 5 + 500, message(3, bytes([2, 2]))),
        ]
    )
    assert [message.asn for message in heard.opens("10.0.0.0")] == [64512]
    assert heard.notifications("10.0.0.1") == [Notification(2, 2)]


def test_a_session_is_refused_for_an_error_only() -> None:
    """Of two connections one is closed with a cease; what comes of the other is yet to be seen."""
    collision, wrong = Notification(6, 7), Notification(2, 2)
    assert not Heard({"10.0.0.1": [Open(65000, 90, IPv4Address("10.0.0.1"))]}).refused("10.0.0.1")
    assert not Heard({"10.0.0.1": [collision]}).refused("10.0.0.1", "10.0.0.2")
    assert Heard({"10.0.0.1": [collision], "10.0.0.2": [wrong]}).refused("10.0.0.1", "10.0.0.2")
