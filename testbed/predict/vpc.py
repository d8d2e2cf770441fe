"""Inside VPCs: from network interface to route target, and to whoever has the address."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.predict import internet, local_gateway
from testbed.predict.filters import check_acl, check_groups
from testbed.predict.learned import NOTHING, behind, endings_of, length_learned
from testbed.predict.packet import Dropped, NotPredicted
from testbed.predict.positions import (
    Arrived,
    AtTransitGateway,
    InVpc,
    Leaving,
    OnCustomerNetwork,
    Reaching,
)
from testbed.predict.routes import INTERFACES, LOCAL, check_destination, own_cidr, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.predict.packet import Journey, WayKind
    from testbed.predict.positions import Places, Step
    from testbed.topology.model import NetworkInterface, Target, TargetKind

REGION = None


def leave(places: Places, position: Leaving, journey: Journey) -> Step:
    """Follow a packet from a network interface to the target of its route."""
    source, packet = position.interface, journey.packet
    instance = source.requester is None
    if journey.filtered and instance and not journey.tracked:
        check_groups(places.topology, source, packet, "egress")
    subnet = places.subnet(source)
    target = target_of(places.topology, places.customer, source, packet.destination)
    own = own_cidr(subnet, packet.destination)
    inside = target == LOCAL and own is not None and packet.destination in own
    if journey.filtered and not inside:
        check_acl(places.topology, subnet, packet, "egress")
    if target.kind in INTERFACES:
        interface = places.topology.network_interfaces[target.name]
        check_destination(places.topology, interface, packet.destination)
    journey = replace(journey, sender=source)
    if target.kind in {"local", *INTERFACES}:
        return InVpc(source.vpc, inside), journey
    onward = TARGETS.get(target.kind)
    if onward is None:
        raise NotPredicted(f"the route leads to {target}")
    return onward(places, source, target, journey)


def _to_peer(places: Places, source: NetworkInterface, target: Target, journey: Journey) -> Step:
    peering = places.topology.region.vpc_peering_connections.get(target.name)
    if peering is None:
        raise Dropped(f"the route to {target} is a blackhole")
    return InVpc(peering.peer(source.vpc)), replace(journey, way="peering")


def _to_customer(places: Places, source: NetworkInterface, _: Target, journey: Journey) -> Step:
    """To the virtual private gateway, which forwards to the customer what it has learned."""
    vpc, destination = source.vpc, journey.packet.destination
    endings = endings_of(places.topology, vpc)
    if length_learned(places.topology, places.customer, endings, destination, NOTHING) == NOTHING:
        raise Dropped(f"VPC {vpc}'s virtual private gateway has learned no way to {destination}")
    islands = behind(places.customer, endings)
    return OnCustomerNetwork(islands), _by_region(places, source, journey, "direct-connect")


def _to_internet(places: Places, source: NetworkInterface, _: Target, journey: Journey) -> Step:
    return internet.outward(source, _by_region(places, source, journey, "internet"))


def _by_region(places: Places, source: NetworkInterface, journey: Journey, way: WayKind) -> Journey:
    """Go on in the Region, over the service link where the source is on an Outpost."""
    crosses = journey.crosses or places.topology.place_of(source) is not REGION
    return replace(journey, way=way, crosses=crosses)


def _to_transit_gateway(
    places: Places, source: NetworkInterface, target: Target, journey: Journey
) -> Step:
    """To a transit gateway, which has an interface in the zones of the attachment's subnets."""
    gateway = places.topology.region.transit_gateways[target.name]
    own = gateway.attachment_of(source.vpc)
    if own is None:
        raise Dropped(f"VPC {source.vpc} is not attached to {target}")
    zones = {places.topology.subnet(source.vpc, subnet).zone for subnet in own.subnets}
    zone = places.subnet(source).zone
    if zone not in zones:
        raise Dropped(f"{own.name} has no subnet in {zone}, from where {source.name} sends")
    return AtTransitGateway(gateway, own.name), _by_region(places, source, journey, "transit")


def _to_nat_gateway(
    places: Places, source: NetworkInterface, target: Target, journey: Journey
) -> Step:
    """To a NAT gateway, which lets through only what belongs to connections from inside."""
    gateway = places.topology.vpcs[source.vpc].nat_gateway(target.name)
    if gateway.state == "deleted":
        raise Dropped(f"the route to {target} is a blackhole")
    if journey.tracked:
        raise Dropped(f"the route leads to {target}, which knows no such connection")
    interface = places.topology.network_interfaces[gateway.interface]
    inside = source.subnet == interface.subnet and places.topology.place_of(source) is REGION
    if inside:
        raise NotPredicted(f"{target} is in {source.name}'s own subnet")
    if journey.filtered:
        check_acl(places.topology, places.subnet(interface), journey.packet, "ingress")
    journey = _by_region(places, source, journey, journey.way)
    return Leaving(interface), journey.translated(interface.name, interface.address)


TARGETS: Mapping[TargetKind, Callable[[Places, NetworkInterface, Target, Journey], Step]] = {
    "vpc-peering-connection": _to_peer,
    "transit-gateway": _to_transit_gateway,
    "virtual-private-gateway": _to_customer,
    "local-gateway": local_gateway.outward,
    "internet-gateway": _to_internet,
    internet.EGRESS_ONLY: _to_internet,
    "nat-gateway": _to_nat_gateway,
}


def deliver(places: Places, position: InVpc, journey: Journey) -> Step:
    """To an interface of a VPC; two Outposts never reach each other through the Region (H5)."""
    destination = journey.packet.destination
    there = places.owner(position.vpc, destination)
    if there is None:
        raise Dropped(f"nothing in VPC {position.vpc} has {destination}")
    sender = journey.sender
    here = places.topology.place_of(sender) if sender is not None else REGION
    place = places.topology.place_of(there)
    if here != place:
        if REGION not in (here, place):
            raise Dropped("Outposts do not reach each other through the Region")
        way: WayKind = "service-link" if journey.way == "inside" else journey.way
        journey = replace(journey, crosses=True, way=way)
    return Reaching(there, position.inside), journey


def receive(places: Places, position: Reaching, journey: Journey) -> Step:
    """Let a network interface have a packet, if its filters allow it."""
    there, packet = position.interface, journey.packet
    owner = there.requester
    if owner is not None and owner.kind != "nat-gateway":
        raise NotPredicted(f"{there.name} belongs to a {owner.kind}")
    if journey.filtered and not position.inside:
        check_acl(places.topology, places.subnet(there), packet, "ingress")
    if owner is not None:
        return Leaving(there), journey.untranslated(there.name)
    if journey.filtered and not journey.tracked:
        check_groups(places.topology, there, packet, "ingress")
    return Arrived(there), journey
