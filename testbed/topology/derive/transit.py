"""Filling in what the file leaves out of peering connections and transit gateways."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.topology.model import (
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
    Vpc,
    VpcPeeringConnection,
)
from testbed.topology.numbers import Numbers
from testbed.topology.schema import TopologyForm, TransitGatewayForm

DEFAULT_TABLE = "default"
MAX_ROUTE_TABLES = 20  # per transit gateway (AWS: transit gateway quotas)


def derive_peering(form: TopologyForm, numbers: Numbers) -> dict[str, VpcPeeringConnection]:
    """Return the peering connections by name."""
    return {
        name: VpcPeeringConnection(
            name,
            numbers.claim("peering-connection", name, first=0),
            entry.requester,
            entry.accepter,
        )
        for name, entry in form.region.vpc_peering_connections.items()
    }


def derive_transit_gateways(
    form: TopologyForm, vpcs: Mapping[str, Vpc], numbers: Numbers
) -> dict[str, TransitGateway]:
    """Return the transit gateways by name."""
    connections = {
        name: entry.transit_vif.transit_gateway
        for name, entry in form.site.direct_connect.items()
        if entry.transit_vif
    }
    return {
        name: _transit_gateway(
            name, entry, vpcs, [c for c, gateway in connections.items() if gateway == name], numbers
        )
        for name, entry in form.region.transit_gateways.items()
    }


def _transit_gateway(
    name: str,
    form: TransitGatewayForm,
    vpcs: Mapping[str, Vpc],
    connections: list[str],
    numbers: Numbers,
) -> TransitGateway:
    def number(attachment: str) -> int:
        return numbers.claim("transit-gateway-attachment", f"{name}/{attachment}", first=0)

    attachments = []
    for attachment, entry in form.attachments.items():
        subnets = tuple(entry.subnets or _subnets(vpcs[entry.vpc]))
        made = TransitGatewayAttachment(attachment, number(attachment), entry.vpc, subnets)
        attachments.append(made)
    attachments += [
        TransitGatewayAttachment(connection, number(f"direct-connect/{connection}"), None, ())
        for connection in connections
    ]
    if form.route_tables is None:
        names = tuple(attachment.name for attachment in attachments)
        tables = [TransitGatewayRouteTable(DEFAULT_TABLE, 1, names, names, ())]
    else:
        choices = range(1, MAX_ROUTE_TABLES + 1)
        claimed = numbers.claim_all(
            f"transit-gateway-route-table/{name}", form.route_tables, choices
        )
        tables = [
            TransitGatewayRouteTable(
                table,
                claimed.get(table, MAX_ROUTE_TABLES + 1),  # which the rules refuse
                tuple(entry.associations),
                tuple(entry.propagations),
                tuple(
                    TransitGatewayRoute(route.destination, route.attachment)
                    for route in entry.routes
                ),
            )
            for table, entry in form.route_tables.items()
        ]
    return TransitGateway(name, form.asn, tuple(attachments), tuple(tables))


def _subnets(vpc: Vpc) -> list[str]:
    """The first subnet in each Availability Zone that the VPC has in the Region."""
    zones: dict[str, str] = {}
    for subnet in vpc.subnets:
        if subnet.outpost is None:
            zones.setdefault(subnet.zone, subnet.name)
    return list(zones.values())
