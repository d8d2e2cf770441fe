"""BGP as it is on the wire (RFC 4271): the messages that captured packets carry.

Scapy has to be told for the whole process how long AS numbers are; here it
follows from each attribute's own length, so that a session of any peer can be
read without having seen its OPEN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

PORT = 179
MARKER = b"\xff" * 16
HEADER = 19
LONGEST = 65535  # RFC 8654
OPEN, UPDATE, NOTIFICATION, ROUTE_REFRESH = 1, 2, 3, 5
AS_PATH = 2
EXTENDED_LENGTH = 0x10
CAPABILITIES, FOUR_OCTETS = 2, 65
END_OF_REFRESH = 2  # RFC 7313

ERRORS = {1: "message header error", 2: "OPEN message error", 3: "UPDATE message error"}
ERRORS |= {4: "hold timer expired", 5: "finite state machine error", 6: "cease"}
SUBCODES = {
    (2, 1): "unsupported version number",
    (2, 2): "bad peer AS",
    (2, 3): "bad BGP identifier",
    (2, 4): "unsupported optional parameter",
    (2, 6): "unacceptable hold time",
    (2, 7): "unsupported capability",
    (6, 1): "maximum number of prefixes reached",
    (6, 2): "administrative shutdown",
    (6, 3): "peer de-configured",
    (6, 4): "administrative reset",
    (6, 5): "connection rejected",
    (6, 6): "other configuration change",
    (6, 7): "connection collision resolution",
}
BAD_PEER_AS = (2, 2)
CEASE = 6


@dataclass(frozen=True, slots=True)
class Open:
    """An OPEN message: the AS that the speaker says it has."""

    asn: int
    hold_s: int
    identifier: IPv4Address


@dataclass(frozen=True, slots=True)
class Notification:
    """A NOTIFICATION: why the speaker ends the session."""

    code: int
    subcode: int

    def __str__(self) -> str:
        words = ERRORS.get(self.code, f"error {self.code}")
        more = SUBCODES.get((self.code, self.subcode), f"subcode {self.subcode}")
        return f"NOTIFICATION {words}, {more}" if self.subcode else f"NOTIFICATION {words}"


@dataclass(frozen=True, slots=True)
class Update:
    """An UPDATE: IPv4 prefixes that are withdrawn, and those announced with one AS path."""

    withdrawn: tuple[IPv4Network, ...] = ()
    announced: tuple[IPv4Network, ...] = ()
    as_path: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EndOfRefresh:
    """The end of what a ROUTE-REFRESH has asked for (RFC 7313)."""


Message = Open | Notification | Update | EndOfRefresh


@dataclass(slots=True)
class Heard:
    """What both ends of a session have said, by the address of who said it."""

    by: dict[str, list[Message]] = field(default_factory=dict)

    def of(self, address: object) -> list[Message]:
        """The messages that came from an address, in their order."""
        return self.by.get(str(address), [])

    def opens(self, address: object) -> list[Open]:
        """Its OPEN messages."""
        return [message for message in self.of(address) if isinstance(message, Open)]

    def notifications(self, address: object) -> list[Notification]:
        """Its NOTIFICATIONs."""
        return [message for message in self.of(address) if isinstance(message, Notification)]

    def refused(self, *ends: object) -> bool:
        """Whether one of the ends has refused a session for an error, not by a cease."""
        return any(told.code != CEASE for end in ends for told in self.notifications(end))

    def routes(self, address: object) -> dict[IPv4Network, tuple[int, ...]]:
        """The prefixes that it announces, with their AS paths."""
        found: dict[IPv4Network, tuple[int, ...]] = {}
        for message in self.of(address):
            if isinstance(message, Update):
                for prefix in message.withdrawn:
                    found.pop(prefix, None)
                found |= dict.fromkeys(message.announced, message.as_path)
        return found

    def refreshed(self, address: object) -> bool:
        """Whether it has said that it has sent all its routes anew."""
        return any(isinstance(message, EndOfRefresh) for message in self.of(address))


def listen(packets: Iterable[Any]) -> Heard:
    """The BGP messages in captured packets; what can't be read as BGP is left out."""
    from scapy.layers.inet import IP, TCP  # noqa: PLC0415

    streams: dict[tuple[str, int, str, int], dict[int, bytes]] = {}
    for packet in packets:
        if IP in packet and TCP in packet and PORT in (packet[TCP].sport, packet[TCP].dport):
            ip, tcp = packet[IP], packet[TCP]
            length = ip.len - 4 * (ip.ihl + tcp.dataofs)  # without the padding of the frame
            if length > 0:
                key = (ip.src, tcp.sport, ip.dst, tcp.dport)
                segments = streams.setdefault(key, {})
                segments.setdefault(tcp.seq, bytes(tcp.payload)[:length])
    heard = Heard()
    for key, segments in streams.items():
        heard.by.setdefault(key[0], []).extend(messages(joined(segments)))
    return heard


def joined(segments: dict[int, bytes]) -> bytes:
    """The bytes of a TCP stream by their sequence numbers, what was sent twice once."""
    data, following = b"", None
    for seq in sorted(segments):
        skip = 0 if following is None else max(following - seq, 0)
        if skip < len(segments[seq]):
            data += segments[seq][skip:]
            following = seq + len(segments[seq])
    return data


def messages(data: bytes) -> Iterator[Message]:
    """The messages in a piece of a stream; the piece may begin and end within one."""
    start = data.find(MARKER)
    while start >= 0 and start + HEADER <= len(data):
        length = int.from_bytes(data[start + 16 : start + 18])
        body = data[start + HEADER : start + length]
        if not HEADER <= length <= LONGEST or len(body) < length - HEADER:
            start = data.find(MARKER, start + 1)
            continue
        if (message := _message(data[start + 18], body)) is not None:
            yield message
        start = data.find(MARKER, start + length)


def _message(kind: int, body: bytes) -> Message | None:
    try:
        if kind == OPEN:
            return _open(body)
        if kind == NOTIFICATION:
            return Notification(body[0], body[1])
        if kind == UPDATE:
            return _update(body)
        if kind == ROUTE_REFRESH and body[2] == END_OF_REFRESH:
            return EndOfRefresh()
    except (IndexError, ValueError):
        return None
    return None


def _open(body: bytes) -> Open:
    asn = int.from_bytes(body[1:3])
    for kind, value in _triples(body[10 : 10 + body[9]]):
        if kind == CAPABILITIES:
            for capability, content in _triples(value):
                if capability == FOUR_OCTETS and len(content) == 4:
                    asn = int.from_bytes(content)
    return Open(asn, int.from_bytes(body[3:5]), IPv4Address(body[5:9]))


def _triples(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each entry of a list of type, length of one byte, and value."""
    while len(data) >= 2:
        yield data[0], data[2 : 2 + data[1]]
        data = data[2 + data[1] :]


def _update(body: bytes) -> Update:
    end = 2 + int.from_bytes(body[:2])
    withdrawn = _prefixes(body[2:end])
    begin = end + 2
    end = begin + int.from_bytes(body[end : end + 2])
    path: tuple[int, ...] = ()
    attributes = body[begin:end]
    while attributes:
        extended = bool(attributes[0] & EXTENDED_LENGTH)
        at = 4 if extended else 3
        length = int.from_bytes(attributes[2:at])
        if attributes[1] == AS_PATH:
            path = as_path(attributes[at : at + length])
        attributes = attributes[at + length :]
    return Update(tuple(withdrawn), tuple(_prefixes(body[end:])), path)


def as_path(value: bytes) -> tuple[int, ...]:
    """The AS numbers of an AS_PATH attribute, of four bytes each or, if only that fits, of two."""
    for width in (4, 2):
        rest, path = value, []
        while len(rest) >= 2 and len(rest) >= 2 + width * rest[1]:
            numbers = rest[2 : 2 + width * rest[1]]
            path += [
                int.from_bytes(numbers[at : at + width]) for at in range(0, len(numbers), width)
            ]
            rest = rest[2 + width * rest[1] :]
            if rest and rest[0] not in {1, 2, 3, 4}:  # no type of a segment (RFC 4271, RFC 5065)
                break
        if not rest:
            return tuple(path)
    return ()


def _prefixes(data: bytes) -> list[IPv4Network]:
    found = []
    while data:
        size = (data[0] + 7) // 8
        address = data[1 : 1 + size].ljust(4, b"\0")
        found.append(IPv4Network((address, data[0]), strict=False))
        data = data[1 + size :]
    return found
