"""Network ACLs and their entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.editing.change import Change
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import EVERYWHERE, NetworkAcl, NetworkAclEntry, Vpc

KIND: Final = "network-acl"
LAST = 32767  # the number of the rule that denies what no other is about
ALIASES = {
    "default": "IsDefault",
    "association.association-id": "Associations.NetworkAclAssociationId",
}


def describe(world: World, vpc: Vpc, acl: NetworkAcl) -> dict[str, Any]:
    """Return a network ACL as answers have it."""
    id_ = world.id(KIND, vpc.name, acl.name)
    last = {"RuleNumber": LAST, "Protocol": "-1", "RuleAction": "deny"}
    entries = [_entry(entry, egress=False) for entry in acl.ingress]
    entries += [_entry(entry, egress=True) for entry in acl.egress]
    for egress in (False, True):
        entries.append({**last, "CidrBlock": str(EVERYWHERE), "Egress": egress})
    return {
        "NetworkAclId": id_,
        "VpcId": world.id("vpc", vpc.name),
        "IsDefault": acl.name == "default",
        "OwnerId": ACCOUNT,
        "Entries": entries,
        "Associations": [
            {
                "NetworkAclAssociationId": world.id(
                    "network-acl-association", vpc.name, subnet.name, acl.name
                ),
                "NetworkAclId": id_,
                "SubnetId": world.id("subnet", vpc.name, subnet.name),
            }
            for subnet in vpc.subnets
            if subnet.network_acl == acl.name
        ],
        "Tags": world.tags(id_),
    }


def _entry(entry: NetworkAclEntry, *, egress: bool) -> dict[str, Any]:
    traffic = entry.traffic
    row: dict[str, Any] = {
        "RuleNumber": entry.number,
        "Protocol": "-1" if traffic.protocol is None else str(traffic.protocol),
        "RuleAction": entry.action,
        "Egress": egress,
    }
    row["CidrBlock" if entry.cidr.version == 4 else "Ipv6CidrBlock"] = str(entry.cidr)
    if traffic.protocol in (6, 17):
        first, last = traffic.ports or (0, 65535)
        row["PortRange"] = {"From": first, "To": last}
    if traffic.protocol in (1, 58):
        kind = -1 if traffic.icmp_type is None else traffic.icmp_type
        code = -1 if traffic.icmp_code is None else traffic.icmp_code
        row["IcmpTypeCode"] = {"Type": kind, "Code": code}
    return row


@looks("DescribeNetworkAcls")
def describe_network_acls(ask: Ask) -> Result:
    """Describe network ACLs."""
    vpcs = ask.world.topology.vpcs.values()
    rows = [describe(ask.world, vpc, acl) for vpc in vpcs for acl in vpc.network_acls]
    ids = ("NetworkAclIds", "NetworkAclId", KIND)
    return {"NetworkAcls": select(ask, rows, "NetworkAcls", ids=ids, aliases=ALIASES)}


@changes("CreateNetworkAcl")
def create_network_acl(ask: Ask) -> Work:
    """Create a network ACL, which denies everything."""
    vpc = ask.name("vpc", "VpcId")
    tags = ask.tags(KIND)
    name = ask.new_name(KIND, tags.get("Name"), vpc)

    def answer(world: World) -> Result:
        owner = world.topology.vpcs[vpc]
        acl = next(acl for acl in owner.network_acls if acl.name == name)
        return {"NetworkAcl": describe(world, owner, acl)}

    change = editing.create_network_acl(vpc=vpc, network_acl=name)
    return Work(
        change=edit(change), creates=(Created(id_of(KIND, vpc, name), tags),), answer=answer
    )


@changes("DeleteNetworkAcl")
def delete_network_acl(ask: Ask) -> Work:
    """Delete a network ACL that no subnet uses."""
    vpc, name = ask.names(KIND, "NetworkAclId")
    change = editing.delete_network_acl(vpc=vpc, network_acl=name)
    return Work(change=edit(change), deletes={ask["NetworkAclId"]: {}}, answer=lambda _: {})


def _with_entry(ask: Ask, operation: Callable[..., Change]) -> Work:
    vpc, name = ask.names(KIND, "NetworkAclId")
    given: dict[str, Any] = {}
    for key, word in (("CidrBlock", "cidr_block"), ("Ipv6CidrBlock", "ipv6_cidr_block")):
        if key in ask.parameters:
            given[word] = ask[key]
    if "PortRange" in ask.parameters:
        given["port_range"] = {key.lower(): value for key, value in ask["PortRange"].items()}
    if "IcmpTypeCode" in ask.parameters:
        given["icmp_type_code"] = {k.lower(): value for k, value in ask["IcmpTypeCode"].items()}
    change = operation(
        vpc=vpc,
        network_acl=name,
        rule_number=ask["RuleNumber"],
        protocol=ask["Protocol"],
        rule_action=ask["RuleAction"],
        egress=ask["Egress"],
        **given,
    )
    return Work(change=edit(change), touches=(ask["NetworkAclId"],), answer=lambda _: {})


@changes("CreateNetworkAclEntry")
def create_network_acl_entry(ask: Ask) -> Work:
    """Add an entry."""
    return _with_entry(ask, editing.create_network_acl_entry)


@changes("ReplaceNetworkAclEntry")
def replace_network_acl_entry(ask: Ask) -> Work:
    """Replace the entry with a number."""
    return _with_entry(ask, editing.replace_network_acl_entry)


@changes("DeleteNetworkAclEntry")
def delete_network_acl_entry(ask: Ask) -> Work:
    """Delete the entry with a number."""
    vpc, name = ask.names(KIND, "NetworkAclId")
    number, egress = ask["RuleNumber"], ask["Egress"]
    change = editing.delete_network_acl_entry(
        vpc=vpc, network_acl=name, rule_number=number, egress=egress
    )
    return Work(change=edit(change), touches=(ask["NetworkAclId"],), answer=lambda _: {})


@changes("ReplaceNetworkAclAssociation")
def replace_network_acl_association(ask: Ask) -> Work:
    """Give a subnet another network ACL."""
    vpc, subnet, _ = ask.names("network-acl-association", "AssociationId")
    _, name = ask.names(KIND, "NetworkAclId")
    change = editing.replace_network_acl_association(vpc=vpc, subnet=subnet, network_acl=name)
    id_ = id_of("network-acl-association", vpc, subnet, name)
    return Work(change=edit(change), answer=lambda _: {"NewAssociationId": id_})
