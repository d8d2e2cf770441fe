"""What runs on a LAN segment of the customer's, and what machines on it have of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface


@dataclass(frozen=True, slots=True)
class DhcpServer:
    """A segment's DHCP and DNS server.

    It leases the addresses from `first` to `last`; those whom the topology names always get the
    same one. `router`, `name_servers` and `domain` are the options that come with a lease.
    """

    address: IPv4Interface
    first: IPv4Address
    last: IPv4Address
    router: IPv4Address | None
    name_servers: tuple[IPv4Address, ...]
    domain: str
    lease_s: int

    @property
    def size(self) -> int:
        """How many addresses it has."""
        return int(self.last) - int(self.first) + 1


@dataclass(frozen=True, slots=True)
class Vrrp:
    """A segment's first-hop gateway: one address, which its routers share (RFC 5798).

    `priorities` are (device, priority), the highest first.
    """

    address: IPv4Interface
    virtual_router_id: int
    interval_s: float
    priorities: tuple[tuple[str, int], ...]
