"""WireGuard's generic netlink family: set a device, read its peers."""

from __future__ import annotations

import base64
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.kernel.messages import split_prefix
from testbed.kernel.netlink import (
    F_DUMP,
    GENERIC,
    Message,
    NetlinkSocket,
    attribute,
    attribute_list,
    attributes,
    generic_family,
    generic_header,
    nested,
    text,
    to_u16,
    to_u64,
    u8,
    u16,
    u32,
)

if TYPE_CHECKING:
    from testbed.plan.model import WireGuard, WireGuardPeer

_FAMILY = "wireguard"
_GET, _SET = 0, 1
_REPLACE_PEERS = 1
_REPLACE_ALLOWED = 2
_DEVICE_NAME, _DEVICE_PRIVATE, _DEVICE_FLAGS, _DEVICE_PORT, _DEVICE_PEERS = 2, 3, 5, 6, 8
_PEER_PUBLIC, _PEER_FLAGS, _PEER_ENDPOINT, _PEER_KEEPALIVE = 1, 3, 4, 5
_PEER_HANDSHAKE, _PEER_RX, _PEER_TX, _PEER_ALLOWED = 6, 7, 8, 9
_PEERS_PER_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class PeerState:
    """A peer as the kernel sees it.

    `handshake` is when the last one was, in seconds since 1970; 0: never.
    """

    public_key: str
    endpoint: str | None
    handshake: float
    rx_bytes: int
    tx_bytes: int


def configure(name: str, device: WireGuard) -> None:
    """Give the device of this namespace its key, port and exactly these peers.

    Raises OSError with the kernel's error.
    """
    with NetlinkSocket(GENERIC) as generic:
        family = generic_family(generic, _FAMILY)
        peers = list(device.peers)
        settings = (
            u32(_DEVICE_FLAGS, _REPLACE_PEERS)
            + attribute(_DEVICE_PRIVATE, base64.b64decode(device.private_key))
            + u16(_DEVICE_PORT, device.listen_port)
        )
        while True:
            some, peers = peers[:_PEERS_PER_MESSAGE], peers[_PEERS_PER_MESSAGE:]
            body = generic_header(_SET) + text(_DEVICE_NAME, name) + settings
            body += nested(_DEVICE_PEERS, *(nested(0, _peer(peer)) for peer in some))
            generic.request(Message(family, 0, body))
            settings = b""
            if not peers:
                return


def _peer(peer: WireGuardPeer) -> bytes:
    data = attribute(_PEER_PUBLIC, base64.b64decode(peer.public_key))
    data += u32(_PEER_FLAGS, _REPLACE_ALLOWED)
    if peer.endpoint is not None:
        host, _, port = peer.endpoint.rpartition(":")
        where = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port))
        data += attribute(_PEER_ENDPOINT, where + socket.inet_aton(host) + bytes(8))
    data += u16(_PEER_KEEPALIVE, peer.keepalive_s)
    allowed = []
    for prefix in peer.allowed_ips:
        packed, length = split_prefix(prefix)
        entry = u16(1, socket.AF_INET) + attribute(2, packed) + u8(3, length)
        allowed.append(nested(0, entry))
    return data + nested(_PEER_ALLOWED, *allowed)


def peers(name: str) -> dict[str, PeerState]:
    """The peers of the device of this namespace, by public key.

    Raises OSError ENODEV when there is no such device.
    """
    found: dict[str, PeerState] = {}
    with NetlinkSocket(GENERIC) as generic:
        family = generic_family(generic, _FAMILY)
        body = generic_header(_GET) + text(_DEVICE_NAME, name)
        for _, answer in generic.request(Message(family, F_DUMP, body)):
            for kind, value in attribute_list(answer, 4):
                if kind == _DEVICE_PEERS:
                    for _, peer in attribute_list(value):
                        state = _peer_state(attributes(peer))
                        found.setdefault(state.public_key, state)
    return found


def _peer_state(peer: dict[int, bytes]) -> PeerState:
    seconds, nanoseconds = struct.unpack("=qq", peer.get(_PEER_HANDSHAKE, bytes(16)))
    endpoint = None
    where = peer.get(_PEER_ENDPOINT, b"")
    if len(where) >= 8 and to_u16(where) == socket.AF_INET:
        port = struct.unpack_from("!H", where, 2)[0]
        endpoint = f"{socket.inet_ntoa(where[4:8])}:{port}"
    return PeerState(
        public_key=base64.b64encode(peer[_PEER_PUBLIC]).decode(),
        endpoint=endpoint,
        handshake=seconds + nanoseconds / 1e9,
        rx_bytes=to_u64(peer.get(_PEER_RX, bytes(8))),
        tx_bytes=to_u64(peer.get(_PEER_TX, bytes(8))),
    )
