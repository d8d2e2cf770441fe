"""Direct Connect: the customer's physical connection to the Region and its virtual interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Literal

from testbed.topology.model.base import Quality

VirtualInterfaceKind = Literal["private", "transit", "public"]
DeviceVrf = Literal["sl", "lgw"]
PUBLIC_LIMIT = 1000  # prefixes of a public virtual interface (AWS: Direct Connect quotas)


@dataclass(frozen=True, slots=True)
class VirtualInterface:
    """A virtual interface: one VLAN and one eBGP session of a connection.

    `target` is the VPC whose virtual private gateway a private one ends in,
    the transit gateway of a transit one, and empty for a public one.
    `amazon_asn` is the virtual private gateway's, the Direct Connect
    gateway's, or the Region's. `prefixes` are what Amazon announces, `prefix_limit`
    is how many the customer may (0, public: AWS's fixed quota). `auth_key` is the MD5 key.
    """

    kind: VirtualInterfaceKind
    target: str
    vlan: int
    vrf: DeviceVrf
    amazon_asn: int
    amazon_address: IPv4Interface
    customer_address: IPv4Interface
    prefixes: tuple[IPv4Network, ...]
    bfd: bool
    mtu: int
    prefix_limit: int
    auth_key: str | None = None

    @property
    def limit(self) -> int:
        """How many prefixes the customer may announce."""
        return self.prefix_limit or PUBLIC_LIMIT


@dataclass(frozen=True, slots=True)
class DirectConnect:
    """A connection between a customer device and the Region; `number` is its own, from 0."""

    name: str
    number: int
    device: str
    quality: Quality
    virtual_interfaces: tuple[VirtualInterface, ...]
