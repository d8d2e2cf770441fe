"""What a trace's record has of the marked packet: one `Sighting` for each time it came by.

The cookie is where `testbed.kernel.tap_filter` looks for it: the first four
bytes of the payload of UDP and ICMP echo, TCP's sequence number (in the answer
the acknowledgement number, one higher). Fragments after the first are known by
what the first one's header has in common with theirs.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from testbed.probes.trace.packets import (
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    ICMP,
    ICMPV6,
    IP_HEADER,
    IPV6_HEADER,
    TCP,
    UDP,
    Packet,
    Part,
    read_packet,
    short,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

Way = Literal["request", "answer", "error", "answer-error"]
"""The packet itself, its answer, and ICMP errors about each of them."""
Layer = Literal["packet", "vxlan", "wireguard"]
"""Whether it came by itself, inside the testbed's own VXLAN, or encrypted by its WireGuard."""

HEADERS = 28
INNER = 8 + 8 + 14  # behind an IP header: UDP, VXLAN and Ethernet headers
VXLAN_PORT, WIREGUARD_DATA = 4789, 0x04000000
WIREGUARD_OVERHEAD, WIREGUARD_BLOCK = 60, 16  # outer IPv4 and UDP headers, its own 32 bytes
HOST, OTHER_HOST, OUTGOING = 0, 3, 4
ECHO_REPLY, UNREACHABLE, ECHO, TIME_EXCEEDED, PARAMETER = 0, 3, 8, 11, 12
ERRORS = {UNREACHABLE, TIME_EXCEEDED, PARAMETER}
ECHO6, ECHO_REPLY6, TOO_BIG6 = 128, 129, 2
_FROM_ICMPV6 = {1: UNREACHABLE, 3: TIME_EXCEEDED, 4: PARAMETER}
_CODES6 = {0: 0, 1: 13, 3: 1, 4: 3, 5: 13, 6: 13}  # RFC 4443: like those of ICMP
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

    @property
    def tcp_headers(self) -> int:
        """Bytes of the IP and TCP headers of a SYN."""
        return 60 if ":" in self.destination else 40


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error: type, code, and the MTU that it tells (0 without one).

    Those of ICMPv6 have the numbers that ICMP has for the same.
    """

    type: int
    code: int
    mtu: int
    six: bool = False

    @property
    def text(self) -> str:
        """Its name (RFC 792, 1191, 1812, 4443)."""
        icmp = "ICMPv6" if self.six else "ICMP"
        if (self.type, self.code) == (UNREACHABLE, 4):
            what = "packet too big" if self.six else "fragmentation needed"
            return f"{icmp} {what} (MTU {self.mtu})"
        if self.type == TIME_EXCEEDED:
            return f"{icmp} time exceeded"
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
            return f"{icmp} {names[self.code]}"
        return f"{icmp} error, type {self.type}, code {self.code}"


@dataclass(frozen=True, slots=True)
class Header:
    """What is read of an IP packet.

    `tunnel` tells packets of WireGuard's apart; `port` is the UDP port that
    they come from, and `whole_length` the IP length that they had before they
    were fragmented. `part` is of the packet itself where it came by itself or
    inside VXLAN, of the outer one where encrypted.
    """

    layer: Layer
    way: Way | None
    source: str
    destination: str
    ttl: int
    protocol: int
    what: str
    part: Part
    vni: int | None = None
    tunnel: bytes = b""
    port: int = 0
    whole_length: int = 0
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


def read_header(data: bytes, probe: Probe, tunnels: Container[tuple[str, str]]) -> Header | None:
    """Take an IP packet apart; None when it is too short.

    What is inside VXLAN counts only where the outer addresses are among `tunnels`: a user's
    own VXLAN is a packet like others.
    """
    outer = read_packet(data)
    if outer is None:
        return None
    layer: Layer = "packet"
    inner, vni, tunnel = outer, None, b""
    if outer.protocol == UDP and not outer.part.start:
        if word(outer.data, 8) == WIREGUARD_DATA:
            layer, tunnel = "wireguard", outer.data[12:24]
        elif short(outer.data, 2) == VXLAN_PORT and (outer.source, outer.destination) in tunnels:
            found = read_packet(outer.data[INNER:])
            if found is None:
                return None
            layer, inner, vni = "vxlan", found, word(outer.data, 12) >> 8
    way, what, error = _way(inner, probe) if layer != "wireguard" else (None, "", None)
    return Header(
        layer=layer,
        way=way,
        source=outer.source,
        destination=outer.destination,
        ttl=outer.ttl,
        protocol=outer.protocol,
        what=what,
        part=inner.part,
        vni=vni,
        tunnel=tunnel,
        port=short(outer.data, 0) if tunnel else 0,
        whole_length=IP_HEADER + short(outer.data, 4) if tunnel else 0,
        error=error,
    )


Told = tuple["Way | None", str, "IcmpError | None"]


def _way(packet: Packet, probe: Probe) -> Told:
    """Which packet of the trace it is, what it is called, and the error that it tells."""
    data, protocol = packet.data, packet.protocol
    if packet.part.start or len(data) < 8:
        return None, "", None
    if (error := read_error(packet)) is not None:
        return _error(packet, error, probe)
    if protocol == TCP:
        return (*_tcp(data, probe), None)
    if word(data, 8) != probe.cookie:
        return None, "", None
    if protocol in {ICMP, ICMPV6}:
        return (*_echo(data), None)
    return (*_udp(data, probe.port), None) if protocol == UDP else (None, "", None)


def read_error(packet: Packet) -> IcmpError | None:
    """The error that a packet tells; those of ICMPv6 by the numbers of ICMP."""
    data = packet.data
    if packet.protocol == ICMP and data[0] in ERRORS:
        return IcmpError(data[0], data[1], short(data, 6) if data[:2] == b"\3\4" else 0)
    if packet.protocol != ICMPV6:
        return None
    if data[0] == TOO_BIG6:
        return IcmpError(UNREACHABLE, 4, word(data, 4), six=True)
    if data[0] not in _FROM_ICMPV6:
        return None
    kind = _FROM_ICMPV6[data[0]]
    code = _CODES6.get(data[1], 1) if kind == UNREACHABLE else data[1]
    return IcmpError(kind, code, 0, six=True)


def _error(packet: Packet, error: IcmpError, probe: Probe) -> Told:
    """An ICMP error, by the packet that it quotes."""
    quoted = read_packet(packet.data[8:])
    about = _way(quoted, probe)[0] if quoted is not None else None
    if about == "request":
        return "error", error.text, error
    return ("answer-error" if about == "answer" else None), error.text, error


def _echo(data: bytes) -> tuple[Way | None, str]:
    if data[0] in {ECHO, ECHO6}:
        return "request", "ICMP echo request"
    return "answer" if data[0] in {ECHO_REPLY, ECHO_REPLY6} else None, "ICMP echo reply"


def _udp(data: bytes, port: int) -> tuple[Way, str]:
    if short(data, 2) == port:
        return "request", f"UDP to port {port}"
    return "answer", "UDP"


def _tcp(data: bytes, probe: Probe) -> tuple[Way | None, str]:
    """A SYN with the cookie, or what acknowledges it; an error quotes 8 bytes at least.

    What refuses a SYN acknowledges the data with it, too.
    """
    flags = data[13] if len(data) > 13 else _SYN
    acknowledged = {probe.cookie + 1, probe.cookie + 1 + probe.size - probe.tcp_headers}
    if word(data, 4) == probe.cookie and flags & _SYN_ACK == _SYN:
        return "request", f"TCP SYN to port {short(data, 2)}"
    if word(data, 8) in acknowledged:
        return "answer", "TCP SYN, ACK" if flags & _SYN else "TCP RST, ACK"
    return None, ""


def read_sightings(
    packets: Iterable[dict[str, Any]], probe: Probe, tunnels: Container[tuple[str, str]]
) -> list[Sighting]:
    """What the record has of the packet, its answer and errors, and of WireGuard's packets.

    A bridge floods what it does not know the way of: copies that a node gets
    for somebody else are left out by `testbed.probes.trace.order`.
    """
    read = [
        (order, packet, header)
        for order, packet in enumerate(packets)
        if packet["protocol"] in {ETH_P_IP, ETH_P_IPV6}
        if (header := read_header(bytes.fromhex(packet["data"]), probe, tunnels)) is not None
    ]
    firsts = {
        (header.part.key, header.layer == "vxlan"): header
        for _, _, header in read
        if not header.part.start and (header.way or header.layer == "wireguard")
    }
    found: list[Sighting] = []
    seen: set[tuple[Any, ...]] = set()
    for order, packet, one in read:
        header = _completed(one, firsts)
        if header.way is None and header.layer != "wireguard":
            continue
        same = replace(header, part=replace(header.part, key=b""))
        key = packet["node"], packet["interface"], packet["kind"], same
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


def _completed(header: Header, firsts: dict[tuple[bytes, bool], Header]) -> Header:
    """A fragment after the first one, as what its packet is."""
    first = firsts.get((header.part.key, header.layer == "vxlan")) if header.part.start else None
    if first is None:
        return header
    return replace(header, layer=first.layer, way=first.way, what=first.what, tunnel=first.tunnel)


def encrypted_lengths(length: int, mtu: int | None) -> set[int]:
    """The IP length of WireGuard's packet around one of `length` bytes: padded up to the MTU."""
    padded = -(-length // WIREGUARD_BLOCK) * WIREGUARD_BLOCK
    return {WIREGUARD_OVERHEAD + max(length, min(padded, mtu or padded))}


def asked_neighbors(packets: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Node, interface and address of each neighbour that was asked for and did not answer."""
    asked: dict[tuple[str, str, str], None] = {}
    for packet in packets:
        data = bytes.fromhex(packet["data"])
        if packet["protocol"] == ETH_P_ARP and len(data) >= HEADERS:
            (operation,) = struct.unpack_from("!H", data, 6)
            asks, answers = operation == 1, operation == 2
            address = socket.inet_ntoa(data[24:28] if asks else data[14:18])
        elif packet["protocol"] == ETH_P_IPV6 and data[6] == ICMPV6 and len(data) >= 64:
            asks, answers = data[IPV6_HEADER] == 135, data[IPV6_HEADER] == 136
            address = socket.inet_ntop(socket.AF_INET6, data[48:64])
        else:
            continue
        key = packet["node"], packet["interface"], address
        if asks and packet["kind"] == OUTGOING:
            asked[key] = None
        elif answers and packet["kind"] != OUTGOING:
            asked.pop(key, None)
    yield from asked
