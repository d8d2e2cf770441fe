"""VPCs, subnets, route tables and routes: changes, and those that take them back."""

from __future__ import annotations

from typing import Any

from testbed.topology import editing as edit
from testbed.topology.editing import Change

TARGETS: list[dict[str, Any]] = [
    {"local_gateway": "op"},
    {"internet_gateway": True},
    {"virtual_private_gateway": True},
    {"nat_gateway": "nat"},
    {"instance": "web"},
    {"network_interface": "extra"},
    {"transit_gateway": "hub"},
    {"vpc_peering_connection": "app-data"},
]


ROUND_TRIPS: list[tuple[Change, Change]] = [
    # VPCs
    (
        edit.create_vpc(vpc="new", cidr_block="10.9.0.0/16", ipv6_cidr_block="2001:db8:9::/56"),
        edit.delete_vpc(vpc="new"),
    ),
    (
        edit.modify_vpc_attribute(vpc="app", enable_dns_support=False, routes_per_route_table=60),
        edit.modify_vpc_attribute(vpc="app", enable_dns_support=True, routes_per_route_table=50),
    ),
    (
        edit.associate_vpc_cidr_block(vpc="data", ipv6_cidr_block="2001:db8:2::/56"),
        edit.disassociate_vpc_cidr_block(vpc="data"),
    ),
    (
        edit.associate_dhcp_options(
            vpc="app", domain_name="corp.internal", domain_name_servers=["10.1.1.20"]
        ),
        edit.associate_dhcp_options(vpc="app"),
    ),
    (edit.attach_internet_gateway(vpc="data"), edit.detach_internet_gateway(vpc="data")),
    (
        edit.create_egress_only_internet_gateway(vpc="app"),
        edit.delete_egress_only_internet_gateway(vpc="app"),
    ),
    (
        edit.attach_vpn_gateway(vpc="data", amazon_side_asn=64600),
        edit.detach_vpn_gateway(vpc="data"),
    ),
    # subnets
    (
        edit.create_subnet(
            vpc="app",
            subnet="new",
            cidr_block="10.1.7.0/24",
            outpost="op",
            availability_zone="us-west-2a",
        ),
        edit.delete_subnet(vpc="app", subnet="new"),
    ),
    (
        edit.create_subnet(
            vpc="app", subnet="six", cidr_block="10.1.8.0/24", ipv6_cidr_block="2001:db8:1:8::/64"
        ),
        edit.delete_subnet(vpc="app", subnet="six"),
    ),
    (
        edit.modify_subnet_attribute(
            vpc="campus",
            subnet="public",
            map_customer_owned_ip_on_launch=True,
            customer_owned_ipv4_pool="campus",
        ),
        edit.modify_subnet_attribute(
            vpc="campus", subnet="public", map_customer_owned_ip_on_launch=False
        ),
    ),
    (
        edit.associate_subnet_cidr_block(
            vpc="app", subnet="spare", ipv6_cidr_block="2001:db8:1:4::/64"
        ),
        edit.disassociate_subnet_cidr_block(vpc="app", subnet="spare"),
    ),
    # route tables
    (
        edit.create_route_table(vpc="app", route_table="new"),
        edit.delete_route_table(vpc="app", route_table="new"),
    ),
    (
        edit.associate_route_table(vpc="app", route_table="rack", subnet="spare"),
        edit.disassociate_route_table(vpc="app", subnet="spare"),
    ),
    (
        edit.replace_route_table_association(vpc="app", subnet="rack", route_table="main"),
        edit.replace_route_table_association(vpc="app", subnet="rack", route_table="rack"),
    ),
    (
        edit.enable_vgw_route_propagation(vpc="app", route_table="main"),
        edit.disable_vgw_route_propagation(vpc="app", route_table="main"),
    ),
    (
        edit.replace_route(
            vpc="app",
            route_table="rack",
            destination_cidr_block="0.0.0.0/0",
            internet_gateway=True,
        ),
        edit.replace_route(
            vpc="app", route_table="rack", destination_cidr_block="0.0.0.0/0", local_gateway="op"
        ),
    ),
    (
        edit.replace_route(
            vpc="app", route_table="rack", destination_cidr_block="10.1.0.0/16", instance="web"
        ),
        edit.replace_route(
            vpc="app", route_table="rack", destination_cidr_block="10.1.0.0/16", local_target=True
        ),
    ),
    # what a route leads to
    *(
        (
            edit.create_route(
                vpc="app", route_table="rack", destination_cidr_block="10.7.0.0/16", **target
            ),
            edit.delete_route(vpc="app", route_table="rack", destination_cidr_block="10.7.0.0/16"),
        )
        for target in TARGETS
    ),
    (
        edit.create_route(
            vpc="data", route_table="main", destination_prefix_list="office", transit_gateway="hub"
        ),
        edit.delete_route(vpc="data", route_table="main", destination_prefix_list="office"),
    ),
    (
        edit.create_route(
            vpc="app",
            route_table="main",
            destination_ipv6_cidr_block="::/0",
            internet_gateway=True,
        ),
        edit.delete_route(vpc="app", route_table="main", destination_ipv6_cidr_block="::/0"),
    ),
]
