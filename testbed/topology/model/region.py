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

    @property
    def internal_domain(self) -> str:
        """The domain of the instances' private names (facts: V vpc-dns)."""
        return "ec2.internal" if self.name == "us-east-1" else f"{self.name}.compute.internal"
