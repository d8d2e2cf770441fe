"""What a document means without writing it down, in the words that it would write."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from testbed.plan.json_diff import lookup
from testbed.topology.editing.tree import Data, find
from testbed.topology.form_factors import RACKS
from testbed.topology.references import DEFAULT_DEVICES

EVERYWHERE, EVERYWHERE6 = "0.0.0.0/0", "::/0"


def route_tables(data: Data, vpc: str) -> Data:  # noqa: ARG001 - every VPC has it
    """Return the main route table, which every VPC has."""
    return {"main": {}}


def security_groups(data: Data, vpc: str) -> Data:
    """Return the default security group, which every VPC that filters has."""
    filters = lookup(data, ("vpcs", vpc, "security_groups")) is not None
    return {"default": {}} if filters else {}


def ingress(group: str) -> list[Data]:
    """Return the inbound rules of a group without any: `default` lets its members in."""
    return [{"protocol": "all", "source": "default"}] if group == "default" else []


def egress(data: Data, vpc: str) -> list[Data]:
    """Return the outbound rules of a group without any: everything is let out."""
    return [{"protocol": "all", "destination": cidr} for cidr in _everywhere(data, vpc)]


def network_acls(data: Data, vpc: str) -> Data:
    """Return the default network ACL, which allows everything."""
    entries = [
        {"rule": rule, "protocol": "all", "cidr": cidr, "action": "allow"}
        for rule, cidr in enumerate(_everywhere(data, vpc), start=100)
    ]
    return {"default": {"ingress": entries, "egress": entries}}


def _everywhere(data: Data, vpc: str) -> list[str]:
    six = lookup(data, ("vpcs", vpc, "ipv6_cidr")) is not None
    return [EVERYWHERE, EVERYWHERE6] if six else [EVERYWHERE]


def transit_route_tables(data: Data, gateway: str) -> Data:
    """Return a transit gateway's default route table, for all its attachments."""
    names = attachments(data, gateway)
    if not names:
        return {"default": {}}
    return {"default": {"associations": names, "propagations": names}}


def attachments(data: Data, gateway: str) -> list[str]:
    """Return the names of a transit gateway's attachments: VPCs' first, then Direct Connect's."""
    own = lookup(data, ("region", "transit_gateways", gateway, "attachments"), {})
    connections = [
        str(path[2])
        for path, name in find(
            data, "site", "direct_connect", "*", "transit_vif", "transit_gateway"
        )
        if str(name) == gateway
    ]
    return [*own, *connections]


def local_gateway_vpcs(data: Data, outpost: str) -> list[str]:
    """Return the VPCs that have a subnet on an Outpost."""
    found = find(data, "vpcs", "*", "subnets", "*", "outpost")
    return list(dict.fromkeys(str(path[1]) for path, name in found if str(name) == outpost))


def local_gateway_routes() -> list[Data]:
    """Return the routes of a local gateway's route table: the default route."""
    return [{"destination": EVERYWHERE}]


def devices() -> Data:
    """Return the customer's devices."""
    return {name: {} for name in DEFAULT_DEVICES}


def customer_devices(data: Data, outpost: str) -> list[str] | None:
    """Return the devices of a rack's LAGs, in turn; None where the document must say."""
    shape = RACKS.get(lookup(data, ("outposts", outpost, "form_factor"), "rack"))
    if shape is None:
        return []
    names = list(lookup(data, ("site", "devices"), devices()))
    given: list[Any] | None = lookup(data, ("outposts", outpost, "devices"))
    if given is None and len(names) not in shape.customer_devices:
        return None
    return [str(name) for name in (given or names)]


def links(data: Data) -> list[Data]:
    """Return the links between devices: one between the two of each Outpost, or a ring of more."""
    found: dict[frozenset[str], list[str]] = {}
    for outpost in lookup(data, ("outposts",), {}):
        distinct = list(dict.fromkeys(customer_devices(data, outpost) or []))
        ring = [*distinct, distinct[0]] if len(distinct) > 2 else distinct
        for pair in pairwise(ring):
            found.setdefault(frozenset(pair), list(pair))
    return [{"devices": pair} for pair in found.values()]
