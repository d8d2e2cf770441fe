"""Seeing one marked packet wherever it comes through a namespace.

A `Tap` is one packet socket for all interfaces of a namespace; its filter is
in `testbed.kernel.tap_filter`.
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
from testbed.kernel.tap_filter import ETH_P_ALL, SNAP, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OUTGOING = 4  # PACKET_OUTGOING

_PACKET_STATISTICS = 6
_AUXDATA = struct.Struct("=IIIHHHH")
_TIMESPEC = struct.Struct("=qq")
_VLAN_VALID, _VLAN_MASK = 0x10, 0xFFF
_BUFFER = 2 << 20


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


class Tap:
    """The packet socket of one namespace; open from when it is made until `close`."""

    def __init__(self, fd: int, marks: Sequence[int]) -> None:
        kind, protocol = socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)
        with inside(fd):
            opened = socket.socket(socket.AF_PACKET, kind | socket.SOCK_CLOEXEC, protocol)
        descriptor = out_of_the_way(opened.detach())
        self._socket = socket.socket(socket.AF_PACKET, kind, protocol, descriptor)
        self._socket.setblocking(False)
        attach(self._socket, program(marks))
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
