"""Rulesets of security groups and network ACLs, with IPv6 and without."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from testbed.lower import lower
from testbed.topology import loads
from testbed.topology.model import EVERYWHERE, EVERYWHERE6, SecurityRule, Traffic

TOPOLOGY = """
testbed: 1
name: t
region: {{name: us-west-2}}
vpcs:
  app:
    cidr: 10.1.0.0/16
    {vpc}
    subnets: {{lan: {{cidr: 10.1.0.0/24{subnet}}}}}
    security_groups: {{web: {{ingress: [{rules}]}}}}
instances:
  web: {{subnet: lan{address}, security_groups: [web]}}
  other: {{subnet: lan{address}}}
"""
TCP4 = "{protocol: tcp, ports: 80, source: 10.0.0.0/8}"


def text(*rules: str, dual: bool, acl: str = "") -> str:
    """The topology, whose VPC has both families or IPv4 only."""
    return TOPOLOGY.format(
        vpc=("ipv6_cidr: 2001:db8:1:aa00::/56\n    " if dual else "") + acl,
        subnet=(', ipv6_cidr: "2001:db8:1:aa00::/64"' if dual else "")
        + (", network_acl: strict" if acl else ""),
        address=", ipv6_address: auto" if dual else "",
        rules=", ".join(rules),
    )


def ruleset(topology: str) -> str:
    plan = lower(loads(topology))
    return next(node.nftables or "" for node in plan.nodes if node.name == "region.vpc-app")


def chain(rules: str, name: str) -> list[str]:
    """The rules of a chain, without their comments."""
    lines = rules.partition(f"chain {name} {{\n")[2].partition("  }\n")[0]
    return [line.strip().partition(" comment ")[0] for line in lines.splitlines()]


def tcp6(number: int) -> str:
    return f"{{protocol: tcp, ports: {8000 + number}, source: 2001:db8:{number + 1}::/48}}"


def test_defaults_are_for_the_families_that_the_vpc_has() -> None:
    four: list[IPv4Network | IPv6Network] = [EVERYWHERE]
    for dual, everywhere in ((False, four), (True, [*four, EVERYWHERE6])):
        vpc = loads(text(TCP4, dual=dual)).vpcs["app"]
        for group in vpc.security_groups:
            assert list(group.egress) == [SecurityRule(Traffic(), (e,)) for e in everywhere]
        acl = vpc.network_acls[0]
        assert [(e.number, e.cidr) for e in acl.ingress] == list(enumerate(everywhere, 100))
        assert all(acl.opens(e) for e in everywhere)
        assert acl.opens(EVERYWHERE6) == dual


def test_a_vpc_without_ipv6_has_nothing_of_it() -> None:
    acl = (
        "network_acls: {strict: {ingress: [{rule: 1, protocol: tcp, cidr: 10.0.0.0/8, action:"
        " allow}%s]}}"
    )
    entry = ", {rule: 2, protocol: all, cidr: '::/0', action: allow}"
    plain = ruleset(text(TCP4, dual=False, acl=acl % ""))
    assert ruleset(text(TCP4, tcp6(1), dual=False, acl=acl % entry)) == plain
    assert "ip6" not in plain
    assert "icmpv6" not in plain


def test_the_default_network_acl_costs_nothing() -> None:
    assert "acl_" not in ruleset(text(TCP4, dual=True))


def test_an_acl_open_to_one_family_is_closed_to_the_other() -> None:
    everything = "{rule: 1, protocol: all, cidr: 0.0.0.0/0, action: allow}"
    acl = f"network_acls: {{strict: {{ingress: [{everything}], egress: [{everything}]}}}}"
    assert "acl_" not in ruleset(text(TCP4, dual=False, acl=acl))
    assert chain(ruleset(text(TCP4, dual=True, acl=acl)), "acl_in_strict") == [
        "meta nfproto ipv4 return",
        "counter drop",
    ]


def test_a_packets_cost_does_not_grow_with_the_rules() -> None:
    few = chain(ruleset(text(TCP4, tcp6(0), dual=True)), "in_web")
    many = chain(ruleset(text(TCP4, *map(tcp6, range(40)), dual=True)), "in_web")
    assert few == many
    assert "ip6 nexthdr . th dport . ip6 saddr @in6_web goto remember_in" in few


def test_icmp_of_one_family_is_no_icmp_in_the_other() -> None:
    rules = ruleset(
        text(
            "{protocol: icmp, icmp_type: 8, source: '2001:db8::/32'}",
            "{protocol: icmpv6, icmp_type: 128, source: 10.0.0.0/8}",
            dual=True,
        )
    )
    assert "elements = { 1 . 2001:db8::/32 }" in rules  # a protocol without types there
    assert "elements = { 58 . 10.0.0.0/8 }" in rules
