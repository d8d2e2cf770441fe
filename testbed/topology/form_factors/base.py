"""What the form factors of Outposts racks differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.topology.model import InfrastructurePrefix

Cidrs = tuple[IPv4Network, ...]
Split = Callable[[Cidrs, int], tuple[InfrastructurePrefix, ...]]


@dataclass(frozen=True, slots=True)
class FormFactor:
    """A kind of rack as AWS builds it: what the customer connects to, and what it announces.

    `devices` networking devices (ONDs) with uplinks, by the number of compute racks, each with
    `lags_per_device` LAGs; `customer_devices` are the numbers of customer devices that they may
    be connected to, `uplinks` the numbers of links of a LAG, by speed in Gbit/s. Each of
    `infrastructure_subnets` has the length `infrastructure_length`, and `split` makes what the
    service link announces of them. `point_to_point` are the lengths of a VIF's subnet.
    `customer_vifs` says that the customer makes the local gateway's VIFs, `separate` that the
    networking devices are in a rack without servers.
    """

    name: str
    title: str
    compute_racks: range
    devices: Callable[[int], int]
    lags_per_device: int
    customer_devices: tuple[int, ...]
    uplinks: Mapping[int, tuple[int, ...]]
    infrastructure_length: int
    infrastructure_subnets: Callable[[int], int]
    infrastructure_title: str
    split: Split
    point_to_point: tuple[int, ...]
    routing_domains: int
    customer_vifs: bool
    separate: bool
    source: str
    facts: str

    def lags(self, compute_racks: int) -> int:
        """How many LAGs it has."""
        return self.devices(compute_racks) * self.lags_per_device


def halves(cidrs: Cidrs, devices: int) -> tuple[InfrastructurePrefix, ...]:
    """Announce two contiguous halves of each subnet, one networking device's each in turn (R1)."""
    prefixes = [half for cidr in cidrs for half in _halves(cidr)]
    return tuple(
        InfrastructurePrefix(prefix, (index % devices + 1,))
        for index, prefix in enumerate(prefixes)
    )


def shared_halves(cidrs: Cidrs, devices: int) -> tuple[InfrastructurePrefix, ...]:
    """Announce two halves of each subnet, from all networking devices alike (H1)."""
    owners = tuple(range(1, devices + 1))
    return tuple(InfrastructurePrefix(half, owners) for cidr in cidrs for half in _halves(cidr))


def whole(cidrs: Cidrs, devices: int) -> tuple[InfrastructurePrefix, ...]:
    """Announce each subnet as it is, from all networking devices alike (docs/fidelity.md)."""
    owners = tuple(range(1, devices + 1))
    return tuple(InfrastructurePrefix(cidr, owners) for cidr in cidrs)


def _halves(cidr: IPv4Network) -> list[IPv4Network]:
    return list(cidr.subnets(prefixlen_diff=1)) if cidr.prefixlen < 32 else [cidr, cidr]
