"""Transit gateways: the route table of the attachment that a packet comes from decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.predict.learned import behind, length_learned
from testbed.predict.packet import Dropped, NotPredicted
from testbed.predict.positions import AtTransitGateway, InVpc, OnCustomerNetwork

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from testbed.predict.packet import Journey
    from testbed.predict.positions import Places, Step
    from testbed.topology.model import TransitGateway, TransitGatewayRouteTable


def forward(places: Places, position: AtTransitGateway, journey: Journey) -> Step:
    """Forward from one attachment to another: a static route before a propagated one."""
    gateway, destination = position.gateway, journey.packet.destination
    if destination.version == 6:
        raise NotPredicted(f"{gateway.name} and IPv6")
    name = position.attachment
    table = next((t for t in gateway.route_tables if name in t.associations), None)
    if table is None:
        raise Dropped(f"transit gateway attachment {name} has no route table")
    routes = _routes(places, gateway, table)
    fitting = [network for network in routes if destination in network]
    best = max(fitting, key=lambda network: network.prefixlen, default=None)
    connections = {entry.name: entry for entry in places.topology.site.direct_connects}
    learned = [
        (connections[entry], vif)
        for entry in table.propagations
        if entry in connections
        for vif in connections[entry].virtual_interfaces
        if vif.kind == "transit"
    ]
    vpcs = {entry.name: entry.vpc for entry in gateway.attachments}
    length = best.prefixlen if best is not None else -1
    if length_learned(places.topology, places.customer, learned, destination, length) > length:
        islands = behind(places.customer, learned)
        return OnCustomerNetwork(islands), replace(journey, way="direct-connect")
    onward = routes[best] if best is not None else None
    if onward is None:
        raise Dropped(f"transit gateway route table {table.name} has no route to {destination}")
    vpc = vpcs[onward]
    if vpc is None:
        islands = frozenset({places.customer.of_device(connections[onward].device)})
        return OnCustomerNetwork(islands), replace(journey, way="direct-connect")
    if destination not in places.topology.vpcs[vpc].cidr:
        raise NotPredicted(f"VPC {vpc} may forward what the transit gateway sends it")
    return InVpc(vpc), journey


def _routes(
    places: Places, gateway: TransitGateway, table: TransitGatewayRouteTable
) -> dict[IPv4Network, str | None]:
    """The attachments by destination; None: a blackhole."""
    vpcs = {entry.name: entry.vpc for entry in gateway.attachments}
    propagated = {
        places.topology.vpcs[vpc].cidr: name
        for name in reversed(table.propagations)
        if (vpc := vpcs.get(name))
    }
    return propagated | {route.destination: route.attachment for route in table.routes}
