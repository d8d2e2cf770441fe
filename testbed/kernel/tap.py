"""Seeing one marked packet wherever it comes through a namespace.

A `Tap` is one packet socket for all interfaces of a namespace. A socket
filter lets through what carries the mark, a cookie of 32 bits, at one of the
places where it can be (`OFFSETS`), and two things that can't carry it:
packets of WireGuard's, which hide it, and ARP.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.kernel.namespace import inside, out_of_the_way
from testbed.kernel.packet_sockets import (
    PACKET_AUXDATA,
    SO_TIMESTAMPNS,
    SOL_PACKET,
    attach,
    prepare,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kernel.packet_sockets import Instruction

IP_HEADER, UDP_HEADER, ICMP_HEADER, ETHERNET_HEADER, VXLAN_HEADER = 20, 8, 8, 14, 8
_INNER = IP_HEADER + UDP_HEADER + VXLAN_HEADER + ETHERNET_HEADER
_PLACES = (
    IP_HEADER + 4,  # TCP: the sequence number
    IP_HEADER + 8,  # the payload of UDP and of an ICMP echo; TCP: the acknowledgement number
)
_QUOTED = tuple(IP_HEADER + ICMP_HEADER + place for place in _PLACES)  # in an ICMP error
_PLAIN = (*_PLACES, *_QUOTED)
OFFSETS = (*_PLAIN, *(_INNER + place for place in _PLAIN))
"""Where the cookie, or the number after it, may be: bytes from the start of the IPv4 header."""

WIREGUARD_DATA = 0x04000000
"""The first four bytes of a WireGuard data packet; the UDP payload is at OFFSETS[1]."""

SNAP = 256  # bytes of a packet that are read: all headers, and those of what an error quotes
ETH_P_ALL, ETH_P_IP, ETH_P_ARP = 0x0003, 0x0800, 0x0806
OUTGOING = 4  # PACKET_OUTGOING

_PACKET_STATISTICS = 6
_AUXDATA = struct.Struct("=IIIHHHH")
_TIMESPEC = struct.Struct("=qq")
_VLAN_VALID, _VLAN_MASK = 0x10, 0xFFF
_BUFFER = 2 << 20
_LOAD_WORD, _LOAD_BYTE, _LOAD_LENGTH, _RETURN = 0x20, 0x30, 0x80, 0x06
_JUMP_EQUAL, _JUMP_AT_LEAST = 0x15, 0x35
_PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL
_PROTOCOL_BYTE, _UDP = 9, 17


@dataclass(frozen=True, slots=True)
class Sight:
    """A packet as it came by: `at` in nanoseconds since 1970, `data` from the IP header on.

    `kind` is the packet type of packet(7) (0 for this host, 3 for another one,
    4 outgoing, …), `length` that of the whole IP packet.
    """

    interface: str
    at: int
    kind: int
    protocol: int
    vlan: int | None
    length: int
    data: bytes


def program(cookie: int) -> list[Instruction]:
    """The socket filter for a cookie, in classic BPF."""
    accept, values = len(OFFSETS) * 5 + 10, (cookie, (cookie + 1) & 0xFFFFFFFF)
    code: list[Instruction] = []

    def jump(kind: int, value: int, *, yes: int | None = None, no: int | None = None) -> None:
        """Go on at instruction `yes` or `no`; None is the next one."""
        here = len(code) + 1
        code.append((kind, (yes or here) - here, (no or here) - here, value))

    code.append((_LOAD_WORD, 0, 0, _PROTOCOL))
    jump(_JUMP_EQUAL, ETH_P_ARP, yes=accept)
    jump(_JUMP_EQUAL, ETH_P_IP, no=accept - 1)
    code.append((_LOAD_BYTE, 0, 0, _PROTOCOL_BYTE))
    jump(_JUMP_EQUAL, _UDP, no=9)
    code.append((_LOAD_LENGTH, 0, 0, 0))
    jump(_JUMP_AT_LEAST, OFFSETS[1] + 4, no=accept - 1)
    code.append((_LOAD_WORD, 0, 0, OFFSETS[1]))
    jump(_JUMP_EQUAL, WIREGUARD_DATA, yes=accept)
    for offset in OFFSETS:  # a load beyond the end of the packet would end the program
        code.append((_LOAD_LENGTH, 0, 0, 0))
        jump(_JUMP_AT_LEAST, offset + 4, no=accept - 1)
        code.append((_LOAD_WORD, 0, 0, offset))
        for value in values:
            jump(_JUMP_EQUAL, value, yes=accept)
    return [*code, (_RETURN, 0, 0, 0), (_RETURN, 0, 0, SNAP)]


class Tap:
    """The packet socket of one namespace; open from when it is made until `close`."""

    def __init__(self, fd: int, cookie: int) -> None:
        kind, protocol = socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)
        with inside(fd):
            opened = socket.socket(socket.AF_PACKET, kind | socket.SOCK_CLOEXEC, protocol)
        descriptor = out_of_the_way(opened.detach())
        self._socket = socket.socket(socket.AF_PACKET, kind, protocol, descriptor)
        self._socket.setblocking(False)
        attach(self._socket, program(cookie))
        prepare(self._socket, _BUFFER)
        for _ in self.read():  # what came before there was a filter
            pass

    def fileno(self) -> int:
        """The descriptor that is readable when something has come by."""
        return self._socket.fileno()

    def close(self) -> None:
        """Look no longer."""
        self._socket.close()

    def lost(self) -> int:
        """How many packets found no room since the last call."""
        data = self._socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, 8)
        return int(struct.unpack("=II", data)[1])

    def read(self) -> Iterator[Sight]:
        """What has come by since the last call, in order."""
        while True:
            try:
                data, ancillary, _, address = self._socket.recvmsg(SNAP, 128)
            except BlockingIOError:
                return
            except OSError:  # an interface that went down while the socket listened
                continue
            yield _sight(data, ancillary, address)


def _sight(
    data: bytes,
    ancillary: list[tuple[int, int, bytes]],
    address: tuple[str, int, int, int, bytes],
) -> Sight:
    at, vlan, length = 0, None, len(data)
    for level, kind, value in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, length, _, _, _, tci, _ = _AUXDATA.unpack_from(value)
            vlan = tci & _VLAN_MASK if status & _VLAN_VALID else None
        elif level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(value)
            at = seconds * 1_000_000_000 + nanoseconds
    return Sight(address[0], at, address[2], address[1], vlan, length, data)
