"""Which of what a tap saw belongs to a trace: the marked packet and all that may hide it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from testbed.kernel import tap_filter as tap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.kernel.tap import Sight

WIREGUARD_OVERHEAD = 60  # outer IPv4 and UDP headers, WireGuard's own 32 bytes
IP = (tap.ETH_P_IP, tap.ETH_P_IPV6)


def addresses(sight: Sight) -> tuple[str, str]:
    """Source and destination in the IP header."""
    if sight.protocol == tap.ETH_P_IPV6:
        family, at, size = socket.AF_INET6, 8, 16
    else:
        family, at, size = socket.AF_INET, 12, 4
    one, other = (sight.data[o : o + size] for o in (at, at + size))
    return socket.inet_ntop(family, one), socket.inet_ntop(family, other)


def is_later(sight: Sight) -> bool:
    """Whether it is a fragment after the first one."""
    if sight.protocol == tap.ETH_P_IPV6:
        fragment = sight.data[6:7] == bytes([tap.FRAGMENT])
        return fragment and _half(sight.data, tap.AT_OFFSET6) & tap.LATER[1] != 0
    return sight.protocol == tap.ETH_P_IP and _half(sight.data, tap.AT_OFFSET) & tap.LATER[0] != 0


def _half(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _key(data: bytes) -> bytes:
    """What the fragments of an IPv4 packet have in common (RFC 791)."""
    return data[12:20] + data[4:6] + data[9:10]


def _is_wireguard(sight: Sight) -> bool:
    word = int.from_bytes(sight.data[tap.PAYLOAD : tap.PAYLOAD + 4], "big")
    udp = sight.protocol == tap.ETH_P_IP and sight.data[9:10] == bytes([tap.UDP])
    return udp and not is_later(sight) and word == tap.WIREGUARD_DATA


def is_plain(sight: Sight) -> bool:
    """Whether the packet shows its mark.

    WireGuard's packets and later fragments of others come at any time.
    """
    return not (_is_wireguard(sight) or is_later(sight))


def whole_length(sight: Sight) -> int:
    """The IP length of a packet of WireGuard's; of its first fragment, what the whole one had."""
    return tap.IP_HEADER + _half(sight.data, tap.IP_HEADER + 4)


def select(watched: Sequence[Sequence[Sight]]) -> list[list[Sight]]:
    """Of what each namespace has seen, what may be the probe's.

    All that shows the mark; the fragments of these packets; packets of
    WireGuard's of a size that one of those gets, and their fragments.
    """
    sights = [sight for some in watched for sight in some]
    plain = [sight for sight in sights if is_plain(sight)]
    keys = {_key(sight.data) for sight in plain if sight.protocol == tap.ETH_P_IP}
    parts = [
        sight
        for sight in sights
        if is_later(sight) and (sight.protocol != tap.ETH_P_IP or _key(sight.data) in keys)
    ]
    lengths = {length for sight in (*plain, *parts) for length in _encrypted_lengths(sight.length)}
    hidden = [s for s in sights if _is_wireguard(s) and whole_length(s) in lengths]
    keys |= {_key(sight.data) for sight in hidden}
    found = {id(sight) for sight in (*plain, *parts, *hidden)}
    return [
        [s for s in some if id(s) in found or (is_later(s) and _key(s.data) in keys)]
        for some in watched
    ]


def _encrypted_lengths(length: int) -> set[int]:
    """The IP length of what WireGuard makes of a packet: padded to 16 bytes unless the MTU ends."""
    return {WIREGUARD_OVERHEAD + length, WIREGUARD_OVERHEAD + -(-length // 16) * 16}
