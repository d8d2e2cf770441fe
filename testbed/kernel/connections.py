"""Ending TCP connections of a namespace, by sock_diag(7)'s SOCK_DESTROY.

The kernel then sends a RST to the other end and tells the program that the
connection was aborted (ECONNABORTED), as `ss --kill` does.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.kernel.netlink import F_ACK, F_DUMP, Message, NetlinkSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.plan.model import Abort

SOCK_DIAG = 4  # linux/netlink.h
_BY_FAMILY, _DESTROY = 20, 21  # linux/sock_diag.h
_TCP = 6
_FAMILIES = {2: 4, 10: 16}  # address family, bytes of an address
_CONNECTED = 0xFFF & ~(1 << 10) & ~(1 << 7) & ~(1 << 6)  # not LISTEN, CLOSE, TIME_WAIT
_REQUEST = struct.Struct("=BBBxI48s")
_ANSWER = struct.Struct("=BBBB48s")
_PORTS = struct.Struct("!HH")


def abort(node: str, what: Abort) -> None:
    """Reset the connections of the thread's namespace that `what` names.

    Raises HostError when the kernel cannot.
    """
    from ipaddress import IPv6Address, ip_address, ip_network  # noqa: PLC0415 - slow to import

    networks = [ip_network(network) for network in what.networks]
    with NetlinkSocket(SOCK_DIAG) as diag:
        for family, identity in _connections(diag, what.port):
            width = _FAMILIES[family]
            peer = ip_address(identity[20 : 20 + width])
            if isinstance(peer, IPv6Address):
                peer = peer.ipv4_mapped or peer
            if networks and not any(peer in network for network in networks):
                continue
            request = _REQUEST.pack(family, _TCP, 0, _CONNECTED, identity)
            try:
                diag.request(Message(_DESTROY, F_ACK, request))
            except OSError as error:
                if error.errno == errno.ENOENT:  # it has ended by itself
                    continue
                hint = "the kernel needs CONFIG_INET_DIAG_DESTROY: see `testbed doctor`"
                text = f"{node}: cannot reset a TCP connection: {error.strerror}"
                raise HostError(text, hint=hint) from error


def _connections(diag: NetlinkSocket, port: int) -> Iterator[tuple[int, bytes]]:
    """Family and identity (struct inet_diag_sockid) of the TCP connections from or to a port."""
    for family in _FAMILIES:
        request = _REQUEST.pack(family, _TCP, 0, _CONNECTED, bytes(48))
        for _, answer in diag.request(Message(_BY_FAMILY, F_DUMP, request)):
            kind, _, _, _, identity = _ANSWER.unpack_from(answer)
            if kind == family and port in _PORTS.unpack_from(identity):
                yield kind, identity
