"""Rules of VPCs, subnets and route tables."""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed.topology.model import RouteTable, Subnet, Topology, Vpc
from testbed.topology.position import Path
from testbed.topology.report import Report

MAX_VPCS = 511  # what the addresses inside AWS leave room for (docs/topology.md)
MAX_TABLES = 200  # per VPC (V limits)
SHORTEST, LONGEST = 16, 28  # prefix lengths of VPCs and subnets (V subnet-sizing)
NO_ROUTES = IPv4Network("169.254.168.0/22")  # V route tables
NOT_UNICAST = tuple(
    IPv4Network(cidr)
    for cidr in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)


def check(topology: Topology, report: Report) -> None:
    """Check every VPC."""
    if len(topology.vpcs) > MAX_VPCS:
        report.add(("vpcs",), f"has {len(topology.vpcs)} VPCs; the testbed has room for {MAX_VPCS}")
    for vpc in topology.vpcs.values():
        path: Path = ("vpcs", vpc.name)
        size((*path, "cidr"), vpc.cidr, SHORTEST, LONGEST, "a VPC", report)
        _subnets(path, vpc, topology, report)
        _associations(path, vpc, report)
        for table in vpc.route_tables:
            _routes((*path, "route_tables", table.name), vpc, table, topology, report)


def size(
    path: Path, cidr: IPv4Network, shortest: int, longest: int, what: str, report: Report
) -> None:
    """Check a CIDR block's prefix length and that it is of unicast addresses."""
    if not shortest <= cidr.prefixlen <= longest:
        message = f"{cidr}: {what} is /{shortest} to /{longest}"
        report.add(path, f"{message} (AWS: subnet sizing)" if shortest == SHORTEST else message)
    for special in NOT_UNICAST:
        if cidr.overlaps(special) and cidr.prefixlen > 0:
            report.add(path, f"{cidr} is not of ordinary unicast addresses (it is in {special})")
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
            report.add((*at, "cidr"), message, "choose a block that is free")
        seen.append(subnet)
        outpost = topology.outposts[subnet.outpost] if subnet.outpost else None
        anchored = outpost and not report.touched(("outposts", outpost.name, "zone"))
        if outpost and anchored and subnet.zone != outpost.zone:
            message = (
                f"is {subnet.zone}, but the Outpost {outpost.name} is in {outpost.zone}: a subnet"
                " is in its Outpost's Availability Zone (AWS: CreateSubnet)"
            )
            report.add((*at, "zone"), message, "leave the zone out")


def _associations(path: Path, vpc: Vpc, report: Report) -> None:
    if len(vpc.route_tables) > MAX_TABLES:
        message = f"a VPC has at most {MAX_TABLES} route tables (AWS: VPC quotas)"
        report.add((*path, "route_tables"), message, key=True)
    owners: dict[str, str] = {}
    for table in vpc.route_tables:
        for index, subnet in enumerate(table.subnets):
            owner = owners.setdefault(subnet, table.name)
            if owner != table.name:
                message = (
                    f"the subnet {subnet} is associated with the route table {owner} already; a"
                    " subnet has one route table (AWS: VPC route tables)"
                )
                report.add((*path, "route_tables", table.name, "subnets", index), message)


def _routes(path: Path, vpc: Vpc, table: RouteTable, topology: Topology, report: Report) -> None:
    seen: set[IPv4Network] = set()
    for index, route in enumerate(table.routes):
        at = (*path, "routes", index)
        destination = route.destination
        if destination in seen:
            message = f"there is a route to {destination} in this table already"
            report.add((*at, "destination"), message, "keep one of them")
        seen.add(destination)
        if destination.subnet_of(NO_ROUTES):
            message = f"{destination} is inside {NO_ROUTES}, where AWS allows no routes"
            report.add((*at, "destination"), f"{message} (AWS: VPC route tables)")
        if destination == vpc.cidr:
            message = (
                f"{destination} is the VPC's own CIDR block: its local route cannot be deleted, nor"
                " sent to a local gateway (AWS: VPC route tables)"
            )
            hint = "routes for one subnet's CIDR block, more specific than local, are allowed"
            report.add((*at, "destination"), message, hint)
        if route.target.kind == "local-gateway":
            _gateway((*at, "target"), vpc, route.target.name, topology, report)
            _users((*at, "target"), vpc, table, route.target.name, report)
        elif route.target.kind in {"instance", "network-interface"}:
            _interface((*at, "target"), vpc, route.target.name, topology, report)


def _gateway(path: Path, vpc: Vpc, outpost: str, topology: Topology, report: Report) -> None:
    """A route's local gateway must be associated with the VPC (L1, L2)."""
    associations: Path = ("outposts", outpost, "local_gateway", "vpcs")
    # the default follows from the subnets, some of which may be left out
    source = associations if report.document.has(associations) else ("vpcs", vpc.name, "subnets")
    if vpc.name in topology.outposts[outpost].local_gateway.vpcs or report.touched(source):
        return
    message = f"the local gateway of {outpost} is not associated with the VPC {vpc.name}"
    hint = f"add {vpc.name} to outposts.{outpost}.local_gateway.vpcs"
    report.add(path, f"{message} (AWS: local gateway route tables)", hint)


def _interface(path: Path, vpc: Vpc, name: str, topology: Topology, report: Report) -> None:
    """A route's network interface must be in the same VPC (V route-table-options)."""
    interface = topology.network_interfaces.get(name)
    if interface is not None and interface.vpc != vpc.name:
        message = f"the network interface {name} is in the VPC {interface.vpc}, not in {vpc.name}"
        report.add(path, f"{message} (AWS: route table options)", "choose one of this VPC")


def _users(path: Path, vpc: Vpc, table: RouteTable, outpost: str, report: Report) -> None:
    """Only what is on the Outpost can use its local gateway (L2)."""
    for subnet in vpc.subnets:
        if subnet.outpost == outpost or vpc.table_of(subnet.name) is not table:
            continue
        where = f"on the Outpost {subnet.outpost}" if subnet.outpost else "in the Region"
        kind = "main route table" if table.main else "route table"
        message = (
            f"the subnet {subnet.name} uses this {kind} and is {where}: only what is on {outpost}"
            " can use its local gateway (AWS: local gateway routes)"
        )
        report.add(path, message, f"associate {subnet.name} with another route table")
