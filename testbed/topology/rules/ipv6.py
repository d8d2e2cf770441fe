"""Rules of IPv6 in VPCs."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

from testbed.errors import Path
from testbed.topology.derive.instances import RESERVED_AT_START
from testbed.topology.model import Target, Topology, Vpc
from testbed.topology.report import Report
from testbed.topology.rules.instances import path_of
from testbed.topology.schema import TopologyForm

VPC_LENGTH, SUBNET_LENGTH = 56, 64  # of Amazon-provided blocks (V subnet-sizing)
NO_ROUTES = IPv6Network("fd00:ec2::/32")  # V route tables
BUILT = {
    "egress-only-internet-gateway",
    "instance",
    "internet-gateway",
    "local",
    "network-interface",
    "vpc-endpoint",  # refused by another rule
}
REFUSED = {
    "local-gateway": "the virtual interfaces of a local gateway have IPv4 only (AWS: VIFs)",
    "nat-gateway": "NAT gateways do not support IPv6 (AWS: route table options)",
}


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the IPv6 CIDR blocks of VPCs and subnets, and the addresses in them."""
    seen: list[Vpc] = []
    for vpc in topology.vpcs.values():
        _vpc(vpc, seen, report)
        seen.append(vpc)
    internet = topology.region.internet
    cidr = internet.ipv6_cidr if internet else None
    if cidr is not None:
        _size(("region", "internet", "ipv6_cidr"), cidr, SUBNET_LENGTH, "the internet", report)
    owners: dict[tuple[str, IPv6Address], str] = {}
    for interface in topology.network_interfaces.values():
        path = (*path_of(interface), "ipv6_address")
        entry = form.network_interfaces.get(interface.name) or form.instances.get(interface.name)
        subnet = topology.subnet(interface.vpc, interface.subnet)
        if entry is not None and entry.ipv6_address is not None and subnet.ipv6_cidr is None:
            report.add(path, f"the subnet {subnet.name} has no IPv6 CIDR block", "give it one")
        elif interface.ipv6_address is not None and subnet.ipv6_cidr is not None:
            _address(path, interface.ipv6_address, subnet.ipv6_cidr, report)
        if interface.ipv6_address is not None:
            key = (interface.vpc, interface.ipv6_address)
            owner = owners.setdefault(key, interface.name)
            if owner != interface.name:
                report.add(path, f"{interface.ipv6_address} is the address of {owner}")


def _vpc(vpc: Vpc, others: list[Vpc], report: Report) -> None:
    at: Path = ("vpcs", vpc.name)
    if vpc.ipv6_cidr is not None:
        _size((*at, "ipv6_cidr"), vpc.ipv6_cidr, VPC_LENGTH, "a VPC", report)
        for other in others:
            if other.ipv6_cidr is not None and other.ipv6_cidr.overlaps(vpc.ipv6_cidr):
                message = (
                    f"{vpc.ipv6_cidr} overlaps that of {other.name}, but IPv6 blocks are public"
                )
                report.add((*at, "ipv6_cidr"), message, "choose another block")
    cidrs: list[IPv6Network] = []
    for subnet in vpc.subnets:
        cidr, path = subnet.ipv6_cidr, (*at, "subnets", subnet.name, "ipv6_cidr")
        if cidr is None:
            continue
        _size(path, cidr, SUBNET_LENGTH, "a subnet", report)
        if vpc.ipv6_cidr is None or not cidr.subnet_of(vpc.ipv6_cidr):
            where = vpc.ipv6_cidr or "block, because the VPC has none"
            report.add(path, f"{cidr} is not inside the VPC's IPv6 CIDR {where}")
        if any(cidr.overlaps(other) for other in cidrs):
            message = f"InvalidSubnet.Conflict: the IPv6 CIDR {cidr} conflicts with another subnet"
            report.add(path, message)
        cidrs.append(cidr)


def _size(path: Path, cidr: IPv6Network, length: int, what: str, report: Report) -> None:
    if cidr.prefixlen != length:
        report.add(
            path, f"{cidr}: {what} must have an IPv6 CIDR block of /{length} (AWS: subnet sizing)"
        )


def _address(path: Path, address: IPv6Address, cidr: IPv6Network, report: Report) -> None:
    first = cidr.network_address + RESERVED_AT_START
    if address not in cidr:
        report.add(path, f"{address} is not in {cidr}", f"the first one is {first}")
    elif not first <= address < cidr.broadcast_address:
        message = (
            f"{address} is reserved: the first four and the last address of a subnet always are"
        )
        report.add(path, f"{message} (AWS: subnet sizing)", f"the first one is {first}")


def route(path: Path, vpc: Vpc, destination: IPv6Network, target: Target, report: Report) -> None:
    """Check a route for IPv6; `path` is the route's."""
    at, kind = (*path, "target"), target.kind
    if vpc.ipv6_cidr is None:
        report.add((*path, "destination"), f"the VPC {vpc.name} has no IPv6 CIDR block")
        return
    if destination.subnet_of(NO_ROUTES):
        message = f"{destination} is inside {NO_ROUTES}, where AWS allows no routes"
        report.add((*path, "destination"), f"{message} (AWS: VPC route tables)")
    if kind in REFUSED:
        report.add(at, REFUSED[kind], "use another target for IPv6")
    elif kind not in BUILT:
        report.add(at, f"the target {target} cannot be built yet for IPv6", "use another one")
    if kind == "egress-only-internet-gateway" and not vpc.egress_only_internet_gateway:
        message = f"the VPC {vpc.name} has no egress-only internet gateway"
        report.add(at, message, f"write vpcs.{vpc.name}.egress_only_internet_gateway: true")
    if destination.subnet_of(vpc.ipv6_cidr) and destination != vpc.ipv6_cidr:
        subnets = {subnet.ipv6_cidr for subnet in vpc.subnets}
        if destination not in subnets:
            message = (
                f"{destination}: InvalidParameterValue: Route destination doesn't match any subnet"
                " CIDR blocks. (AWS: VPC route tables)"
            )
            report.add((*path, "destination"), message)
