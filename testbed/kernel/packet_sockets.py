"""Packet sockets, filtered in the kernel.

`open_socket` opens what captures read from, one for each interface.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from testbed.errors import HostError, NetworkError

Instruction = tuple[int, int, int, int]  # of a classic BPF program: code, jt, jf, k

_ETH_P_ALL = 3
_SIOCGIFHWADDR = 0x8927
_ARPHRD_ETHER, _ARPHRD_LOOPBACK, _ARPHRD_NONE = 1, 772, 65534
_LINK_TYPES = {_ARPHRD_ETHER: 1, _ARPHRD_LOOPBACK: 1, _ARPHRD_NONE: 101}  # pcap's numbers
SOL_PACKET, PACKET_AUXDATA = 263, 8
SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE, _SO_ATTACH_FILTER = 33, 26
_INSTRUCTION = struct.Struct("=HBBI")


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class PacketSocket:
    """An open socket: the caller closes `descriptor`. `link_type` is a number of pcap's."""

    descriptor: int
    link_type: int
    loopback: bool


def open_socket(
    node: str,
    interface: str,
    filters: Mapping[int, Sequence[Instruction]],
    buffer_bytes: int,
) -> PacketSocket:
    """Receive from an interface of the thread's namespace, from now on.

    `filters` are BPF programs by link type; without one everything passes.
    Raises NetworkError when the node has no such interface.
    """
    with contextlib.ExitStack() as stack:
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError:
            raise HostError(f"{node}: no right to capture packets") from None
        stack.callback(sock.close)
        kind = _hardware_type(sock, node, interface)
        link_type = _LINK_TYPES.get(kind)
        if link_type is None:
            raise HostError(f"{node}:{interface}: no capture of hardware type {kind}")
        if program := filters.get(link_type):
            attach(sock, program)
        prepare(sock, buffer_bytes)
        sock.bind((interface, _ETH_P_ALL))  # now it receives
        stack.pop_all()
    return PacketSocket(sock.detach(), link_type, kind == _ARPHRD_LOOPBACK)


def _hardware_type(sock: socket.socket, node: str, interface: str) -> int:
    """The interface's ARPHRD number."""
    try:
        request = struct.pack("16sH14x", interface.encode()[:15], 0)
        answer = fcntl.ioctl(sock, _SIOCGIFHWADDR, request)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        raise NetworkError(
            f"{node} has no interface {interface} now", hint=f"see `testbed inspect {node}`"
        ) from None
    return int(struct.unpack_from("H", answer, 16)[0])


def attach(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """Have the kernel hand over only what the BPF program accepts."""
    code = b"".join(_INSTRUCTION.pack(*entry) for entry in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = _Program(len(program), ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(head))


def prepare(sock: socket.socket, buffer_bytes: int) -> None:
    """Have each packet come with its VLAN tag and time; give those that wait room."""
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
    except OSError:  # not root of the machine: as much as the system gives anybody
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
