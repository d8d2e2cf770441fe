"""Why a namespace does with a packet what it does: the kernel's own answers.

Its routing decision with the rules and routes that it was made from, its
neighbours, its interfaces, and the counters of what it has dropped.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.kernel import messages as m
from testbed.kernel import observe
from testbed.kernel.namespace import inside
from testbed.kernel.netlink import (
    F_DUMP,
    Message,
    NetlinkSocket,
    attribute,
    attribute_list,
    attributes,
    to_text,
    to_u32,
    u32,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.kernel.observe import RouteState

_GET_RULE = 34
_FIB_MATCH = 0x3000  # RTM_F_FIB_MATCH, RTM_F_LOOKUP_TABLE: the table's route, and which table
_RTMSG = struct.Struct("=BBBBBBBBI")
_DST, _SRC, _IIF, _FWMARK = 1, 2, 3, 16  # RTA_
_ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_REFUSALS = {
    errno.EINVAL: "blackhole",  # or a martian: the rules and routes tell which
    errno.EXDEV: "reverse path",
    errno.EHOSTUNREACH: "unreachable",
    errno.EACCES: "prohibit",
    errno.ENETUNREACH: "no route",
}
_NEIGHBOR_STATES = {0x01: "INCOMPLETE", 0x02: "REACHABLE", 0x04: "STALE", 0x08: "DELAY"}
_NEIGHBOR_STATES |= {0x10: "PROBE", 0x20: "FAILED", 0x40: "NOARP", 0x80: "PERMANENT"}
_DROPS = struct.Struct("=III")


@dataclass(frozen=True, slots=True)
class Question:
    """What the kernel is asked about: a packet that came in by `iif`, or None for an own one."""

    source: str
    destination: str
    iif: str | None
    mark: int = 0


@dataclass(frozen=True, slots=True)
class RuleState:
    """A policy routing rule of the kernel's; conditions that it has not are None."""

    priority: int
    table: int
    action: str
    iif: str | None
    oif: str | None
    source: str | None
    destination: str | None
    mark: tuple[int, int] | None
    l3mdev: bool
    inverted: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The kernel's decision: a route, or the kind of its refusal."""

    route: RouteState | None
    refusal: str | None


def route(fd: int, question: Question) -> Answer:
    """Ask the kernel where a packet would go now. Raises OSError where it cannot say."""
    family, bits = family_of(question.destination), 128 if ":" in question.destination else 32
    with inside(fd), NetlinkSocket() as netlink:
        indexes = {name: index for index, name in socket.if_nameindex()}
        body = _RTMSG.pack(family, bits, bits, 0, 0, 0, 0, 0, _FIB_MATCH)
        body += attribute(_DST, socket.inet_pton(family, question.destination))
        body += attribute(_SRC, socket.inet_pton(family, question.source))
        if question.iif is not None:
            body += u32(_IIF, indexes[question.iif])
        if question.mark:
            body += u32(_FWMARK, question.mark)
        try:
            answers = netlink.request(Message(m.GETROUTE, 0, body))
        except OSError as error:
            refusal = _REFUSALS.get(error.errno or 0)
            if refusal is None:
                raise
            return Answer(None, refusal)
        names = {index: name for name, index in indexes.items()}
        return Answer(observe.parse_route(answers[0][1], names), None)


def family_of(address: str) -> int:
    """The address family of an IP address."""
    return m.AF_INET6 if ":" in address else m.AF_INET


def rules(fd: int, family: int = m.AF_INET) -> list[RuleState]:
    """The policy routing rules of a family, in order."""
    with inside(fd), NetlinkSocket() as netlink:
        body = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        answers = netlink.request(Message(_GET_RULE, F_DUMP, body))
    return sorted((_rule(answer) for _, answer in answers), key=lambda rule: rule.priority)


def _rule(answer: bytes) -> RuleState:
    family, to_length, from_length, _, table, _, _, action, flags = _RTMSG.unpack_from(answer)
    values = attributes(answer, 12)

    def prefix(kind: int, length: int) -> str | None:
        return f"{socket.inet_ntop(family, values[kind])}/{length}" if kind in values else None

    mark = None
    if 10 in values:
        mark = to_u32(values[10]), to_u32(values[16]) if 16 in values else 0xFFFFFFFF
    return RuleState(
        priority=to_u32(values[6]) if 6 in values else 0,
        table=to_u32(values[15]) if 15 in values else table,
        action=_ACTIONS.get(action, str(action)),
        iif=to_text(values[3]) if 3 in values else None,
        oif=to_text(values[17]) if 17 in values else None,
        source=prefix(2, from_length),
        destination=prefix(1, to_length),
        mark=mark,
        l3mdev=bool(values.get(19, b"\0")[0]),
        inverted=bool(flags & 2),
    )


def routes_to(
    fd: int, destinations: Iterable[str], family: int = m.AF_INET
) -> dict[str, list[RouteState]]:
    """For each address of a family the routes of all tables whose prefix it is in."""
    wanted = {
        address: int.from_bytes(socket.inet_pton(family, address), "big")
        for address in destinations
    }
    found: dict[str, list[RouteState]] = {address: [] for address in wanted}
    bits = 128 if family == m.AF_INET6 else 32
    with inside(fd), NetlinkSocket() as netlink:
        body = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        answers = netlink.request(Message(m.GETROUTE, F_DUMP, body))
        names = dict(socket.if_nameindex())
    for _, answer in answers:
        shift = bits - answer[1]
        first, data = next(attribute_list(answer, 12), (0, b""))
        if first != _DST:  # it comes first, and is left out where it is the default route
            data = attributes(answer, 12).get(_DST, bytes(bits // 8))
        prefix = int.from_bytes(data, "big") >> shift
        inside_it = [address for address, value in wanted.items() if value >> shift == prefix]
        if inside_it:
            route = observe.parse_route(answer, names)
            for address in inside_it:
                found[address].append(route)
    return found


def neighbor_states(fd: int, family: int = m.AF_INET) -> dict[tuple[str, str], str]:
    """The state (NUD_…) of each neighbour of a family, by interface and address."""
    found: dict[tuple[str, str], str] = {}
    with inside(fd), NetlinkSocket() as netlink:
        names = dict(socket.if_nameindex())
        body = struct.pack("=BxxxiHBB", family, 0, 0, 0, 0)
        for _, answer in netlink.request(Message(m.GETNEIGH, F_DUMP, body)):
            _, index, state = struct.unpack_from("=BxxxiH", answer)
            key = names.get(index, str(index)), socket.inet_ntop(family, attributes(answer, 12)[1])
            found[key] = _NEIGHBOR_STATES.get(state, str(state))
    return found


def queue_drops(fd: int) -> dict[str, int]:
    """What the queueing discipline of each interface has dropped."""
    found: dict[str, int] = {}
    with inside(fd), NetlinkSocket() as netlink:
        names = dict(socket.if_nameindex())
        for _, answer in netlink.request(Message(m.GETQDISC, F_DUMP, bytes(20))):
            index = struct.unpack_from("=i", answer, 4)[0]
            stats = attributes(attributes(answer, 20).get(7, b"")).get(3, b"")
            if len(stats) >= _DROPS.size:
                name = names.get(index, str(index))
                found[name] = max(found.get(name, 0), _DROPS.unpack_from(stats)[2])
    return found


def counters(fd: int) -> dict[str, int]:
    """The namespace's counters of IP, as /proc/net/snmp and netstat name them (``Ip.InDiscards``).

    Only those that count what goes wrong.
    """
    found: dict[str, int] = {}
    with inside(fd):
        for path in ("/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat"):
            with open(path, encoding="ascii") as file:  # noqa: PTH123 - slow to import
                lines = file.read().splitlines()
            for names, values in zip(lines[::2], lines[1::2], strict=True):
                group = names.partition(":")[0]
                pairs = zip(names.split()[1:], values.split()[1:], strict=True)
                found |= {
                    f"{group}.{name}": int(value)
                    for name, value in pairs
                    if f"{group}.{name}" in COUNTERS
                }
        found |= _counters6()
    return found


def _counters6() -> dict[str, int]:
    try:
        with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:  # noqa: PTH123
            lines = [line.split() for line in file]
    except FileNotFoundError:  # a kernel without IPv6
        return {}
    named = {f"Ip6.{name.removeprefix('Ip6')}": int(value) for name, value in lines}
    return {name: value for name, value in named.items() if name in COUNTERS}


COUNTERS = frozenset(
    {
        "Ip.InHdrErrors",
        "Ip.InAddrErrors",
        "Ip.InDiscards",
        "Ip.OutDiscards",
        "Ip.OutNoRoutes",
        "Ip.FragFails",
        "Ip.ReasmFails",
        "IpExt.InNoRoutes",
        "IpExt.InTruncatedPkts",
        "TcpExt.IPReversePathFilter",
        "TcpExt.ListenDrops",
        "Udp.RcvbufErrors",
        "Ip6.InHdrErrors",
        "Ip6.InTooBigErrors",
        "Ip6.InNoRoutes",
        "Ip6.InAddrErrors",
        "Ip6.InDiscards",
        "Ip6.OutDiscards",
        "Ip6.OutNoRoutes",
        "Ip6.ReasmFails",
    }
)
"""The counters that are read; `testbed.probes.trace.verdict` says what they mean."""
