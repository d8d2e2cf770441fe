"""What nftables does with a marked packet, rule by rule, as the kernel tells it.

A `RuleTrace` adds a table of its own to a namespace that has a ruleset. Its
chains come first at prerouting and output, and set `nftrace` for what carries
the mark (`testbed.kernel.tap`). It takes the table away when it is closed.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from testbed.kernel import nftables
from testbed.kernel import tap_filter as tap
from testbed.kernel.namespace import inside
from testbed.kernel.netlink import (
    F_DUMP,
    Message,
    NetlinkSocket,
    attributes,
    to_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NETFILTER = 12
TRACE_GROUP = 9  # NFNLGRP_NFTRACE
_NFTABLES = 10 << 8
_GET_TABLE, _TRACE = _NFTABLES | 1, _NFTABLES | 17
_GENERIC = struct.Struct("=BBH")
_HEADER_BYTES = 4
_FIRST = -450  # before connection tracking, and before all priorities that have names
_TYPES = {1: "policy", 2: "return", 3: "rule"}
_VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", -1: "continue", -2: "break"}
_VERDICTS |= {-3: "jump", -4: "goto", -5: "return"}
TABLE = 1
CHAIN, HANDLE, TYPE, VERDICT, ID, NETWORK, TRANSPORT = 2, 3, 4, 5, 6, 8, 9
IIF, OIF, MARK, FAMILY, POLICY = 10, 12, 14, 15, 16
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that matched, or the end of a chain.

    `packet` is a number of the packet's: the kernel's own is used again for
    others (`RuleTrace` tells them apart), `kind` is ``rule``,
    ``return`` or ``policy``; `target` is the chain of a jump or goto. The
    first step in a base chain has the packet's headers, 20 bytes of the
    transport protocol's.
    """

    packet: int
    family: str
    table: str
    chain: str
    kind: str
    handle: int
    verdict: str
    target: str
    mark: int | None
    iif: int
    oif: int
    network: bytes
    transport: bytes


def has_rules(fd: int) -> bool:
    """Whether the namespace has any table of nftables'."""
    with inside(fd), NetlinkSocket(NETFILTER) as netlink:
        try:
            return bool(netlink.request(Message(_GET_TABLE, F_DUMP, _GENERIC.pack(0, 0, 0))))
        except OSError:  # a kernel without nftables
            return False


class RuleTrace:
    """The steps of the packets that carry one of the marks, in one namespace."""

    def __init__(self, fd: int, marks: Sequence[int]) -> None:
        self._fd = fd
        self.table = f"testbed_trace_{marks[0]:08x}"
        with inside(fd):
            self._socket = NetlinkSocket(NETFILTER)
            self._socket.keep()
            self._socket.subscribe(TRACE_GROUP)
            nftables.run(self._ruleset(marks))
        self.lost = False
        self._packets: dict[int, tuple[bytes, int]] = {}
        self._count = 0

    def _ruleset(self, marks: Sequence[int]) -> str:
        values = f"{{ {', '.join(f'{mark:#x}' for mark in marks)} }}"
        matches = [f"@nh,{8 * offset},32 {values}" for offset in tap.OFFSETS]
        hidden = f"@nh,{8 * tap.PAYLOAD},32 {tap.WIREGUARD_DATA:#x}"
        matches.append(f"meta nfproto ipv4 meta l4proto udp {hidden}")
        rules = [f"{match} meta nftrace set 1" for match in (*matches, *_later_fragments())]
        lines = "".join(f"    {rule}\n" for rule in rules)
        chains = "".join(
            f"  chain {hook} {{\n    type filter hook {hook} priority {_FIRST};\n{lines}  }}\n"
            for hook in ("prerouting", "output")
        )
        return f"table inet {self.table} {{\n{chains}}}\n"

    def fileno(self) -> int:
        """The descriptor that is readable when there are steps."""
        return self._socket.fileno()

    def read(self) -> list[Step]:
        """The steps since the last call, in order; `lost` is set where some found no room.

        With those in the trace's own `table`, which see a packet before all others do.
        """
        steps: list[Step] = []
        while True:
            try:
                for kind, body in self._socket.notifications():
                    if kind == _TRACE:
                        steps.append(self._numbered(parse(body)))
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost = True  # the next call goes on with what found room
            else:
                return steps

    def _numbered(self, step: Step) -> Step:
        """The step with a number that no other packet has.

        The kernel's comes from where the packet is in memory, where others
        come to lie later. Each begins in the trace's own table.
        """
        identity = _identity(step)
        known = self._packets.get(step.packet)
        begins = step.table == self.table and step.network and known and known[0] != identity
        if known is None or begins:
            self._count += 1
            known = self._packets[step.packet] = identity, self._count
        return replace(step, packet=known[1])

    def close(self) -> None:
        """Take the table away. A change of the ruleset may have done so before."""
        self._socket.close()
        with inside(self._fd):
            name = f"table inet {self.table}"
            nftables.run(f"add {name}; delete {name}")


def _identity(step: Step) -> bytes:
    """What of a packet's headers neither routing nor address translation changes."""
    network = step.network
    fixed = network[4:6] + network[9:10] if network[:1] and network[0] >> 4 == 4 else b""
    return fixed + step.transport[8:16]


def _later_fragments() -> Iterator[str]:
    """What matches fragments after the first, by themselves or inside VXLAN."""
    later, later6 = (f"& {mask:#x} != 0" for mask in tap.LATER)
    port, ether = 8 * (tap.IP_HEADER + 2), 8 * (tap.INNER - 2)
    inside = f"meta nfproto ipv4 meta l4proto udp @nh,{port},16 {tap.VXLAN_PORT} @nh,{ether},16"
    inner = 8 * tap.INNER
    next6, offset6 = 8 * 6, 8 * tap.AT_OFFSET6
    yield f"meta nfproto ipv4 @nh,{8 * tap.AT_OFFSET},16 {later}"
    yield f"meta nfproto ipv6 @nh,{next6},8 {tap.FRAGMENT} @nh,{offset6},16 {later6}"
    yield f"{inside} {tap.ETH_P_IP:#x} @nh,{inner + 8 * tap.AT_OFFSET},16 {later}"
    yield (
        f"{inside} {tap.ETH_P_IPV6:#x} @nh,{inner + next6},8 {tap.FRAGMENT}"
        f" @nh,{inner + offset6},16 {later6}"
    )


def chain_text(fd: int, family: str, table: str, chain: str) -> str:
    """A chain as nft lists it, each rule with its handle; empty when there is none."""
    with inside(fd):
        try:
            return nftables.run(f"list chain {family} {table} {chain}", handles=True)
        except ValueError:
            return ""


def parse(body: bytes) -> Step:
    """The step that an NFT_MSG_TRACE is about."""
    values = attributes(body, _HEADER_BYTES)

    def number(kind: int) -> int:
        return int.from_bytes(values.get(kind, b""), "big")

    verdict = attributes(values.get(VERDICT, b""))
    code = int.from_bytes(verdict.get(1, values.get(POLICY, b"\0\0\0\1")), "big", signed=True)
    return Step(
        packet=number(ID),
        family=_FAMILIES.get(body[0], str(body[0])),
        table=to_text(values.get(TABLE, b"")),
        chain=to_text(values.get(CHAIN, b"")),
        kind=_TYPES.get(number(TYPE), "unknown"),
        handle=number(HANDLE),
        verdict=_VERDICTS.get(code, str(code)),
        target=to_text(verdict.get(2, b"")),
        mark=number(MARK) if MARK in values else None,
        iif=number(IIF),
        oif=number(OIF),
        network=values.get(NETWORK, b""),
        transport=values.get(TRANSPORT, b""),
    )
