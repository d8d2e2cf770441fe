"""What several parts of the topology share."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

Service = Literal["http", "echo"]
Time = Literal["real", "virtual"]

# Where the testbed's addresses inside AWS come from: no other range may overlap it.
INTERNAL = IPv4Network("100.96.0.0/12")
MAX_VPCS, MAX_OUTPOSTS = 511, 255  # what they leave room for (docs/topology.md)


@dataclass(frozen=True, slots=True)
class Quality:
    """What a link does to packets: one-way `delay_ms`, `rate_mbps` (0: unlimited), `mtu` bytes."""

    delay_ms: float = 0.0
    rate_mbps: float = 0.0
    mtu: int = 1500
