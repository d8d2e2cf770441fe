"""Sending one packet that carries a mark, as the node's own programs would send it.

The node's kernel makes the IP header, chooses the source address and the
route, and fragments what is too large, as it does for any socket.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from testbed.kernel.namespace import inside

if TYPE_CHECKING:
    from typing import Any

IpProtocol = Literal["icmp", "tcp", "udp"]

PROTOCOL_NUMBERS: dict[IpProtocol, int] = {"icmp": 1, "tcp": 6, "udp": 17}
_ICMPV6 = 58
OVERHEAD: dict[IpProtocol, int] = {"icmp": 28, "tcp": 40, "udp": 28}
"""Bytes of the IPv4 header and the protocol's own."""
IPV6_MORE = 20
"""Bytes that IPv6's header is larger than IPv4's."""
SMALLEST: dict[IpProtocol, int] = {"icmp": 32, "tcp": 40, "udp": 32}
"""IPv4 packets that have room for the mark."""
LARGEST = 65535
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _IPV6_DONTFRAG, _IPV6_CHECKSUM = 10, 23, 62, 7
_DONT, _PROBE = 0, 3  # IP_PMTUDISC_: no DF; DF, whatever path MTU was learned
_SYN, _WINDOW, _TCP_CHECKSUM = 0x02, 64240, 16
_ECHO, _ECHO6 = 8, 128
_FILLER = b"testbed trace. "
_FIRST_PORT, _PORTS = 32768, 28232  # Linux's own range of ephemeral ports


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet: `size` is that of the whole IP packet, `port` the destination port."""

    destination: str
    protocol: IpProtocol
    port: int
    size: int
    df: bool
    cookie: int

    @property
    def is_ipv6(self) -> bool:
        """Whether it goes to an IPv6 address."""
        return ip_address(self.destination).version == 6

    @property
    def marks(self) -> tuple[int, ...]:
        """The cookie, and what acknowledges it: a SYN, and the data with it where it is refused."""
        data = self.size - self.overhead if self.protocol == "tcp" else 0
        return tuple(dict.fromkeys((self.cookie + n) & 0xFFFFFFFF for n in (0, 1, 1 + data)))

    @property
    def overhead(self) -> int:
        """Bytes of the IP header and the protocol's own."""
        return OVERHEAD[self.protocol] + (IPV6_MORE if self.is_ipv6 else 0)


@dataclass(frozen=True, slots=True)
class Sent:
    """What has been sent, or the kernel's reason for not sending it.

    `port` is the source port, ICMP's identifier.
    """

    source: str | None
    port: int
    errno: int = 0
    error: str = ""


class Sender:
    """The socket that a probe leaves by; open while its answer is waited for.

    Without it an answer to UDP would be for nobody.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._socket: socket.socket | None = None

    def send(self, probe: Probe) -> Sent:
        """Send the probe."""
        port = _FIRST_PORT + int.from_bytes(os.urandom(2), "big") % _PORTS
        source = None
        try:
            with inside(self._fd):
                self._socket = _socket(probe)
            self._socket.connect((probe.destination, probe.port if probe.protocol == "udp" else 0))
            source, own_port = self._socket.getsockname()[:2]
            port = own_port if probe.protocol == "udp" else port
            self._socket.send(_payload(probe, source, port))
        except OSError as error:
            return Sent(source, port, error.errno or 0, error.strerror or str(error))
        return Sent(source, port)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()


def _socket(probe: Probe) -> socket.socket:
    kind: Any = socket.SOCK_DGRAM if probe.protocol == "udp" else socket.SOCK_RAW
    number = PROTOCOL_NUMBERS[probe.protocol]
    discover = _PROBE if probe.df else _DONT
    if not probe.is_ipv6:
        opened = socket.socket(socket.AF_INET, kind, number)
        opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, discover)
    else:
        opened = socket.socket(
            socket.AF_INET6, kind, _ICMPV6 if probe.protocol == "icmp" else number
        )
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, discover)
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, int(probe.df))
        if probe.protocol == "tcp":
            opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_CHECKSUM, _TCP_CHECKSUM)
    opened.setblocking(False)
    return opened


def _payload(probe: Probe, source: str, port: int) -> bytes:
    """What comes after the IP header; of UDP, after its own."""
    cookie = struct.pack("!I", probe.cookie)
    room = probe.size - probe.overhead
    if probe.protocol == "tcp":
        return _syn(probe, source, port, _filler(room))
    data = cookie + _filler(room - len(cookie))
    if probe.protocol == "udp":
        return data
    kind = _ECHO6 if probe.is_ipv6 else _ECHO  # the kernel computes ICMPv6's checksum
    header = struct.pack("!BBHHH", kind, 0, 0, port, 1)
    return struct.pack("!BBHHH", kind, 0, checksum(header + data), port, 1) + data


def _filler(size: int) -> bytes:
    return (_FILLER * (size // len(_FILLER) + 1))[:size]


def _syn(probe: Probe, source: str, port: int, filler: bytes) -> bytes:
    """A TCP header that opens a connection; the cookie is its sequence number."""
    ports = (port, probe.port)
    fields = (probe.cookie, 0, 5 << 4, _SYN, _WINDOW)
    bare = struct.pack("!HHIIBBHHH", *ports, *fields, 0, 0) + filler
    if probe.is_ipv6:  # the kernel puts the checksum in
        return bare
    addresses = socket.inet_aton(source) + socket.inet_aton(probe.destination)
    pseudo = addresses + struct.pack("!BBH", 0, PROTOCOL_NUMBERS["tcp"], len(bare))
    return struct.pack("!HHIIBBHHH", *ports, *fields, checksum(pseudo + bare), 0) + filler


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
