"""Machines, the customer's own links and LAN segments as what checks are about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address

from testbed.lower import lower, names
from testbed.plan.model import Node, Plan, Veth
from testbed.plan.roles import REGION, Role
from testbed.topology.model import Segment, Topology


@dataclass(frozen=True, slots=True)
class MachineSubject:
    """A node that has cables: a device, firewall, host, server, instance, or a router of AWS's.

    `serves` are the Outposts that it is part of, or (the Region's) that need it.
    """

    name: str
    role: Role
    serves: frozenset[str]

    def __str__(self) -> str:
        return self.name

    @property
    def keys(self) -> frozenset[str]:
        """Itself."""
        return frozenset({self.name})

    @property
    def touches(self) -> frozenset[str]:
        """The Outposts that need it."""
        return self.serves


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """One end of a routed link: node, interface, address, and the AS of the BGP speaker."""

    node: str
    interface: str
    address: IPv4Address
    asn: int

    def __str__(self) -> str:
        return f"{self.node} {self.interface}"


@dataclass(frozen=True, slots=True)
class LinkSubject:
    """A routed link of the customer's own: between devices, to a firewall, to the WAN."""

    ends: tuple[LinkEnd, LinkEnd]
    vrf: str
    mtu: int
    serves: frozenset[str]  # Outposts whose traffic may go by it

    def __str__(self) -> str:
        one, other = self.ends
        return f"{one.node} - {other.node}, VRF {self.vrf}"

    @property
    def keys(self) -> frozenset[str]:
        """The link and both its nodes."""
        return frozenset({str(self), *(end.node for end in self.ends)})

    @property
    def touches(self) -> frozenset[str]:
        """The Outposts behind it."""
        return self.serves


@dataclass(frozen=True, slots=True)
class SegmentSubject:
    """A LAN segment with its machines: (node, interface, address)."""

    segment: Segment
    machines: tuple[tuple[str, str, IPv4Address], ...]
    serves: frozenset[str]

    def __str__(self) -> str:
        return f"LAN {self.segment.name}"

    @property
    def keys(self) -> frozenset[str]:
        """The segment and what is on it."""
        own = names.segment(self.segment)
        return frozenset({str(self), own, *(machine[0] for machine in self.machines)})

    @property
    def touches(self) -> frozenset[str]:
        """The Outposts that it reaches."""
        return self.serves


@dataclass(frozen=True, eq=False, slots=True)
class _Same:
    """A topology as a key of a cache: equal to itself only."""

    topology: Topology

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.topology is other.topology

    def __hash__(self) -> int:
        return id(self.topology)


@lru_cache(maxsize=8)
def _plan_of(topology: _Same) -> Plan:
    return lower(topology.topology)


def plan_of(topology: Topology) -> Plan:
    """What is built of a topology, without any fault."""
    return _plan_of(_Same(topology))


def machines(topology: Topology) -> list[MachineSubject]:
    """All nodes that have cables, but what stands for a LAN's own switch."""
    plan = plan_of(topology)
    return [
        MachineSubject(node.name, node.role, _serves(topology, node))
        for node in plan.nodes
        if any(isinstance(interface.device, Veth) for interface in node.interfaces)
    ]


def _serves(topology: Topology, node: Node) -> frozenset[str]:
    if node.group in topology.outposts:
        return frozenset({node.group})
    if node.group == REGION and node.role != Role.INSTANCE:
        return frozenset(topology.outposts)
    return frozenset()


def links(topology: Topology) -> list[LinkSubject]:
    """All routed links of the customer's own between emulated nodes."""
    real = {device.name for device in topology.site.devices if device.host_interfaces}
    found = _links(topology)
    return [link for link in found if not real & {end.node for end in link.ends}]


def _links(topology: Topology) -> Iterator[LinkSubject]:
    site = topology.site
    asns = {device.name: device.asn for device in site.devices}
    for link in site.links:
        one, other = link.devices
        ends = (
            LinkEnd(one, names.link_port(link.vrf, other), link.addresses[0].ip, asns[one]),
            LinkEnd(other, names.link_port(link.vrf, one), link.addresses[1].ip, asns[other]),
        )
        yield LinkSubject(ends, link.vrf, link.quality.mtu, _behind(topology, link.vrf, one))
    for wall in site.firewalls:
        for uplink in wall.inside:
            own, far = (address.ip for address in uplink.addresses)
            device = LinkEnd(uplink.device, names.REGION_PORT, own, asns[uplink.device])
            inside = LinkEnd(wall.name, names.inside_port(uplink.device), far, wall.asn)
            serves = _behind(topology, names.VRF_SERVICE_LINK, uplink.device)
            vrf = names.VRF_SERVICE_LINK
            yield LinkSubject((device, inside), vrf, uplink.quality.mtu, serves)
    for uplink in site.wan.uplinks if site.wan else ():
        own, far = (address.ip for address in uplink.addresses)
        device = LinkEnd(uplink.device, names.WAN_PORT, own, asns[uplink.device])
        port = names.customer_port(uplink)
        assert site.wan is not None
        router = LinkEnd(names.WAN, port, far, site.wan.asn)
        vrf = names.VRF_LOCAL_GATEWAY
        serves = _behind(topology, vrf, uplink.device)
        yield LinkSubject((device, router), vrf, uplink.quality.mtu, serves)


def area(topology: Topology, vrf: str, device: str) -> frozenset[str]:
    """The devices that a device's VRF reaches by links, firewalls and WAN; itself among them."""
    site = topology.site
    groups = [set(link.devices) for link in site.links if link.vrf == vrf]
    if vrf == names.VRF_SERVICE_LINK:
        groups += [{uplink.device for uplink in wall.inside} for wall in site.firewalls]
    elif site.wan and vrf == names.VRF_LOCAL_GATEWAY:
        groups.append({uplink.device for uplink in site.wan.uplinks})
    found, grown = {device}, True
    while grown:
        before = len(found)
        found = found.union(*(group for group in groups if group & found))
        grown = len(found) > before
    return frozenset(found)


def _behind(topology: Topology, vrf: str, device: str) -> frozenset[str]:
    near = area(topology, vrf, device)
    return frozenset(
        rack.name for rack in topology.racks.values() if near & {*rack.customer_devices}
    )


def segments(topology: Topology) -> list[SegmentSubject]:
    """All LAN segments, with their emulated machines."""
    real = {device.name for device in topology.site.devices if device.host_interfaces}
    found = []
    for segment in topology.site.segments:
        lan = names.lan_port(segment.name)
        routers = [(n, lan, address.ip) for n, address in segment.routers if n not in real]
        hosts = [
            (host.name, "eth0", host.address.ip)
            for host in topology.site.hosts
            if host.segment == segment.name
        ]
        vrf = segment.vrf
        serves = frozenset().union(*(_behind(topology, vrf, n) for n, _ in segment.routers))
        found.append(SegmentSubject(segment, (*routers, *hosts), serves))
    return found
