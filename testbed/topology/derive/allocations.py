"""Addresses that are allocated by name, whether anything uses them or not."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from testbed.topology.derive.addresses import free_addresses, hosts
from testbed.topology.model import AllocatedAddress, Outpost, Rack
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import InstanceForm, NetworkInterfaceForm, TopologyForm

Allocated = Mapping[str, AllocatedAddress]


def derive_addresses(
    form: TopologyForm,
    cidr: IPv4Network,
    outposts: Mapping[str, Outpost],
    report: Report,
    numbers: Numbers,
) -> dict[str, AllocatedAddress]:
    """Return the allocated addresses by name; those of unknown pools are left to the rules.

    `cidr` has the Elastic IPs. Addresses that the file gives to anything are not allocated.
    """
    pools = {
        (outpost.name, pool.name): pool.cidrs
        for outpost in outposts.values()
        if isinstance(outpost, Rack)
        for domain in outpost.domains
        for pool in domain.pools
    }
    known = {
        name: pool_of(entry.pool)
        for name, entry in form.addresses.items()
        if pool_of(entry.pool) in {None, *pools}
    }
    found = {
        name: entry.address
        for name, entry in form.addresses.items()
        if name in known and isinstance(entry.address, IPv4Address)
    }
    auto = {name: pool for name, pool in known.items() if name not in found}
    given = _given(form)
    elastic = {f"addresses/{name}": name for name, pool in auto.items() if pool is None}
    free = free_addresses(numbers, "elastic-ip", cidr, elastic, hosts(cidr, 1), given)
    found |= {elastic[key]: address for key, address in free.items()}
    taken = {int(address) for address in given}
    for pool, cidrs in pools.items():
        choices = (range(int(c.network_address) + 1, int(c.broadcast_address)) for c in cidrs)
        owned = {f"addresses/{name}": name for name, wanted in auto.items() if wanted == pool}
        claimed = numbers.claim_all("customer-owned-ip", owned, *choices, taken=taken)
        found |= {owned[key]: IPv4Address(number) for key, number in claimed.items()}
    for name in auto:
        if name not in found:
            where = form.addresses[name].pool or str(cidr)
            message = f"AddressLimitExceeded: {where} has no free address"
            report.add(("addresses", name), message, key=True)
    return {n: AllocatedAddress(n, found[n], pool) for n, pool in known.items() if n in found}


def pool_of(name: str | None) -> tuple[str, str] | None:
    """Return the Outpost and pool in an allocation's `pool`; None for an Elastic IP."""
    if name is None:
        return None
    outpost, _, pool = name.partition("/")
    return outpost, pool


def resolved(
    wanted: IPv4Address | str | None, allocated: Allocated, *, owned: bool
) -> IPv4Address | str | None:
    """Return the address that a name stands for; auto, and addresses, as they are.

    A name that is not one of an Elastic IP, or with `owned` of a customer-owned address, stands
    for nothing, and the rules refuse it.
    """
    if wanted == "auto" or not isinstance(wanted, str):
        return wanted
    found = allocated.get(wanted)
    return found.address if found and (found.pool is not None) == owned else None


def _given(form: TopologyForm) -> set[IPv4Address]:
    """Return all addresses that the file gives out by themselves."""
    interfaces: list[InstanceForm | NetworkInterfaceForm] = [
        *form.instances.values(),
        *form.network_interfaces.values(),
    ]
    gateways = [gateway for vpc in form.vpcs.values() for gateway in vpc.nat_gateways.values()]
    wanted: list[IPv4Address | str | None] = [entry.address for entry in form.addresses.values()]
    for entry in interfaces:
        wanted += [entry.elastic_ip, entry.customer_owned_ip, *entry.elastic_ips.values()]
    wanted += [gateway.elastic_ip for gateway in gateways]
    return {address for address in wanted if isinstance(address, IPv4Address)}
