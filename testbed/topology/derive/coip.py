"""Customer-owned IP addresses that the file asks for without naming them.

AWS does not document which address of a pool it allocates: here it is the
lowest host address that no other interface has, and the interface keeps it
(docs/fidelity.md). Addresses that the file names are never given to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from testbed.errors import Path
from testbed.topology.derive.allocations import Allocated, resolved
from testbed.topology.model import NetworkInterface, Outpost, Rack, RoutingDomain, Subnet, Vpc
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import InstanceForm, NetworkInterfaceForm, TopologyForm


def derive_coips(
    form: TopologyForm,
    vpcs: Mapping[str, Vpc],
    outposts: Mapping[str, Outpost],
    interfaces: Mapping[str, NetworkInterface],
    allocated: Allocated,
    report: Report,
    numbers: Numbers,
) -> dict[str, NetworkInterface]:
    """Return the interfaces with their customer-owned IP addresses."""
    subnets = {(vpc.name, subnet.name): subnet for vpc in vpcs.values() for subnet in vpc.subnets}
    addresses = {
        name: address
        for name, each in interfaces.items()
        if (address := _named(form, each, allocated)) is not None
    }
    taken = {int(address) for address in addresses.values()}
    taken |= {int(each.address) for each in allocated.values()}
    wanted: dict[tuple[str, str], list[str]] = {}
    for name, interface in interfaces.items():
        subnet = subnets[interface.vpc, interface.subnet]
        own = _form(form, interface).customer_owned_ip
        if own == "auto" or (own is None and subnet.customer_owned_ip_pool):
            wanted.setdefault((subnet.vpc, subnet.name), []).append(name)
    for at, names in wanted.items():
        subnet = subnets[at]
        place = outposts[subnet.outpost] if subnet.outpost else None
        domain = place.domain_of(subnet.vpc) if isinstance(place, Rack) else None
        if domain is None or not domain.pools:
            continue  # the rules report it
        choices = _choices(domain, subnet)
        found = numbers.claim_all("customer-owned-ip", names, *choices, taken=taken)
        addresses |= {name: IPv4Address(number) for name, number in found.items()}
        for name in names:
            if name not in found:
                _exhausted(interfaces[name], subnet, domain, report)
    return {
        name: replace(interface, customer_owned_ip=addresses.get(name))
        for name, interface in interfaces.items()
    }


def _form(form: TopologyForm, interface: NetworkInterface) -> InstanceForm | NetworkInterfaceForm:
    if interface.device_index:
        return form.network_interfaces[interface.name]
    return form.instances[interface.name]


def _named(
    form: TopologyForm, interface: NetworkInterface, allocated: Allocated
) -> IPv4Address | None:
    given = resolved(_form(form, interface).customer_owned_ip, allocated, owned=True)
    return given if isinstance(given, IPv4Address) else None


def _choices(domain: RoutingDomain, subnet: Subnet) -> Iterator[range]:
    """The host addresses of the pools that a subnet's interfaces get theirs from."""
    for pool in domain.pools:
        if subnet.customer_owned_ip_pool in (None, pool.name):
            for cidr in pool.cidrs:
                yield range(int(cidr.network_address) + 1, int(cidr.broadcast_address))


def _exhausted(
    interface: NetworkInterface, subnet: Subnet, domain: RoutingDomain, report: Report
) -> None:
    group = "network_interfaces" if interface.device_index else "instances"
    path: Path = (group, interface.name)
    which = subnet.customer_owned_ip_pool or ", ".join(pool.name for pool in domain.pools)
    message = f"the customer-owned IP pool {which} has no free address"
    report.add(path, message, "add a CIDR block to the pool", key=True)
