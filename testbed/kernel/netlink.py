"""Netlink by hand: packing, one send for many messages, dumps.

A general netlink library spends ten times as long on encoding as the kernel
does on the work, so the few messages that are needed are packed directly.
Whoever opens a `NetlinkSocket` does it inside the network namespace that it
is for; it stays bound to that one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from testbed.kernel.namespace import out_of_the_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROUTE = 0
GENERIC = 16

F_REQUEST, F_ACK, F_DUMP = 0x1, 0x4, 0x300
F_REPLACE, F_EXCL, F_CREATE = 0x100, 0x200, 0x400

_F_DUMP_INTERRUPTED = 0x10
_F_CAPPED, _F_ACK_TLVS = 0x100, 0x200
_ERROR, _DONE = 2, 3
_EXTENDED_ACK_MESSAGE = 1
_SOL_NETLINK = 270
_OPTION_ADD_MEMBERSHIP = 1
_OPTION_CAP_ACK, _OPTION_EXT_ACK, _OPTION_STRICT = 10, 11, 12
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_BUFFER = 8 << 20
_RECEIVE = 1 << 16  # the kernel puts at most 32 KiB into a packet of a dump
_TRUNCATED = int(socket.MSG_TRUNC)
_CHUNK_BYTES, _CHUNK_MESSAGES = 192 * 1024, 1000
_CHUNK_MESSAGES_UNPRIVILEGED = 250  # whose refusals fit into 400 KB, twice net.core.rmem_max
_SMALL_MESSAGES = 32  # the answers to so many fit into a socket as it comes

_SIOCGSKNS = 0x894C  # the namespace of a socket, as a descriptor

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_U16, _U32, _I32 = struct.Struct("=H"), struct.Struct("=I"), struct.Struct("=i")
_U64 = struct.Struct("=Q")
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")
_U8_ATTRIBUTE, _U16_ATTRIBUTE = struct.Struct("=HHBxxx"), struct.Struct("=HHHxx")
_U32_ATTRIBUTE = struct.Struct("=HHI")


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded."""
    size = len(payload)
    return _ATTRIBUTE.pack(size + 4, kind) + payload + _PAD[size & 3]


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return _U8_ATTRIBUTE.pack(5, kind, value)


def u16(kind: int, value: int) -> bytes:
    """An attribute of 16 bits."""
    return _U16_ATTRIBUTE.pack(6, kind, value)


def u32(kind: int, value: int) -> bytes:
    """An attribute of 32 bits."""
    return _U32_ATTRIBUTE.pack(8, kind, value)


def u64(kind: int, value: int) -> bytes:
    """An attribute of 64 bits."""
    return attribute(kind, _U64.pack(value))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a string with its terminating zero."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *members: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(members))


def attribute_list(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data` from `offset` on, types without their flags."""
    end = len(data)
    while offset + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < 4:
            return
        yield kind & _TYPE_MASK, data[offset + 4 : offset + size]
        offset += (size + 3) & ~3


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes in `data` by type; of a repeated type the last one."""
    return dict(attribute_list(data, offset))


def to_u16(data: bytes) -> int:
    """A 16-bit attribute's value."""
    return int(_U16.unpack_from(data)[0])


def to_u32(data: bytes) -> int:
    """A 32-bit attribute's value."""
    return int(_U32.unpack_from(data)[0])


def to_u64(data: bytes) -> int:
    """A 64-bit attribute's value."""
    return int(_U64.unpack_from(data)[0])


def to_text(data: bytes) -> str:
    """A string attribute's value."""
    return data.rstrip(b"\0").decode(errors="replace")


class Message(NamedTuple):
    """A request without its header: message type, NLM_F_ flags, payload."""

    kind: int
    flags: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """The kernel's refusal of the batch's message number `index`."""

    index: int
    errno: int
    text: str

    def __str__(self) -> str:
        reason = os.strerror(self.errno)
        return f"{reason} ({self.text})" if self.text else reason


class NetlinkSocket:
    """A netlink socket of the network namespace that the thread is in when it is made."""

    def __init__(self, protocol: int = ROUTE) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )
        self._sequence = 0
        self._roomy = False
        self._most = _CHUNK_MESSAGES
        self._strict = False
        for option in (_OPTION_CAP_ACK, _OPTION_EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def _make_room(self) -> None:
        """Let many messages and refusals into the socket."""
        self._roomy = True
        for forced, option in (
            (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
            (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
        ):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, forced, _BUFFER)
            except OSError:  # not root of the machine: as much room as the system gives anybody
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
                self._most = _CHUNK_MESSAGES_UNPRIVILEGED

    def keep(self) -> None:
        """Make room for others, as a socket that stays open."""
        kind, protocol = self._socket.type, self._socket.proto
        descriptor = out_of_the_way(self._socket.detach())
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol, descriptor)

    def namespace(self) -> int:
        """A descriptor of the namespace that the socket is in."""
        return fcntl.ioctl(self._socket, _SIOCGSKNS)

    def subscribe(self, *groups: int) -> None:
        """Be sent the notifications of these groups (RTNLGRP_…) from now on."""
        self._make_room()
        self._socket.bind((0, 0))  # without an address of its own it gets what it sends, no more
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _OPTION_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def notifications(self) -> Iterator[tuple[int, bytes]]:
        """Type and payload of what has been sent to the groups since the last call.

        Raises OSError ENOBUFS when some of it got lost.
        """
        while True:
            try:
                data = self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            for kind, _, _, body in _split(data):
                yield kind, body

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, messages: Sequence[Message]) -> list[Failure]:
        """Send all messages, in as few packets as possible; what the kernel refused.

        A refused message does not stop the ones after it.
        """
        if len(messages) > _SMALL_MESSAGES and not self._roomy:
            self._make_room()
        failures: list[Failure] = []
        start = 0
        while start < len(messages):
            start = self._send_chunk(messages, start, failures)
        return failures

    def _send_chunk(self, messages: Sequence[Message], start: int, failures: list[Failure]) -> int:
        base = self._sequence + 1
        parts: list[bytes] = []
        size = 0
        index = start
        last = min(len(messages), start + self._most)
        while index < last and size < _CHUNK_BYTES:
            kind, flags, body = messages[index]
            index += 1
            length = 16 + len(body)
            final = F_ACK if index == last or size + length >= _CHUNK_BYTES else 0
            sequence = base + index - 1 - start
            parts.append(_HEADER.pack(length, kind, flags | F_REQUEST | final, sequence, 0))
            parts.append(body)
            size += length
        self._sequence = base + index - 1 - start
        self._socket.send(b"".join(parts))
        self._collect(base, start, failures)
        return index

    def _collect(self, base: int, start: int, failures: list[Failure]) -> None:
        """Read answers up to the acknowledgement of the last message."""
        while True:
            data = self._receive()
            for kind, flags, sequence, body in _split(data):
                if kind != _ERROR:
                    continue
                number, message = _error(flags, body)
                if number and sequence >= base:
                    failures.append(Failure(start + sequence - base, number, message))
                if sequence == self._sequence:
                    return

    def request(self, message: Message) -> list[tuple[int, bytes]]:
        """One request and its answers (type, payload), which may be a dump's.

        Raises OSError with the kernel's error.
        """
        for _ in range(10):
            answers, complete = self._request_once(message)
            if complete:
                break
        return answers

    def _request_once(self, message: Message) -> tuple[list[tuple[int, bytes]], bool]:
        self._sequence += 1
        kind, flags, body = message
        dump = flags & F_DUMP == F_DUMP
        if dump and not self._strict:  # what a dump asks for is ignored otherwise
            self._strict = True
            self._socket.setsockopt(_SOL_NETLINK, _OPTION_STRICT, 1)
        flags |= F_REQUEST if dump else F_REQUEST | F_ACK
        header = _HEADER.pack(16 + len(body), kind, flags, self._sequence, 0)
        self._socket.send(header + body)
        answers: list[tuple[int, bytes]] = []
        complete = True
        while True:
            for kind, flags, sequence, body in _split(self._receive()):
                if sequence != self._sequence:
                    continue
                complete = complete and not flags & _F_DUMP_INTERRUPTED
                if kind == _DONE:
                    return answers, complete
                if kind == _ERROR:
                    number, reason = _error(flags, body)
                    if number:
                        raise OSError(number, reason or os.strerror(number))
                    return answers, complete
                answers.append((kind, body))

    def _receive(self) -> bytes:
        while True:
            data, _, flags, _ = self._socket.recvmsg(_RECEIVE)
            if flags & _TRUNCATED:
                raise OSError(errno.EMSGSIZE, "netlink answer too long")
            return data


def _split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence number and payload of each message of a packet."""
    offset, end = 0, len(data)
    while offset + 16 <= end:
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if size < 16:
            return
        yield kind, flags, sequence, data[offset + 16 : offset + size]
        offset += (size + 3) & ~3


def _error(flags: int, body: bytes) -> tuple[int, str]:
    """Error number (0: acknowledgement) and the kernel's own words of an NLMSG_ERROR."""
    number = -_I32.unpack_from(body)[0]
    if not flags & _F_ACK_TLVS:
        return number, ""
    skip = 4 + 16
    if not flags & _F_CAPPED:
        skip = 4 + ((_U32.unpack_from(body, 4)[0] + 3) & ~3)
    message = attributes(body, skip).get(_EXTENDED_ACK_MESSAGE, b"")
    return number, to_text(message)


_CTRL_FAMILY, _CTRL_GET = 16, 3
_CTRL_ATTR_ID, _CTRL_ATTR_NAME = 1, 2
_families: dict[str, int] = {}


def generic_header(command: int, version: int = 1) -> bytes:
    """The header of a generic netlink message."""
    return struct.pack("=BBH", command, version, 0)


def generic_family(generic: NetlinkSocket, name: str) -> int:
    """The message type of a generic netlink family; OSError ENOENT when the kernel lacks it."""
    if name not in _families:
        body = generic_header(_CTRL_GET) + text(_CTRL_ATTR_NAME, name)
        answers = generic.request(Message(_CTRL_FAMILY, 0, body))
        _families[name] = to_u16(attributes(answers[0][1], 4)[_CTRL_ATTR_ID])
    return _families[name]
