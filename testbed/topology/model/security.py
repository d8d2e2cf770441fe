"""Security groups and network ACLs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

TCP, UDP, ICMP = 6, 17, 1
EVERYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Traffic:
    """A kind of packets: `protocol` is IANA's number, None all of them.

    `ports` are the destination ports of TCP and UDP, first and last; the ICMP
    type and code are None where a rule leaves them open.
    """

    protocol: int | None = None
    ports: tuple[int, int] | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """One rule of a security group; it allows.

    The other end is in `cidrs` (one, or those of a prefix list), or is a
    member of `group`, which is (VPC, name).
    """

    traffic: Traffic
    cidrs: tuple[IPv4Network, ...] = ()
    group: tuple[str, str] | None = None
    prefix_list: str | None = None


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A stateful filter that allows only (facts: V security-groups)."""

    name: str
    vpc: str
    ingress: tuple[SecurityRule, ...]
    egress: tuple[SecurityRule, ...]


@dataclass(frozen=True, slots=True)
class NetworkAclEntry:
    """A rule of a network ACL; the one with the lowest `number` that matches decides."""

    number: int
    traffic: Traffic
    cidr: IPv4Network
    action: Literal["allow", "deny"]


@dataclass(frozen=True, slots=True)
class NetworkAcl:
    """A stateless filter at a subnet's boundary; what no entry allows is denied.

    The entries are in the order of their numbers.
    """

    name: str
    ingress: tuple[NetworkAclEntry, ...]
    egress: tuple[NetworkAclEntry, ...]

    @property
    def open(self) -> bool:
        """Whether it lets everything through, as the default one does."""
        return all(
            entries
            and entries[0].action == "allow"
            and entries[0].traffic == Traffic()
            and entries[0].cidr == EVERYWHERE
            for entries in (self.ingress, self.egress)
        )
