"""How BGP sessions begin and end on the wire (RFC 4271): OPEN and NOTIFICATION."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

PORT = 179
MARKER = b"\xff" * 16
HEADER = 19
LONGEST = 65535  # RFC 8654
OPEN, NOTIFICATION = 1, 3
CAPABILITIES, FOUR_OCTETS = 2, 65

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


Message = Open | Notification


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


def listen(packets: Iterable[Any]) -> Heard:
    """The BGP messages in captured packets; what cannot be read as BGP is left out."""
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
