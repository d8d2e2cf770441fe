"""Instances and their network interfaces: addresses and device indexes."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from testbed.errors import Path
from testbed.topology import references
from testbed.topology.derive import security as derive_security
from testbed.topology.derive.site import first_free
from testbed.topology.model import Instance, MetadataOptions, NetworkInterface, Vpc
from testbed.topology.report import Report
from testbed.topology.schema import InstanceForm, NetworkInterfaceForm, TopologyForm

RESERVED_AT_START = 4  # network, router, DNS, future use (facts: V subnet-sizing)
LAST_DEVICE_INDEX = 15


def derive_instances(
    form: TopologyForm, vpcs: Mapping[str, Vpc], report: Report
) -> tuple[dict[str, Instance], dict[str, NetworkInterface]]:
    """The instances, and all network interfaces: the primary ones first."""
    addresses = _Addresses(form, vpcs, report)
    instances: dict[str, Instance] = {}
    interfaces: dict[str, NetworkInterface] = {}
    for name, instance in form.instances.items():
        primary = addresses.interface(("instances", name), name, instance, name, 0)
        if primary is None:
            continue
        services = tuple(dict.fromkeys(instance.services))
        interfaces[name] = primary
        options = instance.metadata_options
        instances[name] = Instance(
            name,
            primary.vpc,
            primary.subnet,
            primary.address,
            services,
            instance.state,
            type=instance.type,
            placement_group=instance.placement_group,
            metadata=MetadataOptions(
                enabled=options.http_endpoint == "enabled",
                token_required=options.http_tokens == "required",
                hop_limit=options.http_put_response_hop_limit,
            ),
        )
    indexes = _device_indexes(form)
    for name, interface in form.network_interfaces.items():
        owner = interface.instance if interface.instance in instances else None
        path: Path = ("network_interfaces", name)
        made = addresses.interface(path, name, interface, owner, indexes[name])
        if made is not None and name not in interfaces:
            interfaces[name] = made
    return instances, interfaces


def _device_indexes(form: TopologyForm) -> dict[str, int]:
    """The device index of each interface: its own, or the first that its instance has free."""
    used: dict[str | None, set[int]] = {}
    for interface in form.network_interfaces.values():
        if interface.device_index is not None:
            used.setdefault(interface.instance, set()).add(interface.device_index)
    indexes: dict[str, int] = {}
    for name, interface in form.network_interfaces.items():
        taken = used.setdefault(interface.instance, set())
        free = (number for number in range(1, LAST_DEVICE_INDEX + 1) if number not in taken)
        index = interface.device_index or next(free, LAST_DEVICE_INDEX)
        taken.add(index)
        indexes[name] = index
    return indexes


class _Addresses:
    """Gives interfaces the addresses that the file leaves out."""

    def __init__(self, form: TopologyForm, vpcs: Mapping[str, Vpc], report: Report) -> None:
        self.form = form
        self.report = report
        self.subnets = {
            (vpc.name, subnet.name): subnet for vpc in vpcs.values() for subnet in vpc.subnets
        }
        self.used: dict[tuple[str, str], set[IPv4Address]] = {}
        self.used6: dict[tuple[str, str], set[IPv6Address]] = {}

    def interface(
        self,
        path: Path,
        name: str,
        form: InstanceForm | NetworkInterfaceForm,
        owner: str | None,
        index: int,
    ) -> NetworkInterface | None:
        """The resolved interface; None, and a problem reported, where its subnet is full."""
        vpc, _, subnet = form.subnet.rpartition("/")
        vpc = vpc or references.owners_of(self.form, subnet)[0]
        taken = self.used.setdefault((vpc, subnet), set())
        cidr = self.subnets[vpc, subnet].cidr
        address = form.address or first_free(cidr, RESERVED_AT_START, taken)
        if address is None:
            message = f"the subnet {subnet} ({cidr}) has no free address"
            self.report.add(path, message, "make the subnet larger", key=True)
            return None
        taken |= {address, *form.secondary_addresses}
        return NetworkInterface(
            name=name,
            vpc=vpc,
            subnet=subnet,
            address=address,
            secondary_addresses=tuple(form.secondary_addresses),
            source_destination_check=form.source_destination_check,
            instance=owner,
            device_index=index,
            ipv6_address=self._ipv6(vpc, subnet, form.ipv6_address),
            security_groups=derive_security.groups_of(self.form, vpc, form.security_groups),
        )

    def _ipv6(
        self, vpc: str, subnet: str, wanted: IPv6Address | Literal["auto"] | None
    ) -> IPv6Address | None:
        """The wanted address; none where its subnet has no block, which a rule refuses."""
        cidr = self.subnets[vpc, subnet].ipv6_cidr
        taken = self.used6.setdefault((vpc, subnet), set())
        if wanted == "auto":
            wanted = None
            if cidr is not None:
                number = RESERVED_AT_START
                while cidr.network_address + number in taken:
                    number += 1
                wanted = cidr.network_address + number
        if wanted is not None:
            taken.add(wanted)
        return wanted
