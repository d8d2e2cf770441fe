"""Instances, interfaces, addresses and hosted zones: changes, and those that take them back."""

from __future__ import annotations

from typing import Any

from testbed.topology import editing as edit
from testbed.topology.editing import Change

PROCESS: dict[str, Any] = {
    "image": "busybox",
    "command": ["httpd", "-f"],
    "environment": {"COLOR": "green"},
    "user": "nobody",
    "working_directory": "/srv",
    "mounts": [{"target": "/srv", "source": "/usr/share", "read_only": True}],
    "network": "none",
    "capabilities": ["NET_ADMIN"],
    "memory": 64,
    "processors": 0.5,
    "max_processes": 9,
    "max_open_files": 99,
    "read_only": True,
    "restart": "always",
}

ROUND_TRIPS: list[tuple[Change, Change]] = [
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
        edit.add_process(instance="web", process="new", **PROCESS),
        edit.remove_process(instance="web", process="new"),
    ),
    (
        edit.modify_process(
            instance="app",
            process="worker",
            environment={"SIZE": "large"},
            listens=["tcp/8080"],
        ),
        edit.modify_process(
            instance="app", process="worker", environment={"COLOR": "blue"}, listens=[]
        ),
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
        edit.allocate_address(allocation="new", address="203.0.113.30"),
        edit.release_address(allocation="new"),
    ),
    (
        edit.allocate_address(allocation="new", customer_owned_ipv4_pool="op-coip/campus"),
        edit.release_address(allocation="new"),
    ),
    (
        edit.associate_address(instance="web", allocation="held"),
        edit.disassociate_address(allocation="held"),
    ),
    (
        edit.associate_address(instance="owned", allocation="till"),
        edit.disassociate_address(allocation="till"),
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
        edit.associate_address(
            network_interface="second", private_ip_address="10.1.3.21", public_ip="auto"
        ),
        edit.disassociate_address(network_interface="second", private_ip_address="10.1.3.21"),
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
]
