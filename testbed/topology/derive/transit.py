"""Filling in what the file leaves out of peering connections and transit gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

from testbed.topology.model import (
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
    Vpc,
    VpcPeeringConnection,
)
from testbed.topology.schema import TopologyForm, TransitGatewayForm

DEFAULT_TABLE = "default"


def derive_peering(form: TopologyForm) -> dict[str, VpcPeeringConnection]:
    """The peering connections."""
    given = form.region.vpc_peering_connections
    return {
        name: VpcPeeringConnection(name, number, entry.requester, entry.accepter)
        for number, (name, entry) in enumerate(given.items())
    }


def derive_transit_gateways(
    form: TopologyForm, vpcs: Mapping[str, Vpc]
) -> dict[str, TransitGateway]:
    """The transit gateways."""
    numbers = count()
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
    numbers: Iterator[int],
) -> TransitGateway:
    attachments = []
    for attachment, entry in form.attachments.items():
        subnets = tuple(entry.subnets or _subnets(vpcs[entry.vpc]))
        attachments.append(TransitGatewayAttachment(attachment, next(numbers), entry.vpc, subnets))
    attachments += [
        TransitGatewayAttachment(connection, next(numbers), None, ()) for connection in connections
    ]
    if form.route_tables is None:
        names = tuple(attachment.name for attachment in attachments)
        tables = [TransitGatewayRouteTable(DEFAULT_TABLE, names, names, ())]
    else:
        tables = [
            TransitGatewayRouteTable(
                table,
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
