"""Security groups and network ACLs: changes, and those that take them back."""

from __future__ import annotations

from typing import Any

from testbed.topology import editing as edit
from testbed.topology.editing import Change, together


def _rule(**peer: str) -> dict[str, Any]:
    return {"vpc": "app", "group": "idle", "ip_protocol": "tcp", "from_port": 22, **peer}


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


ROUND_TRIPS: list[tuple[Change, Change]] = [
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
]
