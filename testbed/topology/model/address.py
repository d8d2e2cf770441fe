"""Addresses that are allocated."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True, slots=True)
class AllocatedAddress:
    """An Elastic IP, or a customer-owned address of `pool`: (Outpost, pool)."""

    name: str
    address: IPv4Address
    pool: tuple[str, str] | None = None
