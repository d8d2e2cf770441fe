"""Which ways AWS's rules give a packet between two machines, from the topology alone.

`testbed.predict` follows it without filters; what they allow is `permissions`. Where a
packet passes machines of the user's (an appliance) nothing is said: the way is "other", as is
one whose answer takes a way of another kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address

from testbed.predict import Dropped, Journey, Machine, NotPredicted, Packet, WayKind, World
from testbed.topology.model import NetworkInterface, Topology

MTU: dict[WayKind, int] = {  # facts: EC2 mtu, S1, P; docs/fidelity.md
    "inside": 9001,
    "service-link": 1300,
    "local-gateway": 1500,
    "local-gateways": 1500,
    "peering": 9001,
    "transit": 8500,
}


@dataclass(frozen=True, slots=True)
class WayEnd:
    """A machine that sends and answers: a running instance, or a host of the customer's.

    `interface` is an instance's primary network interface, `place` its Outpost
    (None: the Region), `segment` a host's LAN segment.
    """

    name: str
    address: IPv4Address
    interface: NetworkInterface | None = None
    place: str | None = None
    segment: str | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def vpc(self) -> str:
        """The VPC of an instance; empty for a host."""
        return self.interface.vpc if self.interface else ""

    @property
    def owned(self) -> IPv4Address | None:
        """Its customer-owned IP address."""
        return self.interface.customer_owned_ip if self.interface else None

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """What it may be reached at."""
        return (self.address, *([self.owned] if self.owned else []))


@dataclass(frozen=True, slots=True)
class Way:
    """A way that has an answer: to the address `to`; the other end sees the address `seen`.

    `mtu` is of the way there, None where it is not known: an answer by another way has its own.
    """

    kind: WayKind
    to: IPv4Address
    seen: IPv4Address
    mtu: int | None = None


class Ways:
    """The ways of one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._world = World(topology)

    @cached_property
    def instances(self) -> list[WayEnd]:
        """All instances that run."""
        found = []
        for instance in self.topology.instances.values():
            if instance.state == "running":
                interface = self.topology.network_interfaces[instance.name]
                place = self.topology.place_of(interface)
                found.append(WayEnd(instance.name, instance.address, interface, place))
        return found

    @cached_property
    def hosts(self) -> list[WayEnd]:
        """All hosts on LAN segments."""
        hosts = self.topology.site.hosts
        return [WayEnd(host.name, host.address.ip, segment=host.segment) for host in hosts]

    @property
    def ends(self) -> list[WayEnd]:
        """Everything that can send and answer."""
        return [*self.instances, *self.hosts]

    @cached_property
    def _by_name(self) -> dict[str, WayEnd]:
        return {end.name: end for end in self.ends}

    @cached_property
    def _machines(self) -> dict[str, Machine]:
        return {host.name: Machine.of_host(host) for host in self.topology.site.hosts}

    def end(self, name: str) -> WayEnd:
        """The instance or host of that name."""
        return self._by_name[name]

    def way(self, source: WayEnd, destination: WayEnd, to: IPv4Address | None = None) -> Way | None:
        """The way there and back, to any of its addresses or to this one; None: there is none."""
        for address in [to] if to else destination.addresses:
            try:
                found = self._way(source, destination, address)
            except Dropped:
                continue
            except NotPredicted:
                return Way("other", address, source.address)
            if found is not None:
                return found
        return None

    def _way(self, source: WayEnd, destination: WayEnd, to: IPv4Address) -> Way | None:
        there, came = self._send(source, source.address, to)
        if self._end_at(there) != destination:
            return None
        seen = came.packet.source
        assert isinstance(seen, IPv4Address)
        back, answer = self._send(destination, destination.address, seen)
        if self._end_at(back) != source:
            return None
        mtu = MTU["service-link"] if came.crosses else MTU.get(came.way)
        return Way(came.way if answer.way == came.way else "other", to, seen, mtu)

    def leads_nowhere(self, source: WayEnd, to: IPv4Address) -> bool:
        """Whether no packet of the source's may get to anybody at that address."""
        try:
            self._send(source, source.address, to)
        except Dropped:
            return True
        except NotPredicted:
            return False
        return False

    def _send(
        self, source: WayEnd, own: IPv4Address, to: IPv4Address
    ) -> tuple[NetworkInterface | Machine, Journey]:
        at = source.interface or self._machines[source.name]
        packet = Packet.request(own, to, "icmp", 0)
        return self._world.follow(at, Journey(packet, filtered=False))

    def _end_at(self, at: NetworkInterface | Machine) -> WayEnd | None:
        name = at.name if isinstance(at, Machine) else at.instance
        return self._by_name.get(name or "")
