"""Local gateways, and the customer's network between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.predict.endpoints import Machine
from testbed.predict.packet import Dropped, NotPredicted
from testbed.predict.positions import (
    Arrived,
    AtTransitGateway,
    IntoLocalGateway,
    InVpc,
    OnCustomerNetwork,
    OnInternet,
    Reaching,
)
from testbed.predict.routes import addresses, check_destination, inward_interface

if TYPE_CHECKING:
    from testbed.predict.packet import Address, Journey, WayKind
    from testbed.predict.positions import Places, Step
    from testbed.predict.site import Island
    from testbed.topology.model import (
        DirectConnect,
        Gateway,
        NetworkInterface,
        Target,
        VirtualInterface,
    )


def outward(places: Places, source: NetworkInterface, target: Target, journey: Journey) -> Step:
    """Out through the local gateway (L1 to L3); in CoIP mode with a customer-owned IP only (R1)."""
    name, packet = target.name, journey.packet
    domain = places.topology.domain(name, source.vpc)
    if places.topology.place_of(source) != name:
        raise Dropped(f"{source.name} is not on Outpost {name}")
    if domain is None:
        raise Dropped(f"VPC {source.vpc} is not associated with {name}'s local gateway")
    if domain.lacks:
        lack = ", ".join(domain.lacks)
        raise Dropped(f"the {domain.route_table(name)} has no {lack}")
    own = domain.mode == "coip" and any(packet.destination in c for c in domain.pool_cidrs)
    out = [r.destination for r in domain.routes if r.interface is None]
    if not own and not any(packet.destination in destination for destination in out):
        raise Dropped(f"the {domain.title(name)} has no route to {packet.destination}")
    if domain.mode == "coip":
        if source.customer_owned_ip is None or packet.source != source.address:
            raise Dropped(f"{source.name} has no customer-owned IP address")
        packet = replace(packet, source=source.customer_owned_ip)
    gateway = (places.topology.racks[name], domain)
    islands = frozenset(places.customer.of_gateway(gateway))
    way: WayKind = "hairpin" if own else "local-gateway"
    journey = replace(journey, packet=packet, sender=None, way=way)
    return OnCustomerNetwork(islands, gateway), journey


def across(places: Places, position: OnCustomerNetwork, journey: Journey) -> Step:
    """Through the customer's network: to a host, or to what announces the longest prefix.

    A local gateway does not learn from the customer what it announces
    itself (BGP's loop detection), so what comes back to the one it is from
    needs a shorter prefix, such as a default route; between its own
    customer-owned IPs it forwards by itself.
    """
    destination, islands, origin = journey.packet.destination, position.islands, position.origin
    if (host := places.customer.host_at(destination)) is not None:
        if islands & places.customer.of_host(host):
            lan = origin is None and journey.way == "inside"
            return Arrived(Machine.of_host(host)), replace(journey, way="lan") if lan else journey
        raise Dropped(f"the customer's network does not connect to {host.name}")
    gateway, length = places.customer.gateway_for(destination, set(islands))
    direct = _direct_connect(places, islands, destination, length)
    if direct is not None:
        if origin is not None:
            name = origin[0].name
            raise NotPredicted(f"{name}'s local gateway may learn what Direct Connect announces")
        return _into_region(places, *direct, replace(journey, way="direct-connect"))
    if gateway is not None:
        if journey.way == "local-gateway":
            journey = replace(journey, way="local-gateways")
        elif journey.way == "inside":
            journey = replace(journey, way="local-gateway")
        return IntoLocalGateway(gateway, origin), journey
    for uplink in places.topology.site.internet_uplinks:
        if places.customer.of_device(uplink.device) in islands:
            outer = uplink.addresses[0].ip
            return OnInternet(), journey.translated(uplink.device, outer)
    raise Dropped(f"nobody announces {destination} to the customer's network")


def _require_a_way_round(places: Places, gateway: Gateway, destination: Address) -> None:
    """Raise Dropped unless a local gateway learns a way to its own prefixes from the customer.

    Not that to the prefixes themselves, but a shorter one, such as a default route: a customer
    device then sends what it gets back where it came from.
    """
    islands = places.customer.of_gateway(gateway)
    site = places.topology.site
    near = [d for d in site.devices if places.customer.of_device(d.name) in islands]
    for device in near:
        if device.config or device.host_interfaces:
            raise NotPredicted(f"{device.name} may announce a default route")
    announced = [
        prefix
        for connection in site.direct_connects
        if places.customer.of_device(connection.device) in islands
        for vif in connection.virtual_interfaces
        if vif.vrf == "lgw"
        for prefix in vif.prefixes
    ]
    if any(destination in prefix for prefix in announced):
        raise NotPredicted(f"{gateway[0].name}'s local gateway may learn a way to {destination}")
    names = {uplink.device for uplink in site.internet_uplinks}
    if not names & {device.name for device in near}:
        raise Dropped(f"{gateway[0].name}'s local gateway does not turn packets round")


def _direct_connect(
    places: Places, islands: frozenset[Island], destination: Address, length: int
) -> tuple[DirectConnect, VirtualInterface] | None:
    """The virtual interface whose prefix is longer than what local gateways announce."""
    ways = [
        (prefix.prefixlen, connection.name, connection, vif)
        for connection in places.topology.site.direct_connects
        if places.customer.of_device(connection.device) in islands
        for vif in connection.virtual_interfaces
        if vif.vrf == "lgw"
        for prefix in vif.prefixes
        if destination in prefix
    ]
    best = max(ways, key=lambda way: way[:2], default=None)
    if best is None or best[0] < length:
        return None
    if best[0] == length or len({(w[3].kind, w[3].target) for w in ways if w[0] == best[0]}) > 1:
        raise NotPredicted(f"several announce the same prefix of {destination}")
    return best[2], best[3]


def _into_region(
    places: Places, connection: DirectConnect, vif: VirtualInterface, journey: Journey
) -> Step:
    """To what a virtual interface ends in."""
    if vif.kind == "private":
        return InVpc(vif.target), journey
    if vif.kind == "transit":
        gateway = places.topology.region.transit_gateways[vif.target]
        return AtTransitGateway(gateway, connection.name), journey
    raise NotPredicted(f"{connection.name} may lead to AWS's public addresses")


def inward(places: Places, position: IntoLocalGateway, journey: Journey) -> Step:
    """From the customer's network into a local gateway."""
    destination, (outpost, domain) = journey.packet.destination, position.gateway
    if interface := inward_interface(places.topology, position.gateway, destination):
        check_destination(places.topology, interface, destination)
    here = [
        there
        for there in places.interfaces
        if places.topology.place_of(there) == outpost.name and there.vpc in domain.vpcs
    ]
    if domain.mode == "coip":
        for there in here:
            if there.customer_owned_ip == destination:
                return Reaching(there), journey.to(there.address)
        raise Dropped(f"no instance has {destination}")
    if position.gateway == position.origin:
        _require_a_way_round(places, position.gateway, destination)
    for there in here:
        if destination in addresses(there):
            return Reaching(there), journey
    raise Dropped(f"no instance has {destination}")
