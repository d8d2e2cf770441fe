"""Following a packet, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from testbed.predict.filters import check_acl, check_groups
from testbed.predict.packet import Address, Dropped, NotPredicted, Packet, Protocol, Verdict
from testbed.predict.routes import (
    INTERFACES,
    LOCAL,
    addresses,
    check_destination,
    inward_interface,
    own_cidr,
    target_of,
)
from testbed.predict.site import CustomerNetwork

if TYPE_CHECKING:
    from ipaddress import IPv6Address

    from testbed.predict.site import Place
    from testbed.topology.model import (
        Gateway,
        Host,
        InternetHost,
        NetworkInterface,
        Service,
        Subnet,
        Target,
        Topology,
    )

REGION = None
EGRESS_ONLY = "egress-only-internet-gateway"
INTERNET = {"internet-gateway", EGRESS_ONLY}


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that is no instance: one of the customer's, or one on the internet."""

    name: str
    address: IPv4Address
    services: tuple[Service, ...]
    host: Host | None  # None: on the internet
    ipv6_address: IPv6Address | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something that can send and answer: an instance or a machine, and the node it is.

    `addresses` are those that others may use for it, IPv6 last.
    """

    name: str
    address: IPv4Address
    addresses: tuple[Address, ...]
    services: tuple[Service, ...]
    at: NetworkInterface | Machine

    def address_for(self, destination: Address) -> Address | None:
        """The address that it sends from to this one; None: it has none of that kind."""
        return self.address if destination.version == 4 else self.at.ipv6_address


Arrival = tuple["NetworkInterface | Machine", Packet]


class World:
    """The rules of one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.customer = CustomerNetwork(topology)
        self.interfaces = [
            entry for entry in topology.network_interfaces.values() if topology.attached(entry)
        ]

    def endpoints(self) -> list[Endpoint]:
        """Everything that can send and answer: instances that run, hosts, the internet's."""
        machines = [self._machine(host) for host in self.topology.site.hosts]
        if self.topology.region.internet is not None:
            machines += map(self._internet_machine, self.topology.region.internet.hosts)
        return [
            *(self._instance(i) for i in self.interfaces if i.name == i.instance),
            *(self._of_machine(machine) for machine in machines),
        ]

    def verdict(
        self, source: Endpoint, destination: Address, protocol: Protocol, port: int = 0
    ) -> Verdict:
        """Whether a request from `source` to an address gets its answer back."""
        try:
            request = Packet.request(self._own(source, destination), destination, protocol, port)
            server, received = self._send(source.at, request, tracked=False)
        except Dropped as end:
            return Verdict(answered=False, reason=str(end))
        except NotPredicted as end:
            return Verdict(answered=None, reason=str(end))
        try:
            client, answer = self._send(server, received.answer(), tracked=True)
        except Dropped as end:
            return Verdict(answered=False, reason=f"the answer: {end}", arrives=True)
        except NotPredicted as end:
            return Verdict(answered=None, reason=f"the answer: {end}")
        if client != source.at or answer.source != destination:
            reason = f"the answer comes from {answer.source}"
            return Verdict(answered=False, reason=reason, arrives=True)
        return Verdict(answered=True, arrives=True)

    @staticmethod
    def _own(source: Endpoint, destination: Address) -> Address:
        own = source.address_for(destination)
        if own is None:
            raise Dropped(f"{source.name} has no IPv6 address")
        return own

    def _instance(self, interface: NetworkInterface) -> Endpoint:
        owned = interface.customer_owned_ip
        public = ((owned,) if owned else ()) + tuple(ip for _, ip in interface.elastic_ips)
        six = (interface.ipv6_address,) if interface.ipv6_address else ()
        services = self.topology.instances[interface.name].services
        own = (*interface.addresses, *public, *six)
        return Endpoint(interface.name, interface.address, own, services, interface)

    @staticmethod
    def _of_machine(machine: Machine) -> Endpoint:
        six = (machine.ipv6_address,) if machine.ipv6_address else ()
        own = (machine.address, *six)
        return Endpoint(machine.name, machine.address, own, machine.services, machine)

    @staticmethod
    def _machine(host: Host) -> Machine:
        return Machine(host.name, host.address.ip, host.services, host)

    @staticmethod
    def _internet_machine(host: InternetHost) -> Machine:
        six = host.ipv6_address.ip if host.ipv6_address else None
        return Machine(host.name, host.address.ip, host.services, None, six)

    # One packet. Each returns who gets it and how it looks there, or raises Dropped.

    def _send(
        self, source: NetworkInterface | Machine, packet: Packet, *, tracked: bool
    ) -> Arrival:
        """Follow a packet from its sender; security groups let `tracked` ones pass."""
        if isinstance(source, Machine):
            if source.host is None:
                return self._from_internet(packet, tracked=tracked)
            islands = self.customer.of_host(source.host)
            return self._customer(packet, islands, tracked=tracked)
        if not tracked:
            check_groups(self.topology, source, packet, "egress")
        subnet = self._subnet(source)
        target = target_of(self.topology, source, packet.destination)
        own = own_cidr(subnet, packet.destination)
        inside = target == LOCAL and own is not None and packet.destination in own
        if not inside:
            check_acl(self.topology, subnet, packet, "egress")
        return self._forward(source, target, packet, inside=inside, tracked=tracked)

    def _subnet(self, interface: NetworkInterface) -> Subnet:
        return self.topology.subnet(interface.vpc, interface.subnet)

    def _forward(
        self,
        source: NetworkInterface,
        target: Target,
        packet: Packet,
        *,
        inside: bool,
        tracked: bool,
    ) -> Arrival:
        """Follow a packet to the target of its route."""
        if target.kind == "local":
            return self._within(source, source.vpc, packet, inside=inside, tracked=tracked)
        if target.kind == "vpc-peering-connection":
            peering = self.topology.region.vpc_peering_connections[target.name]
            other = peering.peer(source.vpc)
            return self._within(source, other, packet, inside=False, tracked=tracked)
        if target.kind == "local-gateway":
            return self._local_gateway(source, target.name, packet, tracked=tracked)
        if target.kind in INTERNET:
            return self._to_internet(source, packet)
        if target.kind in INTERFACES:
            interface = self.topology.network_interfaces[target.name]
            check_destination(self.topology, interface, packet.destination)
            return self._within(source, source.vpc, packet, inside=inside, tracked=tracked)
        if target.kind == "nat-gateway" and tracked:
            # It lets through what belongs to its own connections, all of which began inside.
            raise Dropped(f"the route leads to {target}, which knows no such connection")
        raise NotPredicted(f"the route leads to {target}")

    def _within(
        self, source: NetworkInterface, vpc: str, packet: Packet, *, inside: bool, tracked: bool
    ) -> Arrival:
        """To an interface of a VPC; two Outposts never reach each other through the Region."""
        for there in self.interfaces:
            if there.vpc == vpc and packet.destination in addresses(there):
                places = (self.topology.place_of(source), self.topology.place_of(there))
                if places[0] != places[1] and REGION not in places:
                    raise Dropped("Outposts do not reach each other through the Region")
                return self._receive(there, packet, inside=inside, tracked=tracked)
        raise Dropped(f"nothing in VPC {vpc} has {packet.destination}")

    def _receive(
        self, there: NetworkInterface, packet: Packet, *, inside: bool = False, tracked: bool
    ) -> Arrival:
        if there.requester is not None:
            raise NotPredicted(f"{there.name} belongs to a {there.requester.kind}")
        if not inside:
            check_acl(self.topology, self._subnet(there), packet, "ingress")
        if not tracked:
            check_groups(self.topology, there, packet, "ingress")
        return there, packet

    # Internet

    def _to_internet(self, source: NetworkInterface, packet: Packet) -> Arrival:
        """Through an internet gateway: with an Elastic IP, or by IPv6, which is not translated."""
        if packet.destination.version == 4:
            public = next((ip for own, ip in source.elastic_ips if own == packet.source), None)
            if public is None:
                raise Dropped(f"{source.name} has no Elastic IP for the internet gateway")
            packet = replace(packet, source=public)
        internet = self.topology.region.internet
        for host in internet.hosts if internet else ():
            machine = self._internet_machine(host)
            if packet.destination in {machine.address, machine.ipv6_address}:
                return machine, packet
        raise NotPredicted(f"{packet.destination} is on the internet")

    def _from_internet(self, packet: Packet, *, tracked: bool) -> Arrival:
        """To the interface that has the Elastic IP, or the IPv6 address."""
        for there in self.interfaces:
            public: list[tuple[Address, Address]] = [(ip, own) for own, ip in there.elastic_ips]
            public += [(there.ipv6_address, there.ipv6_address)] if there.ipv6_address else []
            for address, private in public:
                if address == packet.destination:
                    inner = replace(packet, destination=private)
                    return self._through_gateway(there, inner, tracked=tracked)
        if any(packet.destination in vpc.cidr for vpc in self.topology.vpcs.values()):
            raise Dropped(f"the internet has no route to {packet.destination}")
        raise NotPredicted(f"{packet.destination} is on the internet")

    def _through_gateway(
        self, there: NetworkInterface, packet: Packet, *, tracked: bool
    ) -> Arrival:
        """From the internet to an interface: by the gateway that its way back leads to."""
        route = target_of(self.topology, there, packet.source)
        if route.kind == EGRESS_ONLY and not tracked:
            raise Dropped("an egress-only internet gateway lets nobody in")
        if route.kind not in INTERNET:
            raise NotPredicted(f"the answer of {there.name} takes another way")
        return self._receive(there, packet, tracked=tracked)

    # Local gateways

    def _local_gateway(
        self, source: NetworkInterface, name: str, packet: Packet, *, tracked: bool
    ) -> Arrival:
        """Out through the local gateway; in CoIP mode only with a customer-owned IP address."""
        domain = self.topology.domain(name, source.vpc)
        if self.topology.place_of(source) != name:
            raise Dropped(f"{source.name} is not on Outpost {name}")
        if domain is None:
            raise Dropped(f"VPC {source.vpc} is not associated with {name}'s local gateway")
        if domain.lacks:
            lack = ", ".join(domain.lacks)
            raise Dropped(f"the {domain.route_table(name)} has no {lack}")
        own = domain.mode == "coip" and any(packet.destination in c for c in domain.pool_cidrs)
        out = [r.destination for r in domain.routes if r.interface is None]
        if not own and not any(packet.destination in destination for destination in out):
            raise Dropped(f"the {domain.route_table(name)} has no route to {packet.destination}")
        if domain.mode == "coip":
            if source.customer_owned_ip is None or packet.source != source.address:
                raise Dropped(f"{source.name} has no customer-owned IP address")
            packet = replace(packet, source=source.customer_owned_ip)
        gateway = (self.topology.racks[name], domain)
        islands = self.customer.of_gateway(gateway)
        return self._customer(packet, islands, tracked=tracked, origin=gateway)

    def _customer(
        self, packet: Packet, islands: set[Place], *, tracked: bool, origin: Gateway | None = None
    ) -> Arrival:
        """Through the customer's network: to a host, or to what a local gateway announces.

        A local gateway does not learn from the customer what it announces
        itself (BGP's loop detection), so nothing comes back to the one it is
        from; only between its own customer-owned IPs does it forward.
        """
        if (host := self.customer.host_at(packet.destination)) is not None:
            if islands & self.customer.of_host(host):
                return self._machine(host), packet
            raise Dropped(f"the customer's network does not connect to {host.name}")
        gateway = self.customer.gateway_for(packet.destination, islands)
        if gateway is None:
            if self.topology.site.direct_connects or self.topology.site.internet_uplinks:
                raise NotPredicted("Direct Connect or the customer's internet may lead there")
            raise Dropped(f"no local gateway announces {packet.destination}")
        return self._inward(gateway, packet, tracked=tracked, origin=origin)

    def _inward(
        self, gateway: Gateway, packet: Packet, *, tracked: bool, origin: Gateway | None
    ) -> Arrival:
        """From the customer's network into a local gateway."""
        outpost, domain = gateway
        if interface := inward_interface(self.topology, gateway, packet.destination):
            check_destination(self.topology, interface, packet.destination)
        if domain.mode == "coip":
            for there in self.interfaces:
                here = self.topology.place_of(there) == outpost.name
                here = here and there.vpc in domain.vpcs
                if here and there.customer_owned_ip == packet.destination:
                    inner = replace(packet, destination=there.address)
                    return self._receive(there, inner, tracked=tracked)
            raise Dropped(f"no instance has {packet.destination}")
        if gateway == origin:
            raise Dropped(f"{domain.title(outpost.name)} does not turn packets round")
        for there in self.interfaces:
            here = self.topology.place_of(there) == outpost.name
            if here and packet.destination in addresses(there) and there.vpc in domain.vpcs:
                return self._receive(there, packet, tracked=tracked)
        raise Dropped(f"no instance has {packet.destination}")
