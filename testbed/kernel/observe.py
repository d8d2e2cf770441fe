"""Reading the kernel back; nothing here changes anything.

Every function takes the file descriptor of a namespace and asks the kernel
once. They are polled while a testbed comes up, so answers are taken apart by
hand. They raise OSError with the kernel's error.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from testbed.kernel import lacp, wireguard
from testbed.kernel import messages as m
from testbed.kernel.namespace import inside
from testbed.kernel.netlink import (
    F_DUMP,
    Message,
    NetlinkSocket,
    attributes,
    to_text,
    to_u32,
    u32,
)
from testbed.plan.model import Netem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kernel.wireguard import PeerState

OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
_TYPE_NAMES = "unicast local broadcast anycast multicast blackhole unreachable prohibit throw"
ROUTE_TYPES = dict(enumerate(_TYPE_NAMES.split(), 1))
PROTOCOLS = {2: "kernel", 3: "boot", 4: "static", 11: "zebra", 12: "bird", 16: "dhcp", 186: "bgp"}
IPV4_BYTES = 4
_DEAD, _LINKDOWN = 1, 16
_STATS = struct.Struct("=8Q")
_LISTEN, _UDP_BOUND = "0A", "07"


@dataclass(frozen=True, slots=True)
class Link:
    """An interface. `carrier` is false while it is administratively down.

    `kind` is the kernel's ("veth", "bond", …), "" for `lo` and hardware.
    `bond` is set for a bond, `member` for a port of one.
    """

    name: str
    index: int
    kind: str
    mac: str
    mtu: int
    admin_up: bool
    carrier: bool
    operstate: str
    master: str | None
    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0
    bond: lacp.Bond | None = None
    member: lacp.Member | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop of a route; `alive` is false when its interface is down or without carrier."""

    via: str | None
    dev: str | None
    alive: bool = True


@dataclass(frozen=True, slots=True)
class RouteState:
    """A route in the kernel: `hops` has one entry for each path, none for a blackhole."""

    destination: str
    table: int
    type: str
    protocol: str
    metric: int
    source: str | None
    hops: tuple[Hop, ...]


@contextmanager
def _socket(fd: int) -> Iterator[NetlinkSocket]:
    with inside(fd), NetlinkSocket() as netlink:
        yield netlink


def _dump(netlink: NetlinkSocket, kind: int, body: bytes) -> list[bytes]:
    return [answer for _, answer in netlink.request(Message(kind, F_DUMP, body))]


# Links


def links(fd: int) -> dict[str, Link]:
    """All interfaces by name, with statistics and LACP state.

    Makes the kernel act at once on a carrier that has come: it would
    otherwise do so up to a second later and drop packets until then.
    """
    with _socket(fd) as netlink:
        found = _links(_dump(netlink, m.GETLINK, m.ifinfo(0)))
        late = [link for link in found.values() if link.carrier and _is_late(link)]
        if late:
            for link in late:
                netlink.request(m.get_link(link.index))
            found = _links(_dump(netlink, m.GETLINK, m.ifinfo(0)))
    return found


def _is_late(link: Link) -> bool:
    return link.operstate in {"down", "lowerlayerdown", "dormant"}


def _links(answers: list[bytes]) -> dict[str, Link]:
    masters: dict[str, int] = {}
    found: dict[str, Link] = {}
    for answer in answers:
        link, master = parse_link(answer)
        found[link.name] = link
        if master:
            masters[link.name] = master
    if masters:
        names = {link.index: link.name for link in found.values()}
        for name, index in masters.items():
            found[name] = replace(found[name], master=names.get(index))
    return found


def parse_link(answer: bytes) -> tuple[Link, int]:
    """The interface that an RTM_NEWLINK is about, and its master's index or 0."""
    _, index, flags = struct.unpack_from("=HxxiI", answer)
    values = attributes(answer, 16)
    info = attributes(values.get(m.IFLA_LINKINFO, b""))
    kind = to_text(info.get(m.INFO_KIND, b""))
    data = info.get(m.INFO_DATA, b"")
    operstate = values.get(16, b"\0")[0]
    rx, tx, rx_bytes, tx_bytes, _, _, rx_dropped, tx_dropped = (
        _STATS.unpack_from(values[23]) if 23 in values else (0,) * 8
    )
    is_member = to_text(info.get(4, b"")) == "bond"
    up = bool(flags & m.IFF_UP)
    link = Link(
        name=to_text(values[m.IFLA_IFNAME]),
        index=index,
        kind=kind,
        mac=values.get(m.IFLA_ADDRESS, b"").hex(":"),
        mtu=to_u32(values[m.IFLA_MTU]),
        admin_up=up,
        carrier=up and values.get(33, b"\1")[0] == 1,
        operstate=OPERSTATES[operstate] if operstate < len(OPERSTATES) else str(operstate),
        master=None,
        rx_packets=rx,
        tx_packets=tx,
        rx_bytes=rx_bytes,
        tx_bytes=tx_bytes,
        rx_dropped=rx_dropped,
        tx_dropped=tx_dropped,
        bond=lacp.bond_state(attributes(data)) if kind == "bond" else None,
        member=lacp.member_state(attributes(info.get(5, b""))) if is_member else None,
    )
    return link, to_u32(values[m.IFLA_MASTER]) if m.IFLA_MASTER in values else 0


def members(found: dict[str, Link], bond: str) -> dict[str, str | None]:
    """The members of a bond among `links()`, each with what is wrong with it or None."""
    master = found[bond].bond if bond in found else None
    return {
        link.name: lacp.problem(master, link.member)
        for link in found.values()
        if link.master == bond
    }


# Addresses, neighbours, routes


def addresses(fd: int, family: int = m.AF_INET) -> dict[str, list[str]]:
    """The addresses of a family ("10.0.0.1/24") by interface, primary ones first."""
    found: dict[str, list[str]] = {}
    with _socket(fd) as netlink:
        names = dict(socket.if_nameindex())
        for answer in _dump(netlink, m.GETADDR, struct.pack("=BBBBi", family, 0, 0, 0, 0)):
            length, index = answer[1], struct.unpack_from("=i", answer, 4)[0]
            values = attributes(answer, 8)
            local = values.get(2, values.get(1))  # IPv6 has its local address as the only one
            if local:
                text = f"{_text(local)}/{length}"
                found.setdefault(names[index], []).append(text)
    return found


def _text(address: bytes) -> str:
    """An IPv4 or IPv6 address as people write it."""
    family = m.AF_INET if len(address) == IPV4_BYTES else m.AF_INET6
    return socket.inet_ntop(family, address)


def neighbors(fd: int, family: int = m.AF_INET) -> list[dict[str, str | bool | None]]:
    """The neighbours of a family: dev, address, mac, permanent."""
    found = []
    with _socket(fd) as netlink:
        names = dict(socket.if_nameindex())
        body = struct.pack("=BxxxiHBB", family, 0, 0, 0, 0)
        for answer in _dump(netlink, m.GETNEIGH, body):
            _, index, state = struct.unpack_from("=BxxxiH", answer)
            values = attributes(answer, 12)
            entry: dict[str, str | bool | None] = {
                "dev": names[index],
                "address": _text(values[1]),
                "mac": values[2].hex(":") if 2 in values else None,
                "permanent": bool(state & 0x80),
            }
            found.append(entry)
    return found


def routes(fd: int, table: int | None = None, family: int = m.AF_INET) -> list[RouteState]:
    """The routes of a family in one table, which need not exist, or in all tables."""
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
    if table is not None:
        body += u32(15, table)
    with _socket(fd) as netlink:
        try:
            answers = _dump(netlink, m.GETROUTE, body)
        except FileNotFoundError:
            return []
        names = _Names()
        found = [parse_route(answer, names) for answer in answers]
    return [route for route in found if table is None or route.table == table]


class _Names(dict[int, str]):
    """The names of the interfaces that are asked for, in the thread's namespace."""

    def __missing__(self, index: int) -> str:
        try:
            return self.setdefault(index, socket.if_indextoname(index))
        except OSError:  # it has just gone
            raise KeyError(index) from None


def parse_route(answer: bytes, names: dict[int, str]) -> RouteState:
    """The route that an RTM_NEWROUTE or RTM_DELROUTE is about; `names` are its interfaces'."""
    family, length, _, _, table, protocol, _, kind, flags = struct.unpack_from("=BBBBBBBBI", answer)
    values = attributes(answer, 12)
    hops: tuple[Hop, ...] = ()
    if 9 in values:
        hops = tuple(_hops(values[9], names))
    elif 4 in values:
        hops = (_hop(values, to_u32(values[4]), flags, names),)
    return RouteState(
        destination=f"{_text(values.get(1, bytes(4 if family == m.AF_INET else 16)))}/{length}",
        table=to_u32(values[15]) if 15 in values else table,
        type=ROUTE_TYPES.get(kind, str(kind)),
        protocol=PROTOCOLS.get(protocol, str(protocol)),
        metric=to_u32(values[6]) if 6 in values else 0,
        source=_text(values[7]) if 7 in values else None,
        hops=hops,
    )


def _hops(data: bytes, names: dict[int, str]) -> Iterator[Hop]:
    offset = 0
    while offset + 8 <= len(data):
        size, flags, _, index = struct.unpack_from("=HBBi", data, offset)
        yield _hop(attributes(data[offset + 8 : offset + size]), index, flags, names)
        offset += (size + 3) & ~3


def _hop(values: dict[int, bytes], index: int, flags: int, names: dict[int, str]) -> Hop:
    via = _text(values[5]) if 5 in values else None
    try:
        name = names[index]
    except KeyError:
        name = str(index)
    return Hop(via, name, not flags & (_DEAD | _LINKDOWN))


# Queueing


def qdiscs(fd: int) -> dict[str, tuple[str, Netem | None]]:
    """The root queueing discipline of each interface, with the parameters of its netem."""
    classified: dict[str, Netem] = {}
    found: dict[str, tuple[str, Netem | None]] = {}
    with _socket(fd) as netlink:
        names = dict(socket.if_nameindex())
        for answer in _dump(netlink, m.GETQDISC, bytes(20)):
            _, index, _, parent, _ = struct.unpack_from("=BxxxiIII", answer)
            name = names[index]
            values = attributes(answer, 20)
            kind = to_text(values[1])
            netem = _netem(values[2]) if kind == "netem" else None
            if parent == 0xFFFFFFFF:
                found[name] = (kind, netem)
            elif netem is not None and parent == m.PRIO_HANDLE | 2:
                classified[name] = replace(netem, classified=True)
    return {name: (kind, classified.get(name, netem)) for name, (kind, netem) in found.items()}


def _netem(options: bytes) -> Netem:
    _, limit, loss, _, duplicate, _ = struct.unpack_from("=6I", options)
    values = attributes(options, 24)
    rate = to_u32(values[6]) if 6 in values else 0
    if 8 in values:
        rate = struct.unpack("=Q", values[8])[0]
    return Netem(
        delay_ms=struct.unpack("=q", values[10])[0] / 1e6 if 10 in values else 0.0,
        jitter_ms=struct.unpack("=q", values[11])[0] / 1e6 if 11 in values else 0.0,
        loss_percent=_percent(loss),
        reorder_percent=_percent(to_u32(values[3])) if 3 in values else 0.0,
        duplicate_percent=_percent(duplicate),
        rate_mbps=rate * 8 / 1e6,
        limit=limit,
    )


def _percent(share: int) -> float:
    return round(share / 0xFFFFFFFF * 100, 6)


# Tunnels, sockets


def wireguard_peers(fd: int, name: str) -> dict[str, PeerState]:
    """The peers of a WireGuard interface by public key; OSError ENODEV when there is none."""
    with inside(fd):
        return wireguard.peers(name)


def listening(fd: int) -> set[tuple[str, int]]:
    """("tcp" or "udp", port) of every socket that waits for someone."""
    found: set[tuple[str, int]] = set()
    with inside(fd):
        for protocol, wanted in (("tcp", _LISTEN), ("udp", _UDP_BOUND)):
            for suffix in ("", "6"):
                for line in _lines(f"/proc/thread-self/net/{protocol}{suffix}"):
                    fields = line.split(None, 4)
                    if fields[3] == wanted:
                        found.add((protocol, int(fields[1].rpartition(":")[2], 16)))
    return found


def _lines(path: str) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # no IPv6
        return []
    with os.fdopen(fd) as file:
        return file.read().splitlines()[1:]
