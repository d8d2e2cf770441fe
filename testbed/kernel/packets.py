"""Sending packets that somebody else has built, from the namespace they are to come from."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Literal

from testbed.kernel.namespace import inside

if TYPE_CHECKING:
    from collections.abc import Sequence

Layer = Literal["link", "network"]
_IPV6_VERSION, _IPV4_HEADER, _IPV6_HEADER = 6, 20, 40


class Sender:
    """A way out of a namespace, opened once for any number of packets.

    `link`: whole frames leave by `interface`. `network`: IPv4 and IPv6 packets,
    headers included, take the route that the kernel has for them, bound to
    `interface` if one is given. Raises OSError with the kernel's error.
    """

    def __init__(self, fd: int, layer: Layer, interface: str | None) -> None:
        self._stack = contextlib.ExitStack()
        self._sockets: dict[int, socket.socket] = {}
        families = {
            "link": {socket.AF_PACKET: 0},
            "network": {socket.AF_INET: socket.IPPROTO_RAW, socket.AF_INET6: socket.IPPROTO_RAW},
        }
        with inside(fd):
            for family, protocol in families[layer].items():
                with contextlib.suppress(*_may_lack(family)):
                    self._sockets[family] = self._open(family, protocol, interface)

    def _open(self, family: int, protocol: int, interface: str | None) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(family, socket.SOCK_RAW, protocol))
        sock.setblocking(False)
        if family == socket.AF_PACKET:
            sock.bind((interface or "", 0))
        elif interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        return sock

    async def send(self, packets: Sequence[bytes]) -> None:
        """Send them, in this order; waits where a queue on the way out is full."""
        loop = asyncio.get_running_loop()
        for packet in packets:
            if (raw := self._sockets.get(socket.AF_PACKET)) is not None:
                await loop.sock_sendall(raw, packet)
            elif packet[0] >> 4 == _IPV6_VERSION:
                destination = socket.inet_ntop(socket.AF_INET6, packet[24:_IPV6_HEADER])
                await loop.sock_sendto(self._to(socket.AF_INET6), packet, (destination, 0))
            else:
                destination = socket.inet_ntoa(packet[16:_IPV4_HEADER])
                await loop.sock_sendto(self._to(socket.AF_INET), packet, (destination, 0))

    def _to(self, family: int) -> socket.socket:
        if family not in self._sockets:
            raise OSError("the kernel has no IPv6")
        return self._sockets[family]

    def close(self) -> None:
        """Let go of the sockets."""
        self._stack.close()


def _may_lack(family: int) -> tuple[type[OSError], ...]:
    """A kernel without IPv6 can still send IPv4."""
    return (OSError,) if family == socket.AF_INET6 else ()
