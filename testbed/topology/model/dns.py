"""Names and addresses that a VPC hands out: DNS and DHCP."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

RecordType = Literal["A", "AAAA", "CNAME", "TXT", "MX", "SRV"]


@dataclass(frozen=True, slots=True)
class Record:
    """The records of one name and type; `name` is complete, without a dot at its end."""

    name: str
    type: RecordType
    ttl_s: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostedZone:
    """A private hosted zone of Route 53, associated with VPCs (facts: V vpc-dns)."""

    name: str
    vpcs: tuple[str, ...]
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class DhcpOptions:
    """A VPC's DHCP option set; a server that is None is the VPC's own resolver."""

    domain_name: str
    servers: tuple[IPv4Address | None, ...]
