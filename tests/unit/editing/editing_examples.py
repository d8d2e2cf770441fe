"""A document with something of everything, and each operation at work on it."""

from __future__ import annotations

from typing import Any, Literal

from testbed.topology import editing as edit
from testbed.topology.document import Document
from testbed.topology.editing import Change, together
from testbed.topology.file.position import compose

TEXT = """\
testbed: 1
name: everything
region:
  name: us-west-2
  zones: [us-west-2a, us-west-2b]
  prefix_lists: {office: [192.168.10.0/24]}
  internet: {hosts: {shop: {address: 192.0.2.80}}}
  vpc_peering_connections: {app-data: {requester: app, accepter: data}}
  transit_gateways:
    hub:
      attachments: {app: {vpc: app}, data: {vpc: data, subnets: [data-a]}}
      route_tables:
        all:
          associations: [app, data]
          propagations: [app, data]
          routes: [{destination: 10.9.0.0/16}, {destination: 10.8.0.0/16, attachment: data}]
        idle: {}
    lone: {}
vpcs:
  app:
    cidr: 10.1.0.0/16
    ipv6_cidr: "2001:db8:1::/56"
    internet_gateway: true
    virtual_private_gateway: {}
    subnets:
      rack: {cidr: 10.1.3.0/24, outpost: op}
      spare: {cidr: 10.1.4.0/24, outpost: op}
      cloud: {cidr: 10.1.1.0/24, zone: us-west-2a, ipv6_cidr: "2001:db8:1:1::/64"}
    route_tables:
      main: {routes: [{destination: 10.2.0.0/16, target: app-data.vpc-peering-connection}]}
      rack:
        subnets: [rack]
        routes: [{destination: 0.0.0.0/0, target: op.local-gateway}]
      idle: {}
    nat_gateways: {nat: {subnet: cloud}}
    endpoints:
      s3: {service: s3, type: gateway, route_tables: [rack]}
      ec2: {service: ec2, type: interface, subnets: [cloud]}
    security_groups:
      web: {ingress: [{protocol: tcp, ports: 80, source: 0.0.0.0/0}]}
      idle: {}
    network_acls:
      strict: {ingress: [{rule: 100, protocol: all, cidr: 10.0.0.0/8, action: allow}]}
  data:
    cidr: 10.2.0.0/16
    subnets: {data-a: {cidr: 10.2.1.0/24}, data-b: {cidr: 10.2.2.0/24, zone: us-west-2b}}
  campus:
    cidr: 10.3.0.0/16
    subnets: {public: {cidr: 10.3.1.0/24, outpost: op-coip}}
  idle: {cidr: 10.4.0.0/16}
hosted_zones:
  corp.internal: {vpcs: [app], records: [{name: db, values: [10.2.1.4]}]}
outposts:
  op: {devices: [cnd1, cnd2]}
  op-coip:
    devices: [cnd1, cnd2]
    local_gateway: {mode: coip, coip_pools: {campus: {cidrs: [172.20.0.0/26]}}}
site:
  devices: {cnd1: {}, cnd2: {}, cnd3: {}}
  segments: {office: {cidr: 192.168.10.0/24, devices: [cnd1]}}
  hosts: {desk: {segment: office}}
  firewalls: {fw: {devices: [cnd1]}}
  wan: {}
  internet: {devices: [cnd1]}
  direct_connect: {dx: {device: cnd2, private_vif: {virtual_private_gateway: app}}}
placement_groups: {apart: {strategy: spread}}
instances:
  web: {subnet: rack, address: 10.1.3.10, security_groups: [web]}
  app: {subnet: cloud, secondary_addresses: [10.1.1.20]}
  still: {subnet: rack, state: stopped}
  owned: {subnet: public}
network_interfaces:
  extra: {subnet: rack}
  second: {subnet: rack, instance: web}
faults: [{kind: link-down, target: op.lag1, name: cut, at: 10s}]
"""


def everything() -> Document:
    """The document."""
    return Document(compose(TEXT).root.plain())


def _rule(**peer: str) -> dict[str, Any]:
    return {"vpc": "app", "group": "idle", "ip_protocol": "tcp", "from_port": 22, **peer}


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
GROUPS: tuple[Literal["service_link", "local_gateway"], ...] = ("service_link", "local_gateway")
CONFIG = "router id 10.0.0.1;\n"
PERMISSION = {
    "ip_protocol": "udp",
    "from_port": 100,
    "to_port": 200,
    "ip_ranges": [{"cidr_ip": "10.0.0.0/8"}],
    "ipv6_ranges": [{"cidr_ipv6": "2001:db8::/32"}],
    "user_id_group_pairs": [{"group": "web"}],
    "prefix_list_ids": [{"prefix_list": "office"}],
}
RULES: list[dict[str, Any]] = [
    _rule(cidr_ip="10.0.0.0/8"),
    _rule(cidr_ipv6="2001:db8::/32"),
    _rule(source_group="web"),
    _rule(prefix_list="office"),
    {"vpc": "app", "group": "idle", "ip_permissions": [PERMISSION]},
]

# A change, and the one that takes it back: the document is what it was, to the letter.
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
    # gateways, endpoints, peering, prefix lists
    (
        edit.create_nat_gateway(
            vpc="app",
            nat_gateway="new",
            subnet="cloud",
            public_ip="203.0.113.99",
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
    # security groups and network ACLs
    (
        edit.create_security_group(vpc="app", group="new"),
        edit.delete_security_group(vpc="app", group="new"),
    ),
    (edit.enable_security_groups(vpc="data"), edit.disable_security_groups(vpc="data")),
    *(
        (
            edit.authorize_security_group_ingress(**rule),
            edit.revoke_security_group_ingress(**rule),
        )
        for rule in RULES
    ),
    (
        edit.authorize_security_group_ingress(
            vpc="app", group="default", ip_protocol="icmp", cidr_ip="10.0.0.0/8"
        ),
        edit.revoke_security_group_ingress(
            vpc="app",
            group="default",
            ip_protocol="1",
            from_port=-1,
            to_port=-1,
            cidr_ip="10.0.0.0/8",
        ),
    ),
    (
        edit.revoke_security_group_egress(
            vpc="app", group="idle", ip_protocol="-1", cidr_ip="0.0.0.0/0"
        ),
        together(
            edit.revoke_security_group_egress(vpc="app", group="idle", cidr_ipv6="::/0"),
            edit.authorize_security_group_egress(vpc="app", group="idle", cidr_ip="0.0.0.0/0"),
            edit.authorize_security_group_egress(vpc="app", group="idle", cidr_ipv6="::/0"),
        ),
    ),
    (
        edit.create_network_acl(vpc="app", network_acl="new"),
        edit.delete_network_acl(vpc="app", network_acl="new"),
    ),
    (
        edit.create_network_acl_entry(
            vpc="app",
            network_acl="strict",
            rule_number=90,
            protocol="6",
            rule_action="deny",
            egress=True,
            cidr_block="0.0.0.0/0",
            port_range={"from": 80, "to": 90},
        ),
        edit.delete_network_acl_entry(vpc="app", network_acl="strict", rule_number=90, egress=True),
    ),
    (
        edit.create_network_acl_entry(
            vpc="app",
            network_acl="default",
            rule_number=90,
            protocol="58",
            rule_action="deny",
            egress=False,
            ipv6_cidr_block="::/0",
            icmp_type_code={"type": 128, "code": 0},
        ),
        edit.delete_network_acl_entry(
            vpc="app", network_acl="default", rule_number=90, egress=False
        ),
    ),
    (
        edit.replace_network_acl_entry(
            vpc="app",
            network_acl="strict",
            rule_number=100,
            protocol="-1",
            rule_action="deny",
            egress=False,
            cidr_block="10.0.0.0/8",
        ),
        edit.replace_network_acl_entry(
            vpc="app",
            network_acl="strict",
            rule_number=100,
            protocol="all",
            rule_action="allow",
            egress=False,
            cidr_block="10.0.0.0/8",
        ),
    ),
    (
        edit.replace_network_acl_association(vpc="app", subnet="cloud", network_acl="strict"),
        edit.replace_network_acl_association(vpc="app", subnet="cloud", network_acl="default"),
    ),
    # instances, interfaces, addresses
    (
        edit.run_instances(
            instances=["new"],
            subnet="cloud",
            instance_type="m5.large",
            private_ip_address="10.1.1.30",
            secondary_private_ip_addresses=["10.1.1.31"],
            ipv6_address="auto",
            security_groups=["web"],
            placement_group="apart",
            metadata_options={"http_tokens": "optional", "http_endpoint": "enabled"},
            resource="ecs",
            services=["http"],
        ),
        edit.terminate_instances(instances=["new"]),
    ),
    (edit.stop_instances(instances=["web", "app"]), edit.start_instances(instances=["web", "app"])),
    (edit.start_instances(instances=["still"]), edit.stop_instances(instances=["still"])),
    (
        edit.modify_instance_attribute(instance="still", instance_type="m5.large"),
        edit.modify_instance_attribute(instance="still", instance_type="c5.large"),
    ),
    (
        edit.modify_instance_attribute(instance="web", source_dest_check=False, groups=["idle"]),
        edit.modify_instance_attribute(instance="web", source_dest_check=True, groups=["web"]),
    ),
    (
        edit.modify_instance_metadata_options(
            instance="web",
            http_endpoint="disabled",
            http_tokens="optional",
            http_put_response_hop_limit=2,
        ),
        edit.modify_instance_metadata_options(
            instance="web",
            http_endpoint="enabled",
            http_tokens="required",
            http_put_response_hop_limit=1,
        ),
    ),
    (
        edit.modify_instance_placement(instance="still", group_name="apart"),
        edit.modify_instance_placement(instance="still", group_name=None),
    ),
    (
        edit.modify_instance_services(instance="web", resource="ecs", services=["http", "echo"]),
        edit.modify_instance_services(instance="web", resource="ec2", services=[]),
    ),
    (
        edit.create_placement_group(group_name="new", strategy="spread", spread_level="rack"),
        edit.delete_placement_group(group_name="new"),
    ),
    (
        edit.create_network_interface(
            network_interface="new",
            subnet="cloud",
            private_ip_address="10.1.1.40",
            secondary_private_ip_addresses=["10.1.1.41"],
            ipv6_address="auto",
            groups=["web"],
        ),
        edit.delete_network_interface(network_interface="new"),
    ),
    (
        edit.attach_network_interface(network_interface="extra", instance="web", device_index=3),
        edit.detach_network_interface(network_interface="extra"),
    ),
    (
        edit.modify_network_interface_attribute(network_interface="extra", source_dest_check=False),
        edit.modify_network_interface_attribute(network_interface="extra", source_dest_check=True),
    ),
    (
        edit.assign_private_ip_addresses(
            network_interface="web", private_ip_addresses=["10.1.3.20"]
        ),
        edit.unassign_private_ip_addresses(
            network_interface="web", private_ip_addresses=["10.1.3.20"]
        ),
    ),
    (
        edit.assign_ipv6_addresses(network_interface="app"),
        edit.unassign_ipv6_addresses(network_interface="app"),
    ),
    (
        edit.associate_address(instance="web", public_ip="auto"),
        edit.disassociate_address(network_interface="web"),
    ),
    (
        edit.associate_address(
            network_interface="app", private_ip_address="10.1.1.20", public_ip="203.0.113.50"
        ),
        edit.disassociate_address(instance="app", private_ip_address="10.1.1.20"),
    ),
    (
        edit.associate_address(network_interface="extra", public_ip="auto"),
        edit.disassociate_address(network_interface="extra"),
    ),
    (
        edit.associate_address(instance="owned", customer_owned_ip="172.20.0.9"),
        edit.disassociate_address(instance="owned", customer_owned=True),
    ),
    # hosted zones
    (
        edit.create_hosted_zone(hosted_zone="new.internal", vpc="data"),
        edit.delete_hosted_zone(hosted_zone="new.internal"),
    ),
    (
        edit.associate_vpc_with_hosted_zone(hosted_zone="corp.internal", vpc="data"),
        edit.disassociate_vpc_from_hosted_zone(hosted_zone="corp.internal", vpc="data"),
    ),
    (
        edit.change_resource_record_sets(
            hosted_zone="corp.internal",
            action="CREATE",
            name="mail",
            type="MX",
            ttl=60,
            values=["10 db.corp.internal"],
        ),
        edit.change_resource_record_sets(
            hosted_zone="corp.internal", action="DELETE", name="mail.corp.internal.", type="MX"
        ),
    ),
    (
        edit.change_resource_record_sets(
            hosted_zone="corp.internal", action="UPSERT", name="db", values=["10.2.1.5"]
        ),
        edit.change_resource_record_sets(
            hosted_zone="corp.internal", action="UPSERT", name="db", values=["10.2.1.4"]
        ),
    ),
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
        edit.create_coip_cidr(
            local_gateway_route_table="op-coip", coip_pool="campus", cidr="172.20.1.0/26"
        ),
        edit.delete_coip_cidr(
            local_gateway_route_table="op-coip", coip_pool="campus", cidr="172.20.1.0/26"
        ),
    ),
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
    # the Region
    (
        edit.modify_region(
            asn=64700,
            public_cidr="198.51.100.0/25",
            anchors={"first": "198.51.100.50", "second": "198.51.100.51"},
            elastic_ip_cidr="203.0.113.0/25",
            zone_delay="1ms",
            metrics_period=30,
        ),
        edit.modify_region(
            asn=7224,
            public_cidr=None,
            anchors=None,
            elastic_ip_cidr=None,
            zone_delay=None,
            metrics_period=None,
        ),
    ),
    (
        edit.modify_internet(cidr="192.0.2.0/25", ipv6_cidr="2001:db8:fffe::/64"),
        edit.modify_internet(cidr=None, ipv6_cidr=None),
    ),
    (
        together(edit.remove_internet_host(host="shop"), edit.remove_internet()),
        together(edit.add_internet(), edit.add_internet_host(host="shop", address="192.0.2.80")),
    ),
    (
        edit.modify_internet_host(host="shop", services=["http"]),
        edit.modify_internet_host(host="shop", services=[]),
    ),
    (
        edit.modify_conformance(rtt="60ms", bandwidth="100M"),
        edit.modify_conformance(rtt=None, bandwidth=None),
    ),
    (
        edit.modify_failover_limits(
            link="1s", lag="1s", device="1s", tunnel="1s", session="1s", uplink="1s"
        ),
        edit.modify_failover_limits(
            link=None, lag=None, device=None, tunnel=None, session=None, uplink=None
        ),
    ),
    (
        edit.declare_fault(
            kind="impair", target="cnd1:region", fault="slow", lasts="5s", every="10s", delay="1ms"
        ),
        edit.withdraw_fault(fault="slow"),
    ),
    # the site
    (
        edit.add_site_device(device="new", asn=65100, daemon="frr"),
        edit.remove_site_device(device="new"),
    ),
    (
        edit.modify_site_device(device="cnd3", asn=65101, daemon="frr"),
        edit.modify_site_device(device="cnd3", asn=None, daemon="bird"),
    ),
    (
        together(
            edit.add_file(file="cnd3.conf", text=CONFIG),
            edit.modify_site_device(device="cnd3", config="cnd3.conf"),
        ),
        together(
            edit.modify_site_device(device="cnd3", config=None),
            edit.remove_file(file="cnd3.conf"),
        ),
    ),
    (
        edit.add_site_link(devices=["cnd1", "cnd3"], delay="2ms", rate="1G", mtu=1400),
        edit.remove_site_link(devices=["cnd3", "cnd1"]),
    ),
    (
        together(
            edit.add_site_link(devices=["cnd1", "cnd3"]),
            edit.modify_site_link(devices=["cnd1", "cnd3"], mtu=1400),
        ),
        edit.remove_site_link(devices=["cnd1", "cnd3"]),
    ),
    (
        edit.modify_site_firewall(firewall="fw", nat=True),
        edit.modify_site_firewall(firewall="fw", nat=False),
    ),
    (edit.modify_site(link_cidr="100.80.0.0/14"), edit.modify_site(link_cidr=None)),
    (
        edit.modify_region_link(delay="5ms", rate="2G", mtu=1400, devices=["cnd1", "cnd2"]),
        edit.modify_region_link(delay=None, rate=None, mtu=None, devices=None),
    ),
    (
        edit.add_site_segment(
            segment="new",
            cidr="192.168.30.0/24",
            devices=["cnd1", "cnd2"],
            addresses={"cnd1": "192.168.30.1"},
            host_interfaces=["eth9"],
        ),
        edit.remove_site_segment(segment="new"),
    ),
    (
        edit.modify_site_segment(segment="office", devices=["cnd1", "cnd2"]),
        edit.modify_site_segment(segment="office", devices=["cnd1"]),
    ),
    (
        edit.add_site_host(host="new", segment="office", address="192.168.10.9", services=["http"]),
        edit.remove_site_host(host="new"),
    ),
    (
        edit.modify_site_host(host="desk", services=["echo"]),
        edit.modify_site_host(host="desk", services=[]),
    ),
    (
        together(
            edit.add_file(file="fw.nft", text="table inet own {}"),
            edit.add_site_firewall(firewall="new", devices=["cnd2"], ruleset="fw.nft"),
        ),
        together(edit.remove_site_firewall(firewall="new"), edit.remove_file(file="fw.nft")),
    ),
    (
        edit.modify_site_firewall(firewall="fw", asn=65401, filter="stateless"),
        edit.modify_site_firewall(firewall="fw", asn=None, filter=None),
    ),
    (
        edit.modify_wan(asn=65501, devices=["cnd1", "cnd2"], delay="2ms", rate="2G", mtu=1400),
        edit.modify_wan(asn=65500, devices=None, delay=None, rate=None, mtu=None),
    ),
    (edit.remove_wan(), edit.add_wan()),
    (
        edit.modify_site_internet(devices=["cnd2"]),
        edit.modify_site_internet(devices=["cnd1"]),
    ),
    (edit.remove_site_internet(), edit.add_site_internet(devices=["cnd1"])),
    (
        edit.add_direct_connect(
            connection="new",
            device="cnd1",
            delay="2ms",
            rate="2G",
            transit_vif={"transit_gateway": "lone"},
        ),
        edit.remove_direct_connect(connection="new"),
    ),
    (
        edit.modify_direct_connect(connection="dx", public_vif={}),
        edit.modify_direct_connect(connection="dx", public_vif=None),
    ),
]
