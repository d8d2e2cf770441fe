"""Rules of VPCs, subnets and route tables."""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed.errors import Path
from testbed.topology.model import MAX_ROUTE_TABLES, MAX_VPCS, Subnet, Topology, Vpc
from testbed.topology.report import Report
from testbed.topology.rules import routes
from testbed.topology.schema import TopologyForm

SHORTEST, LONGEST = 16, 28  # prefix lengths of VPCs and subnets (V subnet-sizing)
NOT_UNICAST = tuple(
    IPv4Network(cidr)
    for cidr in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every VPC."""
    if len(topology.vpcs) > MAX_VPCS:
        report.add(("vpcs",), f"has {len(topology.vpcs)} VPCs; the testbed has room for {MAX_VPCS}")
    for vpc in topology.vpcs.values():
        path: Path = ("vpcs", vpc.name)
        size((*path, "cidr"), vpc.cidr, SHORTEST, LONGEST, "a VPC", report)
        _subnets(path, vpc, topology, report)
        _associations(path, vpc, report)
        routes.check(path, form.vpcs[vpc.name], vpc, topology, report)


def size(
    path: Path, cidr: IPv4Network, shortest: int, longest: int, what: str, report: Report
) -> None:
    """Check a CIDR block's prefix length and that it is of unicast addresses."""
    if not shortest <= cidr.prefixlen <= longest:
        message = f"{cidr}: {what} must be /{shortest} to /{longest}"
        report.add(path, f"{message} (AWS: subnet sizing)" if shortest == SHORTEST else message)
    for special in NOT_UNICAST:
        if cidr.overlaps(special) and cidr.prefixlen > 0:
            message = f"{cidr} is not in the range of ordinary unicast addresses"
            report.add(path, f"{message} (it is in {special})")
            return


def _subnets(path: Path, vpc: Vpc, topology: Topology, report: Report) -> None:
    seen: list[Subnet] = []
    for subnet in vpc.subnets:
        at = (*path, "subnets", subnet.name)
        size((*at, "cidr"), subnet.cidr, SHORTEST, LONGEST, "a subnet", report)
        if not subnet.cidr.subnet_of(vpc.cidr) and not report.touched((*path, "cidr")):
            message = f"{subnet.cidr} is not inside the VPC's CIDR block {vpc.cidr}"
            report.add((*at, "cidr"), message, f"choose a block inside {vpc.cidr}")
        other = next((other for other in seen if other.cidr.overlaps(subnet.cidr)), None)
        if other:
            message = (
                f"overlaps the subnet {other.name} ({other.cidr}); InvalidSubnet.Conflict: The CIDR"
                f" '{subnet.cidr}' conflicts with another subnet"
            )
            report.add((*at, "cidr"), message, "choose a free block")
        seen.append(subnet)
        outpost = topology.outposts[subnet.outpost] if subnet.outpost else None
        anchored = outpost and not report.touched(("outposts", outpost.name, "zone"))
        if outpost and anchored and subnet.zone != outpost.zone:
            message = (
                f"is {subnet.zone}, but the Outpost {outpost.name} is in {outpost.zone}: a subnet"
                " must be in its Outpost's Availability Zone (AWS: CreateSubnet)"
            )
            report.add((*at, "zone"), message, "leave the zone out")


def _associations(path: Path, vpc: Vpc, report: Report) -> None:
    if len(vpc.route_tables) > MAX_ROUTE_TABLES:
        message = f"a VPC has at most {MAX_ROUTE_TABLES} route tables (AWS: VPC quotas)"
        report.add((*path, "route_tables"), message, key=True)
    owners: dict[str, str] = {}
    for table in vpc.route_tables:
        for index, subnet in enumerate(table.subnets):
            owner = owners.setdefault(subnet, table.name)
            if owner != table.name:
                message = (
                    f"the subnet {subnet} is already associated with the route table {owner}; a"
                    " subnet has one route table (AWS: VPC route tables)"
                )
                report.add((*path, "route_tables", table.name, "subnets", index), message)
