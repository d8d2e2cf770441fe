"""Security groups and network ACLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from testbed.predict.packet import Address, Dropped, Packet
from testbed.predict.routes import addresses

if TYPE_CHECKING:
    from testbed.topology.model import (
        NetworkInterface,
        SecurityRule,
        Subnet,
        Topology,
        Traffic,
    )

Direction = Literal["ingress", "egress"]


def covers(traffic: Traffic, packet: Packet) -> bool:
    """Whether a rule's protocol and ports (of the destination) are the packet's."""
    if traffic.protocol is None:
        return True
    if traffic.protocol != packet.number:
        return False
    if packet.protocol == "icmp":
        return traffic.icmp_type in (None, packet.icmp_type) and traffic.icmp_code in (None, 0)
    return traffic.ports is None or traffic.ports[0] <= packet.port <= traffic.ports[1]


def check_groups(
    topology: Topology, interface: NetworkInterface, packet: Packet, direction: Direction
) -> None:
    """Raise Dropped unless some rule of the interface's security groups allows the packet."""
    if not interface.security_groups:
        return  # the VPC has none
    groups = {group.name: group for group in topology.vpcs[interface.vpc].security_groups}
    address = packet.source if direction == "ingress" else packet.destination
    for name in interface.security_groups:
        group = groups[name]
        for rule in group.ingress if direction == "ingress" else group.egress:
            if covers(rule.traffic, packet) and _is_peer(topology, rule, address):
                return
    names = ", ".join(interface.security_groups)
    way = "from" if direction == "ingress" else "to"
    raise Dropped(
        f"no {direction} rule of {interface.name}'s security groups ({names})"
        f" allows {packet} {way} {address}"
    )


def _is_peer(topology: Topology, rule: SecurityRule, address: Address) -> bool:
    if rule.group is None:
        return any(address in cidr for cidr in rule.cidrs)
    vpc, name = rule.group
    return any(
        address in addresses(member)
        for member in topology.network_interfaces.values()
        if member.vpc == vpc and name in member.security_groups
    )


def check_acl(topology: Topology, subnet: Subnet, packet: Packet, direction: Direction) -> None:
    """Raise Dropped unless the subnet's network ACL allows the packet.

    The first entry in the order of the numbers decides; without one it is denied.
    """
    acls = {acl.name: acl for acl in topology.vpcs[subnet.vpc].network_acls}
    acl = acls.get(subnet.network_acl)
    if acl is None:
        return  # the default one, which lets everything through
    address = packet.source if direction == "ingress" else packet.destination
    what = f"network ACL {acl.name} of subnet {subnet.name}"
    way = "from" if direction == "ingress" else "to"
    for entry in acl.ingress if direction == "ingress" else acl.egress:
        if address in entry.cidr and covers(entry.traffic, packet):
            if entry.action == "allow":
                return
            raise Dropped(
                f"{what}: {direction} rule {entry.number} denies {packet} {way} {address}"
            )
    raise Dropped(f"{what}: no {direction} rule allows {packet} {way} {address}")
