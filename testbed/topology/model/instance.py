"""EC2 instances."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from testbed.topology.model.base import Service


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance with one network interface."""

    name: str
    vpc: str
    subnet: str
    address: IPv4Address
    services: tuple[Service, ...]
