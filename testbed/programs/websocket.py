"""WebSockets (RFC 6455): the opening handshake, and text messages in frames. No extensions."""

from __future__ import annotations

import base64
import hashlib
import os
import struct

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE = 0x1, 0x8
FINAL, MASKED = 0x80, 0x80
LONGEST = 4 << 20  # bytes of a message


class BrokenError(ConnectionError):
    """What came is no message of the protocol, or the other end has closed."""


def request(host: str, path: str) -> bytes:
    """Return the client's opening handshake."""
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()


def accepted(key: str) -> bytes:
    """Return the server's answer to an opening handshake with this Sec-WebSocket-Key."""
    digest = hashlib.sha1((key + MAGIC).encode(), usedforsecurity=False).digest()
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return f"{head}Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n".encode()


def frame(text: str, *, masked: bool) -> bytes:
    """Return a message as one frame; what a client sends is masked."""
    payload = text.encode()
    size = len(payload)
    mask_bit = MASKED if masked else 0
    if size < 126:
        head = struct.pack("!BB", FINAL | TEXT, mask_bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", FINAL | TEXT, mask_bit | 126, size)
    else:
        head = struct.pack("!BBQ", FINAL | TEXT, mask_bit | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + _masked(payload, mask)


def messages(inbox: bytes) -> tuple[list[str], bytes]:
    """Return the whole messages in what has come, and the rest. Raises BrokenError."""
    found: list[str] = []
    while (taken := _one(inbox)) is not None:
        opcode, payload, inbox = taken
        if opcode == CLOSE:
            raise BrokenError("the other end has closed")
        if opcode == TEXT:
            try:
                found.append(payload.decode())
            except UnicodeDecodeError as error:
                raise BrokenError("a message that is no text") from error
    return found, inbox


def _one(inbox: bytes) -> tuple[int, bytes, bytes] | None:
    if len(inbox) < 2:
        return None
    size, at = inbox[1] & 0x7F, 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(inbox) < at + width:
            return None
        size, at = int.from_bytes(inbox[at : at + width], "big"), at + width
    if size > LONGEST or not inbox[0] & FINAL:
        raise BrokenError("a message that is too long")
    mask = b""
    if inbox[1] & MASKED:
        mask, at = inbox[at : at + 4], at + 4
    if len(inbox) < at + size:
        return None
    payload = inbox[at : at + size]
    return inbox[0] & 0x0F, _masked(payload, mask) if mask else payload, inbox[at + size :]


def _masked(payload: bytes, mask: bytes) -> bytes:
    whole = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
    return number.to_bytes(len(payload), "big")
