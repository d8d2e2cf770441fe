"""Operations that are refused for what they are asked to do."""

from __future__ import annotations

from typing import Any

import testbed.topology.editing as edit
from testbed.topology.editing import Change

HUB_ALL: dict[str, Any] = {"transit_gateway": "hub", "transit_gateway_route_table": "all"}
RACK: dict[str, Any] = {"vpc": "app", "route_table": "rack"}

REFUSED: list[tuple[Change, str | None, str]] = [
    (
        edit.delete_security_group(vpc="app", group="default"),
        "CannotDelete",
        "vpcs.app.security_groups.default",
    ),
    (
        edit.delete_network_acl(vpc="app", network_acl="default"),
        "InvalidParameterValue",
        "vpcs.app.network_acls.default",
    ),
    (
        edit.modify_instance_attribute(instance="web", instance_type="m5.large"),
        "IncorrectInstanceState",
        "instances.web.state",
    ),
    (
        edit.run_instances(instances=["x", "y"], subnet="rack", private_ip_address="10.1.3.9"),
        "InvalidParameterCombination",
        "instances.x",
    ),
    (
        edit.create_route(**RACK, destination_cidr_block="10.7.0.0/16"),
        "MissingParameter",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.create_route(
            **RACK, destination_cidr_block="10.7.0.0/16", instance="web", nat_gateway="nat"
        ),
        "InvalidParameterCombination",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.create_route(**RACK, destination_cidr_block="10.7.0.0/16", local_gateway=True),
        "InvalidLocalGatewayID.NotFound",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.create_transit_gateway_route(
            **HUB_ALL,
            destination_cidr_block="10.7.0.0/16",
            blackhole=True,
            transit_gateway_attachment="app",
        ),
        "InvalidParameterCombination",
        "region.transit_gateways.hub.route_tables.all.routes",
    ),
    (
        edit.modify_subnet_attribute(
            vpc="campus", subnet="public", map_customer_owned_ip_on_launch=True
        ),
        "InvalidParameterCombination",
        "vpcs.campus.subnets.public.map_customer_owned_ip_on_launch",
    ),
    (
        edit.authorize_security_group_ingress(vpc="app", group="web", ip_protocol="tcp"),
        "MissingParameter",
        "vpcs.app.security_groups.web.ingress",
    ),
    *(
        (
            edit.change_resource_record_sets(
                hosted_zone="corp.internal",
                action=action,  # type: ignore[arg-type]
                name=name,
                values=["10.2.1.9"],
            ),
            code,
            "hosted_zones.corp.internal.records",
        )
        for action, name, code in (
            ("CREATE", "db.corp.internal", "InvalidChangeBatch"),
            ("DELETE", None, "InvalidChangeBatch"),
            ("MAKE", "db", "InvalidInput"),
        )
    ),
]
