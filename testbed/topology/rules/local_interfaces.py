"""Rules of local network interfaces on Outposts servers (facts: N1, N2)."""

from __future__ import annotations

from testbed.errors import Path
from testbed.topology.derive.addresses import subnet_of
from testbed.topology.derive.server import local_index
from testbed.topology.model import LocalNetworkInterface, Topology
from testbed.topology.report import Report
from testbed.topology.schema import NetworkInterfaceForm, TopologyForm

SOURCE = "(AWS: local-network-interface)"
OF_THE_VPC = (
    *("address", "secondary_addresses", "ipv6_address", "elastic_ip", "elastic_ips"),
    *("source_destination_check", "customer_owned_ip", "security_groups"),
)


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the subnets that have them, and every one of them."""
    for vpc, entry in form.vpcs.items():
        for name, subnet in entry.subnets.items():
            index = subnet.enable_lni_at_device_index
            if index is not None and subnet.outpost not in topology.servers:
                message = "local network interfaces exist in subnets on Outposts servers only"
                at: Path = ("vpcs", vpc, "subnets", name, "enable_lni_at_device_index")
                report.add(at, f"{message} {SOURCE}", "leave it out", key=True)
    owners: dict[str, str] = {}
    for name, interface in form.network_interfaces.items():
        path: Path = ("network_interfaces", name)
        if name in topology.network_interfaces:
            _not_local(path, interface, form, report)
            continue
        if local_index(form, interface) is None:
            continue  # there is no address for it, which has been said
        made = topology.local_network_interfaces.get(name)
        _of_the_vpc(path, interface, report)
        if made is not None and made.server in topology.servers:
            _local(path, made, topology, report)
            owner = owners.setdefault(made.instance, name)
            if owner != name:
                message = f"{made.instance} has {owner}: an instance has one local network"
                report.add((*path, "instance"), f"{message} interface at most {SOURCE}")


def _not_local(
    path: Path, interface: NetworkInterfaceForm, form: TopologyForm, report: Report
) -> None:
    """What is not a local one has nothing on a LAN."""
    index = local_index(form, interface)
    vpc, subnet = subnet_of(form, interface)
    hint = f"it is one at the enable_lni_at_device_index of {vpc}/{subnet}"
    hint += f", {index}" if index is not None else ", which has none"
    for key in ("local", "lan"):
        if getattr(interface, key):
            report.add((*path, key), f"is not a local network interface {SOURCE}", hint)


def _of_the_vpc(path: Path, interface: NetworkInterfaceForm, report: Report) -> None:
    if interface.local is False:
        message = "is a local network interface, by its device index and its subnet"
        report.add((*path, "local"), f"{message} {SOURCE}", "leave it out")
    for key in OF_THE_VPC:
        if key in interface.model_fields_set:
            message = f"a local network interface has no {key}: nothing of the VPC holds for it"
            hint = "leave it out; `lan` says what it has"
            report.add((*path, key), f"{message} {SOURCE}", hint, key=True)


def _local(path: Path, made: LocalNetworkInterface, topology: Topology, report: Report) -> None:
    instance = topology.instances[made.instance]
    home = topology.subnet(instance.vpc, instance.subnet).outpost
    if home != made.server:
        message = f"the instance {instance.name} is not on the server {made.server}"
        report.add((*path, "instance"), message, "use a subnet in the same place")
    for other in topology.network_interfaces.values():
        if other.instance == made.instance and other.device_index == made.device_index:
            message = f"{other.name} already uses device index {made.device_index}"
            report.add((*path, "device_index"), f"{message} of {made.instance}")
    if topology.servers[made.server].local_port is None:
        message = f"the LNI port of {made.server} is plugged in nowhere"
        hint = f"write outposts.{made.server}.local_network_interface: {{segment: SEGMENT}}"
        report.add(path, message, hint, key=True)
    segments = {segment.name: segment for segment in topology.site.segments}
    seen: set[int | None] = set()
    for index, network in enumerate(made.networks):
        at = (*path, "lan", index)
        if network.vlan in seen:
            what = "no tag" if network.vlan is None else f"VLAN {network.vlan}"
            report.add(at, f"there already is an entry with {what}", key=True)
        seen.add(network.vlan)
        if network.dhcp and network.segment and segments[network.segment].dhcp is None:
            message = f"there is no DHCP server on the segment {network.segment}"
            hint = f"write an address, or give site.segments.{network.segment} a dhcp: {{}}"
            report.add(at if report.has(at) else path, message, hint, key=True)
