"""What security groups and network ACLs allow, from the topology alone (facts: V)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from testbed.conformance.requesting import Protocol, Request
from testbed.conformance.ways import Way, WayEnd
from testbed.predict.filters import Direction, check_acl, check_groups
from testbed.predict.packet import NUMBERS, Dropped, Packet
from testbed.topology.model import EVERYWHERE, NetworkAcl, SecurityGroup, Topology

OUTGOING: tuple[tuple[Protocol, int], ...] = (
    ("udp", 33434),
    ("tcp", 33434),
    ("icmp", 0),
    ("tcp", 80),
    ("tcp", 443),
)
COMMON: tuple[tuple[Protocol, int], ...] = (("icmp", 0), ("tcp", 80), ("tcp", 7), ("tcp", 443))


class Permissions:
    """The filters of one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    def allows(
        self, source: WayEnd, destination: WayEnd, way: Way, protocol: Protocol, port: int
    ) -> bool:
        """Whether a request on this way, and its answer, pass all filters of both ends."""
        sent = Packet.request(source.address, way.to, protocol, port)
        came = Packet.request(way.seen, destination.address, protocol, port)
        if not (
            self._group_lets(source, sent, "egress")
            and self._group_lets(destination, came, "ingress")
        ):
            return False
        neighbours = way.kind == "inside" and self._subnet(source) == self._subnet(destination)
        return neighbours or (
            self._acl_lets(source, sent, "egress")
            and self._acl_lets(destination, came, "ingress")
            and self._acl_lets(destination, came.answer(), "egress")
            and self._acl_lets(source, sent.answer(), "ingress")
        )

    def outgoing(self, source: WayEnd, to: IPv4Address) -> tuple[Protocol, int] | None:
        """A kind of request to an address that the source's own filters let out; None: none."""
        for protocol, port in OUTGOING:
            packet = Packet.request(source.address, to, protocol, port)
            if self._group_lets(source, packet, "egress") and self._acl_lets(
                source, packet, "egress"
            ):
                return protocol, port
        return None

    def opening(self, source: WayEnd, destination: WayEnd, way: Way) -> tuple[Protocol, int] | None:
        """A kind of request that is let through and always answered; None: there is none."""
        ports = [("tcp", port) for port in self.boundaries(source, destination, "tcp")]
        for protocol, port in (*COMMON, *ports):
            if self.allows(source, destination, way, protocol, port):  # type: ignore[arg-type]
                return protocol, port  # type: ignore[return-value]
        return None

    def request(self, source: WayEnd, destination: WayEnd, way: Way) -> Request | None:
        """A request that has to be answered; None where the filters let none through."""
        found = self.opening(source, destination, way)
        return Request(source.name, str(way.to), *found) if found else None

    def groups(self, end: WayEnd) -> list[SecurityGroup]:
        """The security groups of an instance's interface."""
        if end.interface is None:
            return []
        own = set(end.interface.security_groups)
        return [g for g in self.topology.vpcs[end.vpc].security_groups if g.name in own]

    def boundaries(self, source: WayEnd, destination: WayEnd, protocol: Protocol) -> list[int]:
        """The ports at both sides of the boundaries of the rules that are about such requests."""
        traffic = [rule.traffic for group in self.groups(destination) for rule in group.ingress]
        traffic += [rule.traffic for group in self.groups(source) for rule in group.egress]
        traffic += [e.traffic for acl in self._acls(destination) for e in acl.ingress]
        traffic += [e.traffic for acl in self._acls(source) for e in acl.egress]
        found: set[int] = set()
        for entry in traffic:
            if entry.protocol == NUMBERS[protocol] and entry.ports:
                first, last = entry.ports
                found |= {first - 1, first, last, last + 1}
        return sorted(port for port in found if 0 < port < 65536)

    def is_filtered(self, end: WayEnd) -> bool:
        """Whether an instance has security groups, or a network ACL that does not allow all."""
        return bool(self.groups(end)) or any(not acl.opens(EVERYWHERE) for acl in self._acls(end))

    def _acls(self, end: WayEnd) -> list[NetworkAcl]:
        acl = self._acl_of(end) if end.interface else None
        return [acl] if acl else []

    def _subnet(self, end: WayEnd) -> tuple[str, str] | None:
        return (end.vpc, end.interface.subnet) if end.interface else None

    def _group_lets(self, end: WayEnd, packet: Packet, direction: Direction) -> bool:
        return end.interface is None or _lets_through(
            check_groups, self.topology, end.interface, packet, direction
        )

    def _acl_lets(self, end: WayEnd, packet: Packet, direction: Direction) -> bool:
        if end.interface is None:
            return True
        subnet = self.topology.subnet(end.vpc, end.interface.subnet)
        return _lets_through(check_acl, self.topology, subnet, packet, direction)

    def _acl_of(self, end: WayEnd) -> NetworkAcl | None:
        assert end.interface is not None
        name = self.topology.subnet(end.vpc, end.interface.subnet).network_acl
        acls = self.topology.vpcs[end.vpc].network_acls
        return next((acl for acl in acls if acl.name == name), None)


def _lets_through(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
    except Dropped:
        return False
    return True
