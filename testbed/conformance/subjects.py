"""What the checks are about: the objects of a topology, with their places in the plan.

A check names what it is about by an argument: a test with the argument `lag`
is run once for each LAG. Each object knows its `keys`, the objects that it is
part of or stands on: what fails for one of them explains what fails above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from testbed.conformance import rack_subjects, server_subjects, site_subjects
from testbed.conformance.rack_subjects import lags
from testbed.topology.model import (
    DirectConnect,
    Instance,
    Rack,
    Topology,
    Uplink,
    VirtualInterface,
    Vpc,
)


class Subject(Protocol):
    """Something that checks are about."""

    @property
    def keys(self) -> frozenset[str]:
        """What it is, what it is part of and what it stands on."""


@dataclass(frozen=True, slots=True)
class UplinkSubject:
    """A customer device's or firewall's link to the Region's edge, as from an ISP."""

    uplink: Uplink
    outposts: tuple[Rack, ...]  # that are behind it

    def __str__(self) -> str:
        return f"{self.uplink.device} - Region edge"

    @property
    def keys(self) -> frozenset[str]:
        """It, its device and the Outposts whose service links may go by it."""
        return frozenset({str(self), self.uplink.device, *(o.name for o in self.outposts)})


@dataclass(frozen=True, slots=True)
class VirtualInterfaceSubject:
    """A virtual interface of a Direct Connect connection."""

    connection: DirectConnect
    vif: VirtualInterface

    def __str__(self) -> str:
        return f"{self.connection.name} {self.vif.kind} virtual interface, VLAN {self.vif.vlan}"

    @property
    def keys(self) -> frozenset[str]:
        """It, its connection and its device."""
        return frozenset({str(self), self.connection.name, self.connection.device})


@dataclass(frozen=True, slots=True)
class NodeSubject:
    """A node of the customer's: a network device, or a firewall."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def keys(self) -> frozenset[str]:
        """Itself."""
        return frozenset({self.name})


@dataclass(frozen=True, slots=True)
class VpcSubject:
    """A VPC."""

    vpc: Vpc

    def __str__(self) -> str:
        return f"VPC {self.vpc.name}"

    @property
    def keys(self) -> frozenset[str]:
        """Itself."""
        return frozenset({str(self)})

    @property
    def touches(self) -> frozenset[str]:
        """The Outposts that it has subnets on."""
        return frozenset(subnet.outpost for subnet in self.vpc.subnets if subnet.outpost)


@dataclass(frozen=True, slots=True)
class InstanceSubject:
    """An instance that runs; `racks` are the Outposts that its VPC has subnets on."""

    instance: Instance
    outpost: str | None
    racks: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.instance.name

    @property
    def keys(self) -> frozenset[str]:
        """Itself, its VPC, and its Outpost where it has one."""
        own = {self.instance.name, f"VPC {self.instance.vpc}"}
        return frozenset(own | ({self.outpost} if self.outpost else set()))

    @property
    def touches(self) -> frozenset[str]:
        """Where it is in the Region, its VPC's Outposts: their service links lead to them."""
        return frozenset() if self.outpost else self.racks


def own_name(subject: Subject) -> str:
    """The one of its keys that is nobody else's."""
    return str(getattr(subject, "name", subject))


def uplinks(topology: Topology) -> list[UplinkSubject]:
    """All links to the Region's edge: of devices, and of firewalls."""
    walls = [firewall.outside for firewall in topology.site.firewalls]
    return [
        UplinkSubject(uplink, tuple(behind(topology, uplink.device)))
        for uplink in (*topology.site.region_uplinks, *walls)
    ]


def behind(topology: Topology, name: str) -> list[Rack]:
    """The Outposts with public connectivity whose devices are this one, or behind this firewall."""
    wall = next((w for w in topology.site.firewalls if w.name == name), None)
    devices = {link.device for link in wall.inside} if wall else {name}
    return [
        rack
        for rack in topology.racks.values()
        if not rack.private_anchors and devices & {*rack.customer_devices}
    ]


def virtual_interfaces(topology: Topology) -> list[VirtualInterfaceSubject]:
    """All virtual interfaces of Direct Connect connections."""
    connections = topology.site.direct_connects
    return [VirtualInterfaceSubject(c, vif) for c in connections for vif in c.virtual_interfaces]


def firewalls(topology: Topology) -> list[NodeSubject]:
    """All firewalls of the customer's."""
    return [NodeSubject(firewall.name) for firewall in topology.site.firewalls]


def devices(topology: Topology) -> list[NodeSubject]:
    """All customer devices that an Outpost is connected to and that are not real ones."""
    used = dict.fromkeys(lag.device for lag in lags(topology))
    real = {device.name for device in topology.site.devices if device.host_interfaces}
    return [NodeSubject(name) for name in used if name not in real]


def vpcs(topology: Topology) -> list[VpcSubject]:
    """All VPCs."""
    return [VpcSubject(vpc) for vpc in topology.vpcs.values()]


def instances(topology: Topology) -> list[InstanceSubject]:
    """All instances that run."""
    return list(_instances(topology))


def _instances(topology: Topology) -> Iterator[InstanceSubject]:
    for instance in topology.instances.values():
        if instance.state == "running":
            subnet = topology.subnet(instance.vpc, instance.subnet)
            racks = VpcSubject(topology.vpcs[instance.vpc]).touches
            yield InstanceSubject(instance, subnet.outpost, racks)


# The argument of a check, what it is run for, and what is said where a topology has none.
SUBJECTS: dict[str, tuple[Callable[[Topology], Sequence[Subject]], str]] = {
    "lag": (rack_subjects.lags, "LAG"),
    "vif": (rack_subjects.vifs, "virtual interface"),
    "outpost": (rack_subjects.outposts, "Outpost"),
    "domain": (rack_subjects.domains, "local gateway"),
    "tunnel": (rack_subjects.tunnels, "service link"),
    "uplink": (uplinks, "link to the Region's edge"),
    "virtual_interface": (virtual_interfaces, "Direct Connect virtual interface"),
    "firewall": (firewalls, "firewall"),
    "device": (devices, "customer device, other than a real one, that an Outpost is connected to"),
    "machine": (site_subjects.machines, "machine"),
    "link": (site_subjects.links, "link between the customer's own routers"),
    "segment": (site_subjects.segments, "LAN segment"),
    "server": (server_subjects.servers, "Outposts server"),
    "lni": (server_subjects.local_interfaces, "local network interface"),
    "announced": (server_subjects.announced, "layer-2 service"),
    "vpc": (vpcs, "VPC"),
    "instance": (instances, "instance"),
}
