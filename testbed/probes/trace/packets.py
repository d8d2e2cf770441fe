"""Taking IP packets apart: addresses, fragments, and where what is behind the header begins."""

from __future__ import annotations

import socket
from dataclasses import dataclass

IP_HEADER, IPV6_HEADER, FRAGMENT_HEADER = 20, 40, 8
ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of an IP packet's payload something is: from byte `start` to `end`.

    `key` is what fragments of one packet have in common (RFC 791, RFC 8200).
    """

    key: bytes
    start: int
    end: int
    last: bool


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet, or a fragment of one; `data` begins with what is behind the IP header."""

    source: str
    destination: str
    ttl: int
    protocol: int
    length: int
    part: Part
    data: bytes


def word(data: bytes, offset: int) -> int:
    """32 bits; -1 where there are none."""
    return int.from_bytes(data[offset : offset + 4], "big") if len(data) >= offset + 4 else -1


def short(data: bytes, offset: int) -> int:
    """16 bits."""
    return int.from_bytes(data[offset : offset + 2], "big")


def read_packet(data: bytes) -> Packet | None:
    """Take an IP packet apart; None when it is too short, or has IPv4 options."""
    if len(data) >= IP_HEADER and data[0] == 0x45:
        return _ipv4(data)
    if len(data) >= IPV6_HEADER and data[0] >> 4 == 6:
        return _ipv6(data)
    return None


def _ipv4(data: bytes) -> Packet:
    length, bits = short(data, 2), short(data, 6)
    start = (bits & 0x1FFF) * 8
    key = data[12:20] + data[4:6] + data[9:10]
    part = Part(key, start, start + length - IP_HEADER, last=not bits & 0x2000)
    source, destination = (socket.inet_ntoa(data[at : at + 4]) for at in (12, 16))
    return Packet(source, destination, data[8], data[9], length, part, data[IP_HEADER:])


def _ipv6(data: bytes) -> Packet:
    size, protocol, behind = short(data, 4), data[6], data[IPV6_HEADER:]
    start, last, ident = 0, True, b""
    if protocol == FRAGMENT and len(behind) >= FRAGMENT_HEADER:
        bits, ident, protocol = short(behind, 2), behind[4:8], behind[0]
        start, last = bits & 0xFFF8, not bits & 1
        size, behind = size - FRAGMENT_HEADER, behind[FRAGMENT_HEADER:]
    part = Part(data[8:40] + ident, start, start + size, last)
    source, destination = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
    length = IPV6_HEADER + short(data, 4)
    return Packet(source, destination, data[7], protocol, length, part, behind)
