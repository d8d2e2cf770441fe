"""Rules of the routes in VPC route tables."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from testbed.errors import Path, dotted
from testbed.topology.derive.rack import domain_path
from testbed.topology.model import Topology, Vpc
from testbed.topology.report import Report
from testbed.topology.rules import ipv6
from testbed.topology.schema import RouteForm, VpcForm

NO_ROUTES = IPv4Network("169.254.168.0/22")  # V route tables
WHOLE_SUBNET = {"instance", "nat-gateway", "network-interface"}
INSIDE_VPC = WHOLE_SUBNET | {"local", "local-gateway", "vpc-endpoint"}


def specific(path: Path, cidr: IPv4Network, route: RouteForm, report: Report) -> None:
    """A route inside the VPC's CIDR may target only some things (V; text: user logs)."""
    destination = route.destination
    if not isinstance(destination, IPv4Network) or not destination.subnet_of(cidr):
        return
    if route.target.kind not in INSIDE_VPC:
        message = (
            f"InvalidParameterValue: The destination CIDR block {destination} is equal to or"
            " more specific than one of this VPC's CIDR blocks. This route can target only an"
            " interface or an instance."
        )
        hint = "the target may also be a local gateway: OUTPOST.local-gateway"
        if destination == cidr:
            hint = f"{cidr} is this VPC's own CIDR block; did you mean the block behind the target?"
        report.add((*path, "destination"), message, hint)


def check(path: Path, form: VpcForm, vpc: Vpc, topology: Topology, report: Report) -> None:
    """Check the routes of all of a VPC's tables."""
    for name, table in form.route_tables.items():
        at: Path = (*path, "route_tables", name)
        seen: set[IPv4Network | IPv6Network | str] = set()
        for index, route in enumerate(table.routes):
            place = (*at, "routes", index)
            if route.destination in seen:
                message = f"this table already has a route to {route.destination}"
                report.add((*place, "destination"), message, "keep one of them")
            seen.add(route.destination)
            _destination(place, vpc, route, topology, report)
            _target(place, vpc, name, route, topology, report)
    for resolved in vpc.route_tables:
        if len(resolved.routes) > form.routes_per_route_table:
            message = (
                f"RouteLimitExceeded: {len(resolved.routes)} routes, counting each entry of a"
                f" prefix list; the quota is {form.routes_per_route_table} (AWS: VPC quotas)"
            )
            hint = "raise routes_per_route_table to at most 1000"
            report.add((*path, "route_tables", resolved.name), message, hint, key=True)


def _destination(
    path: Path, vpc: Vpc, route: RouteForm, topology: Topology, report: Report
) -> None:
    at = (*path, "destination")
    destination, kind = route.destination, route.target.kind
    if isinstance(destination, str):
        for entry in topology.region.prefix_lists.get(destination, ()):
            if entry.subnet_of(NO_ROUTES):
                _reserved(at, entry, report)
        return
    if isinstance(destination, IPv6Network):
        ipv6.route(path, vpc, destination, route.target, report)
        return
    if kind == "egress-only-internet-gateway":
        message = "an egress-only internet gateway supports only IPv6 (AWS: route table options)"
        report.add((*path, "target"), message, "use a NAT gateway")
    if destination.subnet_of(NO_ROUTES):
        _reserved(at, destination, report)
    if destination == vpc.cidr and kind == "local-gateway":
        message = (
            f"{destination} is the VPC's own CIDR block: its local route can neither be deleted"
            " nor target a local gateway (AWS: VPC route tables)"
        )
        hint = "routes for one subnet's CIDR block, more specific than local, are allowed"
        report.add(at, message, hint)
    inside = destination.subnet_of(vpc.cidr) and destination != vpc.cidr
    subnets = {subnet.cidr for subnet in vpc.subnets}
    unknown = report.touched(("vpcs", vpc.name, "subnets"))  # what the subnets are meant to be
    if inside and kind in WHOLE_SUBNET and destination not in subnets and not unknown:
        message = (
            "InvalidParameterValue: Route destination doesn't match any subnet CIDR blocks."
            " (AWS: VPC route tables)"
        )
        hint = "the destination must be the whole CIDR block of a subnet, or of the VPC"
        report.add(at, f"{destination}: {message}", hint)
    if kind == "local" and not destination.subnet_of(vpc.cidr):
        message = f"{destination} is not inside the VPC's CIDR block {vpc.cidr}"
        report.add(
            at,
            f"{message}: the target local serves only destinations in the VPC",
            "choose another target",
        )


def _reserved(path: Path, cidr: IPv4Network, report: Report) -> None:
    message = f"{cidr} is inside {NO_ROUTES}, where AWS allows no routes"
    report.add(path, f"{message} (AWS: VPC route tables)")


def _target(
    path: Path, vpc: Vpc, table: str, route: RouteForm, topology: Topology, report: Report
) -> None:
    at = (*path, "target")
    kind, name = route.target.kind, route.target.name
    if kind == "local-gateway":
        _gateway(at, vpc, name, topology, report)
        _users(at, vpc, table, name, report)
    elif kind in {"instance", "network-interface"}:
        _interface(at, vpc, name, topology, report)
    elif kind == "internet-gateway" and not vpc.internet_gateway:
        message = f"the VPC {vpc.name} has no internet gateway (Gateway.NotAttached)"
        report.add(at, message, f"write vpcs.{vpc.name}.internet_gateway: true")
    elif kind == "vpc-endpoint":
        message = (
            "AWS creates the routes to a gateway endpoint, in the tables that the endpoint names;"
            " an interface endpoint is reached by the address of its network interface"
            " (AWS: route table options)"
        )
        hint = f"list {table} in vpcs.{vpc.name}.endpoints.{name}.route_tables"
        report.add(at, message, hint)


def _gateway(path: Path, vpc: Vpc, outpost: str, topology: Topology, report: Report) -> None:
    """A route's local gateway must be associated with the VPC (L1, L2)."""
    rack = topology.racks[outpost]
    associations: Path = (*domain_path(outpost, rack.domains[0].name), "vpcs")
    # the default follows from the subnets, some of which may be left out
    source = associations if report.has(associations) else ("vpcs", vpc.name, "subnets")
    if rack.domain_of(vpc.name) is not None or report.touched(source):
        return
    message = f"the local gateway of {outpost} is not associated with the VPC {vpc.name}"
    hint = f"add {vpc.name} to {dotted(associations)}"
    report.add(path, f"{message} (AWS: local gateway route tables)", hint)


def _interface(path: Path, vpc: Vpc, name: str, topology: Topology, report: Report) -> None:
    """A route's network interface must be in the same VPC (V route-table-options)."""
    interface = topology.network_interfaces.get(name)
    if interface is not None and interface.vpc != vpc.name:
        message = f"the network interface {name} is in the VPC {interface.vpc}, not in {vpc.name}"
        report.add(path, f"{message} (AWS: route table options)", "choose one of this VPC")


def _users(path: Path, vpc: Vpc, table: str, outpost: str, report: Report) -> None:
    """Only what is on the Outpost can use its local gateway (L2)."""
    used = next(each for each in vpc.route_tables if each.name == table)
    for subnet in vpc.users_of(used):
        if subnet.outpost == outpost or vpc.table_of(subnet.name) is not used:
            continue
        where = f"on the Outpost {subnet.outpost}" if subnet.outpost else "in the Region"
        kind = "main route table" if used.main else "route table"
        message = (
            f"the subnet {subnet.name} uses this {kind} and is {where}: only subnets on {outpost}"
            " can use its local gateway (AWS: local gateway routes)"
        )
        report.add(path, message, f"associate {subnet.name} with another route table")
