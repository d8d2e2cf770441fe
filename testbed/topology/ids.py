"""Identifiers in AWS's form, such as i-0123456789abcdef0, derived from names."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, Literal

ACCOUNT = "123456789012"

ResourceType = Literal[
    "coip-pool",
    "dhcp-options",
    "egress-only-internet-gateway",
    "elastic-ip",
    "elastic-ip-association",
    "instance",
    "internet-gateway",
    "local-gateway",
    "local-gateway-route-table",
    "local-gateway-route-table-virtual-interface-group-association",
    "local-gateway-route-table-vpc-association",
    "local-gateway-virtual-interface",
    "local-gateway-virtual-interface-group",
    "natgateway",
    "network-acl",
    "network-acl-association",
    "network-interface",
    "network-interface-attachment",
    "outpost",
    "outpost-lag",
    "outpost-order",
    "capacity-task",
    "placement-group",
    "prefix-list",
    "reservation",
    "route-table",
    "route-table-association",
    "security-group",
    "security-group-rule",
    "service-link-virtual-interface",
    "site",
    "subnet",
    "subnet-cidr-block-association",
    "transit-gateway",
    "transit-gateway-attachment",
    "transit-gateway-route-table",
    "vpc",
    "vpc-cidr-block-association",
    "vpc-endpoint",
    "vpc-peering-connection",
    "vpn-gateway",
]
"""What an identifier is of, in EC2's words for types of resources (AWS: TagSpecification)."""

PREFIXES: Final[dict[ResourceType, str]] = {
    "coip-pool": "ipv4pool-coip",
    "dhcp-options": "dopt",
    "egress-only-internet-gateway": "eigw",
    "elastic-ip": "eipalloc",
    "elastic-ip-association": "eipassoc",
    "instance": "i",
    "internet-gateway": "igw",
    "local-gateway": "lgw",
    "local-gateway-route-table": "lgw-rtb",
    "local-gateway-route-table-virtual-interface-group-association": "lgw-vif-grp-assoc",
    "local-gateway-route-table-vpc-association": "lgw-vpc-assoc",
    "local-gateway-virtual-interface": "lgw-vif",
    "local-gateway-virtual-interface-group": "lgw-vif-grp",
    "natgateway": "nat",
    "network-acl": "acl",
    "network-acl-association": "aclassoc",
    "network-interface": "eni",
    "network-interface-attachment": "eni-attach",
    "outpost": "op",
    "outpost-lag": "op-lag",
    "outpost-order": "oo",
    "capacity-task": "cap",
    "placement-group": "pg",
    "prefix-list": "pl",
    "reservation": "r",
    "route-table": "rtb",
    "route-table-association": "rtbassoc",
    "security-group": "sg",
    "security-group-rule": "sgr",
    "service-link-virtual-interface": "sl-vif",
    "site": "os",
    "subnet": "subnet",
    "subnet-cidr-block-association": "subnet-cidr-assoc",
    "transit-gateway": "tgw",
    "transit-gateway-attachment": "tgw-attach",
    "transit-gateway-route-table": "tgw-rtb",
    "vpc": "vpc",
    "vpc-cidr-block-association": "vpc-cidr-assoc",
    "vpc-endpoint": "vpce",
    "vpc-peering-connection": "pcx",
    "vpn-gateway": "vgw",
}


@lru_cache(1 << 16)
def aws_id(kind: ResourceType, name: str, counter: int = 0) -> str:
    """Return the identifier of an object: its kind's prefix and 17 hexadecimal digits.

    `name` is unique among its kind in the topology: that of an object in a VPC begins with the
    VPC's ("app/rack"). `counter` tells apart several that had the name one after another, such
    as an instance that was terminated and one that was launched in its place.
    """
    prefix = PREFIXES[kind]
    parts = (prefix, name, str(counter)) if counter else (prefix, name)
    return f"{prefix}-0{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:16]}"


def outpost_arn(region: str, outpost: str) -> str:
    """Return the Amazon Resource Name of an Outpost."""
    return f"arn:aws:outposts:{region}:{ACCOUNT}:outpost/{aws_id('outpost', outpost)}"
