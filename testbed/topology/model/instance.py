"""EC2 instances and their network interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from testbed.topology.model.base import Service

InstanceState = Literal["running", "stopped"]


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """An elastic network interface (facts: E eni).

    An instance's primary interface has the instance's name and device index
    0. `instance` is None while the interface is detached.
    """

    name: str
    vpc: str
    subnet: str
    address: IPv4Address
    secondary_addresses: tuple[IPv4Address, ...]
    source_destination_check: bool
    instance: str | None
    device_index: int

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """All its private addresses, the primary one first."""
        return (self.address, *self.secondary_addresses)


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance; `vpc`, `subnet` and `address` are its primary interface's."""

    name: str
    vpc: str
    subnet: str
    address: IPv4Address
    services: tuple[Service, ...]
    state: InstanceState
