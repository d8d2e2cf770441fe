"""Rules of security groups: EC2's IpPermissions, single rules, and the document's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.objects import id_of
from testbed.api.operations import Ask
from testbed.api.world import World
from testbed.topology.editing.traffic import NUMBERS
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import SecurityGroup, SecurityRule

PEERS = {  # what a rule names: in IpPermissions, in editing's, in a single rule
    "IpRanges": ("CidrIp", "ip_ranges", "cidr_ip"),
    "Ipv6Ranges": ("CidrIpv6", "ipv6_ranges", "cidr_ipv6"),
    "PrefixListIds": ("PrefixListId", "prefix_list_ids", "prefix_list"),
    "UserIdGroupPairs": ("GroupId", "user_id_group_pairs", "group"),
}
LISTS = tuple(PEERS)
FLAT = ("IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName")


@dataclass(frozen=True)
class Rule:
    """One rule: protocol and ports in EC2's words, and one peer in a list of `LISTS`.

    `peer` is as EC2 has it, `name` as the document; of a group in another VPC with `vpc`.
    """

    direction: str
    protocol: str
    first: int
    last: int
    list: str
    peer: str
    name: str
    vpc: str = ""
    description: str = ""

    @classmethod
    def of(cls, world: World, group: SecurityGroup, rule: SecurityRule, direction: str) -> Rule:
        """Return a rule of the topology's."""
        traffic = rule.traffic
        protocol = "-1" if traffic.protocol is None else str(traffic.protocol)
        words = {number: word for number, word in NUMBERS.items() if word != "all"}
        protocol = words.get(protocol, protocol)
        first, last = traffic.ports or (-1, -1)
        if protocol in ("tcp", "udp") and traffic.ports is None:
            first, last = 0, 65535
        if protocol in ("icmp", "icmpv6"):
            first = -1 if traffic.icmp_type is None else traffic.icmp_type
            last = -1 if traffic.icmp_code is None else traffic.icmp_code
        made = cls(direction, protocol, first, last, "", "", "")
        if rule.group is not None:
            vpc, name = rule.group
            peer = world.id("security-group", vpc, name)
            other = vpc if vpc != group.vpc else ""
            made = replace(made, list="UserIdGroupPairs", peer=peer, name=name, vpc=other)
        elif rule.prefix_list is not None:
            peer = world.id("prefix-list", rule.prefix_list)
            made = replace(made, list="PrefixListIds", peer=peer, name=rule.prefix_list)
        else:
            cidr = rule.cidrs[0]
            kind = "IpRanges" if cidr.version == 4 else "Ipv6Ranges"
            made = replace(made, list=kind, peer=str(cidr), name=str(cidr))
        id_ = rule_id(group.vpc, group.name, made)
        return replace(made, description=world.value(id_, "description", ""))

    @property
    def edited(self) -> dict[str, Any]:
        """The rule as one of editing's permissions."""
        _, key, member = PEERS[self.list]
        peer = {member: self.name} | ({"vpc": self.vpc} if self.vpc else {})
        ports = {"from_port": self.first, "to_port": self.last}
        return {"ip_protocol": self.protocol, **ports, key: [peer]}


def rule_id(vpc: str, group: str, rule: Rule) -> str:
    """Return a rule's identifier, which is made of what it says."""
    about = f"{rule.direction}/{rule.protocol}/{rule.first}/{rule.last}/{rule.peer}"
    return id_of("security-group-rule", vpc, group, about)


def permissions(world: World, group: SecurityGroup, direction: str) -> list[dict[str, Any]]:
    """Return a group's rules as IpPermissions: one for each protocol and range of ports."""
    found: dict[tuple[str, int, int], dict[str, Any]] = {}
    for each in group.ingress if direction == "ingress" else group.egress:
        rule = Rule.of(world, group, each, direction)
        key = (rule.protocol, rule.first, rule.last)
        row = found.setdefault(key, {"IpProtocol": rule.protocol, **{name: [] for name in LISTS}})
        if rule.protocol != "-1" and (rule.first, rule.last) != (-1, -1):
            row |= {"FromPort": rule.first, "ToPort": rule.last}
        elif rule.protocol in ("icmp", "icmpv6"):
            row |= {"FromPort": -1, "ToPort": -1}
        row[rule.list].append(_peer(world, group, rule))
    return list(found.values())


def _peer(world: World, group: SecurityGroup, rule: Rule) -> dict[str, Any]:
    peer: dict[str, Any] = {PEERS[rule.list][0]: rule.peer}
    if rule.list == "UserIdGroupPairs":
        peer["UserId"] = ACCOUNT
        if rule.vpc:
            peer["VpcId"] = world.id("vpc", rule.vpc or group.vpc)
    if rule.description:
        peer["Description"] = rule.description
    return peer


def describe_rule(world: World, group: SecurityGroup, rule: Rule) -> dict[str, Any]:
    """Return a single rule as answers have it."""
    id_ = rule_id(group.vpc, group.name, rule)
    row: dict[str, Any] = {
        "SecurityGroupRuleId": id_,
        "SecurityGroupRuleArn": world.arn("security-group-rule", id_),
        "GroupId": world.id("security-group", group.vpc, group.name),
        "GroupOwnerId": ACCOUNT,
        "IsEgress": rule.direction == "egress",
        "IpProtocol": rule.protocol,
        "FromPort": rule.first,
        "ToPort": rule.last,
        "Tags": world.tags(id_),
    }
    match rule.list:
        case "IpRanges":
            row["CidrIpv4"] = rule.peer
        case "Ipv6Ranges":
            row["CidrIpv6"] = rule.peer
        case "PrefixListIds":
            row["PrefixListId"] = rule.peer
        case _:
            row["ReferencedGroupInfo"] = {"GroupId": rule.peer, "UserId": ACCOUNT}
    return row | ({"Description": rule.description} if rule.description else {})


@dataclass(frozen=True)
class Permission:
    """One of a call's IpPermissions: as it came, and as editing takes it."""

    given: dict[str, Any]
    edited: dict[str, Any]


def read_permissions(ask: Ask, vpc: str) -> list[Permission]:
    """Return the permissions of a call; a rule by itself is one, too."""
    found = [dict(each) for each in ask.get("IpPermissions") or []]
    if ask.get("SourceSecurityGroupName"):
        message = "In a VPC a source group is named by IpPermissions, with its ID"
        raise ApiError("InvalidParameterCombination", message)
    alone = {key: ask[key] for key in FLAT if key in ask.parameters}
    if alone:
        if cidr := alone.pop("CidrIp", None):
            alone["IpRanges"] = [{"CidrIp": cidr}]
        found.append(alone)
    if not found:
        message = "The request must contain the parameter ipPermissions"
        raise ApiError("MissingParameter", message)
    return [Permission(each, _edited(ask, each, vpc)) for each in found]


def _edited(ask: Ask, given: dict[str, Any], vpc: str) -> dict[str, Any]:
    if "IpProtocol" not in given:
        raise ApiError("MissingParameter", "The request must contain the parameter ipProtocol")
    edited: dict[str, Any] = {"ip_protocol": given["IpProtocol"]}
    edited |= {"from_port": given.get("FromPort"), "to_port": given.get("ToPort")}
    for key, (member, name, word) in PEERS.items():
        rows = []
        for entry in given.get(key, []):
            peer = entry.get(member)
            if peer is None:
                raise ApiError(
                    "MissingParameter", f"The request must contain the parameter {member}"
                )
            if key == "UserIdGroupPairs":
                owner, group = ask.find("security-group", peer)
                rows.append({word: group} | ({"vpc": owner} if owner != vpc else {}))
            elif key == "PrefixListIds":
                rows.append({word: ask.find("prefix-list", peer)[-1]})
            else:
                rows.append({word: peer})
        if rows:
            edited[name] = rows
    return edited


def rules_of(permission: Permission, vpc: str, direction: str) -> Iterator[Rule]:
    """Find the single rules that a permission stands for."""
    given, edited = permission.given, permission.edited
    words = {number: word for number, word in NUMBERS.items() if word != "all"}
    protocol = words.get(str(given["IpProtocol"]).lower(), str(given["IpProtocol"]).lower())
    first, last = given.get("FromPort"), given.get("ToPort")
    if protocol == "-1" or protocol not in (*words.values(),):
        first = last = -1
    elif protocol in ("tcp", "udp") and first in (None, -1):
        first, last = 0, 65535
    first = -1 if first is None else first
    last = first if last is None else last
    for key, (member, name, word) in PEERS.items():
        for entry, row in zip(given.get(key, []), edited.get(name, []), strict=True):
            yield Rule(
                direction,
                protocol,
                first,
                last,
                key,
                entry[member],
                row[word],
                row.get("vpc", "") if row.get("vpc") != vpc else "",
                entry.get("Description", ""),
            )
