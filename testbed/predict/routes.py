"""Which route a packet follows, and whether an interface gets what a route leads to it."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from testbed.predict.learned import NOTHING, endings_of, length_learned
from testbed.predict.packet import Address, Dropped, NotPredicted
from testbed.topology.model import Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network, IPv6Network

    from testbed.predict.site import CustomerNetwork
    from testbed.topology.model import Gateway, NetworkInterface, Subnet, Topology

LOCAL = Target("local")
INTERFACES = {"instance", "network-interface"}


def addresses(interface: NetworkInterface) -> tuple[Address, ...]:
    """All private addresses of an interface, and its IPv6 address."""
    six = interface.ipv6_address
    return (*interface.addresses, *((six,) if six is not None else ()))


def own_cidr(subnet: Subnet, destination: Address) -> IPv4Network | IPv6Network | None:
    """The CIDR block of a subnet for addresses of the kind of this one."""
    return subnet.cidr if destination.version == 4 else subnet.ipv6_cidr


def target_of(
    topology: Topology, customer: CustomerNetwork, source: NetworkInterface, destination: Address
) -> Target:
    """The target of the longest prefix in the subnet's route table; a subnet's own needs none.

    Nothing in the VPC's CIDR block is propagated (facts: V route tables).
    """
    vpc = topology.vpcs[source.vpc]
    own = own_cidr(topology.subnet(vpc.name, source.subnet), destination)
    if own is not None and destination in own:
        return LOCAL
    table = vpc.table_of(source.subnet)
    if isinstance(destination, IPv6Address):
        six = {vpc.ipv6_cidr: LOCAL} if vpc.ipv6_cidr else {}
        return _longest(
            table.name,
            six | {route.destination: route.target for route in table.ipv6_routes},
            destination,
        )
    routes = {vpc.cidr: LOCAL} | {route.destination: route.target for route in table.routes}
    if table.propagate and destination not in vpc.cidr:
        lengths = (network.prefixlen for network in routes if destination in network)
        static = max(lengths, default=NOTHING)
        endings = endings_of(topology, vpc.name)
        if length_learned(topology, customer, endings, destination, static) > static:
            return Target("virtual-private-gateway")
    return _longest(table.name, routes, destination)


def _longest(
    table: str, routes: Mapping[IPv4Network, Target] | Mapping[IPv6Network, Target], to: Address
) -> Target:
    """The target of the longest prefix that an address is in."""
    fitting = [(net.prefixlen, target) for net, target in routes.items() if to in net]
    if not fitting:
        raise Dropped(f"route table {table} has no route to {to}")
    return max(fitting, key=lambda entry: entry[0])[1]


def inward_interface(
    topology: Topology, gateway: Gateway, destination: Address
) -> NetworkInterface | None:
    """The interface that a local gateway's static route leads to; it beats an announced prefix."""
    announced = [net.prefixlen for net in topology.announced(*gateway) if destination in net]
    routes = [
        (route.destination.prefixlen, route.interface)
        for route in gateway[1].routes
        if route.interface and destination in route.destination
    ]
    length, name = max(routes, default=(-1, ""))
    return topology.network_interfaces[name] if length >= max(announced, default=0) else None


def check_destination(
    topology: Topology, interface: NetworkInterface, destination: Address
) -> None:
    """Let an interface that a route leads to have its own packets; what becomes of others."""
    if not topology.attached(interface):
        raise Dropped(f"the route to {interface.name} is a blackhole")
    if destination in addresses(interface):
        return
    if interface.source_destination_check:
        raise Dropped(f"source/destination check of {interface.name}")
    raise NotPredicted(f"{interface.name} may forward it")
