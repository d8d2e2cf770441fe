"""Operations that are refused for a name: there is none such, it is taken, it is in use."""

from __future__ import annotations

from typing import Any

import testbed.topology.editing as edit
from testbed.topology.editing import Change, together

HUB_ALL: dict[str, Any] = {"transit_gateway": "hub", "transit_gateway_route_table": "all"}
OP: dict[str, Any] = {"local_gateway_route_table": "op"}
COIP: dict[str, Any] = {"local_gateway_route_table": "op-coip", "coip_pool": "campus"}
RACK: dict[str, Any] = {"vpc": "app", "route_table": "rack"}

REFUSED: list[tuple[Change, str | None, str]] = [
    # nothing of that name
    (edit.delete_vpc(vpc="no"), "InvalidVpcID.NotFound", "vpcs.no"),
    (
        edit.create_subnet(vpc="no", subnet="x", cidr_block="10.1.0.0/24"),
        "InvalidVpcID.NotFound",
        "vpcs.no",
    ),
    (
        edit.delete_subnet(vpc="app", subnet="no"),
        "InvalidSubnetID.NotFound",
        "vpcs.app.subnets.no",
    ),
    (
        edit.create_route(
            vpc="app", route_table="no", destination_cidr_block="0.0.0.0/0", internet_gateway=True
        ),
        "InvalidRouteTableID.NotFound",
        "vpcs.app.route_tables.no",
    ),
    (
        edit.delete_security_group(vpc="app", group="no"),
        "InvalidGroup.NotFound",
        "vpcs.app.security_groups.no",
    ),
    (
        edit.delete_network_acl(vpc="app", network_acl="no"),
        "InvalidNetworkAclID.NotFound",
        "vpcs.app.network_acls.no",
    ),
    (
        edit.delete_nat_gateway(vpc="app", nat_gateway="no"),
        "NatGatewayNotFound",
        "vpcs.app.nat_gateways.no",
    ),
    (
        edit.delete_vpc_endpoints(vpc="app", vpc_endpoints=["s3", "no"]),
        "InvalidVpcEndpointId.NotFound",
        "vpcs.app.endpoints.no",
    ),
    (
        edit.delete_managed_prefix_list(prefix_list="no"),
        "InvalidPrefixListID.NotFound",
        "region.prefix_lists.no",
    ),
    (
        edit.delete_vpc_peering_connection(vpc_peering_connection="no"),
        "InvalidVpcPeeringConnectionID.NotFound",
        "region.vpc_peering_connections.no",
    ),
    (
        edit.delete_transit_gateway(transit_gateway="no"),
        "InvalidTransitGatewayID.NotFound",
        "region.transit_gateways.no",
    ),
    (
        edit.delete_transit_gateway_vpc_attachment(
            transit_gateway="hub", transit_gateway_attachment="no"
        ),
        "InvalidTransitGatewayAttachmentID.NotFound",
        "region.transit_gateways.hub.attachments.no",
    ),
    (
        edit.associate_transit_gateway_route_table(**HUB_ALL, transit_gateway_attachment="no"),
        "InvalidTransitGatewayAttachmentID.NotFound",
        "region.transit_gateways.hub.attachments.no",
    ),
    (
        edit.delete_transit_gateway_route_table(
            transit_gateway="lone", transit_gateway_route_table="no"
        ),
        "InvalidRouteTableID.NotFound",
        "region.transit_gateways.lone.route_tables.no",
    ),
    (
        edit.start_instances(instances=["web", "no"]),
        "InvalidInstanceID.NotFound",
        "instances.no",
    ),
    (
        edit.detach_network_interface(network_interface="no"),
        "InvalidNetworkInterfaceID.NotFound",
        "network_interfaces.no",
    ),
    (
        edit.delete_placement_group(group_name="no"),
        "InvalidPlacementGroup.Unknown",
        "placement_groups.no",
    ),
    (edit.delete_hosted_zone(hosted_zone="no"), "NoSuchHostedZone", "hosted_zones.no"),
    (edit.delete_outpost(outpost="no"), "NotFoundException", "outposts.no"),
    (
        edit.delete_local_gateway_route(
            local_gateway_route_table="no", destination_cidr_block="0.0.0.0/0"
        ),
        "InvalidLocalGatewayRouteTableID.NotFound",
        "outposts.no",
    ),
    (
        edit.delete_coip_pool(local_gateway_route_table="op-coip", coip_pool="no"),
        "InvalidPoolID.NotFound",
        "outposts.op-coip.local_gateway.coip_pools.no",
    ),
    (
        edit.delete_connection(connection="no"),
        "DirectConnectClientException",
        "site.direct_connect.no",
    ),
    (edit.remove_site_host(host="no"), None, "site.hosts.no"),
    (
        edit.release_address(allocation="no"),
        "InvalidAllocationID.NotFound",
        "addresses.no",
    ),
    (
        edit.allocate_address(allocation="x", customer_owned_ipv4_pool="op/campus"),
        "InvalidPoolID.NotFound",
        "outposts.op.local_gateway.coip_pools.campus",
    ),
    # the name is taken
    (edit.create_vpc(vpc="app", cidr_block="10.9.0.0/16"), None, "vpcs.app"),
    (
        edit.create_security_group(vpc="app", group="web"),
        "InvalidGroup.Duplicate",
        "vpcs.app.security_groups.web",
    ),
    (
        edit.create_security_group(vpc="data", group="default"),
        "InvalidParameterValue",
        "vpcs.data.security_groups.default",
    ),
    (
        edit.create_placement_group(group_name="apart", strategy="cluster"),
        "InvalidPlacementGroup.Duplicate",
        "placement_groups.apart",
    ),
    (
        edit.create_hosted_zone(hosted_zone="corp.internal", vpc="app"),
        "ConflictingDomainExists",
        "hosted_zones.corp.internal",
    ),
    (edit.create_outpost(outpost="op"), "ConflictException", "outposts.op"),
    (
        edit.create_managed_prefix_list(prefix_list="office"),
        None,
        "region.prefix_lists.office",
    ),
    (edit.create_route_table(vpc="data", route_table="main"), None, "vpcs.data.route_tables.main"),
    (edit.add_site_device(device="cnd1"), None, "site.devices.cnd1"),
    (edit.add_site_link(devices=["cnd2", "cnd1"]), None, "site.links"),
    (edit.add_wan(), None, "site.wan"),
    (edit.declare_fault(kind="impair", target="cnd1", fault="cut"), None, "faults"),
    # something else uses it
    (
        together(
            edit.associate_address(instance="web", allocation="held"),
            edit.release_address(allocation="held"),
        ),
        "InvalidIPAddress.InUse",
        "addresses.held",
    ),
    (
        edit.delete_coip_pool(local_gateway_route_table="op-coip", coip_pool="campus"),
        "DependencyViolation",
        "outposts.op-coip.local_gateway.coip_pools.campus",
    ),
    (edit.delete_vpc(vpc="data"), "DependencyViolation", "vpcs.data"),
    (edit.delete_vpc(vpc="campus"), "DependencyViolation", "vpcs.campus"),
    (
        edit.delete_subnet(vpc="app", subnet="rack"),
        "DependencyViolation",
        "vpcs.app.subnets.rack",
    ),
    (
        edit.delete_subnet(vpc="data", subnet="data-a"),  # the transit gateway's
        "DependencyViolation",
        "vpcs.data.subnets.data-a",
    ),
    (edit.delete_route_table(**RACK), "DependencyViolation", "vpcs.app.route_tables.rack"),
    (
        edit.delete_route_table(vpc="idle", route_table="main"),
        "DependencyViolation",
        "vpcs.idle.route_tables.main",
    ),
    (
        edit.delete_security_group(vpc="app", group="web"),
        "DependencyViolation",
        "vpcs.app.security_groups.web",
    ),
    (
        together(
            edit.authorize_security_group_ingress(vpc="app", group="web", source_group="idle"),
            edit.delete_security_group(vpc="app", group="idle"),
        ),
        "DependencyViolation",
        "vpcs.app.security_groups.idle",
    ),
    (
        edit.disable_security_groups(vpc="app"),
        "DependencyViolation",
        "vpcs.app.security_groups",
    ),
    (
        together(
            edit.replace_network_acl_association(vpc="app", subnet="rack", network_acl="strict"),
            edit.delete_network_acl(vpc="app", network_acl="strict"),
        ),
        "DependencyViolation",
        "vpcs.app.network_acls.strict",
    ),
    (
        together(
            edit.create_route(**RACK, destination_prefix_list="office", network_interface="extra"),
            edit.delete_managed_prefix_list(prefix_list="office"),
        ),
        "DependencyViolation",
        "region.prefix_lists.office",
    ),
    (
        edit.delete_vpc_peering_connection(vpc_peering_connection="app-data"),
        "DependencyViolation",
        "region.vpc_peering_connections.app-data",
    ),
    (
        edit.delete_transit_gateway(transit_gateway="hub"),
        "IncorrectState",
        "region.transit_gateways.hub",
    ),
    (
        edit.delete_transit_gateway_route_table(**HUB_ALL),
        "IncorrectState",
        "region.transit_gateways.hub.route_tables.all",
    ),
    (
        together(
            edit.create_local_gateway_route(
                **OP, destination_cidr_block="10.7.0.0/16", instance="still"
            ),
            edit.terminate_instances(instances=["still"]),
        ),
        "DependencyViolation",
        "instances.still",
    ),
    (
        together(
            edit.create_route(
                **RACK, destination_cidr_block="10.7.0.0/16", network_interface="extra"
            ),
            edit.delete_network_interface(network_interface="extra"),
        ),
        "DependencyViolation",
        "network_interfaces.extra",
    ),
    (
        together(
            edit.modify_instance_placement(instance="still", group_name="apart"),
            edit.delete_placement_group(group_name="apart"),
        ),
        "InvalidPlacementGroup.InUse",
        "placement_groups.apart",
    ),
    (
        edit.delete_hosted_zone(hosted_zone="corp.internal"),
        "HostedZoneNotEmpty",
        "hosted_zones.corp.internal.records",
    ),
    (edit.delete_outpost(outpost="op"), "ConflictException", "outposts.op"),
    (
        together(
            edit.associate_address(instance="owned", customer_owned_ip="172.20.0.9"),
            edit.delete_coip_pool(**COIP),
        ),
        "DependencyViolation",
        "outposts.op-coip.local_gateway.coip_pools.campus",
    ),
    (
        edit.delete_local_gateway_route_table(**OP),
        "DependencyViolation",
        "outposts.op.local_gateway",
    ),
    (
        edit.delete_local_gateway_route_table_vpc_association(**OP, vpc="app"),
        "DependencyViolation",
        "outposts.op.local_gateway.vpcs",
    ),
    (
        edit.detach_vpn_gateway(vpc="app"),
        "DependencyViolation",
        "vpcs.app.virtual_private_gateway",
    ),
    (
        together(
            edit.associate_address(instance="web", public_ip="auto"),
            edit.detach_internet_gateway(vpc="app"),
        ),
        "DependencyViolation",
        "vpcs.app.internet_gateway",
    ),
    (
        edit.disassociate_vpc_cidr_block(vpc="app"),
        "DependencyViolation",
        "vpcs.app.ipv6_cidr",
    ),
    (edit.remove_site_device(device="cnd1"), None, "site.devices.cnd1"),
    (edit.remove_site_segment(segment="office"), None, "site.segments.office"),
    (
        together(
            edit.create_transit_virtual_interface(connection="dx", transit_gateway="hub"),
            edit.create_transit_gateway_route(
                **HUB_ALL, destination_cidr_block="10.7.0.0/16", transit_gateway_attachment="dx"
            ),
            edit.delete_transit_virtual_interface(connection="dx"),
        ),
        "DirectConnectClientException",
        "site.direct_connect.dx",
    ),
]
