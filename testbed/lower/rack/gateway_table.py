"""What is in a local gateway route table: its static routes, and the propagated ones.

Propagated routes lead inward, to subnets or to customer-owned IP pools. The
longest prefix wins, and of two equal ones the static route (facts: L2).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from typing import Literal

from testbed.topology.model import GatewayRoute, NetworkInterface, Rack, RoutingDomain, Topology

EntryKind = Literal["vif-group", "interface", "subnet", "coip-pool"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A route of the table; `vpc` is where it leads, None for the VIF group or nowhere."""

    destination: IPv4Network
    kind: EntryKind
    target: str
    vpc: str | None = None
    interface: NetworkInterface | None = None

    @property
    def static(self) -> bool:
        """Whether it is a static route; else it is a propagated one."""
        return self.kind in {"vif-group", "interface"}

    @property
    def blackhole(self) -> bool:
        """Whether its target is gone."""
        return self.kind == "interface" and self.vpc is None


def entries(topology: Topology, rack: Rack, domain: RoutingDomain) -> tuple[Entry, ...]:
    """The routes of a domain's route table that hold; none while it is inactive."""
    if domain.lacks:
        return ()
    static = static_entries(topology, domain)
    if domain.mode == "coip":
        # A pool's addresses that stand for nothing lead nowhere in any VPC: the first one will do.
        propagated = [
            Entry(cidr, "coip-pool", pool.name, domain.vpcs[0])
            for pool in domain.pools
            for cidr in pool.cidrs
        ]
    else:
        propagated = [
            Entry(subnet.cidr, "subnet", f"{subnet.vpc}/{subnet.name}", subnet.vpc)
            for subnet in topology.announced_subnets(rack, domain)
        ]
    taken = {entry.destination for entry in static}
    return (*static, *(entry for entry in propagated if entry.destination not in taken))


def static_entries(topology: Topology, domain: RoutingDomain) -> tuple[Entry, ...]:
    """The static routes, whether or not the table is active."""
    return tuple(_static(topology, domain, route) for route in domain.routes)


def _static(topology: Topology, domain: RoutingDomain, route: GatewayRoute) -> Entry:
    if route.interface is None:
        return Entry(route.destination, "vif-group", "vif-group")
    interface = topology.network_interfaces[route.interface]
    target = f"{interface.name}.network-interface"
    # Active only with an instance that runs, in an associated VPC (facts: L2).
    active = topology.attached(interface) and interface.vpc in domain.vpcs
    vpc = interface.vpc if active else None
    return Entry(route.destination, "interface", target, vpc, interface)


def lookup(table: tuple[Entry, ...], address: IPv4Address) -> Entry | None:
    """The route that the table has for an address."""
    found = [entry for entry in table if address in entry.destination]
    return max(found, key=lambda entry: entry.destination.prefixlen, default=None)


def own_range(table: tuple[Entry, ...], entry: Entry) -> list[IPv4Network]:
    """What of a route's destination no longer prefix of the table takes away."""
    inside = [
        other.destination
        for other in table
        if other is not entry and other.destination.subnet_of(entry.destination)
    ]
    return without([entry.destination], inside)


def without(networks: list[IPv4Network], taken: list[IPv4Network]) -> list[IPv4Network]:
    """The networks without those of `taken`."""
    for gone in taken:
        rest: list[IPv4Network] = []
        for network in networks:
            if network.subnet_of(gone):
                continue
            rest += network.address_exclude(gone) if gone.subnet_of(network) else [network]
        networks = rest
    return list(collapse_addresses(networks))
