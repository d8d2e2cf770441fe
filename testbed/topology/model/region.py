"""The Region."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network


@dataclass(frozen=True, slots=True)
class Anchor:
    """A service link anchor in the Region: where the Outpost's tunnels end (facts: H2)."""

    name: str
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Region:
    """The Region that the Outposts are homed to."""

    name: str
    zones: tuple[str, ...]
    asn: int
    public_cidr: IPv4Network
    anchors: tuple[Anchor, ...]
