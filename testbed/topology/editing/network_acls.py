"""Network ACLs, their entries, and their subnets."""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

from testbed.errors import Path
from testbed.topology.editing.arguments import one_of
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import NETWORK_ACL, SUBNET
from testbed.topology.editing.named import add, change, remove, require
from testbed.topology.editing.traffic import icmp, ports
from testbed.topology.editing.traffic import protocol as protocol_of
from testbed.topology.editing.tree import Data

DEFAULT = "default"


class Block(TypedDict, total=False):
    """What an entry is about: a block of IPv4 or of IPv6."""

    cidr_block: str
    ipv6_cidr_block: str


class Entry(Block, total=False):
    """An entry's block, ports {from: …, to: …} and ICMP type {type: …, code: …}."""

    port_range: dict[str, int]
    icmp_type_code: dict[str, int]


@operation
def create_network_acl(data: Data, *, vpc: str, network_acl: str) -> Data:
    """Create a network ACL, which denies everything until it has entries."""
    return add(data, NETWORK_ACL, (vpc, network_acl), {})


@operation
def delete_network_acl(data: Data, *, vpc: str, network_acl: str) -> Data:
    """Delete a network ACL that no subnet uses; not the default one."""
    require(data, NETWORK_ACL, vpc, network_acl)
    if network_acl == DEFAULT:
        message = f"cannot delete default network ACL {network_acl}"
        raise EditError("InvalidParameterValue", message, NETWORK_ACL.path(vpc, network_acl))
    return remove(data, NETWORK_ACL, vpc, network_acl)


@operation
def create_network_acl_entry(
    data: Data,
    *,
    vpc: str,
    network_acl: str,
    rule_number: int,
    protocol: str | int,
    rule_action: Literal["allow", "deny"],
    egress: bool,
    **entry: Unpack[Entry],
) -> Data:
    """Add an entry to a network ACL: outbound with `egress`, else inbound."""
    names, direction = (vpc, network_acl), _direction(egress)
    path, entries = _entries(data, names, direction)
    if any(other["rule"] == rule_number for other in entries):
        message = f"The network acl entry identified by {rule_number} already exists."
        raise EditError("NetworkAclEntryAlreadyExists", message, path, "replace it")
    made = _entry(path, rule_number, protocol, rule_action, entry)
    return change(data, NETWORK_ACL, names, {direction: [*entries, made]})


@operation
def replace_network_acl_entry(
    data: Data,
    *,
    vpc: str,
    network_acl: str,
    rule_number: int,
    protocol: str | int,
    rule_action: Literal["allow", "deny"],
    egress: bool,
    **entry: Unpack[Entry],
) -> Data:
    """Replace the entry with this number."""
    names, direction = (vpc, network_acl), _direction(egress)
    path, entries = _entries(data, names, direction)
    index = _index(path, entries, rule_number)
    entries[index] = _entry(path, rule_number, protocol, rule_action, entry)
    return change(data, NETWORK_ACL, names, {direction: entries})


@operation
def delete_network_acl_entry(
    data: Data, *, vpc: str, network_acl: str, rule_number: int, egress: bool
) -> Data:
    """Delete an entry of a network ACL."""
    names, direction = (vpc, network_acl), _direction(egress)
    path, entries = _entries(data, names, direction)
    del entries[_index(path, entries, rule_number)]
    return change(data, NETWORK_ACL, names, {direction: entries})


@operation
def replace_network_acl_association(data: Data, *, vpc: str, subnet: str, network_acl: str) -> Data:
    """Give a subnet another network ACL; `default` is the VPC's own."""
    require(data, NETWORK_ACL, vpc, network_acl)
    acl = None if network_acl == DEFAULT else network_acl
    return change(data, SUBNET, (vpc, subnet), {"network_acl": acl})


def _direction(egress: bool) -> str:
    return "egress" if egress else "ingress"


def _entries(data: Data, names: tuple[str, str], direction: str) -> tuple[Path, list[Data]]:
    acl = require(data, NETWORK_ACL, *names)
    return (*NETWORK_ACL.path(*names), direction), list(acl.get(direction, []))


def _index(path: Path, entries: list[Data], number: int) -> int:
    for index, entry in enumerate(entries):
        if entry["rule"] == number:
            return index
    message = f"The network acl entry identified by {number} does not exist."
    raise EditError("InvalidNetworkAclEntry.NotFound", message, path)


def _entry(path: Path, number: int, about: str | int, action: str, given: Entry) -> Data:
    """Return an entry as the document has it."""
    _, cidr = one_of(path, Block, given)
    word = protocol_of(about)
    range_, kind = given.get("port_range") or {}, given.get("icmp_type_code") or {}
    traffic = ports(range_.get("from"), range_.get("to"))
    if word in ("icmp", "icmpv6"):
        traffic = icmp(kind.get("type"), kind.get("code"))
    return {"rule": number, "protocol": word, **traffic, "cidr": cidr, "action": action}
