"""Rules of peering connections and transit gateways, and of the routes to them."""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed.errors import Path
from testbed.topology.derive.transit import MAX_ROUTE_TABLES
from testbed.topology.model import (
    Topology,
    TransitGateway,
    TransitGatewayAttachment,
    VpcPeeringConnection,
)
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm

MAX_PEERING_CONNECTIONS = 125  # per VPC (AWS: VPC quotas)
MAX_ATTACHMENTS = 5000  # per transit gateway (AWS: transit gateway quotas)


def check(_: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every peering connection, transit gateway, and route to one."""
    connections = topology.region.vpc_peering_connections
    for vpc in topology.vpcs:
        if len(topology.region.peering_of(vpc)) > MAX_PEERING_CONNECTIONS:
            message = f"the VPC {vpc} has more than {MAX_PEERING_CONNECTIONS} peering connections"
            report.add(("region", "vpc_peering_connections"), f"{message} (AWS: VPC quotas)")
    pairs: dict[frozenset[str], str] = {}
    for connection in connections.values():
        _connection(topology, connection, pairs, report)
    for gateway in topology.region.transit_gateways.values():
        _gateway(topology, gateway, report)
    _routes(topology, report)


def _connection(
    topology: Topology,
    connection: VpcPeeringConnection,
    pairs: dict[frozenset[str], str],
    report: Report,
) -> None:
    path: Path = ("region", "vpc_peering_connections", connection.name)
    ends = frozenset((connection.requester, connection.accepter))
    if len(ends) == 1:
        report.add(path, f"connects the VPC {connection.requester} with itself", "name two VPCs")
        return
    other = pairs.setdefault(ends, connection.name)
    if other != connection.name:
        message = (
            f"VpcPeeringConnectionAlreadyExists: {other} already connects {connection.requester}"
            f" and {connection.accepter}"
        )
        report.add(path, message, "keep one of them", key=True)
    one, two = (topology.vpcs[name] for name in (connection.requester, connection.accepter))
    if one.cidr.overlaps(two.cidr):
        message = (
            f"the CIDR blocks of {one.name} ({one.cidr}) and {two.name} ({two.cidr}) overlap;"
            " failed: Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"
            " (AWS: VPC peering)"
        )
        report.add(path, message, "connect VPCs whose CIDR blocks do not overlap", key=True)


def _gateway(topology: Topology, gateway: TransitGateway, report: Report) -> None:
    path: Path = ("region", "transit_gateways", gateway.name)
    if len(gateway.attachments) > MAX_ATTACHMENTS:
        message = f"a transit gateway has at most {MAX_ATTACHMENTS} attachments"
        report.add((*path, "attachments"), f"{message} (AWS: transit gateway quotas)", key=True)
    if len(gateway.route_tables) > MAX_ROUTE_TABLES:
        message = f"a transit gateway has at most {MAX_ROUTE_TABLES} route tables"
        report.add((*path, "route_tables"), f"{message} (AWS: transit gateway quotas)", key=True)
    owners: dict[str, str] = {}
    connections = {attachment.name for attachment in gateway.attachments if attachment.vpc is None}
    for attachment in gateway.attachments:
        if attachment.vpc is None:
            continue
        at = (*path, "attachments", attachment.name)
        if attachment.name in connections:
            message = (
                f"the Direct Connect connection {attachment.name} is attached to {gateway.name},"
                " too: its route tables would mean either by this name"
            )
            report.add(at, message, "give one of them another name", key=True)
        owner = owners.setdefault(attachment.vpc, attachment.name)
        if owner != attachment.name:
            message = (
                f"DuplicateTransitGatewayAttachment: {gateway.name} already has the attachment"
                f" {owner} of the VPC {attachment.vpc}"
            )
            report.add((*at, "vpc"), message, "keep one of them")
        _subnets(at, topology, attachment, attachment.vpc, report)
    _tables(path, gateway, report)


def _subnets(
    path: Path, topology: Topology, attachment: TransitGatewayAttachment, vpc: str, report: Report
) -> None:
    if not attachment.subnets:
        message = f"the VPC {vpc} has no subnet in the Region"
        hint = "add one: a transit gateway reaches a VPC through subnets in the Region"
        report.add(path, message, hint, key=True)
    zones: dict[str, str] = {}
    for index, name in enumerate(attachment.subnets):
        subnet = topology.subnet(vpc, name)
        at = (*path, "subnets", index)
        if subnet.outpost:
            message = (
                f"the subnet {name} is on the Outpost {subnet.outpost}; a transit gateway's network"
                " interfaces are in the Region (AWS: transit gateway VPC attachments)"
            )
            hint = "choose a Region subnet: Outpost subnets reach it over the service link"
            report.add(at, message, hint)
        elif zones.setdefault(subnet.zone, name) != name:
            message = f"DuplicateSubnetsInSameZone: {zones[subnet.zone]} is also in {subnet.zone}"
            report.add(at, message, "name one subnet for each Availability Zone")


def _tables(path: Path, gateway: TransitGateway, report: Report) -> None:
    owners: dict[str, str] = {}
    for table in gateway.route_tables:
        at = (*path, "route_tables", table.name)
        for index, name in enumerate(table.associations):
            owner = owners.setdefault(name, table.name)
            if owner != table.name:
                message = (
                    f"Resource.AlreadyAssociated: the attachment {name} is already associated"
                    f" with {owner}; an attachment has one route table"
                )
                report.add((*at, "associations", index), message, "keep one of them")
        seen: set[IPv4Network] = set()
        for index, route in enumerate(table.routes):
            if route.destination in seen:
                message = (
                    "RouteAlreadyExists: this table already has a static route to"
                    f" {route.destination}"
                )
                report.add((*at, "routes", index, "destination"), message, "keep one of them")
            seen.add(route.destination)


def _routes(topology: Topology, report: Report) -> None:
    """A route's peering connection or transit gateway is one that its VPC has a part in."""
    region = topology.region
    for vpc in topology.vpcs.values():
        for table in vpc.route_tables:
            for index, route in enumerate(table.routes):
                at: Path = (
                    *("vpcs", vpc.name, "route_tables", table.name),
                    *("routes", index, "target"),
                )
                name = route.target.name
                if route.target.kind == "vpc-peering-connection":
                    connection = region.vpc_peering_connections[name]
                    ends = {connection.requester, connection.accepter}
                    if vpc.name not in ends and len(ends) > 1:
                        message = (
                            f"{name} connects {connection.requester} and {connection.accepter}, not"
                            f" {vpc.name} (AWS: route table options)"
                        )
                        report.add(at, message, "choose a peering connection of this VPC")
                elif route.target.kind == "transit-gateway":
                    gateway = region.transit_gateways[name]
                    place: Path = ("region", "transit_gateways", name)
                    if not gateway.attachment_of(vpc.name) and not report.touched(place):
                        message = (
                            f"InvalidTransitGatewayID.NotFound: the VPC {vpc.name} has no"
                            f" attachment to {name}"
                        )
                        hint = f"add it to region.transit_gateways.{name}.attachments"
                        report.add(at, message, hint)
