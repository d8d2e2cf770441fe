"""Rules of security groups and network ACLs, with AWS's limits."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.errors import Path
from testbed.topology.model import (
    NetworkInterface,
    SecurityGroup,
    SecurityRule,
    Topology,
    Traffic,
)
from testbed.topology.report import Report
from testbed.topology.rules.instances import path_of
from testbed.topology.schema import NetworkAclEntryForm, TopologyForm, TrafficForm

MAX_RULES = 60  # per direction of a security group (V limits)
MAX_GROUPS = 5  # per network interface (V limits)
MAX_ENTRIES = 20  # per direction of a network ACL (V limits)
MAX_NETWORK_ACLS = 200  # per VPC (V limits)
MAX_LIST = 1000  # entries of a prefix list (V limits)
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PROTOCOLS = {None: "ALL", TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMPV6: "ICMPV6"}
IPV4, IPV6 = 4, 6
FAMILIES = {IPV4: "IPv4", IPV6: "IPv6"}


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the security groups, network ACLs and prefix lists."""
    for name, cidrs in form.region.prefix_lists.items():
        _prefix_list(("region", "prefix_lists", name), [str(cidr) for cidr in cidrs], report)
    for vpc in topology.vpcs.values():
        path: Path = ("vpcs", vpc.name)
        for group in vpc.security_groups:
            _peers((*path, "security_groups", group.name), topology, group, report)
            _group((*path, "security_groups", group.name), form, group, report)
        if len(vpc.network_acls) > MAX_NETWORK_ACLS:
            message = f"a VPC has at most {MAX_NETWORK_ACLS} network ACLs (AWS: VPC quotas)"
            report.add((*path, "network_acls"), message, key=True)
        for name, acl in form.vpcs[vpc.name].network_acls.items():
            at = (*path, "network_acls", name)
            _entries((*at, "ingress"), acl.ingress, report)
            _entries((*at, "egress"), acl.egress, report)
    for interface in topology.network_interfaces.values():
        _groups_of(interface, report)


def _prefix_list(path: Path, cidrs: Sequence[str], report: Report) -> None:
    if len(cidrs) > MAX_LIST:
        message = f"has {len(cidrs)} entries; a prefix list has at most {MAX_LIST}"
        report.add(path, f"{message} (AWS: VPC quotas)", key=True)
    for index, cidr in enumerate(cidrs):
        if cidr in cidrs[:index]:
            report.add((*path, index), f"{cidr} is already in this prefix list", "keep one of them")


def _group(path: Path, form: TopologyForm, group: SecurityGroup, report: Report) -> None:
    given = (form.vpcs[group.vpc].security_groups or {}).get(group.name)
    if given is None:
        return
    ingress = [(rule.source, rule) for rule in given.ingress or []]
    egress = [(rule.destination, rule) for rule in given.egress or []]
    for key, rules, resolved in (
        ("ingress", ingress, group.ingress),
        ("egress", egress, group.egress),
    ):
        at = (*path, key)
        seen: set[tuple[object, ...]] = set()
        for index, (peer, rule) in enumerate(rules):
            _traffic((*at, index), rule, report)
            same = (str(peer), rule.protocol, rule.ports, rule.icmp_type, rule.icmp_code)
            if same in seen:
                _duplicate((*at, index), str(peer), rule, report)
            seen.add(same)
        _count(at, resolved if getattr(given, key) is not None else (), report)


def _peers(path: Path, topology: Topology, group: SecurityGroup, report: Report) -> None:
    """A group of another VPC can be named only where the two are peered (V vpc-peering)."""
    peered = {c.peer(group.vpc) for c in topology.region.peering_of(group.vpc)}
    for key, rules in (("ingress", group.ingress), ("egress", group.egress)):
        for index, rule in enumerate(rules):
            if rule.group is not None and rule.group[0] not in {group.vpc, *peered}:
                message = (
                    f"the VPC {rule.group[0]} is not peered with {group.vpc}: a rule may name a"
                    " group of its own VPC or of a peered one (AWS: security group references)"
                )
                end = "source" if key == "ingress" else "destination"
                report.add((*path, key, index, end), message)


def _duplicate(path: Path, peer: str, rule: TrafficForm, report: Report) -> None:
    protocol = PROTOCOLS.get(rule.protocol, str(rule.protocol))
    first, last = rule.ports or (0, 65535)
    ports = f", from port: {first}, to port: {last}" if rule.protocol in {TCP, UDP} else ""
    message = (
        f'InvalidPermission.Duplicate: the specified rule "peer: {peer}, {protocol}{ports}, ALLOW"'
        " already exists"
    )
    report.add(path, message, "keep one of them")


def _count(path: Path, rules: Sequence[SecurityRule], report: Report) -> None:
    """Each family has the quota to itself (V limits).

    A rule that names a prefix list counts as many as the list has entries, one
    that names a group counts for both families.
    """
    for version, family in FAMILIES.items():
        total = sum(
            1 if rule.group else sum(cidr.version == version for cidr in rule.cidrs)
            for rule in rules
        )
        if total <= MAX_RULES:
            continue
        message = (
            "RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group"
            f" has been reached. There are {total} for {family}; {MAX_RULES} are allowed in each"
            " direction"
        )
        hint = None
        if version == IPV4 and any(rule.prefix_list for rule in rules):
            hint = "each entry of a prefix list counts as a rule"
        report.add(path, message, hint, key=True)
        return


def _traffic(path: Path, traffic: Traffic | TrafficForm, report: Report) -> None:
    """Ports belong to TCP and UDP, types and codes to ICMP."""
    if traffic.ports is not None and traffic.protocol not in {TCP, UDP}:
        message = "only the protocols tcp and udp have ports"
        report.add((*path, "ports"), message, "leave the ports out, or choose tcp or udp")
    icmp = {ICMP, ICMPV6}
    for key in ("icmp_type", "icmp_code"):
        if getattr(traffic, key) is not None and traffic.protocol not in icmp:
            report.add(
                (*path, key), f"only the protocols icmp and icmpv6 have an {key}", "leave it out"
            )
    if traffic.protocol in icmp and traffic.icmp_code is not None and traffic.icmp_type is None:
        report.add((*path, "icmp_code"), "an icmp_code needs an icmp_type", "add icmp_type")


def _entries(path: Path, entries: Sequence[NetworkAclEntryForm], report: Report) -> None:
    numbers: set[int] = set()
    for index, entry in enumerate(entries):
        _traffic((*path, index), entry, report)
        if entry.rule in numbers:
            message = (
                "NetworkAclEntryAlreadyExists: The network acl entry identified by"
                f" {entry.rule} already exists."
            )
            report.add((*path, index, "rule"), message, "give it another number")
        numbers.add(entry.rule)
    for version, family in FAMILIES.items():
        total = sum(entry.cidr.version == version for entry in entries)
        if total > MAX_ENTRIES:
            message = (
                f"NetworkAclEntryLimitExceeded: there are {total} rules for {family}; a network"
                f" ACL has at most {MAX_ENTRIES} in each direction (AWS: VPC quotas)"
            )
            report.add(path, message, key=True)


def _groups_of(interface: NetworkInterface, report: Report) -> None:
    if len(interface.security_groups) > MAX_GROUPS:
        message = (
            f"SecurityGroupsPerInterfaceLimitExceeded: {interface.name} has"
            f" {len(interface.security_groups)} security groups; a network interface has at most"
            f" {MAX_GROUPS} (AWS: VPC quotas)"
        )
        report.add((*path_of(interface), "security_groups"), message, key=True)
