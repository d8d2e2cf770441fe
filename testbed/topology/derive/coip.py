"""Customer-owned IP addresses that the file asks for without naming them.

AWS does not document which address of a pool it allocates: here it is the
lowest host address that no other interface of the Outpost has
(docs/fidelity.md). Addresses that the file names are never given to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from testbed.errors import Path
from testbed.topology.model import LocalGateway, NetworkInterface, Outpost, Subnet, Vpc
from testbed.topology.report import Report
from testbed.topology.schema import InstanceForm, NetworkInterfaceForm, TopologyForm


def derive_coips(
    form: TopologyForm,
    vpcs: Mapping[str, Vpc],
    outposts: Mapping[str, Outpost],
    interfaces: Mapping[str, NetworkInterface],
    report: Report,
) -> dict[str, NetworkInterface]:
    """The interfaces with their customer-owned IP addresses."""
    subnets = {(vpc.name, subnet.name): subnet for vpc in vpcs.values() for subnet in vpc.subnets}
    taken = {given for each in interfaces.values() if (given := _named(form, each))}
    found = {}
    for name, interface in interfaces.items():
        subnet = subnets[interface.vpc, interface.subnet]
        address = _named(form, interface)
        wanted = _form(form, interface).customer_owned_ip or subnet.customer_owned_ip_pool
        if wanted and not address:
            gateway = outposts[subnet.outpost].local_gateway if subnet.outpost else None
            address = _allocate(interface, subnet, gateway, taken, report)
        found[name] = replace(interface, customer_owned_ip=address)
    return found


def _form(form: TopologyForm, interface: NetworkInterface) -> InstanceForm | NetworkInterfaceForm:
    if interface.device_index:
        return form.network_interfaces[interface.name]
    return form.instances[interface.name]


def _named(form: TopologyForm, interface: NetworkInterface) -> IPv4Address | None:
    given = _form(form, interface).customer_owned_ip
    return given if isinstance(given, IPv4Address) else None


def _allocate(
    interface: NetworkInterface,
    subnet: Subnet,
    gateway: LocalGateway | None,
    taken: set[IPv4Address],
    report: Report,
) -> IPv4Address | None:
    """The first free address; None where there is no pool, which the rules report."""
    if gateway is None or not gateway.pools:
        return None
    address = next((a for a in _addresses(gateway, subnet) if a not in taken), None)
    if address is None:
        group = "network_interfaces" if interface.device_index else "instances"
        path: Path = (group, interface.name)
        which = subnet.customer_owned_ip_pool or ", ".join(pool.name for pool in gateway.pools)
        message = f"the customer-owned IP pool {which} has no free address"
        report.add(path, message, "add a CIDR block to the pool", key=True)
        return None
    taken.add(address)
    return address


def _addresses(gateway: LocalGateway, subnet: Subnet) -> Iterator[IPv4Address]:
    for pool in gateway.pools:
        if subnet.customer_owned_ip_pool in (None, pool.name):
            for cidr in pool.cidrs:
                yield from cidr.hosts()
