"""What security groups and network ACLs allow, from the topology alone (facts: V)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from testbed.conformance.requesting import Protocol, Request
from testbed.conformance.ways import End, Way
from testbed.topology.model import (
    EVERYWHERE,
    NetworkAcl,
    NetworkAclEntry,
    SecurityGroup,
    SecurityRule,
    Topology,
    Traffic,
)
from testbed.topology.model.security import ICMP, TCP, UDP

NUMBERS: dict[Protocol, int] = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
EPHEMERAL = 40000  # stands for any port that Linux chooses as a client (32768 to 60999)
ECHO_REQUEST, ECHO_REPLY = 8, 0
OUTGOING: tuple[tuple[Protocol, int], ...] = (
    ("udp", 33434),
    ("tcp", 33434),
    ("icmp", 0),
    ("tcp", 80),
    ("tcp", 443),
)
COMMON: tuple[tuple[Protocol, int], ...] = (("icmp", 0), ("tcp", 80), ("tcp", 7), ("tcp", 443))


def matches(traffic: Traffic, protocol: Protocol, port: int, icmp_type: int) -> bool:
    """Whether a rule is about such a packet; `port` is the destination's."""
    if traffic.protocol is None:
        return True
    if traffic.protocol != NUMBERS[protocol]:
        return False
    if protocol == "icmp":
        return traffic.icmp_type in {None, icmp_type}
    return traffic.ports is None or traffic.ports[0] <= port <= traffic.ports[1]


class Permissions:
    """The filters of one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    def allows(
        self, source: End, destination: End, way: Way, protocol: Protocol, port: int
    ) -> bool:
        """Whether a request on this way, and its answer, pass all filters of both ends."""
        neighbours = way.kind == "inside" and self._subnet(source) == self._subnet(destination)
        asked = (protocol, port, ECHO_REQUEST)
        answer = (protocol, EPHEMERAL, ECHO_REPLY)
        if not self._group(source, "egress", way.to, *asked):
            return False
        if not self._group(destination, "ingress", way.seen, *asked):
            return False
        return neighbours or (
            self._acl(source, "egress", way.to, *asked)
            and self._acl(destination, "ingress", way.seen, *asked)
            and self._acl(destination, "egress", way.seen, *answer)
            and self._acl(source, "ingress", way.to, *answer)
        )

    def outgoing(self, source: End, to: IPv4Address) -> tuple[Protocol, int] | None:
        """A kind of request to an address that the source's own filters let out; None: none."""
        for protocol, port in OUTGOING:
            asked = (protocol, port, ECHO_REQUEST)
            if self._group(source, "egress", to, *asked) and self._acl(
                source, "egress", to, *asked
            ):
                return protocol, port
        return None

    def opening(self, source: End, destination: End, way: Way) -> tuple[Protocol, int] | None:
        """A kind of request that is let through and always answered; None: there is none."""
        ports = [("tcp", port) for port in self.boundaries(source, destination, "tcp")]
        for protocol, port in (*COMMON, *ports):
            if self.allows(source, destination, way, protocol, port):  # type: ignore[arg-type]
                return protocol, port  # type: ignore[return-value]
        return None

    def request(self, source: End, destination: End, way: Way) -> Request | None:
        """A request that has to be answered; None where the filters let none through."""
        found = self.opening(source, destination, way)
        return Request(source.name, str(way.to), *found) if found else None

    def groups(self, end: End) -> list[SecurityGroup]:
        """The security groups of an instance's interface."""
        if end.interface is None:
            return []
        own = set(end.interface.security_groups)
        return [g for g in self.topology.vpcs[end.vpc].security_groups if g.name in own]

    def boundaries(self, source: End, destination: End, protocol: Protocol) -> list[int]:
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

    def is_filtered(self, end: End) -> bool:
        """Whether an instance has security groups, or a network ACL that does not allow all."""
        return bool(self.groups(end)) or any(not acl.opens(EVERYWHERE) for acl in self._acls(end))

    def _acls(self, end: End) -> list[NetworkAcl]:
        acl = self._acl_of(end) if end.interface else None
        return [acl] if acl else []

    def _subnet(self, end: End) -> tuple[str, str] | None:
        return (end.vpc, end.interface.subnet) if end.interface else None

    def _group(
        self, end: End, direction: str, peer: IPv4Address, protocol: Protocol, port: int, kind: int
    ) -> bool:
        if end.interface is None or not end.interface.security_groups:
            return True
        rules: Iterator[SecurityRule] = (
            rule
            for group in self.groups(end)
            for rule in (group.ingress if direction == "ingress" else group.egress)
        )
        return any(
            matches(rule.traffic, protocol, port, kind) and self._is_peer(rule, peer)
            for rule in rules
        )

    def _is_peer(self, rule: SecurityRule, peer: IPv4Address) -> bool:
        if rule.group is None:
            return _within(peer, rule.cidrs)
        vpc, group = rule.group
        members = (
            interface
            for interface in self.topology.network_interfaces.values()
            if interface.vpc == vpc and group in interface.security_groups
        )
        return any(peer in member.addresses for member in members)

    def _acl(
        self, end: End, direction: str, peer: IPv4Address, protocol: Protocol, port: int, kind: int
    ) -> bool:
        if end.interface is None:
            return True
        acl = self._acl_of(end)
        entries = () if acl is None else acl.ingress if direction == "ingress" else acl.egress
        for entry in entries:
            if matches(entry.traffic, protocol, port, kind) and _is_about(entry, peer):
                return entry.action == "allow"
        return acl is None

    def _acl_of(self, end: End) -> NetworkAcl | None:
        assert end.interface is not None
        name = self.topology.subnet(end.vpc, end.interface.subnet).network_acl
        acls = self.topology.vpcs[end.vpc].network_acls
        return next((acl for acl in acls if acl.name == name), None)


def _is_about(entry: NetworkAclEntry, peer: IPv4Address) -> bool:
    return _within(peer, [entry.cidr])


def _within(address: IPv4Address, cidrs: Iterable[object]) -> bool:
    return any(isinstance(cidr, IPv4Network) and address in cidr for cidr in cidrs)
