"""What a switch's configuration says, in words that all vendors share; each fact has its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Generic, TypeVar

from testbed.importing.lines import Line

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Said(Generic[Value]):
    """A value, and the line that says it."""

    value: Value
    line: Line

    def take(self) -> Value:
        """The value; its line counts as used."""
        self.line.used = True
        return self.value


@dataclass
class Port:
    """An interface. A VLAN's is one of its own or a sub-interface of `parent`; LAGs have members.

    `vlan_name` is its VLAN where the file names that; `lag` is the LAG that it is a member of,
    with its LACP `mode`; `fast` says that it asks for fast timers.
    """

    name: str
    lines: list[Line] = field(default_factory=list)
    parent: str | None = None
    vlan: Said[int] | None = None
    vlan_name: str = ""
    lag: Said[str] | None = None
    mode: str = ""
    fast: Said[bool] | None = None
    mtu: Said[int] | None = None
    vrf: Said[str] | None = None
    address: Said[IPv4Interface] | None = None
    speed: Said[str] | None = None
    trunk: Said[frozenset[int]] | None = None
    native: Said[int] | None = None
    down: Said[bool] | None = None

    @property
    def vrf_name(self) -> str:
        """The VRF that it is in ("": the default one)."""
        return self.vrf.value if self.vrf else ""

    @property
    def address_used(self) -> bool:
        """Whether its address has been taken over."""
        return self.address is not None and self.address.line.used


@dataclass
class Neighbor:
    """A BGP neighbour in a VRF ("": the default one)."""

    address: IPv4Address
    vrf: str
    lines: list[Line] = field(default_factory=list)
    group: Said[str] | None = None
    asn: Said[int] | None = None
    bfd: Said[bool] | None = None


@dataclass
class Switch:
    """All that one file says of its device."""

    file: str
    name: Said[str] | None = None
    asn: Said[int] | None = None
    asn_of_vrf: dict[str, Said[int]] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    vlan_names: dict[int, Said[str]] = field(default_factory=dict)
    vlans: dict[int, list[Line]] = field(default_factory=dict)
    vrfs: dict[str, list[Line]] = field(default_factory=dict)
    neighbors: list[Neighbor] = field(default_factory=list)
    groups: dict[str, Neighbor] = field(default_factory=dict)
    prefix_lists: dict[str, list[Said[IPv4Network]]] = field(default_factory=dict)

    def port(self, name: str) -> Port:
        """The port of a name, made if it is new."""
        return self.ports.setdefault(name, Port(name))

    def neighbor(self, address: IPv4Address, vrf: str) -> Neighbor:
        """The neighbour of an address and VRF, made if it is new."""
        for known in self.neighbors:
            if (known.address, known.vrf) == (address, vrf):
                return known
        self.neighbors.append(Neighbor(address, vrf))
        return self.neighbors[-1]

    def towards(self, neighbor: Neighbor) -> Port | None:
        """The port on whose subnet a neighbour is, in its VRF; one that is shut down is none."""
        for port in self.ports.values():
            if port.address is None or port.down or port.vrf_name != neighbor.vrf:
                continue
            if neighbor.address in port.address.value.network:
                return port
        return None

    def group(self, name: str) -> Neighbor:
        """The peer group, or template, of a name."""
        return self.groups.setdefault(name, Neighbor(IPv4Address(0), name))

    def remote_asn(self, neighbor: Neighbor) -> Said[int] | None:
        """A neighbour's ASN: its own, or its group's."""
        if neighbor.asn or not neighbor.group:
            return neighbor.asn
        return self.group(neighbor.group.value).asn

    def guarded(self, neighbor: Neighbor) -> Said[bool] | None:
        """Whether BFD guards a neighbour's session, by itself or by its group."""
        if neighbor.bfd or not neighbor.group:
            return neighbor.bfd
        return self.group(neighbor.group.value).bfd
