"""What nodes stand for, and the groups that they are in.

A node's group is REGION, SITE, or the name of the Outpost that it belongs to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

REGION, SITE = "region", "site"


class Role(StrEnum):
    """What a node stands for, in the order in which a picture lists the roles of a group.

    `label` is what such nodes are called there, of at most 14 characters; `addressed` says
    whether people reach them at an address of their own, which is then shown beside the name.
    """

    label: str
    addressed: bool

    REGION_EDGE = "region-edge", "edge"
    REGION_FABRIC = "region-fabric", "fabric"
    ANCHOR = "service-link-anchor", "anchors", True
    CUSTOMER_DEVICE = "customer-network-device", "devices"
    WAN = "wan", "WAN"
    LAN_SEGMENT = "lan-segment", "LANs"
    HOST = "host", "hosts", True
    DHCP_SERVER = "dhcp-server", "DHCP servers", True
    NETWORKING_DEVICE = "outpost-networking-device", "ONDs"
    LOCAL_GATEWAY = "local-gateway", "local gateway"
    COIP = "customer-owned-ip", "CoIP"
    SERVICE_LINK = "service-link", "service link"
    SERVER = "outpost-server", "servers", True
    LNI_PORT = "lni-port", "LNI ports"
    VPC_ROUTER = "vpc-router", "VPC routers"
    INSTANCE = "instance", "instances", True
    RESOLVER = "dns-resolver", "DNS"
    INTERNET_GATEWAY = "internet-gateway", "IGW"
    EGRESS_ONLY_GATEWAY = "egress-only-internet-gateway", "egress-only"
    NAT_GATEWAY = "nat-gateway", "NAT gateways"
    ENDPOINT = "vpc-endpoint", "endpoints"
    VIRTUAL_PRIVATE_GATEWAY = "virtual-private-gateway", "VGW"
    TRANSIT_GATEWAY = "transit-gateway", "TGW"
    OUTPOSTS_API = "outposts-endpoint", "Outposts API"
    AWS_SERVICE = "aws-service", "services"
    INTERNET = "internet", "internet"
    INTERNET_HOST = "internet-host", "hosts"
    DIRECT_CONNECT = "direct-connect", "DX locations"
    FIREWALL = "firewall", "firewalls"

    def __new__(cls, value: str, label: str, addressed: bool = False) -> Self:
        """Make a role with what is known of it."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.label, made.addressed = label, addressed
        return made
