"""`testbed-send`: sends packets out of an interface as they are.

``testbed-send INTERFACE frames`` sends Ethernet frames, ``testbed-send INTERFACE packets``
IPv4 packets by the node's routes, ``testbed-send INTERFACE MAC`` IPv4 packets to an Ethernet
address (hexadecimal digits) without any route. Standard input has one packet a line, in
hexadecimal. What cannot be sent ends it with the kernel's reason and status 1.
"""

from __future__ import annotations

import socket
import sys

IPV4 = 0x0800


def send(interface: str, how: str, packets: list[bytes]) -> None:
    """Send each packet once."""
    if how == "packets":
        out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    else:
        kind = socket.SOCK_RAW if how == "frames" else socket.SOCK_DGRAM
        out = socket.socket(socket.AF_PACKET, kind)
    with out:
        if how == "frames":
            out.bind((interface, 0))
        for packet in packets:
            if how == "frames":
                out.send(packet)
            elif how == "packets":
                out.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
            else:
                out.sendto(packet, (interface, IPV4, 0, 0, bytes.fromhex(how)))


def main(argv: list[str]) -> None:
    """`testbed-send INTERFACE frames|packets|MAC`."""
    interface, how = argv
    try:
        send(interface, how, [bytes.fromhex(line) for line in sys.stdin])
    except OSError as error:
        sys.exit(error.strerror)
