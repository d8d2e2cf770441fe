"""The socket filter of a tap, in classic BPF: what may be the marked packet, or hide it.

The mark, a cookie of 32 bits, is at one of `OFFSETS`. What cannot show it passes, too:
packets of WireGuard's, fragments after the first, ARP and neighbour discovery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.kernel.packet_sockets import Instruction

IP_HEADER, IPV6_HEADER, FRAGMENT_HEADER = 20, 40, 8
UDP_HEADER, ICMP_HEADER, ETHERNET_HEADER, VXLAN_HEADER = 8, 8, 14, 8
INNER = IP_HEADER + UDP_HEADER + VXLAN_HEADER + ETHERNET_HEADER
"""Where the inner packet of a VXLAN begins; the outer one is IPv4."""
ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0003, 0x0800, 0x0806, 0x86DD
UDP, FRAGMENT, ICMPV6 = 17, 44, 58
SOLICITATION, ADVERTISEMENT = 135, 136  # of IPv6's neighbour discovery
VXLAN_PORT = 4789
WIREGUARD_DATA = 0x04000000
"""The first four bytes of a WireGuard data packet, at `PAYLOAD`."""
PAYLOAD = IP_HEADER + UDP_HEADER


def _behind(header: int) -> tuple[int, int]:
    """Where the cookie is behind an IP header of so many bytes.

    TCP's sequence number; the payload of UDP and of an ICMP echo, TCP's acknowledgement number.
    """
    return header + 4, header + 8


def _places() -> list[int]:
    quoting, quoting6 = IP_HEADER + ICMP_HEADER, IPV6_HEADER + ICMP_HEADER  # an ICMP error
    plain = [*_behind(IP_HEADER), *_behind(quoting + IP_HEADER)]
    for header in (IPV6_HEADER, IPV6_HEADER + FRAGMENT_HEADER):
        plain += [*_behind(header), *_behind(quoting6 + header)]
    return sorted({*plain, *(INNER + place for place in plain)})


OFFSETS = tuple(_places())
"""Where the cookie, or what acknowledges it, may be: bytes from the start of the IP header."""
SNAP = 320  # bytes of a packet that are read: all headers, and those of what an error quotes

LATER = 0x1FFF, 0xFFF8
"""The bits of IPv4's and IPv6's fragment offset in the 16 bits that hold it."""
AT_OFFSET, AT_OFFSET6 = 6, IPV6_HEADER + 2
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_LENGTH, _RETURN = 0x20, 0x28, 0x30, 0x80, 0x06
_JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY = 0x15, 0x35, 0x45
_PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL


class _Code:
    """Instructions whose jumps go forward to labels; None is the next instruction."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str | None, str | None, int]] = []
        self._labels: dict[str, int] = {}

    def load(self, kind: int, at: int) -> None:
        self._lines.append((kind, None, None, at))

    def jump(self, kind: int, value: int, *, yes: str | None = None, no: str | None = None) -> None:
        self._lines.append((kind, yes, no, value))

    def at_least(self, size: int, no: str) -> None:
        """Go to `no` with a shorter packet: a load beyond its end would end the program."""
        self.load(_LOAD_LENGTH, 0)
        self.jump(_JUMP_AT_LEAST, size, no=no)

    def label(self, name: str) -> None:
        self._labels[name] = len(self._lines)

    def instructions(self) -> list[Instruction]:
        def distance(here: int, label: str | None) -> int:
            return self._labels[label] - here - 1 if label else 0

        return [
            (kind, distance(here, yes), distance(here, no), value)
            for here, (kind, yes, no, value) in enumerate(self._lines)
        ]


def program(marks: Sequence[int]) -> list[Instruction]:
    """The socket filter for what has any of these marks."""
    code = _Code()
    code.load(_LOAD_WORD, _PROTOCOL)
    code.jump(_JUMP_EQUAL, ETH_P_ARP, yes="accept")
    code.jump(_JUMP_EQUAL, ETH_P_IPV6, yes="ipv6")
    code.jump(_JUMP_EQUAL, ETH_P_IP, no="reject")
    _ipv4(code)
    code.label("ipv6")
    _ipv6(code)
    code.label("cookie")
    for offset in OFFSETS:
        code.at_least(offset + 4, "reject")
        code.load(_LOAD_WORD, offset)
        for value in marks:
            code.jump(_JUMP_EQUAL, value, yes="accept")
    code.label("reject")
    code.load(_RETURN, 0)
    code.label("accept")
    code.load(_RETURN, SNAP)
    return code.instructions()


def _ipv4(code: _Code) -> None:
    """Later fragments, WireGuard's packets, and later fragments inside VXLAN."""
    code.at_least(IP_HEADER, "reject")
    code.load(_LOAD_HALF, AT_OFFSET)
    code.jump(_JUMP_ANY, LATER[0], yes="accept")
    code.load(_LOAD_BYTE, 9)
    code.jump(_JUMP_EQUAL, UDP, no="cookie")
    code.at_least(PAYLOAD + 4, "reject")
    code.load(_LOAD_WORD, PAYLOAD)
    code.jump(_JUMP_EQUAL, WIREGUARD_DATA, yes="accept")
    code.load(_LOAD_HALF, IP_HEADER + 2)
    code.jump(_JUMP_EQUAL, VXLAN_PORT, no="cookie")
    code.at_least(INNER + IP_HEADER, "cookie")
    code.load(_LOAD_HALF, INNER - 2)
    code.jump(_JUMP_EQUAL, ETH_P_IPV6, yes="inner6")
    code.load(_LOAD_HALF, INNER + AT_OFFSET)
    code.jump(_JUMP_ANY, LATER[0], yes="accept", no="cookie")
    code.label("inner6")
    code.at_least(INNER + AT_OFFSET6 + 2, "cookie")
    code.load(_LOAD_BYTE, INNER + 6)
    code.jump(_JUMP_EQUAL, FRAGMENT, no="cookie")
    code.load(_LOAD_HALF, INNER + AT_OFFSET6)
    code.jump(_JUMP_ANY, LATER[1], yes="accept", no="cookie")


def _ipv6(code: _Code) -> None:
    """Later fragments and neighbour discovery."""
    code.at_least(AT_OFFSET6 + 2, "reject")
    code.load(_LOAD_BYTE, 6)
    code.jump(_JUMP_EQUAL, ICMPV6, yes="icmpv6")
    code.jump(_JUMP_EQUAL, FRAGMENT, no="cookie")
    code.load(_LOAD_HALF, AT_OFFSET6)
    code.jump(_JUMP_ANY, LATER[1], yes="accept", no="cookie")
    code.label("icmpv6")
    code.load(_LOAD_BYTE, IPV6_HEADER)
    code.jump(_JUMP_EQUAL, SOLICITATION, yes="accept")
    code.jump(_JUMP_EQUAL, ADVERTISEMENT, yes="accept")
