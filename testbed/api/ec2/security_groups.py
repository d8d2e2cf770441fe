"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from testbed.api.ec2.permissions import (
    Rule,
    describe_rule,
    permissions,
    read_permissions,
    rule_id,
    rules_of,
)
from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import DONE, Ask, Created, Result, Work, changes, edit, looks, missing
from testbed.api.records import Step, record, values
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.editing.change import Change
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import SecurityGroup

KIND: Final = "security-group"
INGRESS: Final = "ingress"
EGRESS: Final = "egress"
ALIASES = {
    "ip-permission.cidr": "IpPermissions.IpRanges.CidrIp",
    "ip-permission.protocol": "IpPermissions.IpProtocol",
    "ip-permission.from-port": "IpPermissions.FromPort",
    "ip-permission.to-port": "IpPermissions.ToPort",
    "ip-permission.group-id": "IpPermissions.UserIdGroupPairs.GroupId",
}


def describe(world: World, group: SecurityGroup) -> dict[str, Any]:
    """Return a security group as answers have it."""
    id_ = world.id(KIND, group.vpc, group.name)
    default = "default VPC security group" if group.name == "default" else group.name
    return {
        "GroupId": id_,
        "GroupName": world.value(id_, "name", group.name),
        "Description": world.value(id_, "description", default),
        "VpcId": world.id("vpc", group.vpc),
        "OwnerId": ACCOUNT,
        "SecurityGroupArn": world.arn("security-group", id_),
        "IpPermissions": permissions(world, group, INGRESS),
        "IpPermissionsEgress": permissions(world, group, EGRESS),
        "Tags": world.tags(id_),
    }


def _groups(world: World) -> Iterator[SecurityGroup]:
    for vpc in world.topology.vpcs.values():
        yield from vpc.security_groups


def _group(world: World, vpc: str, name: str) -> SecurityGroup:
    return next(group for group in world.topology.vpcs[vpc].security_groups if group.name == name)


@looks("DescribeSecurityGroups")
def describe_security_groups(ask: Ask) -> Result:
    """Describe security groups."""
    rows = [describe(ask.world, group) for group in _groups(ask.world)]
    if names := ask.get("GroupNames"):
        rows = [row for row in rows if row["GroupName"] in names]
        if not rows:
            message = f"The security group '{names[0]}' does not exist"
            raise ApiError("InvalidGroup.NotFound", message)
    key = "SecurityGroups"
    return {key: select(ask, rows, key, ids=("GroupIds", "GroupId", KIND), aliases=ALIASES)}


@changes("CreateSecurityGroup")
def create_security_group(ask: Ask) -> Work:
    """Create a security group that allows everything out and nothing in."""
    if "VpcId" not in ask.parameters:
        message = "No default VPC for this user"
        raise ApiError("VPCIdNotSpecified", message)
    vpc = ask.name("vpc", "VpcId")
    said = ask["GroupName"]
    for group in ask.world.topology.vpcs[vpc].security_groups:
        if said == ask.world.value(ask.world.id(KIND, vpc, group.name), "name", group.name):
            message = f"The security group '{said}' already exists for VPC '{ask['VpcId']}'"
            raise ApiError("InvalidGroup.Duplicate", message)
    tags = ask.tags(KIND)
    name = ask.new_name(KIND, said, vpc)
    id_ = id_of(KIND, vpc, name)
    result = {"GroupId": id_, "SecurityGroupArn": ask.world.arn(KIND, id_)}
    tagged = [{"Key": key, "Value": value} for key, value in tags.items()]
    kept = {"name": said, "description": ask["Description"]}
    return Work(
        change=edit(editing.create_security_group(vpc=vpc, group=name)),
        creates=(Created(id_, tags, kept),),
        answer=lambda _: {**result, "Tags": tagged},
    )


def _named(ask: Ask) -> tuple[str, str, str]:
    """Return VPC, name and identifier of the group that a call is about."""
    if "GroupId" in ask.parameters:
        vpc, name = ask.names(KIND, "GroupId")
        return vpc, name, ask["GroupId"]
    said = ask.given("GroupName")
    ids = [ask.world.id(KIND, group.vpc, group.name) for group in _groups(ask.world)]
    found = [i for i in ids if ask.world.value(i, "name", ask.world.objects[i].name) == said]
    if len(found) != 1:
        raise missing(KIND, said)
    vpc, name = ask.find(KIND, found[0])
    return vpc, name, found[0]


@changes("DeleteSecurityGroup")
def delete_security_group(ask: Ask) -> Work:
    """Delete a security group that nothing uses."""
    vpc, name, id_ = _named(ask)
    change = editing.delete_security_group(vpc=vpc, group=name)
    return Work(
        change=edit(change), deletes={id_: {}}, answer=lambda _: {"Return": True, "GroupId": id_}
    )


def _authorize(ask: Ask, direction: str, operation: Callable[..., Change]) -> Work:
    vpc, name, id_ = _named(ask)
    given = read_permissions(ask, vpc)
    steps: list[Step] = []
    rules = [rule for each in given for rule in rules_of(each, vpc, direction)]
    for rule in rules:
        if rule.description:
            own = rule_id(vpc, name, rule)
            steps.append(values(own, description=rule.description))
    change = operation(vpc=vpc, group=name, ip_permissions=[each.edited for each in given])

    def answer(world: World) -> Result:
        rows = [describe_rule(world, _group(world, vpc, name), rule) for rule in rules]
        return {"Return": True, "SecurityGroupRules": rows}

    return Work(change=edit(change), steps=tuple(steps), touches=(id_,), answer=answer)


def _revoke(ask: Ask, direction: str, operation: Callable[..., Change]) -> Work:
    vpc, name, id_ = _named(ask)
    if wanted := ask.get("SecurityGroupRuleIds"):
        there = {rule_id(vpc, name, r): r for r in _rules(ask.world, vpc, name, direction)}
        for each in wanted:
            if each not in there:
                raise missing("security-group-rule", each)
        edited = [there[each].edited for each in wanted]
        gone = list(wanted)
    else:
        given = read_permissions(ask, vpc)
        edited = [each.edited for each in given]
        gone = [rule_id(vpc, name, r) for each in given for r in rules_of(each, vpc, direction)]
    change = operation(vpc=vpc, group=name, ip_permissions=edited)
    steps = tuple(record(each, tags=None, values=None) for each in gone)
    return Work(change=edit(change), steps=steps, touches=(id_,), answer=DONE)


def _rules(world: World, vpc: str, name: str, direction: str) -> list[Rule]:
    group = _group(world, vpc, name)
    found = group.ingress if direction == INGRESS else group.egress
    return [Rule.of(world, group, each, direction) for each in found]


@changes("AuthorizeSecurityGroupIngress")
def authorize_security_group_ingress(ask: Ask) -> Work:
    """Add inbound rules."""
    return _authorize(ask, INGRESS, editing.authorize_security_group_ingress)


@changes("AuthorizeSecurityGroupEgress")
def authorize_security_group_egress(ask: Ask) -> Work:
    """Add outbound rules."""
    return _authorize(ask, EGRESS, editing.authorize_security_group_egress)


@changes("RevokeSecurityGroupIngress")
def revoke_security_group_ingress(ask: Ask) -> Work:
    """Remove inbound rules."""
    return _revoke(ask, INGRESS, editing.revoke_security_group_ingress)


@changes("RevokeSecurityGroupEgress")
def revoke_security_group_egress(ask: Ask) -> Work:
    """Remove outbound rules."""
    return _revoke(ask, EGRESS, editing.revoke_security_group_egress)


@looks("DescribeSecurityGroupRules")
def describe_security_group_rules(ask: Ask) -> Result:
    """Describe the rules of security groups, one by one."""
    rows = [
        describe_rule(ask.world, group, rule)
        for group in _groups(ask.world)
        for direction in (INGRESS, EGRESS)
        for rule in _rules(ask.world, group.vpc, group.name, direction)
    ]
    key = "SecurityGroupRules"
    ids = ("SecurityGroupRuleIds", "SecurityGroupRuleId", "security-group-rule")
    return {key: select(ask, rows, key, ids=ids)}
