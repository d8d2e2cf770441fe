"""What the kernel can hold of a node while some of its interfaces are down, or too small.

A plan may set an interface down (a fault) and still have routes, neighbours
and VLANs on it. The kernel drops those when the interface goes down and
refuses to add them until it is up again, so the diff compares what can be
there, not what is written. The same holds for all of IPv6 on an interface whose
MTU is less than IPv6's least.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from socket import AF_INET, AF_INET6, inet_pton

from testbed.plan.files import files_of
from testbed.plan.model import Bond, Interface, Neighbor, Node, Route, Vlan, Vrf

_DEFAULT_MTU = {"loopback": 65536, "wireguard": 1420, "vrf": None}

IPV6_LEAST_MTU = 1280  # RFC 8200, section 5; addrconf_notify() of Linux ends IPv6 below it

RouteKey = tuple[int, str, int]


def _number(address: str) -> tuple[int, int]:
    """An address as an integer, and how many bits its family has."""
    family, width = (AF_INET6, 128) if ":" in address else (AF_INET, 32)
    return int.from_bytes(inet_pton(family, address), "big"), width


def network_of(address: str) -> tuple[int, int, int]:
    """Network, prefix length and the family's width of "10.0.0.1/24", as integers."""
    text, _, length = address.partition("/")
    number, width = _number(text)
    bits = int(length or width)
    return number >> (width - bits), bits, width


class NodeView:
    """A node with its interfaces by name and what of it can be in the kernel."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.name
        self.interfaces = {interface.name: interface for interface in node.interfaces}

    @cached_property
    def files(self) -> dict[str, str]:
        """All files, name to text."""
        return files_of(self.node)

    @cached_property
    def up(self) -> frozenset[str]:
        """Interfaces that are up, VLANs of a parent that is down not counted."""
        return frozenset(name for name in self.interfaces if self._is_up(name)) | (
            frozenset() if "lo" in self.interfaces else frozenset({"lo"})
        )

    def _is_up(self, name: str) -> bool:
        interface = self.interfaces.get(name)
        if interface is None or not interface.up:
            return False
        return not isinstance(interface.device, Vlan) or self._is_up(interface.device.parent)

    def parents(self, interface: Interface | None) -> tuple[str, ...]:
        """The interfaces that carry a VLAN, the nearest first."""
        names: tuple[str, ...] = ()
        while interface is not None and isinstance(interface.device, Vlan):
            names += (interface.device.parent,)
            interface = self.interfaces.get(interface.device.parent)
        return names

    def mtu(self, name: str) -> int | None:
        """The interface's MTU with the kernel's defaults; None when they differ by kernel."""
        interface = self.interfaces.get(name)
        if interface is None:
            return None
        if interface.master is not None and interface.device.kind != "bond":
            master = self.interfaces.get(interface.master)
            if master is not None and isinstance(master.device, Bond):
                return self.mtu(master.name)
        if interface.mtu is not None:
            return interface.mtu
        if isinstance(interface.device, Vlan):
            return self.mtu(interface.device.parent)
        return _DEFAULT_MTU.get(interface.device.kind, 1500)

    def address_keys(self, name: str) -> tuple[str, ...]:
        """The interface's addresses that can be on it, without repetition."""
        interface = self.interfaces.get(name)
        if interface is None:
            return ()
        addresses = dict.fromkeys(interface.addresses)
        return tuple(address for address in addresses if self._takes(name, address))

    def _takes(self, name: str, address: str) -> bool:
        """Whether the interface's MTU allows the family of an address or prefix."""
        if ":" not in address:
            return True
        mtu = self.mtu(name)
        return mtu is None or mtu >= IPV6_LEAST_MTU

    @cached_property
    def routes(self) -> dict[RouteKey, Route]:
        """The routes that can be installed, by what makes a route unique to the kernel."""
        routes = {}
        for route in self.node.routes:
            if (usable := self._usable(route)) is not None:
                routes[(route.table, route.destination, route.metric)] = usable
        return routes

    def _usable(self, route: Route) -> Route | None:
        if route.type != "unicast":
            return route
        if route.nexthops:
            alive = tuple(
                hop for hop in route.nexthops if self._carries(hop.dev, route.destination)
            )
            if not alive:
                return None
            return route if alive == route.nexthops else replace(route, nexthops=alive)
        dev = self.device_of(route)
        if dev is None:
            return route
        if not self._carries(dev, route.destination):
            return None
        # The kernel would look the gateway up among routes that are about to change.
        return route if dev == route.dev else replace(route, dev=dev)

    def _carries(self, name: str, address: str) -> bool:
        """Whether packets of the family of an address or prefix can leave by the interface."""
        return name in self.up and self._takes(name, address)

    def device_of(self, route: Route) -> str | None:
        """The interface of a single-path route; None when the plan does not tell."""
        if route.dev is not None or route.via is None:
            return route.dev
        via, family = _number(route.via)
        domain = route.table if route.table in self._vrfs.values() else None
        on_link = [
            (self._domain(name) == domain, bits, name in self.up, name)
            for name, (network, bits, width) in self._connected
            if width == family and via >> (width - bits) == network
        ]
        return max(on_link)[3] if on_link else None

    @cached_property
    def _vrfs(self) -> dict[str, int]:
        devices = ((name, interface.device) for name, interface in self.interfaces.items())
        return {name: device.table for name, device in devices if isinstance(device, Vrf)}

    def _domain(self, name: str) -> int | None:
        """The table of the VRF that the interface is in; None outside of all."""
        interface = self.interfaces.get(name)
        master = interface.master if interface else None
        return self._vrfs.get(name) if master is None else self._vrfs.get(master)

    @cached_property
    def _connected(self) -> list[tuple[str, tuple[int, int, int]]]:
        prefixes = [
            (interface.name, address)
            for interface in self.interfaces.values()
            for address in interface.addresses
        ]
        prefixes += [
            (route.dev, route.destination)
            for route in self.node.routes
            if route.dev is not None and route.via is None and route.type == "unicast"
        ]
        return [(name, network_of(prefix)) for name, prefix in prefixes]

    @cached_property
    def neighbors(self) -> dict[tuple[str, str], Neighbor]:
        """The neighbour entries that can be there, by interface and address."""
        return {
            (n.dev, n.address): n for n in self.node.neighbors if self._carries(n.dev, n.address)
        }
