"""Security groups and network ACLs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
EVERYWHERE = IPv4Network("0.0.0.0/0")
EVERYWHERE6 = IPv6Network("::/0")


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

    The other end is in `cidrs` (one of either family, or those of a prefix
    list), or is a member of `group`, which is (VPC, name), by IPv4 or IPv6.
    """

    traffic: Traffic
    cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
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
    """A rule of a network ACL; the one with the lowest `number` that matches decides.

    It is about the family of its `cidr` only.
    """

    number: int
    traffic: Traffic
    cidr: IPv4Network | IPv6Network
    action: Literal["allow", "deny"]


@dataclass(frozen=True, slots=True)
class NetworkAcl:
    """A stateless filter at a subnet's boundary; what no entry allows is denied.

    The entries are in the order of their numbers.
    """

    name: str
    ingress: tuple[NetworkAclEntry, ...]
    egress: tuple[NetworkAclEntry, ...]

    def opens(self, everywhere: IPv4Network | IPv6Network) -> bool:
        """Whether it lets everything of one family through, as the default one does."""
        for entries in (self.ingress, self.egress):
            first = next((e for e in entries if e.cidr.version == everywhere.version), None)
            if first is None or first.action == "deny":
                return False
            if (first.traffic, first.cidr) != (Traffic(), everywhere):
                return False
        return True
