"""Rules of service addresses that instances announce on a LAN."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.errors import Path
from testbed.topology.model import Layer2Service, Segment, Topology
from testbed.topology.report import Report
from testbed.topology.rules.lan import usable
from testbed.topology.schema import TopologyForm


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the layer-2 services: their addresses, and that their nodes are in the LAN."""
    segments = {segment.name: segment for segment in topology.site.segments}
    seen: dict[IPv4Address, str] = {}
    watched: dict[str, str] = {}
    for service in topology.layer2_services.values():
        path: Path = ("layer2_services", service.name)
        nodes = form.layer2_services[service.name].nodes
        at = (*path, "address")
        if service.name in {*topology.instances, *(host.name for host in topology.site.hosts)}:
            report.add(path, "an instance or host has this name", "choose another one", key=True)
        owner = seen.setdefault(service.address, service.name)
        if owner != service.name:
            report.add(at, f"{service.address} is the address of {owner}", "choose a free address")
        if service.segment is None:
            known = ", ".join(f"{s.name} ({s.cidr})" for s in topology.site.segments) or "none"
            message = f"{service.address} is in no LAN segment"
            report.add(at, message, f"the segments are: {known}")
            continue
        segment = segments[service.segment]
        _address(at, service, segment, topology, report)
        for node in nodes:
            if watched.setdefault(node, service.heartbeats) != service.heartbeats:
                message = f"{node} has {watched[node]} for another service"
                report.add((*path, "heartbeats"), message, "a node has one way to be watched by")
                break
        able = {speaker.instance for speaker in service.speakers}
        for index, node in enumerate(nodes):
            if node not in able and node in topology.instances:
                message = f"{node} has no local network interface in {segment.name}"
                hint = "its LNI has to be in the segment of the service's address (N1, N2)"
                report.add((*path, "nodes", index), message, hint)


def _address(
    at: Path, service: Layer2Service, segment: Segment, topology: Topology, report: Report
) -> None:
    address = service.address
    if not usable(address, segment.cidr):
        report.add(at, f"{address} is not a host address of {segment.cidr}")
    server = segment.dhcp
    if server is not None and server.first <= address <= server.last:
        message = f"{address} is leased by the DHCP server of {segment.name}"
        hint = f"choose one outside {server.first}-{server.last}, or give the server another range"
        report.add(at, message, hint)
    owners = {address.ip: name for name, address in segment.routers}
    owners |= {h.address.ip: h.name for h in topology.site.hosts if h.segment == segment.name}
    if segment.vrrp is not None:
        owners[segment.vrrp.address.ip] = "the virtual router"
    if server is not None:
        owners[server.address.ip] = "the DHCP server"
    for interface in topology.local_network_interfaces.values():
        for network in interface.networks:
            if network.address is not None:
                owners[network.address.ip] = interface.name
    if address in owners:
        message = f"{address} is already the address of {owners[address]}"
        report.add(at, message, "choose a free address")
