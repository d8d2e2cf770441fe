"""Blocks of a pcapng file (draft-ietf-opsawg-pcapng), as far as a capture writes them.

Written here because no library names and describes its interfaces and says
where packets went: Scapy's writer knows names only, and both it and others
are slow to import in an emulated guest.
"""

from __future__ import annotations

import struct

ETHERNET, RAW_IP = 1, 101  # link types
INBOUND, OUTBOUND = 1, 2
SNAPLEN = 262144

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_COMMENT, _OS, _APPLICATION = 1, 3, 4  # options of a section
_NAME, _DESCRIPTION, _RESOLUTION, _FILTER = 2, 3, 9, 11  # of an interface
_FLAGS = 2  # of a packet
_STARTED, _ENDED, _RECEIVED, _DROPPED = 2, 3, 4, 5  # of statistics
_LONGEST = 65535
_NANOSECONDS = b"\x09"
_EMPTY = struct.pack("<HH", 0, 0)
_EPB = struct.Struct("<IIIIIII")


def _option(code: int, value: bytes) -> bytes:
    value = value[:_LONGEST]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _text(code: int, text: str) -> bytes:
    """A text option; none where the text is empty."""
    value = text.encode()[:_LONGEST].decode(errors="ignore").encode()
    return _option(code, value) if value else b""


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def section(*, comment: str = "", system: str = "", application: str = "") -> bytes:
    """The header that a file begins with."""
    options = _text(_COMMENT, comment) + _text(_OS, system) + _text(_APPLICATION, application)
    head = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(_SECTION, head + (options + _EMPTY if options else b""))


def interface(link_type: int, name: str, description: str = "", filtered: str = "") -> bytes:
    """An interface, with the pcap-filter(7) of its packets; they are numbered from 0."""
    options = _text(_NAME, name) + _text(_DESCRIPTION, description)
    options += _option(_RESOLUTION, _NANOSECONDS)
    if filtered:
        options += _option(_FILTER, b"\0" + filtered.encode())
    return _block(_INTERFACE, struct.pack("<HHI", link_type, 0, SNAPLEN) + options + _EMPTY)


def packet(number: int, ns: int, data: bytes, length: int, direction: int) -> bytes:
    """A packet of interface `number`, seen `ns` after 1970; `length` is its own, uncut."""
    room = len(data) + -len(data) % 4
    size = 44 + room  # with one option of 8 bytes, and the end of options
    head = _EPB.pack(_PACKET, size, number, ns >> 32, ns & 0xFFFFFFFF, len(data), length)
    flags = struct.pack("<HHIHHI", _FLAGS, 4, direction, 0, 0, size)
    return b"".join((head, data, bytes(room - len(data)), flags))


def statistics(number: int, started: int, ended: int, received: int, dropped: int) -> bytes:
    """How many packets interface `number` has received, and of those dropped for want of room."""
    options = b"".join(
        (
            _option(_STARTED, struct.pack("<II", started >> 32, started & 0xFFFFFFFF)),
            _option(_ENDED, struct.pack("<II", ended >> 32, ended & 0xFFFFFFFF)),
            _option(_RECEIVED, struct.pack("<Q", received)),
            _option(_DROPPED, struct.pack("<Q", dropped)),
        )
    )
    head = struct.pack("<III", number, ended >> 32, ended & 0xFFFFFFFF)
    return _block(_STATISTICS, head + options + _EMPTY)


def complete(data: bytes | bytearray) -> tuple[int, int]:
    """How many of the bytes at the start of a file are whole blocks, and how many packets."""
    end = packets = 0
    while end + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, end)
        if length < 12 or end + length > len(data):
            break
        end += length
        packets += kind == _PACKET
    return end, packets
