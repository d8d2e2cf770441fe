"""What checks of racks are about: LAGs, virtual interfaces, local gateways, tunnels."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.lower import names
from testbed.topology.model import (
    Gateway,
    Lag,
    Rack,
    RoutingDomain,
    Topology,
    Vif,
    VifPurpose,
)


@dataclass(frozen=True, slots=True)
class LagSubject:
    """The LAG between an Outpost networking device and a customer device, with both its ends."""

    outpost: Rack
    lag: Lag

    def __str__(self) -> str:
        return f"{self.name} ({self.ond} - {self.device})"

    @property
    def name(self) -> str:
        """As its metrics call it, with a dot: ``op.lag1``."""
        return f"{self.outpost.name}.lag{self.lag.number}"

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
        return names.ond_bond(self.lag)

    @property
    def device_bond(self) -> str:
        """The bond of the customer's end."""
        return names.customer_bond(self.outpost, self.lag)

    @property
    def members(self) -> list[tuple[str, str]]:
        """Each cable's two interfaces: (of the OND, of the customer device)."""
        inside = names.ond_members(self.lag)
        return list(zip(inside, names.customer_members(self.outpost, self.lag), strict=True))

    @property
    def vifs(self) -> tuple[VifSubject, ...]:
        """Its virtual interfaces, the service link's first."""
        return tuple(VifSubject(self, vif.title) for vif in self.lag.vifs)

    @property
    def gateways(self) -> tuple[VifSubject, ...]:
        """The virtual interfaces of the local gateway, one for each routing domain."""
        return tuple(vif for vif in self.vifs if vif.purpose == "local-gateway")

    @property
    def service_link(self) -> VifSubject:
        """The virtual interface of the service link."""
        return VifSubject(self, self.lag.service_link.title)

    @property
    def keys(self) -> frozenset[str]:
        """The LAG, its Outpost and both devices."""
        return frozenset({self.name, self.outpost.name, self.ond, self.device})


@dataclass(frozen=True, slots=True)
class VifSubject:
    """A virtual interface: a VLAN on a LAG with a point-to-point subnet and a BGP session."""

    on: LagSubject
    title: str  # as the model has it

    def __str__(self) -> str:
        ends = f"{self.on.ond} - {self.on.device}"
        return f"{self.name} ({ends}, VLAN {self.vif.vlan})"

    @property
    def name(self) -> str:
        """``op.lag1.service-link``."""
        return f"{self.on.name}.{self.title}"

    @property
    def vif(self) -> Vif:
        """The order form's values."""
        return next(vif for vif in self.on.lag.vifs if vif.title == self.title)

    @property
    def purpose(self) -> VifPurpose:
        """What it is for."""
        return self.vif.purpose

    @property
    def domain(self) -> RoutingDomain | None:
        """Its routing domain; None: it is of the service link."""
        name = self.vif.domain
        return None if name is None else self.on.outpost.domain(name)

    @property
    def vrf(self) -> str:
        """The customer device's VRF that it is in."""
        return self.domain.vrf if self.domain else names.VRF_SERVICE_LINK

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
    """An Outpost of racks as a whole."""

    outpost: Rack

    def __str__(self) -> str:
        return self.outpost.name

    @property
    def lags(self) -> tuple[LagSubject, ...]:
        """Its LAGs."""
        return tuple(LagSubject(self.outpost, lag) for lag in self.outpost.lags)

    @property
    def keys(self) -> frozenset[str]:
        """The Outpost and all that is of its LAGs and VIFs."""
        vifs = (vif for lag in self.lags for vif in lag.vifs)
        return frozenset({self.outpost.name}).union(*(vif.keys for vif in vifs))


@dataclass(frozen=True, slots=True)
class DomainSubject:
    """A routing domain of a rack's local gateway: a route table with its VIF group."""

    outpost: Rack
    domain: RoutingDomain

    def __str__(self) -> str:
        named = self.domain.name
        return f"{self.outpost.name} routing domain {named}" if named else self.outpost.name

    @property
    def gateway(self) -> Gateway:
        """The rack and the domain."""
        return self.outpost, self.domain

    @property
    def node(self) -> str:
        """Its node."""
        return names.local_gateway(self.outpost, self.domain)

    @property
    def vifs(self) -> tuple[VifSubject, ...]:
        """Its virtual interfaces."""
        vifs = (vif for lag in OutpostSubject(self.outpost).lags for vif in lag.vifs)
        return tuple(vif for vif in vifs if vif.vif.domain == self.domain.name)

    @property
    def keys(self) -> frozenset[str]:
        """The domain, its Outpost and all that is of its VIFs."""
        return frozenset({str(self), self.outpost.name}).union(*(vif.keys for vif in self.vifs))


@dataclass(frozen=True, slots=True)
class TunnelSubject:
    """One tunnel of a service link: from a server of the rack's to an anchor."""

    outpost: Rack
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


def lags(topology: Topology) -> list[LagSubject]:
    """All LAGs between Outposts and customer devices."""
    return [LagSubject(o, lag) for o in topology.racks.values() for lag in o.lags]


def vifs(topology: Topology) -> list[VifSubject]:
    """All virtual interfaces of racks."""
    return [vif for lag in lags(topology) for vif in lag.vifs]


def outposts(topology: Topology) -> list[OutpostSubject]:
    """All Outposts of racks."""
    return [OutpostSubject(rack) for rack in topology.racks.values()]


def domains(topology: Topology) -> list[DomainSubject]:
    """All routing domains of local gateways."""
    return [DomainSubject(*gateway) for gateway in topology.gateways]


def tunnels(topology: Topology) -> list[TunnelSubject]:
    """All tunnels of all service links."""
    return [
        TunnelSubject(outpost, index, anchor.name, str(anchor.address))
        for outpost in topology.racks.values()
        for index, anchor in enumerate(topology.anchors(outpost))
    ]
