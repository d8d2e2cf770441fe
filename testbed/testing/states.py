"""What the kernel says of a node's LAGs, tunnels and counters, typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    State = Mapping[str, Any]

HANDSHAKE_MAX_AGE_S = 180  # WireGuard gives up a session after REJECT_AFTER_TIME
_TABLE = re.compile(r"^table (\S+) (\S+) \{$")
_BLOCK = re.compile(r"^(\w+) (\S+) \{$")
_COUNTS = re.compile(r"\bpackets (\d+) bytes (\d+)")


@dataclass(frozen=True, slots=True)
class LagMember:
    """A port of a LAG. `actor` and `partner` are the bits of IEEE 802.1AX that are set.

    They are ``activity``, ``timeout`` (short), ``aggregation``,
    ``synchronization``, ``collecting``, ``distributing``, ``defaulted`` and
    ``expired``. `problem` is why it carries no traffic, None when it does.
    """

    name: str
    mii: str
    aggregator: int
    actor: frozenset[str]
    partner: frozenset[str]
    problem: str | None

    @property
    def rate(self) -> str:
        """Return how often it wants LACPDUs: ``fast`` (every second) or ``slow`` (every 30 s)."""
        return "fast" if "timeout" in self.actor else "slow"

    @property
    def partner_rate(self) -> str:
        """Return how often its partner wants LACPDUs."""
        return "fast" if "timeout" in self.partner else "slow"


@dataclass(frozen=True, slots=True)
class Lag:
    """An IEEE 802.1AX link aggregation group; aggregator 0: none is active."""

    name: str
    carrier: bool
    aggregator: int
    partner_mac: str
    members: tuple[LagMember, ...]

    @property
    def aggregated(self) -> bool:
        """Return whether every member carries traffic to one partner; false without members."""
        return bool(self.members) and all(member.problem is None for member in self.members)

    def member(self, name: str) -> LagMember:
        """Return the member `name`. Raises KeyError if there is none."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A WireGuard tunnel to one peer; the age is None before the first handshake."""

    interface: str
    peer: str
    endpoint: str | None
    handshake_age_s: float | None
    rx_bytes: int
    tx_bytes: int

    @property
    def up(self) -> bool:
        """Return whether its last handshake is still valid."""
        return self.handshake_age_s is not None and self.handshake_age_s <= HANDSHAKE_MAX_AGE_S


@dataclass(frozen=True, slots=True)
class Counters:
    """An interface's counters since it was created."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    tx_dropped: int

    def __sub__(self, before: Counters) -> Counters:
        """Return what was counted since `before`."""
        names = Counters.__slots__
        return Counters(*(getattr(self, name) - getattr(before, name) for name in names))


@dataclass(frozen=True, slots=True)
class NftCounter:
    """A counter of the node's nftables ruleset.

    `chain` is the rule's chain, or the name of a named counter; `rule` is the
    rule's text, the counter's values left out.
    """

    table: str
    chain: str
    rule: str
    packets: int
    bytes: int


def lags(state: State) -> list[Lag]:
    """The LAGs in what the keeper tells of a node."""
    links: dict[str, Any] = state["links"]
    return [
        Lag(
            name=name,
            carrier=link["carrier"],
            aggregator=link["bond"]["aggregator"],
            partner_mac=link["bond"]["partner_mac"],
            members=tuple(_member(port) for port in links.values() if port["master"] == name),
        )
        for name, link in links.items()
        if link["bond"] is not None
    ]


def _member(port: Mapping[str, Any]) -> LagMember:
    member = port["member"] or {}
    return LagMember(
        name=port["name"],
        mii=member.get("mii", "unknown"),
        aggregator=member.get("aggregator", 0),
        actor=frozenset(member.get("actor", ())),
        partner=frozenset(member.get("partner", ())),
        problem=port.get("problem") if member else "not a member",
    )


def tunnels(state: State) -> list[Tunnel]:
    """The WireGuard tunnels of a node."""
    return [
        Tunnel(
            row["interface"],
            row["peer"],
            row["endpoint"],
            row["handshake_age_s"],
            row["rx_bytes"],
            row["tx_bytes"],
        )
        for row in state["tunnels"]
    ]


def counters(state: State) -> dict[str, Counters]:
    """The counters of each interface."""
    names = Counters.__slots__
    return {
        name: Counters(*(link[counter] for counter in names))
        for name, link in state["links"].items()
    }


def nft_counters(ruleset: str) -> list[NftCounter]:
    """The counters in a ruleset as `nft list ruleset` prints it."""
    return list(_nft_counters(ruleset.splitlines()))


def _nft_counters(lines: Iterable[str]) -> Iterable[NftCounter]:
    table, block, kind = "", "", ""
    for line in map(str.strip, lines):
        if match := _TABLE.match(line):
            table = f"{match[1]} {match[2]}"
        elif match := _BLOCK.match(line):
            kind, block = match[1], match[2]
        elif match := _COUNTS.search(line):
            if kind == "counter":
                yield NftCounter(table, block, "", int(match[1]), int(match[2]))
            elif kind == "chain":
                rule = " ".join(line.replace(match[0], "").split())
                yield NftCounter(table, block, rule, int(match[1]), int(match[2]))
