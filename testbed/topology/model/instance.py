"""EC2 instances and their network interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from testbed.topology.model.base import Service
from testbed.topology.model.process import InstanceProcess

InstanceState = Literal["running", "stopped"]


@dataclass(frozen=True, slots=True)
class Requester:
    """What a requester-managed network interface belongs to: `name` in its VPC."""

    kind: Literal["nat-gateway", "vpc-endpoint"]
    name: str


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """An elastic network interface (facts: EC2 eni).

    An instance's primary interface has the instance's name and device index
    0. `instance` is None while the interface is detached, and where
    `requester` says that AWS made it for one of its own; such an interface
    has a name with a dot and is in the Region, whatever its subnet.
    `elastic_ips` are pairs of a private address and its Elastic IP. A
    customer-owned IP address stands for its primary private address on the
    Outpost's local network. Without security groups, which is where
    the VPC has none, it is not filtered.
    """

    name: str
    vpc: str
    subnet: str
    address: IPv4Address
    secondary_addresses: tuple[IPv4Address, ...]
    source_destination_check: bool
    instance: str | None
    device_index: int
    elastic_ips: tuple[tuple[IPv4Address, IPv4Address], ...] = ()
    requester: Requester | None = None
    ipv6_address: IPv6Address | None = None
    customer_owned_ip: IPv4Address | None = None
    security_groups: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """All its private addresses, the primary one first."""
        return (self.address, *self.secondary_addresses)


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """How an instance's metadata service is used (facts: EC2, instance metadata)."""

    enabled: bool = True
    token_required: bool = True
    hop_limit: int = 1


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance; `vpc`, `subnet` and `address` are its primary interface's.

    `server` is the number of the Outpost's server that it runs on, from 1, where
    the Outpost's capacity is known.
    """

    name: str
    vpc: str
    subnet: str
    address: IPv4Address
    services: tuple[Service, ...]
    state: InstanceState
    type: str = "c5.large"
    metadata: MetadataOptions = MetadataOptions()
    placement_group: str | None = None
    server: int | None = None
    processes: tuple[InstanceProcess, ...] = ()
