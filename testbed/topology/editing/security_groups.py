"""Security groups and their rules."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, TypedDict, Unpack

from testbed.errors import Path, shorten
from testbed.plan.json_diff import lookup
from testbed.topology.editing import implied
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import SECURITY_GROUP, VPC
from testbed.topology.editing.named import add, change, refuse_used, remove, require
from testbed.topology.editing.traffic import icmp, ports, protocol, same_traffic
from testbed.topology.editing.tree import Data, put

DEFAULT = "default"
ENDS = {"ingress": "source", "egress": "destination"}


class Permissions(TypedDict, total=False):
    """Rules: EC2's IpPermissions with keys in snake case, or one rule by itself.

    In `ip_permissions` the entries of `ip_ranges` are {cidr_ip: …}, of `ipv6_ranges`
    {cidr_ipv6: …}, of `user_id_group_pairs` {group: …} and, of a peered VPC's groups, {vpc: …,
    group: …}, of `prefix_list_ids` {prefix_list: …}. By itself a rule has one of cidr_ip,
    cidr_ipv6, source_group (VPC/GROUP of a peered VPC) and prefix_list. Protocol and ports are
    EC2's: "-1" is every protocol; for ICMP from_port is the type and to_port the code, -1 for all.
    """

    ip_permissions: list[dict[str, Any]]
    ip_protocol: str | int
    from_port: int
    to_port: int
    cidr_ip: str
    cidr_ipv6: str
    source_group: str
    prefix_list: str


@operation
def create_security_group(data: Data, *, vpc: str, group: str) -> Data:
    """Create a security group that allows everything out and nothing in.

    With its first one a VPC begins to filter: interfaces that name no group have `default`.
    """
    require(data, VPC, vpc)
    if group == DEFAULT:
        message = f"Cannot use reserved security group name: {DEFAULT}"
        path = SECURITY_GROUP.path(vpc, group)
        raise EditError("InvalidParameterValue", message, path, "enable_security_groups makes it")
    return add(data, SECURITY_GROUP, (vpc, group), {})


@operation
def delete_security_group(data: Data, *, vpc: str, group: str) -> Data:
    """Delete a security group that no interface and no rule of another group uses."""
    require(data, SECURITY_GROUP, vpc, group)
    if group == DEFAULT:
        message = (
            f'the specified group: "{vpc}/{group}" name: "default" cannot be deleted by a user'
        )
        raise EditError("CannotDelete", message, SECURITY_GROUP.path(vpc, group))
    return remove(data, SECURITY_GROUP, vpc, group)


@operation
def enable_security_groups(data: Data, *, vpc: str) -> Data:
    """Make a VPC filter as in AWS: interfaces that name no group have the group `default`."""
    require(data, VPC, vpc)
    mapping = SECURITY_GROUP.mapping((vpc,))
    return put(data, mapping, lookup(data, mapping, {}))


@operation
def disable_security_groups(data: Data, *, vpc: str) -> Data:
    """Stop a VPC from filtering (not in AWS); its groups must be deleted first."""
    require(data, VPC, vpc)
    mapping = SECURITY_GROUP.mapping((vpc,))
    error = EditError("DependencyViolation", f"The vpc '{vpc}' has security groups", mapping)
    refuse_used([(*mapping, name) for name in lookup(data, mapping, {})], error)
    return put(data, mapping, None)


@operation
def authorize_security_group_ingress(
    data: Data, *, vpc: str, group: str, **rules: Unpack[Permissions]
) -> Data:
    """Add inbound rules to a security group; each says what may come in, and from where."""
    return _authorize(data, (vpc, group), "ingress", rules)


@operation
def authorize_security_group_egress(
    data: Data, *, vpc: str, group: str, **rules: Unpack[Permissions]
) -> Data:
    """Add outbound rules to a security group; each says what may go out, and where to."""
    return _authorize(data, (vpc, group), "egress", rules)


@operation
def revoke_security_group_ingress(
    data: Data, *, vpc: str, group: str, **rules: Unpack[Permissions]
) -> Data:
    """Remove inbound rules, given as they were added, from a security group."""
    return _revoke(data, (vpc, group), "ingress", rules)


@operation
def revoke_security_group_egress(
    data: Data, *, vpc: str, group: str, **rules: Unpack[Permissions]
) -> Data:
    """Remove outbound rules, given as they were added, from a security group."""
    return _revoke(data, (vpc, group), "egress", rules)


def _authorize(data: Data, names: tuple[str, str], direction: str, given: Permissions) -> Data:
    rules = _rules(data, names, direction)
    path = (*SECURITY_GROUP.path(*names), direction)
    end = ENDS[direction]
    for rule in _wanted(path, end, given):
        if any(_same(rule, other, end) for other in rules):
            message = f'the specified rule "{_text(rule, end)}, ALLOW" already exists'
            raise EditError("InvalidPermission.Duplicate", message, path)
        rules.append(rule)
    return _store(data, names, direction, rules)


def _revoke(data: Data, names: tuple[str, str], direction: str, given: Permissions) -> Data:
    rules = _rules(data, names, direction)
    path = (*SECURITY_GROUP.path(*names), direction)
    end = ENDS[direction]
    for rule in _wanted(path, end, given):
        kept = [other for other in rules if not _same(rule, other, end)]
        if len(kept) == len(rules):
            message = "The specified rule does not exist in this security group."
            raise EditError("InvalidPermission.NotFound", message, path, _text(rule, end))
        rules = kept
    return _store(data, names, direction, rules)


def _implied(data: Data, names: tuple[str, str], direction: str) -> list[Data]:
    vpc, group = names
    return implied.ingress(group) if direction == "ingress" else implied.egress(data, vpc)


def _rules(data: Data, names: tuple[str, str], direction: str) -> list[Data]:
    given = require(data, SECURITY_GROUP, *names).get(direction)
    return list(_implied(data, names, direction) if given is None else given)


def _store(data: Data, names: tuple[str, str], direction: str, rules: list[Data]) -> Data:
    written = None if rules == _implied(data, names, direction) else rules
    return change(data, SECURITY_GROUP, names, {direction: written})


def _wanted(path: Path, end: str, given: Permissions) -> list[Data]:
    """Return the rules that an operation is given, as the document has them."""
    alone = {key: value for key, value in given.items() if key != "ip_permissions"}
    permissions = list(given.get("ip_permissions") or [])
    if alone:
        permissions.append(_permission(alone))
    found = []
    for permission in permissions:
        about = protocol(permission.get("ip_protocol", "-1"))
        first, last = permission.get("from_port"), permission.get("to_port")
        if about in ("icmp", "icmpv6"):
            traffic = icmp(first, last)
        else:  # for -1 EC2 takes ports, and does not look at them
            traffic = {} if about == "all" else ports(first, last)
        found += [{"protocol": about, **traffic, end: peer} for peer in _peers(permission)]
    if not found:
        message = "The request must contain the parameter ipPermissions, with a source"
        raise EditError("MissingParameter", message, path, "name a CIDR block, group or list")
    return found


def _permission(alone: dict[str, Any]) -> dict[str, Any]:
    """Return a rule by itself as one of EC2's IpPermissions."""
    lists = {
        "cidr_ip": ("ip_ranges", "cidr_ip"),
        "cidr_ipv6": ("ipv6_ranges", "cidr_ipv6"),
        "source_group": ("user_id_group_pairs", "group"),
        "prefix_list": ("prefix_list_ids", "prefix_list"),
    }
    permission = {key: value for key, value in alone.items() if key not in lists}
    for key, (name, member) in lists.items():
        if key in alone:
            permission[name] = [{member: alone[key]}]
    return permission


def _peers(permission: dict[str, Any]) -> list[str]:
    found = [entry["cidr_ip"] for entry in permission.get("ip_ranges", [])]
    found += [entry["cidr_ipv6"] for entry in permission.get("ipv6_ranges", [])]
    for pair in permission.get("user_id_group_pairs", []):
        found.append(f"{pair['vpc']}/{pair['group']}" if pair.get("vpc") else pair["group"])
    found += [entry["prefix_list"] for entry in permission.get("prefix_list_ids", [])]
    return found


def _same(one: Data, other: Data, end: str) -> bool:
    return same_traffic(one, other) and _peer(one[end]) == _peer(other[end])


def _peer(peer: Any) -> str:
    try:
        return str(ip_network(str(peer)))
    except ValueError:
        return str(peer)


def _text(rule: Data, end: str) -> str:
    """Describe a rule as EC2 does where it is there twice."""
    about = str(rule["protocol"]).upper()
    text = f"peer: {shorten(str(rule[end]))}, {about}"
    if about in ("TCP", "UDP"):
        first, _, last = str(rule.get("ports", "0-65535")).partition("-")
        text += f", from port: {first}, to port: {last or first}"
    return text
