"""Addresses that the file leaves out: those of a network that nobody has, kept for as long."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import overload

from testbed.topology import references
from testbed.topology.numbers import Numbers
from testbed.topology.schema import InstanceForm, NetworkInterfaceForm, TopologyForm


@overload
def free_addresses(
    numbers: Numbers,
    kind: str,
    network: IPv4Network,
    names: Iterable[str],
    offsets: range,
    given: Iterable[IPv4Address],
) -> dict[str, IPv4Address]: ...


@overload
def free_addresses(
    numbers: Numbers,
    kind: str,
    network: IPv6Network,
    names: Iterable[str],
    offsets: range,
    given: Iterable[IPv6Address],
) -> dict[str, IPv6Address]: ...


def free_addresses(
    numbers: Numbers,
    kind: str,
    network: IPv4Network | IPv6Network,
    names: Iterable[str],
    offsets: range,
    given: Iterable[IPv4Address | IPv6Address],
) -> dict[str, IPv4Address] | dict[str, IPv6Address]:
    """Return an address of `network` for each name, as far as there are any.

    `offsets` are those from the network's base, in order of preference; addresses that the file
    has `given` to anybody are left out.
    """
    base = network.network_address
    taken = {int(address) - int(base) for address in given}
    claimed = numbers.claim_all(kind, names, offsets, taken=taken)
    return {name: base + offset for name, offset in claimed.items()}  # type: ignore[return-value]


def hosts(network: IPv4Network, first: int) -> range:
    """Return the offsets of a network's host addresses, from the `first` one on."""
    return range(first, network.num_addresses - 1)


def subnet_of(form: TopologyForm, entry: InstanceForm | NetworkInterfaceForm) -> tuple[str, str]:
    """Return the VPC and the name of the subnet that an interface is in."""
    vpc, _, subnet = entry.subnet.rpartition("/")
    return vpc or references.owners_of(form, subnet)[0], subnet


def address_kind(vpc: str, subnet: str) -> str:
    """Return what kind of numbers the addresses of a subnet are."""
    return f"address/{vpc}/{subnet}"


def given_addresses(
    form: TopologyForm,
    at: tuple[str, str],
    entries: Iterable[InstanceForm | NetworkInterfaceForm],
) -> set[IPv4Address]:
    """Return the addresses in a subnet that the file gives to `entries` and to NAT gateways."""
    vpc, subnet = at
    given = {a for entry in entries for a in (entry.address, *entry.secondary_addresses) if a}
    gateways = form.vpcs[vpc].nat_gateways.values()
    return given | {entry.address for entry in gateways if entry.subnet == subnet and entry.address}
