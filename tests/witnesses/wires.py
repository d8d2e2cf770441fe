"""A capture of all cables and tunnels, taken apart without anything of `testbed trace`.

What WireGuard has encrypted is told apart by its counters: the n-th packet that went into a
tunnel is the one with the n-th counter behind it, whatever its size and time.
"""

from __future__ import annotations

import io
import re
import struct
from collections import defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.utils import RawPcapNgReader

from testbed.plan.model import Bridge, Vxlan, WireGuard
from witnesses.arrivals import kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from testbed.plan.model import Plan

OUT = 2
VLANS = {0x8100, 0x88A8}
INNER = 50
KEEPALIVE = 40  # bytes of its UDP datagram
AGAIN_NS = 900_000_000  # TCP sends again what has had no answer for a second


class Place(NamedTuple):
    """An interface that a packet came in or left by; `layer`: packet, vxlan or wireguard."""

    node: str
    interface: str
    out: bool
    layer: str


@dataclass(frozen=True)
class Seen:
    """An IP packet in a capture: from its header on; `inner` where it is inside VXLAN."""

    node: str
    interface: str
    out: bool
    at: int
    data: bytes
    inner: bytes | None
    copy: bool

    @property
    def packet(self) -> bytes:
        """The packet that somebody has sent."""
        return self.data if self.inner is None else self.inner


@dataclass(frozen=True)
class Part:
    """Bytes of an IP packet's payload, and the packet's time to live there."""

    start: int
    end: int
    last: bool
    ttl: int


class Wires:
    """What one capture has of the packets of some cookies, and the bytes of data behind TCP's."""

    def __init__(self, plan: Plan, pcap: bytes, cookies: Mapping[int, int]) -> None:
        self.plan = plan
        self._macs = {
            node.name: {i.mac.lower() for i in node.interfaces if i.mac} for node in plan.nodes
        }
        self._interfaces = {(n.name, i.name): i for n in plan.nodes for i in n.interfaces}
        self._bridging = {
            node for (node, _), i in self._interfaces.items() if isinstance(i.device, Bridge)
        }
        devices = [entry.device for entry in self._interfaces.values()]
        self._ends = {(d.local, d.remote) for d in devices if isinstance(d, Vxlan)}
        both = {
            (cookie + n).to_bytes(4, "big"): cookie
            for cookie, data in cookies.items()
            for n in (0, 1, 1 + data)
        }
        pattern = re.compile(b"|".join(map(re.escape, both)), re.DOTALL)
        self._marked: dict[int, list[Seen]] = defaultdict(list)
        self._later: dict[bytes, list[Seen]] = defaultdict(list)
        self._hidden: dict[bytes, list[Seen]] = defaultdict(list)
        self._into: dict[tuple[str, str], list[Seen]] = defaultdict(list)
        for seen in self._read(pcap):
            for cookie in {both[match] for match in pattern.findall(seen.packet)}:
                self._marked[cookie].append(seen)
            if start(seen.packet):
                self._later[ident(seen.packet)].append(seen)
            elif is_data(seen.data):
                self._hidden[seen.data[32:44]].append(seen)
            if seen.out and self._is_tunnel(seen):
                self._into[seen.node, seen.interface].append(seen)
        self._encrypted = dict(self._matched())

    def _is_tunnel(self, seen: Seen) -> bool:
        return isinstance(self._interfaces[seen.node, seen.interface].device, WireGuard)

    def _read(self, pcap: bytes) -> Iterator[Seen]:
        for data, about in RawPcapNgReader(io.BytesIO(pcap)):
            node, _, interface = _text(about.ifname).partition(":")
            destination = ":".join(f"{byte:02x}" for byte in data[:6])
            ip = data if about.linktype == 101 else _behind_ethernet(data)
            if ip is None:
                continue
            out = about.direction == OUT
            foreign = about.linktype != 101 and destination not in self._macs[node]
            copy = foreign and not out and not self._takes_all(node, interface)
            at = (about.tshigh << 32) + about.tslow
            yield Seen(node, interface, out, at, ip, self._inside(ip), copy)

    def _takes_all(self, node: str, name: str) -> bool:
        """Whether frames for others are taken in, too: where there is a bridge, or by a tunnel."""
        tunnel = isinstance(self._interfaces[node, name].device, Vxlan | WireGuard)
        return tunnel or node in self._bridging

    def _inside(self, ip: bytes) -> bytes | None:
        """What is in a packet of the testbed's own VXLANs."""
        if ip[:1] != b"\x45" or ip[9] != 17 or len(ip) < INNER + 20 or ip[22:24] != b"\x12\xb5":
            return None
        ends = str(ip_address(ip[12:16])), str(ip_address(ip[16:20]))
        return ip[INNER:] if ends in self._ends else None

    # Tunnels

    def _matched(self) -> Iterator[tuple[int, bytes]]:
        """For what went into a tunnel (its id) what tells the encrypted packet apart."""
        for (node, name), entered in self._into.items():
            interface = self._interfaces[node, name]
            device = interface.device
            assert isinstance(device, WireGuard)
            groups: dict[bytes, dict[bytes, Seen]] = defaultdict(dict)
            for key, some in self._hidden.items():
                for seen in some:
                    mine = seen.node == device.socket_node and seen.out
                    if mine and short(seen.data, 20) == device.listen_port:
                        groups[seen.data[16:20] + seen.data[22:24]].setdefault(key, seen)
            for peer in device.peers:
                networks = [ip_network(prefix) for prefix in peer.allowed_ips]
                own = [s for s in entered if any(_to(s) in network for network in networks)]
                yield from _aligned(own, list(groups.values()), interface.mtu or 1420)

    def course(self, cookie: int, way: str, port: int) -> dict[Place, list[Part]]:
        """Where the packet of one way came by, with its fragments."""
        found: dict[Place, list[Part]] = defaultdict(list)
        first = min((s.at for s in self._marked[cookie]), default=0)
        own = [s for s in self._marked[cookie] if classify(s.packet, cookie, port) == way]
        begun = min((s.at for s in own), default=first)
        whole = [s for s in own if s.at < begun + AGAIN_NS]
        parts = [s for key in {ident(s.packet) for s in whole} for s in self._later[key]]
        plain = list({id(s): s for s in (*whole, *parts) if not s.copy}.values())
        for seen in plain:
            layer = "packet" if seen.inner is None else "vxlan"
            found[Place(seen.node, seen.interface, seen.out, layer)].append(
                part(seen.packet, seen.data)
            )
        for seen in plain:
            if (key := self._encrypted.get(id(seen))) is not None:
                later = bool(start(seen.packet))
                for hidden in self._hidden_parts(key):
                    place = Place(hidden.node, hidden.interface, hidden.out, "wireguard")
                    one = part(hidden.data, hidden.data)
                    # What carries a later fragment is told apart by beginning far behind.
                    moved = Part(
                        one.start + later * 10**6, one.end + later * 10**6, one.last, one.ttl
                    )
                    found[place].append(moved)
        return dict(found)

    def _hidden_parts(self, key: bytes) -> list[Seen]:
        whole = self._hidden[key]
        idents = {ident(s.data) for s in whole}
        found = (*whole, *(s for one in idents for s in self._later[one]))
        return [s for s in found if not s.copy]

    def error_from(self, cookie: int, port: int) -> set[str]:
        """The nodes that have sent an ICMP error about the request."""
        return {
            s.node
            for s in self._marked[cookie]
            if s.out and s.inner is None and classify(s.packet, cookie, port) == "error"
        }


def _aligned(
    entered: Sequence[Seen], groups: Sequence[dict[bytes, Seen]], mtu: int
) -> Iterator[tuple[int, bytes]]:
    """What went in, and what came out of it: two series of sizes, of which some may lack."""
    sizes = [_padded(len_of(seen.data), mtu) for seen in entered]
    best: list[tuple[int, bytes]] = []
    for group in groups:
        keys = sorted(group, key=lambda key: (group[key].at, key[:4], struct.unpack("<Q", key[4:])))
        others = [short(group[key].data, 24) - KEEPALIVE for key in keys]
        kept = [(key, size) for key, size in zip(keys, others, strict=True) if size > 0]
        matcher = SequenceMatcher(None, sizes, [size for _, size in kept], autojunk=False)
        pairs = [
            (id(entered[a + step]), kept[b + step][0])
            for a, b, length in matcher.get_matching_blocks()
            for step in range(length)
        ]
        best = max(best, pairs, key=len)
    yield from best


def _padded(length: int, mtu: int) -> int:
    return max(length, min(-(-length // 16) * 16, mtu))


def _to(seen: Seen) -> object:
    return ip_address(seen.data[16:20])


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _behind_ethernet(data: bytes) -> bytes | None:
    at = 12
    while short(data, at) in VLANS:
        at += 4
    return data[at + 2 :] if short(data, at) in {0x0800, 0x86DD} else None


def short(data: bytes, at: int) -> int:
    """16 bits."""
    return int.from_bytes(data[at : at + 2], "big")


def is_data(ip: bytes) -> bool:
    """Whether it is, or begins, a data packet of some WireGuard's."""
    return ip[:1] == b"\x45" and ip[9] == 17 and ip[28:32] == b"\4\0\0\0" and len(ip) >= 44


def start(ip: bytes) -> int:
    """Where in its packet's payload a fragment begins."""
    if ip[0] >> 4 == 4:
        return (short(ip, 6) & 0x1FFF) * 8
    return short(ip, 42) & 0xFFF8 if ip[6] == 44 else 0


def ident(ip: bytes) -> bytes:
    """What the fragments of a packet have in common."""
    if ip[0] >> 4 == 4:
        return ip[4:6] + ip[9:10] + ip[12:20]
    return ip[8:40] + (ip[44:48] if ip[6] == 44 else b"")


def len_of(ip: bytes) -> int:
    """The length of an IP packet by its header."""
    return short(ip, 2) if ip[0] >> 4 == 4 else short(ip, 4) + 40


def part(ip: bytes, outer: bytes) -> Part:
    """Which part of its packet it is; the time to live is the outermost header's."""
    four = ip[0] >> 4 == 4
    more = short(ip, 6) & 0x2000 if four else (short(ip, 42) & 1 if ip[6] == 44 else 0)
    header = 20 if four else 48 if ip[6] == 44 else 40
    ttl = outer[8] if outer[0] >> 4 == 4 else outer[7]
    return Part(start(ip), start(ip) + len_of(ip) - header, not more, ttl)


def covers(parts: Iterable[Part]) -> bool:
    """Whether nothing of the packet is missing among its parts."""
    for base in (0, 10**6):
        own = sorted((p for p in parts if (p.start >= 10**6) == bool(base)), key=lambda p: p.start)
        end, last = base, not own and bool(base)
        for one in own:
            if one.start > end:
                return False
            end, last = max(end, one.end), last or one.last
        if not last:
            return False
    return True


def classify(ip: bytes, cookie: int, port: int) -> str:
    """Request, answer, error (about the request) or answer-error, by Scapy's reading."""
    if start(ip):
        return ""
    packet = IPv6(ip) if ip[0] >> 4 == 6 else IP(ip)
    number = packet.nh if ip[0] >> 4 == 6 else packet.proto
    body = bytes(packet.payload)
    if number == 44:
        number, body = body[0], body[8:]
    errors = {1: {3, 11, 12}, 58: {1, 2, 3, 4}}
    if body[:1] and body[0] in errors.get(number, ()):
        about = classify(body[8:], cookie, port) if len(body) > 36 else ""
        return {"request": "error", "answer": "answer-error"}.get(about, "")
    if number == 17 and body[8:12] == cookie.to_bytes(4, "big"):
        return "request" if short(body, 2) == port else "answer"
    if number == 6 and len(body) < 14:  # quoted in an error
        body = body.ljust(14, b"\2")
    return kind(number, body, cookie) if number in {1, 6, 58} else ""
