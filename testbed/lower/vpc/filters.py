"""What a VPC's owner filters by: network ACLs first, then security groups at interfaces.

A group's rules for CIDR blocks are one interval set for each direction; its
rules for members of another group are a set of addresses and a set of packet
kinds; IPv6 has sets of its own. Interfaces lead to the chain of their
combination of groups by a hash of their port, so that a packet's cost grows
neither with the interfaces nor with the groups or rules of the VPC.

A connection that a rule allowed is remembered for each of its two ends, in
its mark: once a packet was answered, all that belongs to it passes, even when
the rule goes. A TCP or UDP connection is not remembered where a rule for
0.0.0.0/0 or ::/0 allows it and one of the other direction allows everything: each of
its packets has to be allowed, as in AWS (facts: EC2 conntrack). ICMP errors
about a connection pass (facts: EC2 mtu).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from testbed.lower.vpc import families, interfaces, matches, network_acls
from testbed.lower.vpc.families import Family
from testbed.lower.vpc.router import VpcRouter
from testbed.lower.vpc.ruleset import comment
from testbed.topology.model import (
    NetworkInterface,
    SecurityGroup,
    SecurityRule,
    Topology,
    Traffic,
)
from testbed.topology.model.security import TCP, UDP

Direction = Literal["in", "out"]
TRACKED: dict[Direction, int] = {"out": 1, "in": 2}
"""Bits of a connection's mark: who sent its first packet remembers it, who got it does."""
DIRECTIONS: tuple[Direction, ...] = ("in", "out")
_DIRECTION: dict[Direction, str] = {"in": "ingress", "out": "egress"}

CONNTRACK = {  # facts: EC2 conntrack; seconds
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
    network_acls.add(topology, router)
    if grouped:
        _SecurityGroups(topology, router, families.of(router.vpc)).add(grouped)


@dataclass
class _SecurityGroups:
    """The security groups of the interfaces at one router."""

    topology: Topology
    router: VpcRouter
    families: tuple[Family, ...]

    def add(self, grouped: Sequence[NetworkInterface]) -> None:
        """Add the sets of the groups in use, the chains of their combinations, the maps."""
        ruleset = self.router.ruleset
        self.router.node.sysctls.update(CONNTRACK)
        groups = {group.name: group for group in self.router.vpc.security_groups}
        combinations = sorted({tuple(sorted(i.security_groups)) for i in grouped})
        used = {name for combination in combinations for name in combination}
        for group in self.router.vpc.security_groups:
            if group.name in used:
                for family in self.families:
                    self._sets(family, group, "in")
                    self._sets(family, group, "out")
        for way in DIRECTIONS:
            chains = {}
            for combination in combinations:
                members = [groups[name] for name in combination]
                if not all(_open(family, members) for family in self.families):
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

    def _sets(self, family: Family, group: SecurityGroup, way: Direction) -> None:
        """What the group allows: of CIDR blocks, of everywhere, of other groups' members."""
        ruleset = self.router.ruleset
        rules = _rules(group, way)
        blocks = [
            (rule.traffic, cidr)
            for rule in rules
            for cidr in rule.cidrs
            if cidr.version == family.version and cidr != family.everywhere
        ]
        name = _blocks_name(family, group, way)
        if elements := matches.address_elements(family, blocks):
            kind = f"type inet_proto . inet_service . {family.address}; flags interval"
            ruleset.sets[name] = (kind, elements)
        if elements := matches.other_elements(family, blocks):
            kind = f"type inet_proto . {family.address}; flags interval"
            ruleset.sets[f"{name}_others"] = (kind, elements)
        by_source = _by_source(family, rules)
        for source, traffics in by_source.items():
            if Traffic() in traffics:
                continue
            name = _set_name(family, group, way, source)
            if elements := matches.kind_elements(family, traffics):
                kind = "type inet_proto . inet_service; flags interval"
                ruleset.sets[name] = (kind, elements)
            if elements := _numbers(family, traffics):
                ruleset.sets[f"{name}_others"] = ("type inet_proto; flags interval", elements)
        for source in by_source:
            if source is not None:
                self._members(family, source)

    def _members(self, family: Family, group: tuple[str, str]) -> None:
        """The private IPv4 or the IPv6 addresses of a group's members, wherever they are."""
        members = [
            str(address)
            for interface in self.topology.network_interfaces.values()
            if interface.vpc == group[0] and group[1] in interface.security_groups
            for address in families.addresses(family, interface)
        ]
        name = _members_name(family, group)
        self.router.ruleset.sets[name] = (f"type {family.address}", list(dict.fromkeys(members)))

    def _combination(self, groups: Sequence[SecurityGroup], way: Direction) -> list[str]:
        """The chain of the interfaces that have exactly these groups."""
        back: Direction = "out" if way == "in" else "in"
        lines = []
        for family in self.families:
            opposite = [rule for group in groups for rule in _rules(group, back)]
            for protocol in _answered(family, opposite):
                condition = f"{family.protocol} {protocol} "
                for group in groups:
                    verdict = f"return{_comment(group, way)}"
                    lines += self._from(family, group, way, None, condition, verdict)
        for group in groups:
            remember = f"goto remember_{way}{_comment(group, way)}"
            for family in self.families:
                lines += self._blocks(family, group, way, remember)
                for source in _by_source(family, _rules(group, way)):
                    lines += self._from(family, group, way, source, "", remember)
        names = ", ".join(group.name for group in groups)
        several = "s" if len(groups) > 1 else ""
        why = comment(f"no {_DIRECTION[way]} rule of security group{several} {names} allows it")
        return [*lines, f"counter drop{why}"]

    def _blocks(
        self, family: Family, group: SecurityGroup, way: Direction, verdict: str
    ) -> list[str]:
        sets, name = self.router.ruleset.sets, _blocks_name(family, group, way)
        address = f"{family.header} {_end(way)}"
        lines = []
        if name in sets:
            protocols = {element.split()[0] for element in sets[name][1]}
            selectors = _selectors(family, protocols)
            lines += [f"{what} . {address} @{name} {verdict}" for what in selectors]
        if f"{name}_others" in sets:
            lines.append(f"{family.protocol} . {address} @{name}_others {verdict}")
        return lines

    def _from(
        self,
        family: Family,
        group: SecurityGroup,
        way: Direction,
        source: tuple[str, str] | None,
        condition: str,
        verdict: str,
    ) -> list[str]:
        """What the group allows of `source`; None is everywhere."""
        sets = self.router.ruleset.sets
        traffics = _by_source(family, _rules(group, way)).get(source)
        if traffics is None:
            return []
        if source is not None:
            condition += f"{family.header} {_end(way)} @{_members_name(family, source)} "
        if Traffic() in traffics:
            if not condition and len(self.families) > 1:
                condition = family.only
            return [f"{condition}{verdict}"]
        name = _set_name(family, group, way, source)
        lines = []
        if name in sets:
            protocols = {element.split()[0] for element in sets[name][1]}
            selectors = _selectors(family, protocols)
            lines += [f"{condition}{what} @{name} {verdict}" for what in selectors]
        if f"{name}_others" in sets:
            lines.append(f"{condition}{family.protocol} @{name}_others {verdict}")
        return lines


def _comment(group: SecurityGroup, way: Direction) -> str:
    return comment(f"security group {group.name}, {_DIRECTION[way]}")


def _rules(group: SecurityGroup, way: Direction) -> tuple[SecurityRule, ...]:
    return group.ingress if way == "in" else group.egress


def _end(way: Direction) -> str:
    return "saddr" if way == "in" else "daddr"


def _by_source(
    family: Family, rules: Iterable[SecurityRule]
) -> dict[tuple[str, str] | None, list[Traffic]]:
    """The rules for everywhere (None) and for other groups, by these."""
    found: dict[tuple[str, str] | None, list[Traffic]] = {}
    for rule in rules:
        if rule.group is not None:
            found.setdefault(rule.group, []).append(rule.traffic)
        elif family.everywhere in rule.cidrs:
            found.setdefault(None, []).append(rule.traffic)
    return found


def _answered(family: Family, rules: Iterable[SecurityRule]) -> list[str]:
    """The protocols all of whose ports one of the rules opens to everywhere."""
    opened = {
        rule.traffic.protocol
        for rule in rules
        if family.everywhere in rule.cidrs and rule.traffic.ports in {None, matches.EVERY_SELECTOR}
    }
    return [name for name, number in (("tcp", TCP), ("udp", UDP)) if {None, number} & opened]


def _open(family: Family, groups: Sequence[SecurityGroup]) -> bool:
    """Whether the groups let everything through, both ways."""
    return all(
        any(Traffic() in _by_source(family, _rules(group, way)).get(None, ()) for group in groups)
        for way in DIRECTIONS
    )


def _numbers(family: Family, traffics: Iterable[Traffic]) -> list[str]:
    """The protocols that have no ports, as elements of a set."""
    return sorted(
        {str(number) for traffic in traffics for number in matches.others(family, traffic)}
    )


def _selectors(family: Family, protocols: set[str]) -> list[str]:
    """What to look up, with ICMP's type and code where TCP has its source port."""
    ports, kinds = f"{family.protocol} . th dport", f"{family.protocol} . th sport"
    if str(family.icmp) not in protocols:
        return [ports]
    if protocols == {str(family.icmp)}:
        return [kinds]
    return [
        f"meta l4proto {{ tcp, udp }} {ports}",
        f"meta l4proto {family.icmp_name} {kinds}",
    ]


def _blocks_name(family: Family, group: SecurityGroup, way: Direction) -> str:
    return f"{way}{family.suffix}_{group.name}"


def _set_name(
    family: Family, group: SecurityGroup, way: Direction, source: tuple[str, str] | None
) -> str:
    name = _blocks_name(family, group, way)
    return f"{name}_any" if source is None else f"{name}_from_{'_'.join(source)}"


def _members_name(family: Family, group: tuple[str, str]) -> str:
    return f"members{family.suffix}_{'_'.join(group)}"
