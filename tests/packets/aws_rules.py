"""AWS's rules of who reaches whom, as a small model that shares no code with the testbed.

It reads a topology file's plain data and follows one packet, and its answer,
through security groups, network ACLs, VPC route tables, peering, the service
link, local gateways and the customer's network. It knows nothing of Linux.
Sources of the rules: VPC user guide (route tables, security groups, network
ACLs, peering), Outposts user guide (local gateways, customer-owned IPs,
service link), as cited in docs/fidelity.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

REGION = None
EPHEMERAL = 40000  # stands for any port that a client chooses (32768 to 60999)

Data = dict[str, Any]


@dataclass(frozen=True)
class Packet:
    """What the rules look at. Ports are 0 where the protocol has none."""

    source: IPv4Address
    destination: IPv4Address
    protocol: str
    source_port: int
    port: int

    def answer(self) -> Packet:
        """The answer to this packet as it was received."""
        return Packet(self.destination, self.source, self.protocol, self.port, self.source_port)


@dataclass(frozen=True)
class Instance:
    """An instance's network interface."""

    name: str
    vpc: str
    subnet: str
    address: IPv4Address
    groups: tuple[str, ...]
    place: str | None
    customer_owned_ip: IPv4Address | None


@dataclass(frozen=True)
class Host:
    """A machine on one of the customer's segments."""

    name: str
    address: IPv4Address


Endpoint = Instance | Host
Arrival = tuple[Endpoint, Packet] | None


class World:
    """The rules of one topology. All addresses have to be in the file; nothing is derived."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.vpcs: Data = data["vpcs"]
        self.outposts: Data = data["outposts"]
        self.instances = [self._instance(name, row) for name, row in data["instances"].items()]
        self.hosts = [
            Host(name, IPv4Address(row["address"])) for name, row in data["site"]["hosts"].items()
        ]
        self.segments = [
            IPv4Network(row["cidr"]) for row in data["site"].get("segments", {}).values()
        ]

    def endpoints(self) -> list[Endpoint]:
        """Everything that can send and answer."""
        return [*self.instances, *self.hosts]

    def answers(self, source: Endpoint, destination: IPv4Address, protocol: str, port: int) -> bool:
        """Whether a request gets its answer back."""
        port, source_port = (0, 0) if protocol == "icmp" else (port, EPHEMERAL)
        request = Packet(source.address, destination, protocol, source_port, port)
        arrival = self._send(source, request, tracked=False)
        if arrival is None:
            return False
        server, received = arrival
        back = self._send(server, received.answer(), tracked=True)
        return back is not None and back[0] == source and back[1].source == destination

    def _instance(self, name: str, row: Data) -> Instance:
        vpc, subnet = row["subnet"].split("/")
        place = self.vpcs[vpc]["subnets"][subnet].get("outpost", REGION)
        owned = row.get("customer_owned_ip")
        return Instance(
            name=name,
            vpc=vpc,
            subnet=subnet,
            address=IPv4Address(row["address"]),
            groups=tuple(row["security_groups"]),
            place=place,
            customer_owned_ip=IPv4Address(owned) if owned else None,
        )

    def _send(self, source: Endpoint, packet: Packet, *, tracked: bool) -> Arrival:
        """Follow a packet. Returns who gets it, and how it looks there; None: it is dropped."""
        if isinstance(source, Host):
            return self._customer(packet, tracked=tracked)
        if not tracked and not self._group_allows(source, packet, "egress"):
            return None
        route = self._route(source, packet.destination)
        subnet = self.vpcs[source.vpc]["subnets"][source.subnet]
        inside = route == "local" and packet.destination in IPv4Network(subnet["cidr"])
        if not inside and not self._acl_allows(source.vpc, source.subnet, packet, "egress"):
            return None
        return self._forward(source, route or "", packet, inside=inside, tracked=tracked)

    def _forward(
        self, source: Instance, route: str, packet: Packet, *, inside: bool, tracked: bool
    ) -> Arrival:
        """Follow a packet to the target of its route."""
        name, _, kind = route.rpartition(".")
        if kind == "local":
            there = self._find(source.vpc, packet.destination)
            if there is None or not self._service_link_allows(source.place, there.place):
                return None
            return self._receive(there, packet, tracked=tracked, inside=inside)
        if kind == "vpc-peering-connection":
            return self._peering(source, name, packet, tracked=tracked)
        if kind == "local-gateway" and name == source.place:
            return self._outward(source, name, packet, tracked=tracked)
        return None

    def _route(self, source: Instance, destination: IPv4Address) -> str | None:
        """The target of the longest prefix in the subnet's route table."""
        vpc = self.vpcs[source.vpc]
        tables = vpc.get("route_tables", {})
        own = [t for t in tables.values() if source.subnet in t.get("subnets", ())]
        table = own[0] if own else tables.get("main", {})
        routes = [(IPv4Network(r["destination"]), r["target"]) for r in table.get("routes", ())]
        routes.append((IPv4Network(vpc["cidr"]), "local"))
        fitting = [(net.prefixlen, target) for net, target in routes if destination in net]
        return max(fitting)[1] if fitting else None

    def _find(self, vpc: str, address: IPv4Address) -> Instance | None:
        for instance in self.instances:
            if instance.vpc == vpc and instance.address == address:
                return instance
        return None

    @staticmethod
    def _service_link_allows(one: str | None, other: str | None) -> bool:
        """Two Outposts never reach each other through the Region."""
        return one == other or REGION in (one, other)

    def _receive(
        self, there: Instance, packet: Packet, *, tracked: bool, inside: bool = False
    ) -> Arrival:
        if not inside and not self._acl_allows(there.vpc, there.subnet, packet, "ingress"):
            return None
        if not tracked and not self._group_allows(there, packet, "ingress"):
            return None
        return there, packet

    def _peering(self, source: Instance, name: str, packet: Packet, *, tracked: bool) -> Arrival:
        """Only to the peer's own interfaces, never on through its gateways."""
        peering = self.data["region"]["vpc_peering_connections"][name]
        pair = {peering["requester"], peering["accepter"]}
        (other,) = pair - {source.vpc}
        there = self._find(other, packet.destination)
        if there is None or not self._service_link_allows(source.place, there.place):
            return None
        return self._receive(there, packet, tracked=tracked)

    def _outward(self, source: Instance, outpost: str, packet: Packet, *, tracked: bool) -> Arrival:
        """Through the local gateway; in CoIP mode only with a customer-owned IP."""
        gateway = self.outposts[outpost]["local_gateway"]
        if source.vpc not in gateway["vpcs"]:
            return None
        if gateway["mode"] == "coip":
            if source.customer_owned_ip is None:
                return None
            packet = replace(packet, source=source.customer_owned_ip)
        return self._customer(packet, tracked=tracked, origin=outpost)

    def _customer(self, packet: Packet, *, tracked: bool, origin: str | None = None) -> Arrival:
        """Through the customer's network: to a segment, or to what a local gateway announces.

        A local gateway does not learn from the customer what it announces
        itself (BGP's loop detection), so nothing comes back to the one it is
        from; only between its own customer-owned IPs does it forward.
        """
        for host in self.hosts:
            if host.address == packet.destination:
                return host, packet
        ways = [
            (prefix.prefixlen, outpost)
            for outpost in self.outposts
            for prefix in self.announced(outpost)
            if packet.destination in prefix
        ]
        if not ways:
            return None
        outpost = max(ways)[1]
        if self.outposts[outpost]["local_gateway"]["mode"] == "coip":
            return self._to_owned(outpost, packet, tracked=tracked)
        if outpost == origin:
            return None
        for instance in self.instances:
            if instance.address == packet.destination and instance.place == outpost:
                return self._receive(instance, packet, tracked=tracked)
        return None

    def _to_owned(self, outpost: str, packet: Packet, *, tracked: bool) -> Arrival:
        """To the instance that has the customer-owned IP."""
        for instance in self.instances:
            if instance.customer_owned_ip == packet.destination and instance.place == outpost:
                inside = replace(packet, destination=instance.address)
                return self._receive(instance, inside, tracked=tracked)
        return None

    def announced(self, outpost: str) -> Iterator[IPv4Network]:
        """What the local gateway announces to the customer."""
        gateway = self.outposts[outpost]["local_gateway"]
        if gateway["mode"] == "coip":
            for pool in gateway["coip_pools"].values():
                yield from map(IPv4Network, pool["cidrs"])
            return
        for name in gateway["vpcs"]:
            vpc = self.vpcs[name]
            for subnet, row in vpc["subnets"].items():
                tables = vpc.get("route_tables", {})
                own = [t for t in tables.values() if subnet in t.get("subnets", ())]
                table = own[0] if own else tables.get("main", {})
                targets = {route["target"] for route in table.get("routes", ())}
                if row.get("outpost") == outpost and f"{outpost}.local-gateway" in targets:
                    yield IPv4Network(row["cidr"])

    def _group_allows(self, instance: Instance, packet: Packet, direction: str) -> bool:
        key, address = (
            ("source", packet.source)
            if direction == "ingress"
            else ("destination", packet.destination)
        )
        groups = self.vpcs[instance.vpc]["security_groups"]
        for group in instance.groups:
            for rule in groups[group].get(direction, ()):
                if self._covers(rule, packet) and self._is_peer(instance.vpc, rule[key], address):
                    return True
        return False

    def _is_peer(self, vpc: str, peer: str, address: IPv4Address) -> bool:
        if "/" in peer:
            return address in IPv4Network(peer)
        members = [i for i in self.instances if i.vpc == vpc and peer in i.groups]
        return address in {member.address for member in members}

    def _acl_allows(self, vpc: str, subnet: str, packet: Packet, direction: str) -> bool:
        """The first rule in the order of the numbers decides; without one it is denied."""
        name = self.vpcs[vpc]["subnets"][subnet].get("network_acl")
        if name is None:
            return True
        address = packet.source if direction == "ingress" else packet.destination
        rules = self.vpcs[vpc]["network_acls"][name].get(direction, ())
        for rule in sorted(rules, key=lambda rule: int(rule["rule"])):
            if self._covers(rule, packet) and address in IPv4Network(rule["cidr"]):
                return bool(rule["action"] == "allow")
        return False

    @staticmethod
    def _covers(rule: Data, packet: Packet) -> bool:
        """Whether a rule's protocol and ports (of the destination) are the packet's."""
        if rule["protocol"] == "all":
            return True
        if rule["protocol"] != packet.protocol:
            return False
        if packet.protocol == "icmp" or "ports" not in rule:
            return True
        first, _, last = str(rule["ports"]).partition("-")
        return int(first) <= packet.port <= int(last or first)
