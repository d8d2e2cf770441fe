"""Rules of addresses that are allocated, and of the names that stand for them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from testbed.errors import Path
from testbed.topology.derive.allocations import pool_of
from testbed.topology.model import Topology
from testbed.topology.report import Report, choices
from testbed.topology.schema import AddressForm, TopologyForm

AUTO = "auto"


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every allocated address, and everything that has one."""
    owners: dict[IPv4Address, str] = {}
    for name, entry in form.addresses.items():
        _allocation(("addresses", name), entry, topology, report)
        if isinstance(entry.address, IPv4Address):
            owner = owners.setdefault(entry.address, name)
            if owner != name:
                message = f"{entry.address} is allocated already, as {owner}"
                report.add(("addresses", name, "address"), message, "choose one that is free")
    allocated = {each.address: each.name for each in topology.addresses.values()}
    for path, wanted, owned in _wanted(form):
        if isinstance(wanted, IPv4Address):
            if wanted in allocated:
                message = f"{wanted} is allocated: it is the address {allocated[wanted]}"
                report.add(path, message, f"write {path[-1]}: {allocated[wanted]}")
        elif wanted != AUTO:
            _named(path, wanted, form, report, owned=owned)


def _allocation(path: Path, entry: AddressForm, topology: Topology, report: Report) -> None:
    """An allocated address is one of the Region's, or of a pool that there is."""
    blocks = [topology.region.elastic_ip_cidr]
    if (pool := pool_of(entry.pool)) is not None:
        domains = ((r.name, domain) for r in topology.racks.values() for domain in r.domains)
        pools = {(name, p.name): p.cidrs for name, domain in domains for p in domain.pools}
        if pool not in pools:
            message = f"InvalidPoolID.NotFound: there is no customer-owned IP pool {entry.pool}"
            hint = choices(str(entry.pool), ["/".join(names) for names in pools], "pools")
            report.add((*path, "pool"), message, hint)
            return
        blocks = list(pools[pool])
    address = entry.address
    if isinstance(address, IPv4Address) and not any(
        address in block and address not in {block.network_address, block.broadcast_address}
        for block in blocks
    ):
        where = ", ".join(map(str, blocks))
        report.add((*path, "address"), f"{address} is not a host address of {where}")


def _wanted(form: TopologyForm) -> Iterator[tuple[Path, IPv4Address | str, bool]]:
    """Find where the document asks for an address, and whether for a customer-owned one."""
    for group, entries in (
        ("instances", form.instances),
        ("network_interfaces", form.network_interfaces),
    ):
        for name, entry in entries.items():
            if entry.elastic_ip is not None:
                yield (group, name, "elastic_ip"), entry.elastic_ip, False
            for private, public in entry.elastic_ips.items():
                yield (group, name, "elastic_ips", str(private)), public, False
            if entry.customer_owned_ip is not None:
                yield (group, name, "customer_owned_ip"), entry.customer_owned_ip, True
    for vpc, spec in form.vpcs.items():
        for name, gateway in spec.nat_gateways.items():
            yield ("vpcs", vpc, "nat_gateways", name, "elastic_ip"), gateway.elastic_ip, False


def _named(path: Path, name: str, form: TopologyForm, report: Report, *, owned: bool) -> None:
    """A name is that of an allocated address of the right kind."""
    right = [other for other, entry in form.addresses.items() if (entry.pool is not None) == owned]
    if name in right:
        return
    if name in form.addresses:
        kinds = ("an Elastic IP", "a customer-owned IP address")
        message = f"'{name}' is {kinds[not owned]}, not {kinds[owned]}"
    else:
        message = f"InvalidAllocationID.NotFound: there is no address named '{name}'"
    hint = choices(name, right, "addresses") if right else "write auto, or an address"
    report.add(path, message, hint)
