"""Instances and their network interfaces: addresses and device indexes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from testbed.errors import Path
from testbed.topology.derive import security as derive_security
from testbed.topology.derive.addresses import (
    address_kind,
    free_addresses,
    given_addresses,
    hosts,
    subnet_of,
)
from testbed.topology.derive.processes import derive_processes
from testbed.topology.derive.server import local_index
from testbed.topology.form_factors import SERVERS
from testbed.topology.model import Instance, MetadataOptions, NetworkInterface, Vpc
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import InstanceForm, NetworkInterfaceForm, TopologyForm

RESERVED_AT_START = 4  # network, router, DNS, future use (facts: V subnet-sizing)
LAST_DEVICE_INDEX = 15


def derive_instances(
    form: TopologyForm, vpcs: Mapping[str, Vpc], report: Report, numbers: Numbers
) -> tuple[dict[str, Instance], dict[str, NetworkInterface], dict[str, int]]:
    """Return the instances, all network interfaces, the primary ones first, and the local ones.

    The latter by name, with their device indexes: nothing of the VPC is theirs.
    """
    indexes = _device_indexes(form, numbers)
    local = {
        name: indexes[name]
        for name, entry in form.network_interfaces.items()
        if local_index(form, entry) == indexes[name]
    }
    addresses = _Addresses(form, vpcs, local, report, numbers)
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
            type=_type(form, instance),
            processes=derive_processes(instance.processes),
            placement_group=instance.placement_group,
            metadata=MetadataOptions(
                enabled=options.http_endpoint == "enabled",
                token_required=options.http_tokens == "required",
                hop_limit=options.http_put_response_hop_limit,
            ),
        )
    for name, interface in form.network_interfaces.items():
        if name in local:
            continue
        owner = interface.instance if interface.instance in instances else None
        path: Path = ("network_interfaces", name)
        made = addresses.interface(path, name, interface, owner, indexes[name])
        if made is not None and name not in interfaces:
            interfaces[name] = made
    return instances, interfaces, local


def _type(form: TopologyForm, instance: InstanceForm) -> str:
    """The instance's type; one that says none is of the smallest kind that its server offers."""
    vpc, subnet = subnet_of(form, instance)
    outpost = form.vpcs[vpc].subnets[subnet].outpost
    server = SERVERS.get(form.outposts[outpost].form_factor) if outpost else None
    if server is None or "type" in instance.model_fields_set:
        return instance.type
    return server.default_type


def _device_indexes(form: TopologyForm, numbers: Numbers) -> dict[str, int]:
    """The device index of each interface: its own, or one that its instance has free."""
    owners: dict[str | None, list[str]] = {}
    for name, interface in form.network_interfaces.items():
        owners.setdefault(interface.instance, []).append(name)
    indexes: dict[str, int] = {}
    for owner, names in owners.items():
        given = {n: i for n in names if (i := form.network_interfaces[n].device_index)}
        derived = [name for name in names if name not in given]
        choices = range(1, LAST_DEVICE_INDEX + 1)
        kind = f"device-index/{owner or ''}"
        free = numbers.claim_all(kind, derived, choices, taken=set(given.values()))
        indexes |= dict.fromkeys(derived, LAST_DEVICE_INDEX) | free | given
    return indexes


class _Addresses:
    """The subnets' addresses: those that the file gives, and those that it leaves out."""

    def __init__(
        self,
        form: TopologyForm,
        vpcs: Mapping[str, Vpc],
        local: Collection[str],
        report: Report,
        numbers: Numbers,
    ) -> None:
        self.form = form
        self.report = report
        self.subnets = {
            (vpc.name, subnet.name): subnet for vpc in vpcs.values() for subnet in vpc.subnets
        }
        self.free: dict[str, IPv4Address] = {}
        self.free6: dict[str, IPv6Address] = {}
        users: dict[tuple[str, str], dict[str, InstanceForm | NetworkInterfaceForm]] = {}
        for entries in (form.instances, form.network_interfaces):
            for name, entry in entries.items():
                if entries is form.network_interfaces and name in local:
                    continue
                users.setdefault(subnet_of(form, entry), {}).setdefault(name, entry)
        for at, here in users.items():
            self._fill(at, here, given_addresses(form, at, here.values()), numbers)

    def _fill(
        self,
        at: tuple[str, str],
        entries: Mapping[str, InstanceForm | NetworkInterfaceForm],
        given: Iterable[IPv4Address],
        numbers: Numbers,
    ) -> None:
        """Find addresses in one subnet for those that the file leaves out."""
        subnet = self.subnets[at]
        nameless = [name for name, entry in entries.items() if entry.address is None]
        offsets = hosts(subnet.cidr, RESERVED_AT_START)
        kind = address_kind(*at)
        self.free |= free_addresses(numbers, kind, subnet.cidr, nameless, offsets, given)
        if subnet.ipv6_cidr is None:
            return
        wanted = {name: entry.ipv6_address for name, entry in entries.items()}
        auto = [name for name, address in wanted.items() if address == "auto"]
        given6 = [address for address in wanted.values() if isinstance(address, IPv6Address)]
        offsets = range(RESERVED_AT_START, subnet.ipv6_cidr.num_addresses)
        kind = f"ipv6-address/{at[0]}/{at[1]}"
        self.free6 |= free_addresses(numbers, kind, subnet.ipv6_cidr, auto, offsets, given6)

    def interface(
        self,
        path: Path,
        name: str,
        form: InstanceForm | NetworkInterfaceForm,
        owner: str | None,
        index: int,
    ) -> NetworkInterface | None:
        """The resolved interface; None, and a problem reported, where its subnet is full."""
        vpc, subnet = subnet_of(self.form, form)
        address = form.address or self.free.get(name)
        if address is None:
            cidr = self.subnets[vpc, subnet].cidr
            message = f"the subnet {subnet} ({cidr}) has no free address"
            self.report.add(path, message, "make the subnet larger", key=True)
            return None
        return NetworkInterface(
            name=name,
            vpc=vpc,
            subnet=subnet,
            address=address,
            secondary_addresses=tuple(form.secondary_addresses),
            source_destination_check=form.source_destination_check,
            instance=owner,
            device_index=index,
            ipv6_address=self._ipv6(name, form.ipv6_address),
            security_groups=derive_security.groups_of(self.form, vpc, form.security_groups),
        )

    def _ipv6(self, name: str, wanted: IPv6Address | Literal["auto"] | None) -> IPv6Address | None:
        """The wanted address; none where its subnet has no block, which a rule refuses."""
        return self.free6.get(name) if wanted == "auto" else wanted
