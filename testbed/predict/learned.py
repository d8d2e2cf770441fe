"""What the Region learns from the customer over Direct Connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.predict.packet import NotPredicted
from testbed.topology.model import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv4Network

    from testbed.predict.packet import Address
    from testbed.predict.site import CustomerNetwork, Island
    from testbed.topology.model import DirectConnect, Topology, VirtualInterface

NOTHING = -1
Ending = tuple["DirectConnect", "VirtualInterface"]


def length_learned(
    topology: Topology,
    customer: CustomerNetwork,
    endings: Sequence[Ending],
    destination: Address,
    longer_than: int,
) -> int:
    """The length of the longest prefix of an address that the customer announces; -1: none.

    Certain is only what is connected to the device of the virtual interface. NotPredicted where
    the customer may announce a prefix that is longer, and longer than a static route's.
    """
    certain = possible = NOTHING
    for connection, vif in endings:
        if vif.vrf != "lgw":
            continue
        device = next(d for d in topology.site.devices if d.name == connection.device)
        if device.config or device.host_interfaces:
            raise NotPredicted(f"{device.name} may announce {destination}")
        for segment in topology.site.segments:
            near = segment.vrf == vif.vrf and device.name in dict(segment.routers)
            if near and destination in segment.cidr:
                certain = max(certain, segment.cidr.prefixlen)
        island = customer.of_device(connection.device)
        lengths = [
            net.prefixlen for net in _known(topology, customer, island, vif) if destination in net
        ]
        possible = max(possible, *lengths, NOTHING)
    if possible > max(certain, longer_than):
        raise NotPredicted(f"the customer may announce a prefix of {destination}")
    return certain


def _known(
    topology: Topology, customer: CustomerNetwork, island: Island, own: VirtualInterface
) -> Iterator[IPv4Network]:
    """What the devices of an island may announce: LANs, and what they have learned."""
    for segment in topology.site.segments:
        if island in customer.of_segment(segment.name):
            yield segment.cidr
    for gateway in topology.gateways:
        if island in customer.of_gateway(gateway):
            yield from topology.announced(*gateway)
    for connection in topology.site.direct_connects:
        for vif in connection.virtual_interfaces:
            if vif is not own and vif.vrf == "lgw":
                yield from vif.prefixes
    if topology.site.internet_uplinks:
        yield EVERYWHERE


def endings_of(topology: Topology, vpc: str) -> list[Ending]:
    """The private virtual interfaces that end in a VPC's virtual private gateway."""
    return [
        (connection, vif)
        for connection in topology.site.direct_connects
        for vif in connection.virtual_interfaces
        if (vif.kind, vif.target) == ("private", vpc)
    ]


def behind(customer: CustomerNetwork, endings: Sequence[Ending]) -> frozenset[Island]:
    """The islands of customer devices that these virtual interfaces lead to."""
    return frozenset(customer.of_device(connection.device) for connection, _ in endings)
