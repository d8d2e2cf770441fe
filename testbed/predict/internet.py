"""Internet gateways, the internet, and the customer's way to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from testbed.predict.packet import Dropped, NotPredicted
from testbed.predict.positions import Arrived, OnCustomerNetwork, OnInternet, Reaching
from testbed.predict.routes import target_of

if TYPE_CHECKING:
    from testbed.predict.packet import Address, Journey
    from testbed.predict.positions import Places, Step
    from testbed.topology.model import NetworkInterface

EGRESS_ONLY: Final = "egress-only-internet-gateway"
GATEWAYS = {"internet-gateway", EGRESS_ONLY}


def outward(source: NetworkInterface, journey: Journey) -> Step:
    """Through an internet gateway: with an Elastic IP, or by IPv6, which is not translated."""
    packet = journey.packet
    if packet.destination.version == 4:
        public = next((ip for own, ip in source.elastic_ips if own == packet.source), None)
        if public is None:
            raise Dropped(f"{source.name} has no Elastic IP for the internet gateway")
        journey = replace(journey, packet=replace(packet, source=public))
    return OnInternet(), replace(journey, sender=None)


def across(places: Places, _: OnInternet, journey: Journey) -> Step:
    """To a machine there, to the interface of an Elastic IP or IPv6 address, to the customer."""
    destination = journey.packet.destination
    for machine in places.internet_machines:
        if destination in machine.addresses:
            return Arrived(machine), journey
    for there in places.interfaces:
        public: list[tuple[Address, Address]] = [(ip, own) for own, ip in there.elastic_ips]
        public += [(there.ipv6_address, there.ipv6_address)] if there.ipv6_address else []
        for address, private in public:
            if address == destination:
                return _through_gateway(places, there, journey.to(private))
    for uplink in places.topology.site.internet_uplinks:
        if uplink.addresses[0].ip == destination:
            islands = frozenset({places.customer.of_device(uplink.device)})
            return OnCustomerNetwork(islands), journey.untranslated(uplink.device)
    region = places.topology.region
    aws = [region.public_cidr, *(service.prefix for service in region.public_services)]
    vifs = [vif for c in places.topology.site.direct_connects for vif in c.virtual_interfaces]
    if any(destination in cidr for cidr in aws) or any(vif.kind == "public" for vif in vifs):
        raise NotPredicted(f"{destination} is on the internet")
    raise Dropped(f"the internet has no route to {destination}")


def _through_gateway(places: Places, there: NetworkInterface, journey: Journey) -> Step:
    """From the internet to an interface: by the gateway that its way back leads to."""
    route = target_of(places.topology, places.customer, there, journey.packet.source)
    if route.kind == EGRESS_ONLY and not journey.tracked:
        raise Dropped("an egress-only internet gateway lets nobody in")
    if route.kind not in GATEWAYS:
        raise NotPredicted(f"the answer of {there.name} takes another way")
    crosses = journey.crosses or places.topology.place_of(there) is not None
    return Reaching(there), replace(journey, way="internet", crosses=crosses)
