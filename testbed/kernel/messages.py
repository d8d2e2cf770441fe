"""The rtnetlink requests that build a plan: links, addresses, routes, rules, queueing.

Pure functions from the plan's objects and interface indexes to bytes. The
numbers are the kernel's (include/uapi/linux/{if_link,rtnetlink,fib_rules,
neighbour,pkt_sched}.h).
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache

from testbed.kernel.netlink import (
    F_CREATE,
    F_EXCL,
    F_REPLACE,
    Message,
    attribute,
    nested,
    text,
    u8,
    u16,
    u32,
    u64,
)
from testbed.plan.model import (
    Bond,
    Bridge,
    Interface,
    Neighbor,
    Netem,
    Route,
    Rule,
    Vlan,
    Vrf,
    Vxlan,
)

NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWRULE, DELRULE = 32, 33
NEWQDISC, DELQDISC, GETQDISC = 36, 37, 38

AF_UNSPEC, AF_INET, AF_INET6 = 0, socket.AF_INET, socket.AF_INET6
IFF_UP = 1
EXT_MASK_SKIP_STATS = 8

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK = 1, 3, 4, 5
IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 31, 32
IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD, IFLA_EXT_MASK = 10, 18, 28, 29
INFO_KIND, INFO_DATA = 1, 2
VETH_PEER = 1

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_RTMSG = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=HBBi")
_RULE = struct.Struct("=BBBBBBBBI")
_NDMSG = struct.Struct("=BxxxiHBB")
_TCMSG = struct.Struct("=BxxxiIII")
_NETEM = struct.Struct("=IIIIII")
_NETEM_REORDER = 3
_NETEM_RATE = struct.Struct("=IiIi")

_BOND_8023AD = 4
_BOND_LAYER34 = 1
_PROTOCOL_STATIC = 4
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE = 0, 253, 255
_ROUTE_TYPES = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
_RULE_ACTIONS = {"lookup": 1, "blackhole": 6, "unreachable": 7}
_PERMANENT, _NO_DETECTION = 0x80, 0x02
_TC_ROOT = 0xFFFFFFFF
_NETEM_HANDLE, PRIO_HANDLE, _BAND_HANDLE = 0x10000, 0x20000, 0x30000


@lru_cache(maxsize=4096)
def split_prefix(prefix: str) -> tuple[bytes, int]:
    """Packed address and length of "10.0.0.0/8"; without a length it is a host's."""
    address, _, length = prefix.partition("/")
    packed = pack_address(address)
    return packed, int(length or 8 * len(packed))


def pack_address(address: str) -> bytes:
    """An IPv4 or IPv6 address in network order."""
    return socket.inet_pton(family_of(address), address)


def family_of(address: str) -> int:
    """The address family of an address or prefix in text."""
    return AF_INET6 if ":" in address else AF_INET


def hardware_address(mac: str) -> bytes:
    """The six bytes of "02:00:00:00:00:01"."""
    return bytes.fromhex(mac.replace(":", ""))


def ifinfo(index: int, flags: int = 0, change: int = 0) -> bytes:
    """The fixed part of a link message."""
    return _IFINFO.pack(AF_UNSPEC, 0, index, flags, change)


# Links


# The kernel's default, a queue for each processor, only takes longer to make.
_ONE_QUEUE = u32(IFLA_NUM_TX_QUEUES, 1) + u32(IFLA_NUM_RX_QUEUES, 1)
_VETH = text(INFO_KIND, "veth")


def identity(interface: Interface) -> bytes:
    """A link's name, and what else it is to have from the start."""
    parts = [text(IFLA_IFNAME, interface.name)]
    if interface.mac is not None:
        parts.append(attribute(IFLA_ADDRESS, hardware_address(interface.mac)))
    if interface.mtu is not None:
        parts.append(u32(IFLA_MTU, interface.mtu))
    return b"".join(parts)


def create_veth(
    interface: Interface,
    index: int,
    peer: Interface,
    peer_index: int,
    peer_namespace: int,
    *,
    up: bool,
) -> Message:
    """A veth pair, both ends made in place; only this end can come up with it."""
    other = ifinfo(peer_index) + identity(peer) + _ONE_QUEUE
    other += u32(IFLA_NET_NS_FD, peer_namespace)
    flag = IFF_UP if up else 0
    body = (
        ifinfo(index, flag, flag)
        + identity(interface)
        + _ONE_QUEUE
        + nested(IFLA_LINKINFO, _VETH, nested(INFO_DATA, nested(VETH_PEER, other)))
    )
    return Message(NEWLINK, F_CREATE | F_EXCL, body)


def create_link(
    interface: Interface, index: int, *, parent: int | None = None, namespace: int | None = None
) -> Message:
    """Any other link, down; a VLAN on interface number `parent`.

    `namespace` is where it appears when that is not where the message is
    sent: WireGuard and VXLAN keep their UDP socket in the latter.
    """
    info = [text(INFO_KIND, interface.device.kind)]
    if data := _link_data(interface):
        info.append(nested(INFO_DATA, data))
    body = ifinfo(index) + identity(interface)
    if parent is not None:
        body += u32(IFLA_LINK, parent)
    if namespace is not None:
        body += u32(IFLA_NET_NS_FD, namespace)
    return Message(NEWLINK, F_CREATE | F_EXCL, body + nested(IFLA_LINKINFO, *info))


def _link_data(interface: Interface) -> bytes:
    device = interface.device
    if isinstance(device, Bond):
        return (
            u8(1, _BOND_8023AD) + u8(14, _BOND_LAYER34) + bond_settings(device) + lacp_rate(device)
        )
    if isinstance(device, Vlan):
        return u16(1, device.vid)
    if isinstance(device, Vrf):
        return u32(1, device.table)
    if isinstance(device, Bridge):
        return u32(5, 0) + bridge_settings(device, Bridge())  # no spanning tree
    if isinstance(device, Vxlan):
        return (
            u32(1, device.vni)
            + attribute(2, socket.inet_aton(device.remote))
            + attribute(4, socket.inet_aton(device.local))
            + u8(7, 0)  # no learning
            + attribute(15, struct.pack("!H", device.port))
            + attribute(23, b"")  # group policy: the packet's mark goes with it
        )
    return b""


def bond_settings(bond: Bond) -> bytes:
    """The settings of a bond that can change while it is up."""
    return u32(3, bond.miimon_ms) + u32(18, bond.min_links)


def lacp_rate(bond: Bond) -> bytes:
    """The LACP rate, which changes only while the bond is down."""
    return u8(21, 1 if bond.lacp_rate == "fast" else 0)


def bridge_settings(bridge: Bridge, before: object) -> bytes:
    """The settings of a bridge, which can change while it is up.

    Not every kernel can filter VLANs. Where it does, a port is in none by itself.
    """
    settings = u32(4, round(bridge.ageing_s * 100))
    if isinstance(before, Bridge) and before.vlan_filtering == bridge.vlan_filtering:
        return settings
    return settings + u16(39, 0) + u8(7, bridge.vlan_filtering)


def change_device(index: int, kind: str, data: bytes) -> Message:
    """Change settings of an existing bond or bridge."""
    info = nested(IFLA_LINKINFO, text(INFO_KIND, kind), nested(INFO_DATA, data))
    return Message(NEWLINK, 0, ifinfo(index) + info)


def set_link(index: int, *members: bytes) -> Message:
    """Change attributes of an existing link."""
    return Message(NEWLINK, 0, ifinfo(index) + b"".join(members))


def set_up(index: int, up: bool) -> Message:
    """Bring a link up or down."""
    return Message(NEWLINK, 0, ifinfo(index, IFF_UP if up else 0, IFF_UP))


def get_link(index: int) -> Message:
    """Ask for one link; this makes the kernel act on a change of its carrier at once."""
    return Message(GETLINK, 0, ifinfo(index) + u32(IFLA_EXT_MASK, EXT_MASK_SKIP_STATS))


def delete_link(index: int) -> Message:
    """Remove a link."""
    return Message(DELLINK, 0, ifinfo(index))


# Addresses, neighbours


def address(index: int, prefix: str, *, add: bool) -> Message:
    """Add or remove an address; an IPv6 one is there at once, without duplicate detection."""
    packed, length = split_prefix(prefix)
    family = family_of(prefix)
    flags = _NO_DETECTION if family == AF_INET6 else 0
    body = _IFADDR.pack(family, length, flags, 0, index)
    body += attribute(2, packed) + attribute(1, packed)
    return Message(NEWADDR, F_CREATE | F_REPLACE, body) if add else Message(DELADDR, 0, body)


def neighbor(index: int, entry: Neighbor, *, add: bool) -> Message:
    """Set or remove a permanent neighbour entry."""
    body = _NDMSG.pack(family_of(entry.address), index, _PERMANENT, 0, 0)
    body += attribute(1, pack_address(entry.address))
    if not add:
        return Message(DELNEIGH, 0, body)
    return Message(NEWNEIGH, F_CREATE | F_REPLACE, body + attribute(2, hardware_address(entry.mac)))


# Routes, rules


def set_route(route: Route, indexes: dict[str, int]) -> Message:
    """Add or replace a route; `indexes` are those of the node's interfaces."""
    gateways = route.via is not None or any(hop.via for hop in route.nexthops)
    on_link = route.type == "unicast" and not gateways
    body = _route(route, _SCOPE_LINK if on_link else _SCOPE_UNIVERSE)
    if route.via is not None:
        body += attribute(5, pack_address(route.via))
    if route.dev is not None:
        body += u32(4, indexes[route.dev])
    if route.source is not None:
        body += attribute(7, pack_address(route.source))
    if route.nexthops:
        hops = []
        for hop in route.nexthops:
            via = attribute(5, pack_address(hop.via)) if hop.via else b""
            hops.append(_NEXTHOP.pack(8 + len(via), 0, 0, indexes[hop.dev]) + via)
        body += attribute(9, b"".join(hops))
    return Message(NEWROUTE, F_CREATE | F_REPLACE, body)


def delete_route(route: Route) -> Message:
    """Remove the static route of this destination, table and metric."""
    return Message(DELROUTE, 0, _route(route, _SCOPE_NOWHERE))


def _route(route: Route, scope: int) -> bytes:
    packed, length = split_prefix(route.destination)
    small = route.table if route.table < 256 else 0
    kind = _ROUTE_TYPES[route.type]
    family = family_of(route.destination)
    body = _RTMSG.pack(family, length, 0, 0, small, _PROTOCOL_STATIC, scope, kind, 0)
    if length:
        body += attribute(1, packed)
    if route.metric:
        body += u32(6, route.metric)
    return body + u32(15, route.table)


def rule(entry: Rule, *, add: bool) -> Message:
    """Add or remove a policy routing rule."""
    source, source_length = split_prefix(entry.source or "0.0.0.0/0")
    target, target_length = split_prefix(entry.destination or "0.0.0.0/0")
    small = entry.table if entry.table < 256 else 0
    action = _RULE_ACTIONS[entry.action]
    family = AF_INET6 if entry.family == "ipv6" else AF_INET
    body = _RULE.pack(family, target_length, source_length, 0, small, 0, 0, action, 0)
    body += u32(6, entry.priority) + u8(21, _PROTOCOL_STATIC)
    if entry.action == "lookup":
        body += u32(15, entry.table)
    if target_length:
        body += attribute(1, target)
    if source_length:
        body += attribute(2, source)
    if entry.iif is not None:
        body += text(3, entry.iif)
    if entry.fwmark is not None:
        body += u32(10, entry.fwmark) + u32(16, 0xFFFFFFFF)
    return Message(NEWRULE, F_CREATE | F_EXCL, body) if add else Message(DELRULE, 0, body)


# Queueing


def set_netem(index: int, netem: Netem) -> tuple[Message, ...]:
    """Put netem at the root of the link's egress, or change what is there.

    A classified one is the second band of a prio qdisc, whose first one is
    for all packets that do not name the second as their priority. Every
    parameter is given, since the kernel keeps the old value of one that is
    not.
    """
    if not netem.classified:
        return (_netem(index, netem, _NETEM_HANDLE, _TC_ROOT),)
    root = _TCMSG.pack(AF_UNSPEC, index, PRIO_HANDLE, _TC_ROOT, 0)
    root += text(1, "prio") + attribute(2, struct.pack("=i16B", 2, *[0] * 16))
    return (
        Message(NEWQDISC, F_CREATE | F_REPLACE, root),
        _netem(index, netem, _BAND_HANDLE, PRIO_HANDLE | 2),
    )


def _netem(index: int, netem: Netem, handle: int, parent: int) -> Message:
    loss, reorder = _share(netem.loss_percent), _share(netem.reorder_percent)
    rate = round(netem.rate_mbps * 1e6 / 8)
    options = (
        _NETEM.pack(0, netem.limit, loss, bool(reorder), _share(netem.duplicate_percent), 0)
        + attribute(_NETEM_REORDER, struct.pack("=II", reorder, 0))
        + attribute(6, _NETEM_RATE.pack(min(rate, 0xFFFFFFFF), 0, 0, 0))
        + (u64(8, rate) if rate > 0xFFFFFFFF else b"")
        + u64(10, round(netem.delay_ms * 1e6))
        + u64(11, round(netem.jitter_ms * 1e6))
    )
    body = _TCMSG.pack(AF_UNSPEC, index, handle, parent, 0)
    body += text(1, "netem") + attribute(2, options)
    return Message(NEWQDISC, F_CREATE | F_REPLACE, body)


def _share(percent: float) -> int:
    """A probability as netem takes it."""
    return round(min(percent, 100.0) / 100 * 0xFFFFFFFF)


def delete_qdisc(index: int) -> Message:
    """Give the link its default queueing back."""
    return Message(DELQDISC, 0, _TCMSG.pack(AF_UNSPEC, index, 0, _TC_ROOT, 0))
