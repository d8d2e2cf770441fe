"""The state of an IEEE 802.3ad LAG in the protocol's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.kernel.netlink import attributes, to_u16

if TYPE_CHECKING:
    from collections.abc import Iterable

PORT_STATE = (  # IEEE 802.1AX, clause 6.4.2.3, bit 0 first
    "activity",
    "timeout",  # set: short (fast)
    "aggregation",
    "synchronization",
    "collecting",
    "distributing",
    "defaulted",
    "expired",
)
NO_PARTNER = "00:00:00:00:00:00"
_MII = ("up", "going down", "down", "coming back")


@dataclass(frozen=True, slots=True)
class Member:
    """A port of a bond; `actor` and `partner` are the port state bits that are set."""

    mii: str
    active: bool
    failures: int
    aggregator: int
    actor: tuple[str, ...]
    partner: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bond:
    """A bond: its active aggregator and who is at its other end."""

    aggregator: int
    ports: int
    partner_mac: str


def port_state(bits: int) -> tuple[str, ...]:
    """The names of the bits that are set in a port state."""
    return tuple(name for number, name in enumerate(PORT_STATE) if bits >> number & 1)


def member_state(data: dict[int, bytes]) -> Member:
    """A port from its IFLA_INFO_SLAVE_DATA; what the kernel does not say is not set."""
    mii = data.get(2, b"\2")[0]
    return Member(
        mii=_MII[mii] if mii < len(_MII) else str(mii),
        active=data.get(1, b"\1")[0] == 0,
        failures=int.from_bytes(data.get(3, b"\0")[:4], "little"),
        aggregator=to_u16(data.get(6, b"\0\0")),
        actor=port_state(data.get(7, b"\0")[0]),
        partner=port_state(to_u16(data.get(8, b"\0\0"))),
    )


def bond_state(data: dict[int, bytes]) -> Bond:
    """A bond from its IFLA_INFO_DATA; aggregator 0 when none is active."""
    info = attributes(data.get(23, b""))
    mac = info.get(5, bytes(6)).hex(":")
    return Bond(to_u16(info.get(1, b"\0\0")), to_u16(info.get(2, b"\0\0")), mac)


def problem(bond: Bond | None, member: Member | None) -> str | None:
    """Why the port does not carry traffic to the bond's partner; None when it does."""
    if bond is None or member is None:
        return "not a member"
    silent = bond.partner_mac == NO_PARTNER or "defaulted" in member.actor
    troubles = (
        (member.mii != "up", f"MII status {member.mii}"),
        (silent, "no LACPDU from the partner"),
        ("expired" in member.actor, "LACP expired: the partner has gone silent"),
        (
            member.aggregator != bond.aggregator,
            f"in aggregator {member.aggregator}, the active one is {bond.aggregator}",
        ),
        (bool(_missing(member.actor)), f"actor is {_missing(member.actor)}"),
        (bool(_missing(member.partner)), f"partner is {_missing(member.partner)}"),
    )
    return next((text for wrong, text in troubles if wrong), None)


def _missing(bits: Iterable[str]) -> str:
    words = {
        "synchronization": "in sync",
        "collecting": "collecting",
        "distributing": "distributing",
    }
    return ", ".join(f"not {word}" for bit, word in words.items() if bit not in bits)
