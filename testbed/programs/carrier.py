"""`testbed-carrier`: passes the carrier of a port on to the ports behind it.

A bridge does not do that. It runs in a Direct Connect location: where the customer's
port has no carrier, the routers that its virtual interfaces end in lose theirs, too, at
once, not when a hold timer runs out.
"""

from __future__ import annotations

import fcntl
import socket
import struct

GET_FLAGS, SET_FLAGS = 0x8913, 0x8914  # SIOCGIFFLAGS, SIOCSIFFLAGS (netdevice(7))
UP, RUNNING = 0x1, 0x40
LINKS = 1  # RTMGRP_LINK (rtnetlink(7))
REQUEST = struct.Struct("16sh14x")  # struct ifreq with its flags


def flags_of(control: socket.socket, interface: str) -> int | None:
    """An interface's flags; None when there is no such interface."""
    try:
        answer = fcntl.ioctl(control, GET_FLAGS, REQUEST.pack(interface.encode(), 0))
    except OSError:
        return None
    return int(REQUEST.unpack(answer)[1])


def set_up(control: socket.socket, interface: str, *, up: bool) -> None:
    """Set an interface up or down, if it is there and is not so already."""
    flags = flags_of(control, interface)
    if flags is not None and bool(flags & UP) != up:
        request = REQUEST.pack(interface.encode(), flags & ~UP | (UP if up else 0))
        fcntl.ioctl(control, SET_FLAGS, request)


def follow(control: socket.socket, port: str, behind: list[str], taken: set[str]) -> None:
    """Let the ports `behind` be up while `port` has a carrier; `taken` are those set down here."""
    flags = flags_of(control, port)
    works = flags is not None and flags & (UP | RUNNING) == UP | RUNNING
    for interface in behind:
        own = flags_of(control, interface)
        if works and interface in taken:
            taken.discard(interface)
            set_up(control, interface, up=True)
        elif not works and own is not None and own & UP:
            taken.add(interface)
            set_up(control, interface, up=False)


def main(argv: list[str]) -> None:
    """`testbed-carrier PORT BEHIND…`."""
    port, *behind = argv
    taken: set[str] = set()
    with (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as changes,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
    ):
        changes.bind((0, LINKS))
        while True:
            follow(control, port, behind, taken)
            try:
                changes.recv(65536)
            except OSError:  # more at once than the socket holds: look again
                continue
