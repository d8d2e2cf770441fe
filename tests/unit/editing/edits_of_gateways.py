"""Gateways, endpoints, peering, prefix lists: changes, and those that take them back."""

from __future__ import annotations

from testbed.topology import editing as edit
from testbed.topology.editing import Change

ROUND_TRIPS: list[tuple[Change, Change]] = [
    # gateways, endpoints, peering, prefix lists
    (
        edit.create_nat_gateway(
            vpc="app",
            nat_gateway="new",
            subnet="cloud",
            allocation="held",
            private_ip_address="10.1.1.99",
        ),
        edit.delete_nat_gateway(vpc="app", nat_gateway="new"),
    ),
    (
        edit.create_vpc_endpoint(
            vpc="app",
            vpc_endpoint="ddb",
            service_name="com.amazonaws.us-west-2.dynamodb",
            route_tables=["rack"],
        ),
        edit.delete_vpc_endpoints(vpc="app", vpc_endpoints=["ddb"]),
    ),
    (
        edit.create_vpc_endpoint(
            vpc="app",
            vpc_endpoint="logs",
            service_name="logs",
            vpc_endpoint_type="Interface",
            subnets=["cloud"],
            security_groups=["web"],
            private_dns_enabled=False,
        ),
        edit.delete_vpc_endpoints(vpc="app", vpc_endpoints=["logs"]),
    ),
    (
        edit.modify_vpc_endpoint(vpc="app", vpc_endpoint="s3", add_route_tables=["main"]),
        edit.modify_vpc_endpoint(vpc="app", vpc_endpoint="s3", remove_route_tables=["main"]),
    ),
    (
        edit.modify_vpc_endpoint(
            vpc="app", vpc_endpoint="ec2", add_security_groups=["web"], private_dns_enabled=False
        ),
        edit.modify_vpc_endpoint(
            vpc="app", vpc_endpoint="ec2", remove_security_groups=["web"], private_dns_enabled=True
        ),
    ),
    (
        edit.create_vpc_peering_connection(
            vpc_peering_connection="new", vpc="app", peer_vpc="idle"
        ),
        edit.delete_vpc_peering_connection(vpc_peering_connection="new"),
    ),
    (
        edit.create_managed_prefix_list(prefix_list="new", entries=["10.0.0.0/8"]),
        edit.delete_managed_prefix_list(prefix_list="new"),
    ),
    (
        edit.modify_managed_prefix_list(prefix_list="office", add_entries=["192.168.20.0/24"]),
        edit.modify_managed_prefix_list(prefix_list="office", remove_entries=["192.168.20.0/24"]),
    ),
    # transit gateways
    (
        edit.create_transit_gateway(transit_gateway="new", amazon_side_asn=64601),
        edit.delete_transit_gateway(transit_gateway="new"),
    ),
    (
        edit.modify_transit_gateway(transit_gateway="hub", amazon_side_asn=64602),
        edit.modify_transit_gateway(transit_gateway="hub", amazon_side_asn=64512),
    ),
    (
        edit.create_transit_gateway_vpc_attachment(
            transit_gateway="lone",
            transit_gateway_attachment="new",
            vpc="data",
            subnets=["data-b"],
        ),
        edit.delete_transit_gateway_vpc_attachment(
            transit_gateway="lone", transit_gateway_attachment="new"
        ),
    ),
    (
        edit.modify_transit_gateway_vpc_attachment(
            transit_gateway="hub", transit_gateway_attachment="data", add_subnets=["data-b"]
        ),
        edit.modify_transit_gateway_vpc_attachment(
            transit_gateway="hub", transit_gateway_attachment="data", remove_subnets=["data-b"]
        ),
    ),
    (
        edit.create_transit_gateway_route_table(
            transit_gateway="hub", transit_gateway_route_table="new"
        ),
        edit.delete_transit_gateway_route_table(
            transit_gateway="hub", transit_gateway_route_table="new"
        ),
    ),
    (
        edit.create_transit_gateway_route_table(
            transit_gateway="lone", transit_gateway_route_table="new"
        ),
        edit.delete_transit_gateway_route_table(
            transit_gateway="lone", transit_gateway_route_table="new"
        ),
    ),
    (
        edit.disassociate_transit_gateway_route_table(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            transit_gateway_attachment="data",
        ),
        edit.associate_transit_gateway_route_table(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            transit_gateway_attachment="data",
        ),
    ),
    (
        edit.disable_transit_gateway_route_table_propagation(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            transit_gateway_attachment="data",
        ),
        edit.enable_transit_gateway_route_table_propagation(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            transit_gateway_attachment="data",
        ),
    ),
    (
        edit.create_transit_gateway_route(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            destination_cidr_block="10.7.0.0/16",
            transit_gateway_attachment="app",
        ),
        edit.delete_transit_gateway_route(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            destination_cidr_block="10.7.0.0/16",
        ),
    ),
    (
        edit.replace_transit_gateway_route(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            destination_cidr_block="10.8.0.0/16",
            blackhole=True,
        ),
        edit.replace_transit_gateway_route(
            transit_gateway="hub",
            transit_gateway_route_table="all",
            destination_cidr_block="10.8.0.0/16",
            transit_gateway_attachment="data",
        ),
    ),
]
