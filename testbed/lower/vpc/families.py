"""IPv4 and IPv6 as the filters of a VPC tell them apart in nftables' language."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from testbed.topology.model import EVERYWHERE, EVERYWHERE6, NetworkInterface, Vpc
from testbed.topology.model.security import ICMP, ICMPV6, TCP, UDP

Cidr = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Family:
    """A family of addresses; `suffix` is part of the names of its sets."""

    version: int
    everywhere: Cidr
    header: str
    address: str
    """The type of its addresses in a set."""
    protocol: str
    """A packet's protocol; nft 1.0.6 has no `meta l4proto` in a key, so IPv6's is the first one."""
    icmp: int
    icmp_name: str
    icmp_header: str
    only: str
    """A condition for packets of this family."""
    suffix: str

    @property
    def with_selector(self) -> tuple[int, ...]:
        """Protocols with 16 bits to select by: the destination port, or ICMP's type and code."""
        return tuple(sorted((self.icmp, TCP, UDP)))


IPV4 = Family(
    version=4,
    everywhere=EVERYWHERE,
    header="ip",
    address="ipv4_addr",
    protocol="ip protocol",
    icmp=ICMP,
    icmp_name="icmp",
    icmp_header="icmp",
    only="meta nfproto ipv4 ",
    suffix="",
)
IPV6 = Family(
    version=6,
    everywhere=EVERYWHERE6,
    header="ip6",
    address="ipv6_addr",
    protocol="ip6 nexthdr",
    icmp=ICMPV6,
    icmp_name="ipv6-icmp",
    icmp_header="icmpv6",
    only="meta nfproto ipv6 ",
    suffix="6",
)


def of(vpc: Vpc) -> tuple[Family, ...]:
    """The families that a VPC has; IPv4 always."""
    return (IPV4,) if vpc.ipv6_cidr is None else (IPV4, IPV6)


def addresses(
    family: Family, interface: NetworkInterface
) -> tuple[IPv4Address, ...] | tuple[IPv6Address, ...]:
    """The addresses of one family that an interface has in its VPC."""
    if family == IPV4:
        return tuple(interface.addresses)
    return () if interface.ipv6_address is None else (interface.ipv6_address,)
