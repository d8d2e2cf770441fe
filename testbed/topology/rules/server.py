"""Rules of Outposts servers: what AWS refuses, and how their two ports are connected."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.errors import Path
from testbed.topology.form_factors import SERVERS
from testbed.topology.model import RACKS_ONLY, Segment, Server, Topology
from testbed.topology.report import Report
from testbed.topology.rules.lan import usable
from testbed.topology.schema import InstanceForm, OutpostForm, ServiceLinkForm, TopologyForm

LINK_OF_SERVERS = (
    *("segment", "dhcp", "address", "gateway", "name_servers", "switch_port", "key"),
    *("tunnel1_public_key", "tunnel2_public_key"),
)
LINK_OF_RACKS = ("asn", "infrastructure_cidr", "infrastructure_cidrs", "vifs")
PRIVATE = ("connectivity", "vpc", "subnet")
OFFERED = "a server offers EC2, ECS, App Mesh, IoT Greengrass and subnets"
REFUSED = {
    "local_gateway": (
        "a server has no local gateway; only racks have one (AWS: local gateways)",
        "leave it out; a server's instances use local network interfaces",
    ),
    "drained": (
        "a server has no Outpost networking devices to drain (AWS: local-server)",
        "leave it out",
    ),
    "uplinks": (
        "a server has one service link port and one LNI port, but no LAGs (AWS: local-server)",
        "leave it out",
    ),
    "devices": (
        "a server is connected to a switch, on a segment, not to devices (AWS: local-server)",
        "leave it out; write service_link.segment",
    ),
    "compute_racks": ("a server is in no rack of AWS's (AWS: local-server)", "leave it out"),
}


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the servers, their ports, and what is to run on them."""
    segments = {segment.name: segment for segment in topology.site.segments}
    for name, outpost in form.outposts.items():
        path: Path = ("outposts", name)
        server = topology.servers.get(name)
        if server is None:
            _no_server(path, outpost, report)
            continue
        _refused(path, outpost, report)
        _link(path, outpost.service_link, server, segments, report)
        _local_port(path, outpost, segments, report)
    for name, instance in form.instances.items():
        if name not in topology.instances:
            continue
        made = topology.instances[name]
        place = topology.subnet(made.vpc, made.subnet).outpost
        if place is not None and place in topology.servers:
            shape = SERVERS[topology.servers[place].form_factor]
            _instance(("instances", name), instance, made.type, shape.family, report)


def _no_server(path: Path, outpost: OutpostForm, report: Report) -> None:
    """A rack has none of what only servers have."""
    if outpost.local_network_interface is not None:
        message = "only Outposts servers have local network interfaces (AWS: local-server)"
        hint = "leave it out; a rack's instances use the local gateway"
        report.add((*path, "local_network_interface"), message, hint, key=True)
    for key in LINK_OF_SERVERS:
        if key in outpost.service_link.model_fields_set:
            message = "is a server's; a rack's service link has virtual interfaces"
            report.add((*path, "service_link", key), message, "leave it out", key=True)


def _refused(path: Path, outpost: OutpostForm, report: Report) -> None:
    """A server has no LAG, BGP session, local gateway or private connectivity (N1, L1)."""
    for key, (message, hint) in REFUSED.items():
        if key in outpost.model_fields_set:
            report.add((*path, key), message, hint, key=True)
    for key in outpost.service_link.model_fields_set:
        at = (*path, "service_link", key)
        if key in LINK_OF_RACKS:
            message = f"a server's service link has no BGP and no VIFs, so no {key}"
            report.add(at, f"{message} (AWS: local-server)", "leave it out", key=True)
        elif key in PRIVATE:
            message = "a server's service link has no private connectivity through a VPC"
            report.add(at, f"{message} (AWS: local-server)", "leave it out", key=True)
    racks_only: list[tuple[Path, str]] = [
        (("storage", index), storage) for index, storage in enumerate(outpost.storage)
    ]
    if outpost.resolver:
        racks_only.append((("resolver",), "resolver"))
    for place, resource in racks_only:
        _offered((*path, *place), resource, report)


def _offered(path: Path, resource: str, report: Report) -> None:
    """Refuse a resource that only racks offer (AWS: what is AWS Outposts)."""
    offered = {str(name): what for name, what in RACKS_ONLY.items()}
    if resource in offered:
        message = (
            f"Outposts servers do not offer {offered[resource]}: they exist on racks only"
            " (AWS: what is AWS Outposts)"
        )
        hint = OFFERED
        if resource == "eks-node":
            hint = "a node that you manage yourself is an instance to the network: resource: ec2"
        report.add(path, message, hint)


def _instance(path: Path, form: InstanceForm, kind: str, family: str, report: Report) -> None:
    """An instance on a server is of what the server offers."""
    _offered((*path, "resource"), form.resource, report)
    if form.ami_snapshots > 1:
        message = (
            f"an AMI of {form.ami_snapshots} snapshots cannot run on an Outposts server, only one"
            " of a single snapshot can (Bottlerocket's have two, so EKS local clusters cannot run"
            " there either)"
        )
        report.add((*path, "ami_snapshots"), message, "use an AMI with a single EBS snapshot")
    if kind.partition(".")[0] != family:
        message = f"is {kind}, but this server has instances of the family {family}"
        hint = f"write {family}.large, or another of the family"
        report.add((*path, "type"), f"{message} (AWS: local-network-interface)", hint)


def _link(
    path: Path,
    form: ServiceLinkForm,
    server: Server,
    segments: dict[str, Segment],
    report: Report,
) -> None:
    at = (*path, "service_link")
    if form.segment is None or form.segment not in segments:
        if not report.touched((*at, "segment")):
            message = "does not say which segment its service link port is in"
            hint = "write service_link: {segment: SEGMENT}"
            report.add(path, message, hint, key=True)
        return
    segment = segments[form.segment]
    if form.address is not None and form.dhcp:
        message = "has an address, too: it is either static or by DHCP (AWS: install-server)"
        report.add((*at, "dhcp"), message, "leave one of them out")
    if server.link.dhcp and segment.dhcp is None:
        message = f"there is no DHCP server on the segment {segment.name}"
        hint = f"write an address, or give site.segments.{segment.name} a dhcp: {{}}"
        report.add(at, message, hint, key=True)
    for key, address in (("address", form.address), ("gateway", form.gateway)):
        if address is not None:
            _host_address((*at, key), address, segment, report)
    if form.switch_port is not None and form.switch_port.mode == "trunk":
        _needs_vlan((*at, "switch_port", "mode"), segment, report)


def _host_address(path: Path, address: IPv4Address, segment: Segment, report: Report) -> None:
    if not usable(address, segment.cidr):
        message = f"{address} is not a host address of {segment.name} ({segment.cidr})"
        report.add(path, message, f"choose an address in {segment.cidr}")


def _needs_vlan(path: Path, segment: Segment, report: Report) -> None:
    if segment.vlan is None:
        message = f"the segment {segment.name} has no VLAN ID, so no frame of it has a tag"
        report.add(path, message, f"give site.segments.{segment.name} a vlan")


def _local_port(
    path: Path, outpost: OutpostForm, segments: dict[str, Segment], report: Report
) -> None:
    port = outpost.local_network_interface
    if port is None:
        return
    at = (*path, "local_network_interface")
    for index, name in enumerate(port.tagged):
        if name in segments:
            _needs_vlan((*at, "tagged", index), segments[name], report)
    if port.segment is not None and port.segment in port.tagged:
        message = f"{port.segment} cannot be both with and without a tag at a port (IEEE 802.1Q)"
        report.add((*at, "segment"), message, "leave one of them out")
    trunk = port.tagged or port.switch_port.mode == "trunk"
    if port.segment in segments and trunk:
        _needs_vlan((*at, "segment"), segments[port.segment], report)
    if port.segment is None and not port.tagged:
        message = "is in no segment"
        report.add(at, message, "write its segment, or those that are tagged", key=True)
