"""Taking an integrated frr.conf apart: which of FRR's daemons reads which line.

A daemon that meets a block of another one's drops out of its own, so each gets a text of its own.
Lines of others are blank there: a daemon's "config line 7" is line 7 of the customer's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

ZEBRA, STATICD, BFDD, OSPFD, OSPF6D, ISISD, BGPD = (
    *("zebra", "staticd", "bfdd", "ospfd", "ospf6d", "isisd", "bgpd"),
)
DAEMONS = (ZEBRA, STATICD, BFDD, OSPFD, OSPF6D, ISISD, BGPD)  # those that a device runs
EVERY = ("hostname", "domainname", "frr defaults", "log")  # what all of them read
# What is about vtysh or a terminal, neither of which a node has.
TERMINAL = ("frr version", "service", "password", "enable password", "banner", "line", "username")
POLICY = re.compile(
    r"(ip |ipv6 |mac )?(prefix-list|access-list|route-map) (?!\S*list\b)(?P<name>\S+)"
)
# By the first words of a line at the top; the longest that fits.
TOP = {
    "router bgp": BGPD,
    "router ospf": OSPFD,
    "router ospf6": OSPF6D,
    "router isis": ISISD,
    "bgp": BGPD,
    "ip as-path": BGPD,
    "ip community-list": BGPD,
    "ip large-community-list": BGPD,
    "ip extcommunity-list": BGPD,
    "rpki": BGPD,
    "ip route": STATICD,
    "ipv6 route": STATICD,
    "ip mroute": STATICD,
    "bfd": BFDD,
    "debug bgp": BGPD,
    "debug ospf": OSPFD,
    "debug ospf6": OSPF6D,
    "debug isis": ISISD,
    "debug bfd": BFDD,
    "debug static": STATICD,
    "router rip": "ripd",
    "router ripng": "ripngd",
    "router eigrp": "eigrpd",
    "router babel": "babeld",
    "router openfabric": "fabricd",
    "mpls ldp": "ldpd",
    "ip pim": "pimd",
    "pbr-map": "pbrd",
    "segment-routing": "pathd",
    "vrrp": "vrrpd",
}
# By the first words of a line of a block that several daemons read.
INSIDE = {
    "interface": {
        "ip ospf": OSPFD,
        "ospf": OSPFD,
        "ipv6 ospf6": OSPF6D,
        "isis": ISISD,
        "ip router isis": ISISD,
        "ipv6 router isis": ISISD,
        "mpls bgp": BGPD,
        "ip pim": "pimd",
        "ip igmp": "pimd",
        "ip rip": "ripd",
        "ip router openfabric": "fabricd",
        "openfabric": "fabricd",
        "pbr-policy": "pbrd",
        "vrrp": "vrrpd",
    },
    "vrf": {"ip route": STATICD, "ipv6 route": STATICD, "ip mroute": STATICD},
}
CLOSING = re.compile(r"(exit|exit-vrf|end)$")


@dataclass
class Parts:
    """A configuration taken apart.

    `lines` has, for each daemon that reads any, the numbers of its lines, from 0. `foreign` are
    lines of daemons that no device runs, with the daemon; `terminal` those that are about vtysh
    or a terminal, and mean nothing to a daemon.
    """

    text: list[str]
    lines: dict[str, set[int]] = field(default_factory=dict)
    foreign: list[tuple[int, str]] = field(default_factory=list)
    terminal: list[int] = field(default_factory=list)

    @property
    def daemons(self) -> tuple[str, ...]:
        """The daemons that have something to do, in the order in which they start."""
        return tuple(name for name in DAEMONS if name == ZEBRA or name in self.lines)

    def of(self, daemon: str) -> str:
        """The configuration of one daemon, with its lines where they are in the whole one."""
        own = self.lines.get(daemon, set())
        kept = [line if number in own else "" for number, line in enumerate(self.text)]
        return "\n".join(kept).rstrip("\n") + "\n"


@dataclass
class _Block:
    """A line at the top and those that belong to it, by number."""

    head: str
    numbers: list[int]


def parts(text: str) -> Parts:
    """Take an integrated configuration apart."""
    found = Parts(text.splitlines())
    policies: list[_Block] = []
    common: list[int] = []
    for block in _blocks(found.text):
        if POLICY.match(_bare(block.head)):
            policies.append(block)
        elif _starts(block.head, TERMINAL):
            found.terminal += block.numbers
        elif _starts(block.head, EVERY):
            common += block.numbers
        else:
            _share(found, block)
    _share_policies(found, policies)
    for daemon in found.daemons:
        found.lines.setdefault(daemon, set()).update(common)
    return found


def _bare(line: str) -> str:
    """A line without what stands around it, and without `no`."""
    return " ".join(line.split()).removeprefix("no ")


def _starts(line: str, words: tuple[str, ...]) -> bool:
    return any(f"{_bare(line)} ".startswith(f"{each} ") for each in words)


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """The blocks: what is indented belongs to the line above, as FRR writes it down itself."""
    block: _Block | None = None
    for number, line in enumerate(lines):
        bare = line.strip()
        if not bare or bare[0] in "!#":
            continue
        if block and (line[0].isspace() or CLOSING.match(bare)):
            block.numbers.append(number)
            if not line[0].isspace():
                yield block
                block = None
            continue
        if CLOSING.match(bare):  # `end`, and an `exit` of a line that opens no block
            continue
        if block:
            yield block
        block = _Block(bare, [number])
    if block:
        yield block


def _fits(line: str, table: Mapping[str, str]) -> str | None:
    """What a table has for the first words of a line, the most that there are."""
    words = _bare(line).split()
    for count in range(min(3, len(words)), 0, -1):
        if daemon := table.get(" ".join(words[:count])):
            return daemon
    return None


def _share(found: Parts, block: _Block) -> None:
    """Give a block to its daemon, or its lines to theirs."""
    inside = INSIDE.get(block.head.split()[0])
    if inside is None:
        _give(found, _fits(block.head, TOP) or ZEBRA, block.numbers)
        return
    head, *body = block.numbers
    closing = [number for number in body if CLOSING.match(found.text[number].strip())]
    readers = {ZEBRA}
    for number in body:
        if number not in closing:
            daemon = _fits(found.text[number], inside) or ZEBRA
            _give(found, daemon, [number])
            readers.add(daemon)
    for daemon in readers & set(DAEMONS):
        _give(found, daemon, [head, *closing])


def _give(found: Parts, daemon: str, numbers: list[int]) -> None:
    if daemon in DAEMONS:
        found.lines.setdefault(daemon, set()).update(numbers)
    else:
        found.foreign += [(number, daemon) for number in numbers]


def _share_policies(found: Parts, policies: list[_Block]) -> None:
    """Give filters and route maps to the daemons that use them, those without a user to one."""
    named: dict[str, list[_Block]] = {}
    for block in policies:
        match = POLICY.match(_bare(block.head))
        assert match is not None
        named.setdefault(match["name"], []).append(block)
    used: set[str] = set()
    for daemon in found.daemons:
        words = _words(found, found.lines.get(daemon, set()))
        wanted = [name for name in named if name in words]
        while wanted:
            name = wanted.pop()
            for block in named[name]:
                if not set(block.numbers) <= found.lines.get(daemon, set()):
                    _give(found, daemon, block.numbers)
                    inner = _words(found, set(block.numbers))
                    wanted += [other for other in named if other in inner and other != name]
            used.add(name)
    keeper = BGPD if BGPD in found.lines else ZEBRA
    for name in named.keys() - used:
        for block in named[name]:
            _give(found, keeper, block.numbers)


def _words(found: Parts, numbers: set[int]) -> set[str]:
    return {word for number in numbers for word in found.text[number].split()}
