"""What a trace's record has of the marked packet: one `Sighting` for each time it came by.

The cookie is where `testbed.kernel.tap` looks for it: the first four bytes of
the payload of UDP and ICMP echo, TCP's sequence number (in the answer the
acknowledgement number, one higher).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Way = Literal["request", "answer", "error", "answer-error"]
"""The packet itself, its answer, and ICMP errors about each of them."""
Layer = Literal["packet", "vxlan", "wireguard"]
"""Whether it came by itself, inside VXLAN, or encrypted."""

ICMP, TCP, UDP = 1, 6, 17
IP_HEADER, HEADERS = 20, 28
INNER = IP_HEADER + 8 + 8 + 14  # UDP, VXLAN and Ethernet headers
VXLAN_PORT, WIREGUARD_DATA = 4789, 0x04000000
WIREGUARD_OVERHEAD, WIREGUARD_BLOCK = 60, 16  # outer IPv4 and UDP headers, its own 32 bytes
ETH_P_IP, ETH_P_ARP = 0x0800, 0x0806
HOST, OTHER_HOST, OUTGOING = 0, 3, 4
ECHO_REPLY, UNREACHABLE, ECHO, TIME_EXCEEDED, PARAMETER = 0, 3, 8, 11, 12
ERRORS = {UNREACHABLE, TIME_EXCEEDED, PARAMETER}
_SYN_ACK = 0x12
_SYN = 0x02


@dataclass(frozen=True, slots=True)
class Probe:
    """What was sent: `source` is a node, `size` the whole IP packet's in bytes."""

    source: str
    destination: str
    protocol: str
    port: int
    size: int
    df: bool
    cookie: int


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error: type, code, and the MTU that it tells (0 without one)."""

    type: int
    code: int
    mtu: int

    @property
    def text(self) -> str:
        """Its name (RFC 792, 1191, 1812)."""
        if (self.type, self.code) == (UNREACHABLE, 4):
            return f"ICMP fragmentation needed (MTU {self.mtu})"
        if self.type == TIME_EXCEEDED:
            return "ICMP time exceeded"
        names = {
            0: "network unreachable",
            1: "host unreachable",
            2: "protocol unreachable",
            3: "port unreachable",
            9: "network administratively prohibited",
            10: "host administratively prohibited",
            13: "communication administratively prohibited",
        }
        if self.type == UNREACHABLE and self.code in names:
            return f"ICMP {names[self.code]}"
        return f"ICMP error, type {self.type}, code {self.code}"


@dataclass(frozen=True, slots=True)
class Header:
    """What is read of an IPv4 packet. `tunnel` tells packets of WireGuard's apart."""

    layer: Layer
    way: Way | None
    source: str
    destination: str
    ttl: int
    protocol: int
    what: str
    vni: int | None = None
    tunnel: bytes = b""
    error: IcmpError | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """The packet at an interface; `order` counts within its node, `at` is in nanoseconds."""

    node: str
    order: int
    interface: str
    at: int
    kind: int
    vlan: int | None
    length: int
    header: Header

    @property
    def out(self) -> bool:
        """Whether it was leaving."""
        return self.kind == OUTGOING


def address(data: bytes) -> str:
    """An IPv4 address as people write it."""
    return ".".join(str(byte) for byte in data)


def read_header(data: bytes, probe: Probe) -> Header | None:
    """Take an IPv4 packet apart; None when it is too short."""
    if len(data) < HEADERS or data[0] != 0x45:
        return None
    protocol = data[9]
    layer: Layer = "packet"
    inside, vni, tunnel = data, None, b""
    if protocol == UDP and _word(data, HEADERS) == WIREGUARD_DATA:
        layer, tunnel = "wireguard", data[HEADERS + 4 : HEADERS + 16]
    elif protocol == UDP and _short(data, IP_HEADER + 2) == VXLAN_PORT and len(data) > INNER:
        layer, inside = "vxlan", data[INNER:]
        vni = _word(data, HEADERS + 4) >> 8
    way, what, error = (None, "", None) if layer == "wireguard" else _way(inside, probe)
    return Header(
        layer=layer,
        way=way,
        source=address(data[12:16]),
        destination=address(data[16:20]),
        ttl=data[8],
        protocol=protocol,
        what=what,
        vni=vni,
        tunnel=tunnel,
        error=error,
    )


def _word(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "big") if len(data) >= offset + 4 else -1


def _short(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 2], "big")


def _way(data: bytes, probe: Probe) -> tuple[Way | None, str, IcmpError | None]:
    """Which packet of the trace it is, what it is called, and the error that it tells."""
    if len(data) < HEADERS:
        return None, "", None
    protocol = data[9]
    if protocol == ICMP and data[IP_HEADER] in ERRORS:
        return _error(data, probe)
    if protocol == TCP:
        return (*_tcp(data, probe.cookie), None)
    if _word(data, HEADERS) == probe.cookie:
        return (*(_echo(data) if protocol == ICMP else _udp(data, probe.port)), None)
    return None, "", None


def _error(data: bytes, probe: Probe) -> tuple[Way | None, str, IcmpError | None]:
    """An ICMP error, by the packet that it quotes."""
    error = IcmpError(data[IP_HEADER], data[IP_HEADER + 1], _short(data, IP_HEADER + 6))
    about, _, _ = _way(data[HEADERS:], probe)
    if about == "request":
        return "error", error.text, error
    return ("answer-error" if about == "answer" else None), error.text, error


def _echo(data: bytes) -> tuple[Way | None, str]:
    if data[IP_HEADER] == ECHO:
        return "request", "ICMP echo request"
    return "answer" if data[IP_HEADER] == ECHO_REPLY else None, "ICMP echo reply"


def _udp(data: bytes, port: int) -> tuple[Way, str]:
    if _short(data, IP_HEADER + 2) == port:
        return "request", f"UDP to port {port}"
    return "answer", "UDP"


def _tcp(data: bytes, cookie: int) -> tuple[Way | None, str]:
    """A SYN with the cookie, or what acknowledges it; an error quotes 8 bytes at least."""
    flags = data[IP_HEADER + 13] if len(data) > IP_HEADER + 13 else _SYN
    if _word(data, IP_HEADER + 4) == cookie and flags & _SYN_ACK == _SYN:
        return "request", f"TCP SYN to port {_short(data, IP_HEADER + 2)}"
    if _word(data, IP_HEADER + 8) == cookie + 1:
        return "answer", "TCP SYN, ACK" if flags & _SYN else "TCP RST, ACK"
    return None, ""


def read_sightings(packets: Iterable[dict[str, Any]], probe: Probe) -> list[Sighting]:
    """What the record has of the packet, its answer and errors, and of WireGuard's packets.

    A bridge floods what it does not know the way of: copies that a node gets
    for somebody else are left out by `testbed.probes.trace.order`.
    """
    found: list[Sighting] = []
    seen: set[tuple[Any, ...]] = set()
    for order, packet in enumerate(packets):
        if packet["protocol"] != ETH_P_IP:
            continue
        header = read_header(bytes.fromhex(packet["data"]), probe)
        if header is None or (header.way is None and header.layer != "wireguard"):
            continue
        key = packet["node"], packet["interface"], packet["kind"], header
        if key in seen:  # sent again: TCP does where no answer comes
            continue
        seen.add(key)
        found.append(
            Sighting(
                node=packet["node"],
                order=order,
                interface=packet["interface"],
                at=packet["at"],
                kind=packet["kind"],
                vlan=packet["vlan"],
                length=packet["length"],
                header=header,
            )
        )
    return found


def encrypted_lengths(length: int, mtu: int | None) -> set[int]:
    """The IP length of WireGuard's packet around one of `length` bytes: padded up to the MTU."""
    padded = -(-length // WIREGUARD_BLOCK) * WIREGUARD_BLOCK
    return {WIREGUARD_OVERHEAD + max(length, min(padded, mtu or padded))}


def asked_neighbors(packets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Node, interface and address of each neighbour that was asked for and did not answer."""
    asked: dict[tuple[str, str, str], None] = {}
    for packet in packets:
        data = bytes.fromhex(packet["data"])
        if packet["protocol"] != ETH_P_ARP or len(data) < HEADERS:
            continue
        (operation,) = struct.unpack_from("!H", data, 6)
        if operation == 1 and packet["kind"] == OUTGOING:
            asked[packet["node"], packet["interface"], address(data[24:28])] = None
        elif operation == 2 and packet["kind"] != OUTGOING:
            asked.pop((packet["node"], packet["interface"], address(data[14:18])), None)
    yield from asked
