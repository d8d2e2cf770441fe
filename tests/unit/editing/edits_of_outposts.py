"""Outposts and their local gateways: changes, and those that take them back."""

from __future__ import annotations

from typing import Literal

from testbed.topology import editing as edit
from testbed.topology.editing import Change, together

GROUPS: tuple[Literal["service_link", "local_gateway"], ...] = ("service_link", "local_gateway")


def _routing_domains() -> list[tuple[Change, Change]]:
    """Of a second-generation rack's local gateway."""
    table = "op-two/one"
    return [
        (
            edit.create_local_gateway_route_table(
                local_gateway_route_table="op-two/two", mode="coip"
            ),
            together(
                edit.delete_local_gateway_route_table_virtual_interface_group_association(
                    local_gateway_route_table="op-two/two"
                ),
                edit.delete_local_gateway_route_table(local_gateway_route_table="op-two/two"),
            ),
        ),
        (
            edit.modify_routing_domain(
                local_gateway_route_table=table, asn=64900, vlan=2100, vrf="plant"
            ),
            edit.modify_routing_domain(
                local_gateway_route_table=table, asn=None, vlan=None, vrf=None
            ),
        ),
        (
            edit.create_local_gateway_route_table_vpc_association(
                local_gateway_route_table=table, vpc="data"
            ),
            edit.delete_local_gateway_route_table_vpc_association(
                local_gateway_route_table=table, vpc="data"
            ),
        ),
        (
            edit.delete_local_gateway_route_table_virtual_interface_group_association(
                local_gateway_route_table=table
            ),
            edit.create_local_gateway_route_table_virtual_interface_group_association(
                local_gateway_route_table=table
            ),
        ),
        (
            together(
                edit.create_coip_pool(
                    local_gateway_route_table="op-two/coip", coip_pool="p", cidrs=["172.21.0.0/26"]
                ),
                edit.create_coip_cidr(
                    local_gateway_route_table="op-two/coip", coip_pool="p", cidr="172.21.1.0/26"
                ),
            ),
            edit.delete_coip_pool(local_gateway_route_table="op-two/coip", coip_pool="p"),
        ),
        (
            edit.delete_local_gateway_virtual_interface(
                outpost="op-two", routing_domain="one", lag=3
            ),
            edit.create_local_gateway_virtual_interface(
                outpost="op-two", routing_domain="one", lag=3
            ),
        ),
        (
            edit.modify_virtual_interface(
                outpost="op-two",
                group="local_gateway",
                routing_domain="one",
                lag=4,
                vlan=2300,
                local_address="10.0.9.0/31",
                peer_address="10.0.9.1/31",
                local_bgp_asn=64517,
                peer_bgp_asn=65000,
            ),
            edit.reset_virtual_interface(
                outpost="op-two", group="local_gateway", routing_domain="one", lag=4
            ),
        ),
        *(
            (
                edit.modify_virtual_interface(outpost="op-two", group=group, lag=4, vlan=2300),
                edit.reset_virtual_interface(outpost="op-two", group=group, lag=4),
            )
            for group in GROUPS[:1]
        ),
        (
            edit.modify_site_segment(segment="office", vrf="lgw"),
            edit.modify_site_segment(segment="office", vrf=None),
        ),
        (
            edit.update_outpost(outpost="op-two", compute_racks=2),
            edit.update_outpost(outpost="op-two", compute_racks=None),
        ),
        (
            edit.modify_service_link(outpost="op", infrastructure_cidrs=["10.201.0.0/26"]),
            edit.modify_service_link(outpost="op", infrastructure_cidrs=None),
        ),
    ]


ROUND_TRIPS: list[tuple[Change, Change]] = [
    # Outposts and their local gateways
    (
        edit.create_outpost(
            outpost="new",
            zone="us-west-2b",
            form_factor="rack",
            devices=["cnd2", "cnd3"],
            storage=["ebs"],
            capacity={"servers": [{"c5.large": 4}]},
            uplinks={"speed": "10G"},
        ),
        edit.delete_outpost(outpost="new"),
    ),
    (
        edit.update_outpost(outpost="op", storage=["s3"], devices=["cnd1", "cnd3"]),
        edit.update_outpost(outpost="op", storage=None, devices=["cnd1", "cnd2"]),
    ),
    (
        edit.modify_uplinks(outpost="op", speed="40G", per_device=2, bfd=True),
        edit.modify_uplinks(outpost="op", speed="10G", per_device=None, bfd=False),
    ),
    (
        edit.modify_service_link(
            outpost="op", asn=64800, infrastructure_cidr="10.201.0.0/26", connectivity="public"
        ),
        edit.modify_service_link(outpost="op", asn=None, infrastructure_cidr=None),
    ),
    (
        edit.create_outpost_resolver(outpost="op"),
        edit.delete_outpost_resolver(outpost="op"),
    ),
    (
        edit.drain_outpost_device(outpost="op", device=1),
        edit.restore_outpost_device(outpost="op", device=1),
    ),
    (
        edit.modify_local_gateway(outpost="op", asn=64801),
        edit.modify_local_gateway(outpost="op", asn=None),
    ),
    (
        edit.create_local_gateway_route(
            local_gateway_route_table="op",
            destination_cidr_block="192.168.0.0/16",
            local_gateway_virtual_interface_group=True,
        ),
        edit.delete_local_gateway_route(
            local_gateway_route_table="op", destination_cidr_block="192.168.0.0/16"
        ),
    ),
    (
        edit.modify_local_gateway_route(
            local_gateway_route_table="op",
            destination_cidr_block="0.0.0.0/0",
            network_interface="extra",
        ),
        edit.modify_local_gateway_route(
            local_gateway_route_table="op",
            destination_cidr_block="0.0.0.0/0",
            local_gateway_virtual_interface_group=True,
        ),
    ),
    (
        edit.delete_local_gateway_route_table_virtual_interface_group_association(
            local_gateway_route_table="op"
        ),
        edit.create_local_gateway_route_table_virtual_interface_group_association(
            local_gateway_route_table="op"
        ),
    ),
    (
        edit.create_local_gateway_route_table_vpc_association(
            local_gateway_route_table="op", vpc="data"
        ),
        edit.delete_local_gateway_route_table_vpc_association(
            local_gateway_route_table="op", vpc="data"
        ),
    ),
    (
        together(
            edit.release_address(allocation="till"),
            edit.delete_local_gateway_route_table_vpc_association(
                local_gateway_route_table="op-coip", vpc="campus"
            ),
            edit.delete_local_gateway_route_table_virtual_interface_group_association(
                local_gateway_route_table="op-coip"
            ),
            edit.delete_coip_pool(local_gateway_route_table="op-coip", coip_pool="campus"),
            edit.delete_local_gateway_route_table(local_gateway_route_table="op-coip"),
        ),
        together(
            edit.create_local_gateway_route_table(local_gateway_route_table="op-coip", mode="coip"),
            edit.create_coip_pool(
                local_gateway_route_table="op-coip", coip_pool="campus", cidrs=["172.20.0.0/26"]
            ),
            edit.allocate_address(allocation="till", customer_owned_ipv4_pool="op-coip/campus"),
            edit.create_local_gateway_route(
                local_gateway_route_table="op-coip",
                destination_cidr_block="0.0.0.0/0",
                local_gateway_virtual_interface_group=True,
            ),
            edit.create_local_gateway_route_table_virtual_interface_group_association(
                local_gateway_route_table="op-coip"
            ),
            edit.create_local_gateway_route_table_vpc_association(
                local_gateway_route_table="op-coip", vpc="campus"
            ),
        ),
    ),
    (
        edit.create_coip_pool(local_gateway_route_table="op-coip", coip_pool="new"),
        edit.delete_coip_pool(local_gateway_route_table="op-coip", coip_pool="new"),
    ),
    (
        edit.create_coip_cidr(
            local_gateway_route_table="op-coip", coip_pool="campus", cidr="172.20.1.0/26"
        ),
        edit.delete_coip_cidr(
            local_gateway_route_table="op-coip", coip_pool="campus", cidr="172.20.1.0/26"
        ),
    ),
    *_routing_domains(),
    *(
        (
            edit.modify_virtual_interface(
                outpost="op",
                group=group,
                device=2,
                vlan=300,
                local_address="10.0.0.1/30",
                peer_address="10.0.0.2/30",
                local_bgp_asn=64512 if group == "service_link" else 64513,
                peer_bgp_asn=65000,
            ),
            edit.reset_virtual_interface(outpost="op", group=group, device=2),
        )
        for group in GROUPS
    ),
]
