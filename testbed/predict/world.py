"""Following a packet, and its answer."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from testbed.predict import internet, local_gateway, transit, vpc
from testbed.predict.endpoints import Endpoint, Machine
from testbed.predict.packet import Dropped, Journey, NotPredicted, Packet, Protocol, Verdict
from testbed.predict.positions import (
    Arrived,
    AtTransitGateway,
    IntoLocalGateway,
    InVpc,
    Leaving,
    OnCustomerNetwork,
    OnInternet,
    Places,
    Position,
    Reaching,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.predict.packet import Address
    from testbed.topology.model import NetworkInterface, Topology

STEPS = 64  # more than any way has: the packet goes round until its TTL is used up
RULES: dict[type, Callable[[Places, Any, Journey], tuple[Position, Journey]]] = {
    Leaving: vpc.leave,
    InVpc: vpc.deliver,
    Reaching: vpc.receive,
    AtTransitGateway: transit.forward,
    OnCustomerNetwork: local_gateway.across,
    IntoLocalGateway: local_gateway.inward,
    OnInternet: internet.across,
}


class World:
    """The rules of one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.places = Places(topology)

    @cached_property
    def _endpoints(self) -> list[Endpoint]:
        hosts = [Machine.of_host(host) for host in self.topology.site.hosts]
        return [
            *(
                Endpoint.of_instance(self.topology, interface)
                for interface in self.places.interfaces
                if interface.name == interface.instance
            ),
            *map(Endpoint.of_machine, (*hosts, *self.places.internet_machines)),
        ]

    def endpoints(self) -> list[Endpoint]:
        """Everything that can send and answer: instances that run, hosts, the internet's."""
        return self._endpoints

    def verdict(
        self, source: Endpoint, destination: Address, protocol: Protocol, port: int = 0
    ) -> Verdict:
        """Whether a request from `source` to an address gets its answer back."""
        try:
            request = Packet.request(_own(source, destination), destination, protocol, port)
            server, came = self.follow(source.at, Journey(request))
        except Dropped as end:
            return Verdict(answered=False, reason=str(end))
        except NotPredicted as end:
            return Verdict(answered=None, reason=str(end))
        try:
            client, answer = self.follow(server, came.answer())
        except Dropped as end:
            return Verdict(answered=False, reason=f"the answer: {end}", arrives=True)
        except NotPredicted as end:
            return Verdict(answered=None, reason=f"the answer: {end}")
        if client != source.at or answer.packet.source != destination:
            reason = f"the answer comes from {answer.packet.source}"
            return Verdict(answered=False, reason=reason, arrives=True)
        return Verdict(answered=True, arrives=True)

    def follow(
        self, source: NetworkInterface | Machine, journey: Journey
    ) -> tuple[NetworkInterface | Machine, Journey]:
        """Follow a packet from its sender to who gets it, and as what.

        Raises Dropped where it ends on the way, NotPredicted where the rules don't say.
        """
        position = self._start(source)
        for _ in range(STEPS):
            if isinstance(position, Arrived):
                return position.at, journey
            position, journey = RULES[type(position)](self.places, position, journey)
        raise Dropped("it goes round in circles")

    def _start(self, source: NetworkInterface | Machine) -> Position:
        if not isinstance(source, Machine):
            return Leaving(source)
        if source.host is None:
            return OnInternet()
        return OnCustomerNetwork(frozenset(self.places.customer.of_host(source.host)))


def _own(source: Endpoint, destination: Address) -> Address:
    own = source.address_for(destination)
    if own is None:
        raise Dropped(f"{source.name} has no IPv6 address")
    return own
