"""Operations with arguments at random, most of them names that the document has."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from testbed.plan.json_diff import lookup
from testbed.topology.document import Document
from testbed.topology.editing import OPERATIONS, Change
from testbed.topology.editing.implied import devices
from testbed.topology.editing.tree import ANY, find
from testbed.topology.schema.shape import bare

Drawn = dict[str, Any]  # arguments so far
Pool = Callable[[Document, Drawn], list[Any]]

NEW = "new"
BLOCKS = ["10.9.0.0/16", "10.9.1.0/24", "10.77.7.0/24", "0.0.0.0/0", "192.168.40.0/24"]
BLOCKS6 = ["2001:db8:9::/56", "2001:db8:9:1::/64", "::/0"]
PUBLIC = ["auto", "203.0.113.77"]
CUSTOMER_OWNED = ["auto", "172.20.0.30"]


def names(*pattern: str, implied: str | None = None) -> Pool:
    """The names in the mappings of a pattern, in which `$vpc` is the VPC that was drawn."""

    def pool(document: Document, drawn: Drawn) -> list[Any]:
        found = find(document.data, *_with(drawn, pattern), ANY)
        return [path[-1] for path, _ in found] + ([implied] if implied else [])

    return pool


def values(*pattern: str, others: Sequence[Any] = ()) -> Pool:
    """The values at the paths of a pattern, and others."""
    return lambda document, drawn: [
        *others,
        *(value for _, value in find(document.data, *_with(drawn, pattern))),
    ]


def these(*given: Any) -> Pool:
    """Values that are the same for all documents."""
    return lambda _, __: list(given)


def _with(drawn: Drawn, pattern: Sequence[str]) -> list[str]:
    return [drawn.get(step[1:], ANY) if step[0] == "$" else step for step in pattern]


def interfaces(document: Document, drawn: Drawn) -> list[Any]:
    """The names of all network interfaces, primary ones among them."""
    pools = names("network_interfaces"), names("instances")
    return [name for pool in pools for name in pool(document, drawn)]


def site_devices(document: Document, _: Drawn) -> list[Any]:
    """The names of the customer's devices."""
    return list(lookup(document.data, ("site", "devices"), devices()))


def attachments(document: Document, drawn: Drawn) -> list[Any]:
    """The names of what is attached to the transit gateway."""
    at = ("region", "transit_gateways", "$transit_gateway", "attachments")
    pools = names(*at), names("site", "direct_connect")
    return [name for pool in pools for name in pool(document, drawn)]


TABLES = ("vpcs", "$vpc", "route_tables")
NAMES: dict[str, Pool] = {
    "vpc": names("vpcs"),
    "peer_vpc": names("vpcs"),
    "subnet": names("vpcs", "$vpc", "subnets"),
    "route_table": names(*TABLES, implied="main"),
    "group": names("vpcs", "$vpc", "security_groups", implied="default"),
    "source_group": names("vpcs", "$vpc", "security_groups"),
    "network_acl": names("vpcs", "$vpc", "network_acls", implied="default"),
    "nat_gateway": names("vpcs", "$vpc", "nat_gateways"),
    "vpc_endpoint": names("vpcs", "$vpc", "endpoints"),
    "prefix_list": names("region", "prefix_lists"),
    "destination_prefix_list": names("region", "prefix_lists"),
    "vpc_peering_connection": names("region", "vpc_peering_connections"),
    "transit_gateway": names("region", "transit_gateways"),
    "transit_gateway_attachment": attachments,
    "transit_gateway_route_table": names(
        "region", "transit_gateways", "$transit_gateway", "route_tables"
    ),
    "instance": names("instances"),
    "process": names("instances", "$instance", "processes"),
    "network_interface": interfaces,
    "group_name": names("placement_groups"),
    "placement_group": names("placement_groups"),
    "hosted_zone": names("hosted_zones"),
    "outpost": names("outposts"),
    "allocation": names("addresses"),
    "local_gateway": names("outposts"),
    "local_gateway_route_table": names("outposts"),
    "coip_pool": names("outposts", "$local_gateway_route_table", "local_gateway", "coip_pools"),
    "device": site_devices,
    "segment": names("site", "segments"),
    "host": names("site", "hosts"),
    "firewall": names("site", "firewalls"),
    "connection": names("site", "direct_connect"),
    "virtual_private_gateway": names("vpcs"),
    "fault": values("faults", ANY, "name"),
}
VALUES: dict[str, Pool] = {
    "cidr_block": these(*BLOCKS),
    "destination_cidr_block": values(
        *TABLES, "$route_table", "routes", ANY, "destination", others=BLOCKS
    ),
    "cidr": these(*BLOCKS, "172.20.5.0/26"),
    "cidr_ip": these(*BLOCKS),
    "ipv6_cidr_block": these(*BLOCKS6),
    "destination_ipv6_cidr_block": these(*BLOCKS6),
    "cidr_ipv6": these(*BLOCKS6),
    "private_ip_address": these("10.77.7.99", "10.9.1.9"),
    "ipv6_address": these("auto"),
    "public_ip": these(*PUBLIC),
    "customer_owned_ipv4_pool": these("op/campus"),
    "address": these("203.0.113.78"),
    "customer_owned_ip": these(*CUSTOMER_OWNED),
    "protocol": these("-1", "tcp", "17", "icmp"),
    "ip_protocol": these("-1", "tcp", "17", "icmp"),
    "rule_number": these(90, 100),
    "from_port": these(8, 80),
    "to_port": these(0, 90),
    "service_name": these("s3", "dynamodb", "ec2"),
    "vpc_endpoint_type": these("Gateway", "Interface"),
    "kind": these("link-down"),
    "target": these("cnd1"),
    "file": these("new.conf"),
    "text": these("router id 10.0.0.1;\n"),
    "number": these(1, 2),
    "action": these("CREATE", "UPSERT", "DELETE"),
    "name": these("www", None),
    "asn": these(64900, None),
    "amazon_side_asn": these(64901),
    "mode": these("coip", "direct-vpc-routing"),
    "delay": these("2ms", None),
    "zone_delay": these("2ms", None),
    "rate": these("2G", None),
    "mtu": these(1400, None),
    "link": these("1s", None),
    "rtt": these("60ms", None),
    "services": these(["http"], []),
    "storage": these(["ebs"]),
    "resource": these("ecs"),
    "instance_type": these("m5.large"),
    "config": these("new.conf", None),
    "image": these("busybox", "/srv/image"),
    "device_index": these(1, 4),
    "vlan": these(300, None),
    "link_cidr": these("100.80.0.0/14", None),
    "metrics_period": these(30, None),
    "availability_zone": values("region", "zones", ANY),
    "zone": values("region", "zones", ANY),
}
LISTS = {  # what the values of lists are called by themselves
    "vpc_endpoints": "vpc_endpoint",
    "route_tables": "route_table",
    "add_route_tables": "route_table",
    "remove_route_tables": "route_table",
    "subnets": "subnet",
    "add_subnets": "subnet",
    "remove_subnets": "subnet",
    "security_groups": "group",
    "groups": "group",
    "add_security_groups": "group",
    "remove_security_groups": "group",
    "instances": "instance",
    "devices": "device",
    "cidrs": "cidr",
    "entries": "cidr",
    "add_entries": "cidr",
    "remove_entries": "cidr",
    "private_ip_addresses": "private_ip_address",
    "values": "cidr_ip",
}
OFTEN_GIVEN = 0.25  # of the arguments that may be left out


def any_change(random: Random, document: Document) -> Change:
    """Draw an operation, and arguments for it."""
    name = random.choice(sorted(OPERATIONS))
    drawn: Drawn = {}
    for parameter in inspect.signature(OPERATIONS[name]).parameters.values():
        required = parameter.default is inspect.Parameter.empty
        if not required and random.random() > OFTEN_GIVEN:
            continue
        pool = argument(document, drawn, name, parameter)
        if required and not pool:
            pool = [NEW]
        if pool:
            drawn[parameter.name] = random.choice(pool)
    return OPERATIONS[name](**drawn)


def argument(
    document: Document, drawn: Drawn, operation: str, parameter: inspect.Parameter
) -> list[Any]:
    """The values that an argument may have; none where nothing is known of it."""
    name = parameter.name
    if operation.endswith(("_virtual_interface", "_outpost_device")) and "outpost" in drawn:
        name = {"device": "number"}.get(name, name)
    shape = bare(parameter.annotation)
    if name in LISTS:
        pool = argument_of(document, drawn, LISTS[name], shape)
        return [[value] for value in pool] + ([pool[:2]] if len(pool) > 1 else [])
    return argument_of(document, drawn, name, shape)


def argument_of(document: Document, drawn: Drawn, name: str, shape: Any) -> list[Any]:
    """The values of a name, a new one among them, or of a type."""
    if typing.get_origin(shape) is typing.Literal:
        return list(typing.get_args(shape))
    if name in NAMES:
        known = NAMES[name](document, drawn)
        return [*known, *known, NEW]
    if name in VALUES:
        return VALUES[name](document, drawn)
    return [True, False] if shape is bool else []
