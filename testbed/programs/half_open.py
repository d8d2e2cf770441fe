"""`testbed-half-open`: asks whether a TCP port is open without opening a connection.

``testbed-half-open INTERFACE OWN ADDRESS PORT SECONDS`` sends a SYN from the address OWN and a port
that nothing uses, and prints what comes back: "open" (SYN and ACK), "refused" (RST), an ICMP
error in the kernel's words, or "timed out". This kernel knows no such connection and resets
it, so that what listens there is never told of it.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

SYN, RST, ACK = 0x02, 0x04, 0x10
AGAIN_S = 1.0  # the first retransmission of TCP (RFC 6298)
IP_RECVERR = 11
FURTHEST = 255  # the TTL that RFC 5082 asks for
LONGEST = 65535


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(own: str, to: str, sport: int, port: int, seq: int) -> bytes:
    """A SYN without options, as a TCP segment."""
    segment = struct.pack("!HHIIBBHHH", sport, port, seq, 0, 5 << 4, SYN, LONGEST, 0, 0)
    pseudo = socket.inet_aton(own) + socket.inet_aton(to) + struct.pack("!HH", 6, len(segment))
    code = struct.pack("!H", checksum(pseudo + segment))
    return segment[:16] + code + segment[18:]


def answer(packet: bytes, to: str, sport: int, port: int, seq: int) -> str:
    """What a packet says to the SYN; "" where it is no answer to it."""
    if len(packet) < 40 or socket.inet_ntoa(packet[12:16]) != to:
        return ""
    segment = packet[4 * (packet[0] & 15) :]
    source, dest, _, ack, _, flags = struct.unpack("!HHIIBB", segment[:14])
    if (source, dest) != (port, sport):
        return ""
    if flags & RST:
        return "refused"
    return "open" if flags & SYN and flags & ACK and ack == seq + 1 else ""


def ask(interface: str, own: str, to: str, port: int, seconds: float) -> str:
    """Send the SYN, again where nothing comes, and say what came."""
    kept = socket.socket()  # keeps the port from others; it neither listens nor connects
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    for sock in (kept, raw):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.bind((own, 0))
    raw.setsockopt(socket.SOL_IP, socket.IP_TTL, FURTHEST)
    raw.setsockopt(socket.SOL_IP, IP_RECVERR, 1)
    raw.connect((to, 0))
    sport = kept.getsockname()[1]
    seq = int(time.monotonic() * 1000) & 0x7FFFFFFF
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        raw.send(syn(own, to, sport, port, seq))
        again = time.monotonic() + min(AGAIN_S, left)
        while (wait := again - time.monotonic()) > 0:
            raw.settimeout(wait)
            try:
                said = answer(raw.recv(LONGEST), to, sport, port, seq)
            except TimeoutError:
                break
            if said:
                return said
    return "timed out"


def main(argv: list[str]) -> None:
    """`testbed-half-open INTERFACE OWN ADDRESS PORT SECONDS`."""
    interface, own, to, port, seconds = argv
    try:
        said = ask(interface, own, to, int(port), float(seconds))
    except OSError as error:
        said = error.strerror or str(error)
    sys.stdout.write(said)
