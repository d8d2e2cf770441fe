"""Rules of instances and network interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from testbed.errors import Path
from testbed.topology.derive.instances import RESERVED_AT_START
from testbed.topology.model import NetworkInterface, Topology
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm

RESERVED = ("the network's address", "the VPC router's", "the DNS server's", "reserved by AWS")


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every instance and network interface."""
    owners: dict[tuple[str, str, IPv4Address], str] = {}
    for interface in topology.network_interfaces.values():
        if interface.requester is None:
            _addresses(form, topology, interface, owners, report)
    _attachments(topology, report)
    _unique_names(form, topology, report)


def path_of(interface: NetworkInterface) -> Path:
    """Where the file has the interface: a primary one is its instance's."""
    if interface.requester is not None:
        group = "nat_gateways" if interface.requester.kind == "nat-gateway" else "endpoints"
        return ("vpcs", interface.vpc, group, interface.requester.name)
    group = "network_interfaces" if interface.device_index else "instances"
    return (group, interface.name)


def _addresses(
    form: TopologyForm,
    topology: Topology,
    interface: NetworkInterface,
    owners: dict[tuple[str, str, IPv4Address], str],
    report: Report,
) -> None:
    path = path_of(interface)
    subnet = topology.subnet(interface.vpc, interface.subnet)
    for index, address in enumerate(interface.addresses):
        at: Path = (*path, "secondary_addresses", index - 1) if index else (*path, "address")
        if address not in subnet.cidr:
            message = f"{address} is not in the subnet {subnet.name} ({subnet.cidr})"
            report.add(at, message, f"choose an address in {subnet.cidr}")
        elif reserved := _reserved(subnet.cidr, address):
            first = subnet.cidr.network_address + RESERVED_AT_START
            message = f"{address} is {reserved}: the first four and the last address of a subnet"
            hint = f"the first address for instances is {first}"
            report.add(at, f"{message} are reserved (AWS: subnet sizing)", hint)
        key = (interface.vpc, interface.subnet, address)
        if key in owners:
            what = "network interface" if owners[key] in form.network_interfaces else "instance"
            message = f"{address} is the address of the {what} {owners[key]}"
            report.add(at, message, "choose an address that is free")
        owners.setdefault(key, interface.name)


def _reserved(cidr: IPv4Network, address: IPv4Address) -> str | None:
    offset = int(address) - int(cidr.network_address)
    if offset < RESERVED_AT_START:
        return RESERVED[offset]
    return "the last one" if address == cidr.broadcast_address else None


def _attachments(topology: Topology, report: Report) -> None:
    """An interface and its instance are in one VPC and Availability Zone (E using-eni)."""
    owners: dict[tuple[str, int], str] = {}
    for interface in topology.network_interfaces.values():
        if interface.instance is None or not interface.device_index:
            continue
        path: Path = ("network_interfaces", interface.name)
        instance = topology.instances[interface.instance]
        subnet = topology.subnet(interface.vpc, interface.subnet)
        home = topology.subnet(instance.vpc, instance.subnet)
        if interface.vpc != instance.vpc:
            message = f"the instance {instance.name} is in the VPC {instance.vpc}"
            report.add((*path, "instance"), f"{message}, the network interface in {interface.vpc}")
        elif subnet.zone != home.zone:
            message = (
                f"the instance {instance.name} is in {home.zone}, the network interface in"
                f" {subnet.zone}: both must be in one zone (AWS: AttachNetworkInterface)"
            )
            report.add((*path, "instance"), message)
        elif subnet.outpost != home.outpost:
            message = (
                f"the instance {instance.name} is {_where(home.outpost)}, the network interface"
                f" {_where(subnet.outpost)}: this cannot be built yet"
            )
            report.add((*path, "instance"), message, "use a subnet in the same place")
        key = (instance.name, interface.device_index)
        owner = owners.setdefault(key, interface.name)
        if owner != interface.name:
            message = (
                f"{owner} already uses device index {interface.device_index} of {instance.name}"
            )
            report.add((*path, "device_index"), message, "choose a free one")


def _where(outpost: str | None) -> str:
    return f"on the Outpost {outpost}" if outpost else "in the Region"


def _unique_names(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Devices, hosts and instances are nodes, by their plain names; interfaces share those."""
    internet = topology.region.internet
    hosts = internet.hosts if internet else ()
    kinds: Mapping[str, list[str]] = {
        "a customer device": [device.name for device in topology.site.devices],
        "a firewall": [firewall.name for firewall in topology.site.firewalls],
        "a host": [host.name for host in topology.site.hosts],
        "an internet host": [host.name for host in hosts],
        "an instance": list(topology.instances),
        "a network interface": list(form.network_interfaces),
    }
    paths: Mapping[str, Path] = {
        "a customer device": ("site", "devices"),
        "a firewall": ("site", "firewalls"),
        "a host": ("site", "hosts"),
        "an internet host": ("region", "internet", "hosts"),
        "an instance": ("instances",),
        "a network interface": ("network_interfaces",),
    }
    owners: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            owner = owners.setdefault(name, kind)
            if owner != kind:
                message = f"'{name}' is also the name of {owner}; names of nodes must be unique"
                report.add((*paths[kind], name), message, "choose another name", key=True)
