"""ARP over Ethernet (RFC 826): what is asked, and the frames that answer and announce."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

REQUEST, REPLY = 1, 2
ETHERTYPE = 0x0806
EVERYBODY = b"\xff" * 6
_HEAD = struct.Struct("!6s6sH")
_BODY = struct.Struct("!HHBBH6s4s6s4s")
_KIND = (1, 0x0800, 6, 4)  # Ethernet, IPv4, and the lengths of their addresses


class Question(NamedTuple):
    """Who asks, by MAC and IPv4 address, and for which address."""

    mac: bytes
    address: bytes
    wanted: str


def question(frame: bytes, own: bytes) -> Question | None:
    """Return the question of an ARP request to everybody or to `own` MAC; None for other frames."""
    if len(frame) < _HEAD.size + _BODY.size:
        return None
    destination, _, ethertype = _HEAD.unpack_from(frame)
    *kind, operation, mac, address, _, wanted = _BODY.unpack_from(frame, _HEAD.size)
    if ethertype != ETHERTYPE or tuple(kind) != _KIND or operation != REQUEST:
        return None
    if destination not in (EVERYBODY, own):
        return None
    return Question(mac, address, socket.inet_ntoa(wanted))


def reply(own: bytes, asked: Question) -> bytes:
    """Return the frame that answers a question with `own` MAC address."""
    head = _HEAD.pack(asked.mac, own, ETHERTYPE)
    wanted = socket.inet_aton(asked.wanted)
    return head + _BODY.pack(*_KIND, REPLY, own, wanted, asked.mac, asked.address)


def gratuitous(own: bytes, address: str) -> tuple[bytes, bytes]:
    """Return the request and the reply that tell everybody who has an address.

    Some machines heed only the one, some only the other.
    """
    head = _HEAD.pack(EVERYBODY, own, ETHERTYPE)
    packed = socket.inet_aton(address)

    def frame(operation: int) -> bytes:
        return head + _BODY.pack(*_KIND, operation, own, packed, EVERYBODY, packed)

    return frame(REQUEST), frame(REPLY)
