"""What the checks are about: the objects of a topology, with their places in the plan.

A check names what it is about by an argument: a test with the argument `lag`
is run once for each LAG. Each object knows its `keys`, the objects that it is
part of or stands on: what fails for one of them explains what fails above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, Protocol

from testbed.conformance import site_subjects
from testbed.lower import names
from testbed.topology.model import (
    DirectConnect,
    Instance,
    Lag,
    Outpost,
    Topology,
    Uplink,
    Vif,
    VirtualInterface,
    Vpc,
)

Purpose = Literal["service-link", "local-gateway"]


class Subject(Protocol):
    """Something that checks are about."""

    @property
    def keys(self) -> frozenset[str]:
        """What it is, what it is part of and what it stands on."""


@dataclass(frozen=True, slots=True)
class LagSubject:
    """The LAG between an Outpost networking device and a customer device, with both its ends."""

    outpost: Outpost
    lag: Lag

    def __str__(self) -> str:
        return f"{self.name} ({self.ond} - {self.device})"

    @property
    def name(self) -> str:
        """As its metrics call it, with a dot: ``op.lag1``."""
        return f"{self.outpost.name}.lag{self.lag.device}"

    @property
    def ond(self) -> str:
        """The node of the Outpost's end."""
        return names.ond(self.outpost, self.lag.device)

    @property
    def device(self) -> str:
        """The node of the customer's end."""
        return self.lag.customer_device

    @property
    def ond_bond(self) -> str:
        """The bond of the Outpost's end."""
        return names.OND_BOND

    @property
    def device_bond(self) -> str:
        """The bond of the customer's end."""
        return names.customer_bond(self.outpost, self.lag)

    @property
    def members(self) -> list[tuple[str, str]]:
        """Each cable's two interfaces: (of the OND, of the customer device)."""
        inside = names.lag_members(self.ond_bond, self.lag, names.OND_MEMBER)
        return list(zip(inside, names.lag_members(self.device_bond, self.lag), strict=True))

    @property
    def keys(self) -> frozenset[str]:
        """The LAG, its Outpost and both devices."""
        return frozenset({self.name, self.outpost.name, self.ond, self.device})


@dataclass(frozen=True, slots=True)
class VifSubject:
    """A virtual interface: a VLAN on a LAG with a point-to-point subnet and a BGP session."""

    on: LagSubject
    purpose: Purpose

    def __str__(self) -> str:
        ends = f"{self.on.ond} - {self.on.device}"
        return f"{self.name} ({ends}, VLAN {self.vif.vlan})"

    @property
    def name(self) -> str:
        """``op.lag1.service-link``."""
        return f"{self.on.name}.{self.purpose}"

    @property
    def vif(self) -> Vif:
        """The order form's values."""
        lag = self.on.lag
        return lag.service_link if self.purpose == "service-link" else lag.local_gateway

    @property
    def vrf(self) -> str:
        """The VRF that it is in, on both sides."""
        service_link = self.purpose == "service-link"
        return names.VRF_SERVICE_LINK if service_link else names.VRF_LOCAL_GATEWAY

    @property
    def ond_interface(self) -> str:
        """The VLAN interface of the Outpost's end."""
        return f"{self.on.ond_bond}.{self.vif.vlan}"

    @property
    def device_interface(self) -> str:
        """The VLAN interface of the customer's end."""
        return f"{self.on.device_bond}.{self.vif.vlan}"

    @property
    def keys(self) -> frozenset[str]:
        """The VIF and what its LAG has."""
        return self.on.keys | {self.name}


@dataclass(frozen=True, slots=True)
class OutpostSubject:
    """An Outpost as a whole."""

    outpost: Outpost

    def __str__(self) -> str:
        return self.outpost.name

    @property
    def lags(self) -> tuple[LagSubject, ...]:
        """Its LAGs."""
        return tuple(LagSubject(self.outpost, lag) for lag in self.outpost.lags)

    @property
    def keys(self) -> frozenset[str]:
        """The Outpost and all that is of its LAGs and VIFs."""
        vifs = (VifSubject(lag, purpose) for lag in self.lags for purpose in PURPOSES)
        return frozenset({self.outpost.name}).union(*(vif.keys for vif in vifs))


@dataclass(frozen=True, slots=True)
class TunnelSubject:
    """One tunnel of a service link: from a server of the rack's to an anchor."""

    outpost: Outpost
    index: int
    anchor: str
    anchor_address: str

    def __str__(self) -> str:
        return f"{self.name} ({self.host} - {self.anchor})"

    @property
    def name(self) -> str:
        """``op.tunnel1``."""
        return f"{self.outpost.name}.tunnel{self.index + 1}"

    @property
    def host(self) -> str:
        """The node of the server that opens it."""
        return names.outpost_host(self.outpost, self.index)

    @property
    def interface(self) -> str:
        """Its interface in the Outpost's service link node."""
        return f"wg{self.index + 1}"

    @property
    def keys(self) -> frozenset[str]:
        """The tunnel, its server and its Outpost."""
        return frozenset({self.name, self.host, self.outpost.name})


@dataclass(frozen=True, slots=True)
class UplinkSubject:
    """A customer device's or firewall's link to the Region's edge, as from an ISP."""

    uplink: Uplink
    outposts: tuple[Outpost, ...]  # that are behind it

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


PURPOSES: tuple[Purpose, ...] = ("service-link", "local-gateway")


def lags(topology: Topology) -> list[LagSubject]:
    """All LAGs between Outposts and customer devices."""
    return [LagSubject(o, lag) for o in topology.outposts.values() for lag in o.lags]


def vifs(topology: Topology) -> list[VifSubject]:
    """All virtual interfaces of racks."""
    return [VifSubject(lag, purpose) for lag, purpose in product(lags(topology), PURPOSES)]


def outposts(topology: Topology) -> list[OutpostSubject]:
    """All Outposts."""
    return [OutpostSubject(outpost) for outpost in topology.outposts.values()]


def tunnels(topology: Topology) -> list[TunnelSubject]:
    """All tunnels of all service links."""
    return [
        TunnelSubject(outpost, index, anchor.name, str(anchor.address))
        for outpost in topology.outposts.values()
        for index, anchor in enumerate(topology.anchors(outpost))
    ]


def uplinks(topology: Topology) -> list[UplinkSubject]:
    """All links to the Region's edge: of devices, and of firewalls."""
    walls = [firewall.outside for firewall in topology.site.firewalls]
    return [
        UplinkSubject(uplink, tuple(behind(topology, uplink.device)))
        for uplink in (*topology.site.region_uplinks, *walls)
    ]


def behind(topology: Topology, name: str) -> list[Outpost]:
    """The Outposts with public connectivity whose devices are this one, or behind this firewall."""
    wall = next((w for w in topology.site.firewalls if w.name == name), None)
    devices = {link.device for link in wall.inside} if wall else {name}
    return [
        outpost
        for outpost in topology.outposts.values()
        if not outpost.service_link.private_anchors
        and devices & {lag.customer_device for lag in outpost.lags}
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
    "lag": (lags, "LAG"),
    "vif": (vifs, "virtual interface"),
    "outpost": (outposts, "Outpost"),
    "tunnel": (tunnels, "service link"),
    "uplink": (uplinks, "link to the Region's edge"),
    "virtual_interface": (virtual_interfaces, "Direct Connect virtual interface"),
    "firewall": (firewalls, "firewall"),
    "device": (devices, "customer device, other than a real one, that an Outpost is connected to"),
    "machine": (site_subjects.machines, "machine"),
    "link": (site_subjects.links, "link between the customer's own routers"),
    "segment": (site_subjects.segments, "LAN segment"),
    "vpc": (vpcs, "VPC"),
    "instance": (instances, "instance"),
}
