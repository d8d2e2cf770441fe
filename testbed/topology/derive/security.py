"""Security groups and network ACLs: defaults, and what names in rules stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network

from testbed.topology import references
from testbed.topology.model import (
    EVERYWHERE,
    EVERYWHERE6,
    NetworkAcl,
    NetworkAclEntry,
    SecurityGroup,
    SecurityRule,
    Traffic,
)
from testbed.topology.schema import (
    EgressRuleForm,
    IngressRuleForm,
    NetworkAclEntryForm,
    TopologyForm,
    TrafficForm,
    VpcForm,
)

DEFAULT = "default"
DEFAULT_RULE, DEFAULT_RULE6 = 100, 101  # of the default network ACL (facts: V nacl)


PrefixLists = Mapping[str, tuple[IPv4Network, ...]]


def security_groups(form: TopologyForm, vpc: str, lists: PrefixLists) -> tuple[SecurityGroup, ...]:
    """The VPC's groups; none where the file declares none, and nothing is filtered then.

    The default group, which there is even when it is left out, allows what
    comes from its own members; every group allows everything out, by IPv6 too
    where the VPC has it, unless it says otherwise (facts: V security-groups).
    """
    if form.vpcs[vpc].security_groups is None:
        return ()
    groups = []
    for name in references.security_groups(form.vpcs[vpc]):
        given = (form.vpcs[vpc].security_groups or {}).get(name)
        ingress: Iterable[SecurityRule] = ()
        egress: Iterable[SecurityRule] = [
            SecurityRule(Traffic(), (everywhere,)) for everywhere in _everywhere(form.vpcs[vpc])
        ]
        if given is not None and given.ingress is not None:
            ingress = [_rule(form, vpc, lists, rule) for rule in given.ingress]
        elif name == DEFAULT:
            ingress = (SecurityRule(Traffic(), group=(vpc, DEFAULT)),)
        if given is not None and given.egress is not None:
            egress = [_rule(form, vpc, lists, rule) for rule in given.egress]
        groups.append(SecurityGroup(name, vpc, tuple(ingress), tuple(egress)))
    return tuple(groups)


def _everywhere(vpc: VpcForm) -> list[IPv4Network | IPv6Network]:
    return [EVERYWHERE] if vpc.ipv6_cidr is None else [EVERYWHERE, EVERYWHERE6]


def _rule(
    form: TopologyForm, vpc: str, lists: PrefixLists, rule: IngressRuleForm | EgressRuleForm
) -> SecurityRule:
    peer = rule.source if isinstance(rule, IngressRuleForm) else rule.destination
    if isinstance(peer, IPv4Network | IPv6Network):
        return SecurityRule(_traffic(rule), (peer,))
    owner, slash, group = peer.partition("/")
    if slash:
        return SecurityRule(_traffic(rule), group=(owner, group))
    if peer in references.security_groups(form.vpcs[vpc]):
        return SecurityRule(_traffic(rule), group=(vpc, peer))
    entries = tuple(dict.fromkeys(lists[peer]))
    return SecurityRule(_traffic(rule), entries, prefix_list=peer)


def _traffic(form: TrafficForm) -> Traffic:
    return Traffic(form.protocol, form.ports, form.icmp_type, form.icmp_code)


def network_acls(vpc: VpcForm) -> tuple[NetworkAcl, ...]:
    """The VPC's network ACLs; the default one, for subnets that name none, allows everything."""
    everything = tuple(
        NetworkAclEntry(number, Traffic(), everywhere, "allow")
        for number, everywhere in zip((DEFAULT_RULE, DEFAULT_RULE6), _everywhere(vpc), strict=False)
    )
    acls = [
        NetworkAcl(name, _entries(acl.ingress), _entries(acl.egress))
        for name, acl in vpc.network_acls.items()
    ]
    if DEFAULT not in vpc.network_acls:
        acls.insert(0, NetworkAcl(DEFAULT, everything, everything))
    return tuple(acls)


def _entries(forms: Sequence[NetworkAclEntryForm]) -> tuple[NetworkAclEntry, ...]:
    entries = (NetworkAclEntry(e.rule, _traffic(e), e.cidr, e.action) for e in forms)
    return tuple(sorted(entries, key=lambda entry: entry.number))


def groups_of(form: TopologyForm, vpc: str, named: Sequence[str] | None) -> tuple[str, ...]:
    """An interface's security groups: those it names, else the VPC's default group."""
    if form.vpcs[vpc].security_groups is None:
        return ()
    return tuple(dict.fromkeys(named or [DEFAULT]))
