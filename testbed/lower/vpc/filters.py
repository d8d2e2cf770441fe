"""Security groups at network interfaces, network ACLs at subnets' boundaries.

A group's rules for CIDR blocks are one interval set for each direction; its
rules for members of another group are a set of addresses and a set of packet
kinds. Interfaces lead to the chain of their combination of groups by a hash
of their port, so that a packet's cost grows neither with the interfaces nor
with the groups or rules of the VPC.

A connection that a rule allowed is remembered for each of its two ends, in
its mark: once a packet was answered, all that belongs to it passes, even when
the rule goes. A TCP or UDP connection is not remembered where a rule for
0.0.0.0/0 allows it and one of the other direction allows everything: each of
its packets has to be allowed, as in AWS (facts: E conntrack). ICMP errors
about a connection pass (facts: E mtu).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from testbed.lower.vpc import interfaces, matches
from testbed.lower.vpc.router import VpcRouter
from testbed.topology.model import (
    EVERYWHERE,
    NetworkAcl,
    NetworkAclEntry,
    NetworkInterface,
    SecurityGroup,
    SecurityRule,
    Topology,
    Traffic,
)

Direction = Literal["in", "out"]
TRACKED: dict[Direction, int] = {"out": 1, "in": 2}
"""Bits of a connection's mark: who sent its first packet remembers it, who got it does."""
DIRECTIONS: tuple[Direction, ...] = ("in", "out")

CONNTRACK = {  # facts: E conntrack; seconds
    "net/netfilter/nf_conntrack_tcp_timeout_established": "432000",
    "net/netfilter/nf_conntrack_udp_timeout": "30",
    "net/netfilter/nf_conntrack_udp_timeout_stream": "180",
    "net/netfilter/nf_conntrack_generic_timeout": "600",
    # The two directions of a connection may take different ways.
    "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
}


def add(topology: Topology, router: VpcRouter) -> None:
    """Add what the interfaces and subnets of one router need."""
    grouped = [interface for interface in router.interfaces if interface.security_groups]
    boundaries = _boundaries(topology, router)
    if not grouped and not boundaries:
        return
    _network_acls(router, boundaries)
    if grouped:
        _SecurityGroups(topology, router).add(grouped)


# Network ACLs


@dataclass(frozen=True)
class _Boundary:
    """A subnet with a network ACL: the ports that it has here, its addresses elsewhere."""

    subnet: str
    acl: NetworkAcl
    ports: tuple[str, ...]
    elsewhere: tuple[str, ...]


def _boundaries(topology: Topology, router: VpcRouter) -> list[_Boundary]:
    """The subnets with interfaces here whose network ACL does not let everything through."""
    acls = {acl.name: acl for acl in router.vpc.network_acls}
    found = []
    for subnet in router.vpc.subnets:
        acl = acls[subnet.network_acl]
        here = [interface for interface in router.interfaces if interface.subnet == subnet.name]
        if acl.open or not here:
            continue
        elsewhere = tuple(
            str(address)
            for interface in topology.network_interfaces.values()
            if (interface.vpc, interface.subnet) == (router.vpc.name, subnet.name)
            and interface not in here
            and topology.attached(interface)
            for address in interface.addresses
        )
        ports = tuple(interfaces.port(interface) for interface in here)
        found.append(_Boundary(subnet.name, acl, ports, elsewhere))
    return found


def _network_acls(router: VpcRouter, boundaries: Sequence[_Boundary]) -> None:
    """A packet between two interfaces of one subnet is not filtered (facts: V nacl)."""
    if not boundaries:
        return
    ruleset = router.ruleset
    for boundary in boundaries:
        acl, name = boundary.acl, boundary.subnet
        ruleset.chains[f"acl_in_{acl.name}"] = _entries(acl.ingress, "saddr")
        ruleset.chains[f"acl_out_{acl.name}"] = _entries(acl.egress, "daddr")
        ruleset.sets[f"subnet_{name}"] = ("type ifname", [f'"{port}"' for port in boundary.ports])
        for way, other, end in (("in", "iifname", "saddr"), ("out", "oifname", "daddr")):
            chain = _boundary_chain(way, name)
            rules = [f"{other} @subnet_{name} return"]
            if boundary.elsewhere:
                rules.append(f"ip {end} {{ {', '.join(boundary.elsewhere)} }} return")
            ruleset.chains[chain] = [*rules, f"goto acl_{way}_{acl.name}"]
    for way in ("out", "in"):
        ruleset.maps[f"subnets_{way}"] = (
            "type ifname : verdict",
            [
                f'"{port}" : jump {_boundary_chain(way, boundary.subnet)}'
                for boundary in boundaries
                for port in boundary.ports
            ],
        )
    ruleset.filters += ["iifname vmap @subnets_out", "oifname vmap @subnets_in"]
    # What the router itself has to say about a packet that it dropped.
    errors = "icmp type { destination-unreachable, time-exceeded, parameter-problem }"
    ruleset.output.append(f"{errors} oifname vmap @subnets_in")


def _boundary_chain(way: str, subnet: str) -> str:
    return f"{'enter' if way == 'in' else 'leave'}_{subnet}"


def _entries(entries: Sequence[NetworkAclEntry], end: str) -> list[str]:
    lines = []
    for entry in entries:
        verdict = "return" if entry.action == "allow" else "counter drop"
        condition = "" if entry.cidr == EVERYWHERE else f"ip {end} {entry.cidr} "
        lines.append(f"{condition}{_kind(entry.traffic)}{verdict}")
    return [*lines, "counter drop"]


def _kind(traffic: Traffic) -> str:
    if traffic.protocol is None:
        return ""
    text = f"ip protocol {traffic.protocol} "
    if traffic.ports is not None:
        low, high = traffic.ports
        text += f"th dport {low}-{high} " if low != high else f"th dport {low} "
    if traffic.icmp_type is not None:
        text += f"icmp type {traffic.icmp_type} "
    if traffic.icmp_code is not None:
        text += f"icmp code {traffic.icmp_code} "
    return text


# Security groups


@dataclass
class _SecurityGroups:
    """The security groups of the interfaces at one router."""

    topology: Topology
    router: VpcRouter

    def add(self, grouped: Sequence[NetworkInterface]) -> None:
        """Add the sets of the groups in use, the chains of their combinations, the maps."""
        ruleset = self.router.ruleset
        self.router.node.sysctls.update(CONNTRACK)
        groups = {group.name: group for group in self.router.vpc.security_groups}
        combinations = sorted({tuple(sorted(i.security_groups)) for i in grouped})
        used = {name for combination in combinations for name in combination}
        for group in self.router.vpc.security_groups:
            if group.name in used:
                self._sets(group, "in")
                self._sets(group, "out")
        for way in DIRECTIONS:
            chains = {}
            for combination in combinations:
                members = [groups[name] for name in combination]
                if not _open(members):
                    chains[combination] = f"{way}_{'_'.join(combination)}"
                    ruleset.chains[chains[combination]] = self._combination(members, way)
            pairs = (
                (interfaces.port(i), chains.get(tuple(sorted(i.security_groups)))) for i in grouped
            )
            ruleset.maps[f"groups_{way}"] = (
                "type ifname : verdict",
                [f'"{port}" : jump {chain}' for port, chain in pairs if chain],
            )
        self._dispatch()

    def _dispatch(self) -> None:
        """A packet passes at an end that remembers its connection; else the rules decide.

        First packets are always up to the rules: one that is routed through an
        instance comes by several interfaces.
        """
        ruleset, sender, receiver = self.router.ruleset, TRACKED["out"], TRACKED["in"]
        ruleset.chains["security_groups"] = [
            "ct state related return",
            "ct state established ct direction reply goto answers",
            "ct state established goto continued",
            "iifname vmap @groups_out",
            "oifname vmap @groups_in",
        ]
        ruleset.chains["continued"] = [
            f"ct mark and {sender} == 0 iifname vmap @groups_out",
            f"ct mark and {receiver} == 0 oifname vmap @groups_in",
        ]
        ruleset.chains["answers"] = [
            f"ct mark and {receiver} == 0 iifname vmap @groups_out",
            f"ct mark and {sender} == 0 oifname vmap @groups_in",
        ]
        for way, bit in TRACKED.items():
            rule = f"ct direction original ct mark set ct mark or {bit}"
            ruleset.chains[f"remember_{way}"] = [rule]
        ruleset.filters.append("jump security_groups")

    def _sets(self, group: SecurityGroup, way: Direction) -> None:
        """What the group allows: of CIDR blocks, of everywhere, of other groups' members."""
        ruleset = self.router.ruleset
        rules = _rules(group, way)
        blocks = [(r.traffic, cidr) for r in rules for cidr in r.cidrs if cidr != EVERYWHERE]
        if elements := matches.address_elements(blocks):
            kind = "type inet_proto . inet_service . ipv4_addr; flags interval"
            ruleset.sets[f"{way}_{group.name}"] = (kind, elements)
        if elements := matches.other_elements(blocks):
            kind = "type inet_proto . ipv4_addr; flags interval"
            ruleset.sets[f"{way}_{group.name}_others"] = (kind, elements)
        for source, traffics in _by_source(rules).items():
            if Traffic() in traffics:
                continue
            name = _set_name(group, way, source)
            if elements := matches.kind_elements(traffics):
                kind = "type inet_proto . inet_service; flags interval"
                ruleset.sets[name] = (kind, elements)
            if elements := _numbers(traffics):
                ruleset.sets[f"{name}_others"] = ("type inet_proto; flags interval", elements)
        for source in _by_source(rules):
            if source is not None:
                self._members(source)

    def _members(self, group: tuple[str, str]) -> None:
        """The private addresses of a group's members, wherever they are."""
        members = [
            str(address)
            for interface in self.topology.network_interfaces.values()
            if interface.vpc == group[0] and group[1] in interface.security_groups
            for address in interface.addresses
        ]
        name = _members_name(group)
        self.router.ruleset.sets[name] = ("type ipv4_addr", list(dict.fromkeys(members)))

    def _combination(self, groups: Sequence[SecurityGroup], way: Direction) -> list[str]:
        """The chain of the interfaces that have exactly these groups."""
        back: Direction = "out" if way == "in" else "in"
        lines = []
        for protocol in _answered(rule for group in groups for rule in _rules(group, back)):
            for group in groups:
                lines += self._from(group, way, None, f"ip protocol {protocol} ", "return")
        remember = f"goto remember_{way}"
        for group in groups:
            lines += self._blocks(group, way, remember)
            for source in _by_source(_rules(group, way)):
                lines += self._from(group, way, source, "", remember)
        return [*lines, "counter drop"]

    def _blocks(self, group: SecurityGroup, way: Direction, verdict: str) -> list[str]:
        sets, end = self.router.ruleset.sets, _end(way)
        name = f"{way}_{group.name}"
        lines = []
        if name in sets:
            protocols = {element.split()[0] for element in sets[name][1]}
            lines += [f"{what} . ip {end} @{name} {verdict}" for what in _selectors(protocols)]
        if f"{name}_others" in sets:
            lines.append(f"ip protocol . ip {end} @{name}_others {verdict}")
        return lines

    def _from(
        self,
        group: SecurityGroup,
        way: Direction,
        source: tuple[str, str] | None,
        condition: str,
        verdict: str,
    ) -> list[str]:
        """What the group allows of `source`; None is everywhere."""
        sets = self.router.ruleset.sets
        traffics = _by_source(_rules(group, way)).get(source)
        if traffics is None:
            return []
        if source is not None:
            condition += f"ip {_end(way)} @{_members_name(source)} "
        if Traffic() in traffics:
            return [f"{condition}{verdict}"]
        name = _set_name(group, way, source)
        lines = []
        if name in sets:
            protocols = {element.split()[0] for element in sets[name][1]}
            lines += [f"{condition}{what} @{name} {verdict}" for what in _selectors(protocols)]
        if f"{name}_others" in sets:
            lines.append(f"{condition}ip protocol @{name}_others {verdict}")
        return lines


def _rules(group: SecurityGroup, way: Direction) -> tuple[SecurityRule, ...]:
    return group.ingress if way == "in" else group.egress


def _end(way: Direction) -> str:
    return "saddr" if way == "in" else "daddr"


def _by_source(rules: Iterable[SecurityRule]) -> dict[tuple[str, str] | None, list[Traffic]]:
    """The rules for everywhere (None) and for other groups, by these."""
    found: dict[tuple[str, str] | None, list[Traffic]] = {}
    for rule in rules:
        if rule.group is not None:
            found.setdefault(rule.group, []).append(rule.traffic)
        elif EVERYWHERE in rule.cidrs:
            found.setdefault(None, []).append(rule.traffic)
    return found


def _answered(rules: Iterable[SecurityRule]) -> list[str]:
    """The protocols all of whose ports one of the rules opens to everywhere."""
    opened = {
        rule.traffic.protocol
        for rule in rules
        if EVERYWHERE in rule.cidrs and rule.traffic.ports in {None, matches.EVERY_SELECTOR}
    }
    numbers = (("tcp", matches.TCP), ("udp", matches.UDP))
    return [name for name, number in numbers if {None, number} & opened]


def _open(groups: Sequence[SecurityGroup]) -> bool:
    """Whether the groups let everything through, both ways."""
    return all(
        any(Traffic() in _by_source(_rules(group, way)).get(None, ()) for group in groups)
        for way in DIRECTIONS
    )


def _numbers(traffics: Iterable[Traffic]) -> list[str]:
    """The protocols that have no ports, as elements of a set."""
    return sorted({str(number) for traffic in traffics for number in matches.others(traffic)})


def _selectors(protocols: set[str]) -> list[str]:
    """What to look up, with ICMP's type and code where TCP has its source port."""
    ports, kinds = "ip protocol . th dport", "ip protocol . th sport"
    if str(matches.ICMP) not in protocols:
        return [ports]
    if protocols == {str(matches.ICMP)}:
        return [kinds]
    return [f"meta l4proto {{ tcp, udp }} {ports}", f"meta l4proto icmp {kinds}"]


def _set_name(group: SecurityGroup, way: Direction, source: tuple[str, str] | None) -> str:
    if source is None:
        return f"{way}_{group.name}_any"
    return f"{way}_{group.name}_from_{'_'.join(source)}"


def _members_name(group: tuple[str, str]) -> str:
    return f"members_{'_'.join(group)}"
