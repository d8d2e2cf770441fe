"""Operations that are refused for how things are."""

from __future__ import annotations

from typing import Any

import testbed.topology.editing as edit
from testbed.topology.editing import Change, together

HUB_ALL: dict[str, Any] = {"transit_gateway": "hub", "transit_gateway_route_table": "all"}
OP: dict[str, Any] = {"local_gateway_route_table": "op"}
COIP: dict[str, Any] = {"local_gateway_route_table": "op-coip", "coip_pool": "campus"}
STRICT: dict[str, Any] = {"vpc": "app", "network_acl": "strict", "egress": False}
RACK: dict[str, Any] = {"vpc": "app", "route_table": "rack"}

REFUSED: list[tuple[Change, str | None, str]] = [
    # it is there already
    (
        edit.associate_vpc_cidr_block(vpc="app", ipv6_cidr_block="2001:db8:5::/56"),
        "CidrLimitExceeded",
        "vpcs.app",
    ),
    (
        edit.associate_subnet_cidr_block(
            vpc="app", subnet="cloud", ipv6_cidr_block="2001:db8:1:5::/64"
        ),
        "SubnetCidrBlockLimitExceeded",
        "vpcs.app.subnets.cloud",
    ),
    (
        edit.attach_internet_gateway(vpc="app"),
        "InvalidParameterValue",
        "vpcs.app.internet_gateway",
    ),
    (
        edit.attach_vpn_gateway(vpc="app"),
        "VpnGatewayAttachmentLimitExceeded",
        "vpcs.app.virtual_private_gateway",
    ),
    (
        together(*[edit.create_egress_only_internet_gateway(vpc="app")] * 2),
        "InvalidParameterValue",
        "vpcs.app.egress_only_internet_gateway",
    ),
    (
        edit.create_route(**RACK, destination_cidr_block="0.0.0.0/0", internet_gateway=True),
        "RouteAlreadyExists",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.create_route(**RACK, destination_cidr_block="10.1.0.0/16", nat_gateway="nat"),
        "RouteAlreadyExists",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.create_transit_gateway_route(
            **HUB_ALL, destination_cidr_block="10.9.0.0/16", blackhole=True
        ),
        "RouteAlreadyExists",
        "region.transit_gateways.hub.route_tables.all.routes",
    ),
    (
        edit.create_local_gateway_route(
            **OP, destination_cidr_block="0.0.0.0/0", local_gateway_virtual_interface_group=True
        ),
        "RouteAlreadyExists",
        "outposts.op.local_gateway.routes",
    ),
    (
        edit.associate_route_table(vpc="app", route_table="main", subnet="rack"),
        "Resource.AlreadyAssociated",
        "vpcs.app.route_tables.rack",
    ),
    (
        edit.associate_transit_gateway_route_table(**HUB_ALL, transit_gateway_attachment="app"),
        "Resource.AlreadyAssociated",
        "region.transit_gateways.hub.route_tables.all",
    ),
    (
        edit.enable_transit_gateway_route_table_propagation(
            **HUB_ALL, transit_gateway_attachment="app"
        ),
        "TransitGatewayRouteTablePropagation.Duplicate",
        "region.transit_gateways.hub.route_tables.all.propagations",
    ),
    (
        edit.create_local_gateway_route_table_vpc_association(**OP, vpc="app"),
        "Resource.AlreadyAssociated",
        "outposts.op.local_gateway.vpcs",
    ),
    (
        edit.create_local_gateway_route_table_virtual_interface_group_association(**OP),
        "Resource.AlreadyAssociated",
        "outposts.op.local_gateway.vif_group",
    ),
    (
        edit.create_local_gateway_route_table(**OP, mode="coip"),
        "LocalGatewayRouteTableLimitExceeded",
        "outposts.op.local_gateway",
    ),
    (
        edit.create_coip_cidr(**COIP, cidr="172.20.0.0/26"),
        "InvalidParameterValue",
        "outposts.op-coip.local_gateway.coip_pools.campus.cidrs",
    ),
    (
        edit.associate_vpc_with_hosted_zone(hosted_zone="corp.internal", vpc="app"),
        "ConflictingDomainExists",
        "hosted_zones.corp.internal.vpcs",
    ),
    (
        edit.authorize_security_group_ingress(
            vpc="app", group="web", ip_protocol="6", from_port=80, to_port=80, cidr_ip="0.0.0.0/0"
        ),
        "InvalidPermission.Duplicate",
        "vpcs.app.security_groups.web.ingress",
    ),
    (
        edit.authorize_security_group_egress(vpc="app", group="idle", cidr_ip="0.0.0.0/0"),
        "InvalidPermission.Duplicate",
        "vpcs.app.security_groups.idle.egress",
    ),
    (
        edit.authorize_security_group_ingress(vpc="app", group="default", source_group="default"),
        "InvalidPermission.Duplicate",
        "vpcs.app.security_groups.default.ingress",
    ),
    (
        edit.create_network_acl_entry(
            **STRICT, rule_number=100, protocol="-1", rule_action="deny", cidr_block="10.0.0.0/8"
        ),
        "NetworkAclEntryAlreadyExists",
        "vpcs.app.network_acls.strict.ingress",
    ),
    (
        edit.attach_network_interface(network_interface="second", instance="app"),
        "InvalidNetworkInterface.InUse",
        "network_interfaces.second.instance",
    ),
    (
        edit.delete_network_interface(network_interface="second"),
        "InvalidParameterValue",
        "network_interfaces.second.instance",
    ),
    (
        together(*[edit.associate_address(instance="web", public_ip="auto")] * 2),
        "Resource.AlreadyAssociated",
        "instances.web.elastic_ip",
    ),
    (
        together(*[edit.assign_ipv6_addresses(network_interface="app")] * 2),
        "PrivateIpAddressLimitExceeded",
        "instances.app.ipv6_address",
    ),
    (
        together(*[edit.create_outpost_resolver(outpost="op")] * 2),
        "ResourceExistsException",
        "outposts.op.resolver",
    ),
    (
        together(*[edit.drain_outpost_device(outpost="op", device=1)] * 2),
        None,
        "outposts.op.drained",
    ),
    # it is not there
    (
        edit.detach_internet_gateway(vpc="data"),
        "Gateway.NotAttached",
        "vpcs.data.internet_gateway",
    ),
    (
        edit.enable_vgw_route_propagation(vpc="data", route_table="main"),
        "Gateway.NotAttached",
        "vpcs.data.virtual_private_gateway",
    ),
    (
        edit.detach_vpn_gateway(vpc="data"),
        "InvalidVpnGatewayAttachment.NotFound",
        "vpcs.data.virtual_private_gateway",
    ),
    (
        edit.delete_egress_only_internet_gateway(vpc="app"),
        "InvalidGatewayID.NotFound",
        "vpcs.app.egress_only_internet_gateway",
    ),
    (
        edit.disassociate_vpc_cidr_block(vpc="data"),
        "InvalidVpcCidrBlockAssociationID.NotFound",
        "vpcs.data.ipv6_cidr",
    ),
    (
        edit.disassociate_subnet_cidr_block(vpc="app", subnet="rack"),
        "InvalidSubnetCidrBlockAssociationID.NotFound",
        "vpcs.app.subnets.rack",
    ),
    (
        edit.delete_route(**RACK, destination_cidr_block="10.7.0.0/16"),
        "InvalidRoute.NotFound",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.replace_route(
            **RACK, destination_cidr_block="10.7.0.0/16", virtual_private_gateway=True
        ),
        "InvalidRoute.NotFound",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.delete_route(**RACK, destination_ipv6_cidr_block="2001:db8:1::/56"),
        "InvalidParameterValue",
        "vpcs.app.route_tables.rack.routes",
    ),
    (
        edit.disassociate_route_table(vpc="app", subnet="spare"),
        "InvalidAssociationID.NotFound",
        "vpcs.app.route_tables",
    ),
    (
        edit.delete_transit_gateway_route(**HUB_ALL, destination_cidr_block="10.7.0.0/16"),
        "InvalidRoute.NotFound",
        "region.transit_gateways.hub.route_tables.all.routes",
    ),
    (
        edit.disassociate_transit_gateway_route_table(
            transit_gateway="hub",
            transit_gateway_route_table="idle",
            transit_gateway_attachment="app",
        ),
        "InvalidAssociation.NotFound",
        "region.transit_gateways.hub.route_tables.idle.associations",
    ),
    (
        edit.disable_transit_gateway_route_table_propagation(
            transit_gateway="hub",
            transit_gateway_route_table="idle",
            transit_gateway_attachment="app",
        ),
        "TransitGatewayRouteTablePropagation.NotFound",
        "region.transit_gateways.hub.route_tables.idle.propagations",
    ),
    (
        edit.modify_transit_gateway_vpc_attachment(
            transit_gateway="hub", transit_gateway_attachment="data", remove_subnets=["data-b"]
        ),
        "InvalidSubnetID.NotFound",
        "region.transit_gateways.hub.attachments.data.subnets",
    ),
    (
        edit.modify_managed_prefix_list(prefix_list="office", remove_entries=["10.0.0.0/8"]),
        "InvalidPrefixListModification",
        "region.prefix_lists.office",
    ),
    (
        edit.modify_vpc_endpoint(vpc="app", vpc_endpoint="s3", remove_route_tables=["idle"]),
        "InvalidParameter",
        "vpcs.app.endpoints.s3.route_tables",
    ),
    (
        edit.revoke_security_group_ingress(
            vpc="app", group="web", ip_protocol="udp", from_port=80, cidr_ip="0.0.0.0/0"
        ),
        "InvalidPermission.NotFound",
        "vpcs.app.security_groups.web.ingress",
    ),
    (
        edit.delete_network_acl_entry(**STRICT, rule_number=90),
        "InvalidNetworkAclEntry.NotFound",
        "vpcs.app.network_acls.strict.ingress",
    ),
    (
        edit.detach_network_interface(network_interface="extra"),
        "InvalidAttachmentID.NotFound",
        "network_interfaces.extra.instance",
    ),
    (
        together(
            edit.associate_address(instance="web", allocation="held"),
            edit.associate_address(instance="app", allocation="held"),
        ),
        "Resource.AlreadyAssociated",
        "addresses.held",
    ),
    (
        edit.disassociate_address(allocation="held"),
        "InvalidAssociationID.NotFound",
        "addresses.held",
    ),
    (
        edit.disassociate_address(instance="web"),
        "InvalidAssociationID.NotFound",
        "instances.web.elastic_ip",
    ),
    (
        edit.unassign_private_ip_addresses(
            network_interface="app", private_ip_addresses=["10.1.1.20", "10.1.1.21"]
        ),
        "InvalidParameterValue",
        "instances.app.secondary_addresses",
    ),
    (
        edit.unassign_ipv6_addresses(network_interface="app"),
        "InvalidParameterValue",
        "instances.app.ipv6_address",
    ),
    (
        edit.delete_local_gateway_route(**OP, destination_cidr_block="10.7.0.0/16"),
        "InvalidRoute.NotFound",
        "outposts.op.local_gateway.routes",
    ),
    (
        edit.delete_local_gateway_route_table_vpc_association(**OP, vpc="data"),
        "InvalidLocalGatewayRouteTableVpcAssociationID.NotFound",
        "outposts.op.local_gateway.vpcs",
    ),
    (
        together(
            *[
                edit.delete_local_gateway_route_table_virtual_interface_group_association(**OP),
            ]
            * 2
        ),
        "InvalidLocalGatewayRouteTableVirtualInterfaceGroupAssociationID.NotFound",
        "outposts.op.local_gateway.vif_group",
    ),
    (
        edit.delete_local_gateway_virtual_interface(outpost="op-two", routing_domain="one", lag=5),
        "InvalidLocalGatewayVirtualInterfaceID.NotFound",
        "outposts.op-two.local_gateway.routing_domains.one.vifs",
    ),
    (
        edit.create_local_gateway_virtual_interface(outpost="op-two", routing_domain="one", lag=4),
        "InvalidParameterValue",
        "outposts.op-two.local_gateway.routing_domains.one.vifs",
    ),
    (
        edit.create_local_gateway_virtual_interface(outpost="op", lag=1),
        "UnsupportedOperation",
        "outposts.op",
    ),
    (
        edit.delete_coip_cidr(**COIP, cidr="172.21.0.0/26"),
        "InvalidParameterValue",
        "outposts.op-coip.local_gateway.coip_pools.campus.cidrs",
    ),
    (
        edit.disassociate_vpc_from_hosted_zone(hosted_zone="corp.internal", vpc="data"),
        "VPCAssociationNotFound",
        "hosted_zones.corp.internal.vpcs",
    ),
    (
        edit.disassociate_vpc_from_hosted_zone(hosted_zone="corp.internal", vpc="app"),
        "LastVPCAssociation",
        "hosted_zones.corp.internal.vpcs",
    ),
    (
        edit.delete_outpost_resolver(outpost="op"),
        "ResourceNotFoundException",
        "outposts.op.resolver",
    ),
    (edit.restore_outpost_device(outpost="op", device=2), None, "outposts.op.drained"),
    (edit.remove_site_link(devices=["cnd1", "cnd3"]), None, "site.links"),
    (edit.modify_site_link(devices=["cnd1", "cnd3"], mtu=1400), None, "site.links"),
    (
        edit.modify_public_virtual_interface(connection="dx", bfd=True),
        None,
        "site.direct_connect.dx.public_vif",
    ),
    (edit.withdraw_fault(kind="link-down", target="op.lag2"), None, "faults"),
    (edit.withdraw_fault(), None, "faults"),
]
