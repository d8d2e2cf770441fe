"""What the plan of a shipped topology says of security groups and network ACLs."""

from __future__ import annotations

from views import ONE_RACK, ONE_RACK_CHECKS, chain, checks, elements, roles, sets, shipped


def test_security_groups() -> None:
    """Members of groups are addresses, wherever they are; rules are sets of what is allowed."""
    plan = shipped("security-groups")
    assert roles(plan) == ONE_RACK | {"lan-segment": 2, "host": 2, "instance": 6}
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 10, "listen": 15, "table_route": 3}
    rack, cloud = "op.vpc-app", "region.vpc-app"
    assert elements(plan, rack, "in_web") == [
        "1 . 0-65535 . 192.168.0.0/16",
        "6 . 80 . 192.168.10.0/24",
    ]
    assert elements(plan, rack, "in_app_from_app_web") == ["6 . 80"]
    assert elements(plan, rack, "members_app_web") == ["10.77.7.10"]
    assert elements(plan, rack, "members_app_default") == ["10.77.7.5", "10.77.7.6"]
    assert elements(plan, cloud, "in_db_from_app_app") == ["1 . 0-65535", "6 . 7"]
    assert elements(plan, cloud, "members_app_app") == ["10.77.1.5", "10.77.7.10", "10.77.7.4"]
    assert elements(plan, rack, "groups_in") == [
        "eni-app : jump in_app",
        "eni-loner : jump in_default",
        "eni-twin : jump in_default",
        "eni-web : jump in_app_web",
    ]
    assert elements(plan, cloud, "groups_out") == [
        "eni-db : jump out_db",
        "eni-db2 : jump out_app_db",
    ]
    kinds = "inet_proto . inet_service"
    assert {name: kind for name, kind in sets(plan, rack).items() if "_from_" not in name} == {
        "interface_sources": "ifname . ether_addr . ipv4_addr",
        "unchecked_interfaces": "ifname . ether_addr",
        "interface_addresses": "ifname . ipv4_addr",
        "unchecked_ports": "ifname",
        "route_tables": "ifname : mark",
        "in_web": f"{kinds} . ipv4_addr; flags interval",
        **dict.fromkeys(["members_app_web", "members_app_default"], "ipv4_addr"),
        **dict.fromkeys(["groups_in", "groups_out"], "ifname : verdict"),
    }
    assert sets(plan, cloud)["in_db_from_app_app"] == f"{kinds}; flags interval"
    assert not [name for name in sets(plan, cloud) if name.startswith("out_")]
    timeouts = {k[14:]: v for k, v in plan.node(rack).sysctls.items() if "conntrack" in k}
    assert timeouts == {
        "nf_conntrack_tcp_timeout_established": "432000",
        "nf_conntrack_udp_timeout": "30",
        "nf_conntrack_udp_timeout_stream": "180",
        "nf_conntrack_generic_timeout": "600",
        "nf_conntrack_tcp_be_liberal": "1",
    }


def test_security_groups_decide_in_order() -> None:
    """A connection is remembered at each end; what no rule allows is dropped."""
    plan = shipped("security-groups")
    rack, cloud = "op.vpc-app", "region.vpc-app"
    assert chain(plan, rack, "filters") == ["jump security_groups"]
    assert chain(plan, rack, "security_groups") == [
        "ct state related return",
        "ct state established ct direction reply goto answers",
        "ct state established goto continued",
        "iifname vmap @groups_out",
        "oifname vmap @groups_in",
    ]
    out, back = "iifname vmap @groups_out", "oifname vmap @groups_in"
    for name, sender, receiver in (("continued", 1, 2), ("answers", 2, 1)):
        assert chain(plan, rack, name) == [
            f"ct mark and {sender} == 0 {out}",
            f"ct mark and {receiver} == 0 {back}",
        ]
    assert chain(plan, rack, "remember_out") == ["ct direction original ct mark set ct mark or 1"]
    assert chain(plan, rack, "remember_in") == ["ct direction original ct mark set ct mark or 2"]
    assert chain(plan, rack, "in_app_web") == [
        "ip saddr @members_app_web ip protocol . th dport @in_app_from_app_web goto remember_in",
        "meta l4proto { tcp, udp } ip protocol . th dport . ip saddr @in_web goto remember_in",
        "meta l4proto icmp ip protocol . th sport . ip saddr @in_web goto remember_in",
        "counter drop",
    ]
    assert chain(plan, rack, "in_default") == [
        "ip saddr @members_app_default goto remember_in",
        "counter drop",
    ]
    assert chain(plan, cloud, "out_db") == ["counter drop"]
    assert chain(plan, cloud, "out_app_db") == ["goto remember_out", "counter drop"]


def test_network_acl() -> None:
    """Its rules are asked by number, for what enters or leaves the subnet, first of all."""
    plan = shipped("security-groups")
    cloud = "region.vpc-app"
    assert chain(plan, cloud, "filters") == [
        "iifname vmap @subnets_out",
        "oifname vmap @subnets_in",
        "jump security_groups",
    ]
    errors = "icmp type { destination-unreachable, time-exceeded, parameter-problem }"
    assert chain(plan, cloud, "output")[1:] == [f"{errors} oifname vmap @subnets_in"]
    assert (sets(plan, cloud)["subnet_data"], sets(plan, cloud)["subnets_in"]) == (
        "ifname",
        "ifname : verdict",
    )
    assert elements(plan, cloud, "subnet_data") == ["eni-db", "eni-db2"]
    for way, name in (("in", "enter"), ("out", "leave")):
        assert elements(plan, cloud, f"subnets_{way}") == [
            f"eni-db : jump {name}_data",
            f"eni-db2 : jump {name}_data",
        ]
        assert chain(plan, cloud, f"{name}_data")[1] == f"goto acl_{way}_data"
    assert chain(plan, cloud, "enter_data")[0] == "iifname @subnet_data return"
    assert chain(plan, cloud, "leave_data")[0] == "oifname @subnet_data return"
    assert chain(plan, cloud, "acl_in_data") == [
        "ip protocol 1 icmp type 8 counter drop",
        "ip saddr 10.77.0.0/16 return",
        "counter drop",
    ]
    assert chain(plan, cloud, "acl_out_data") == [
        "ip daddr 10.77.0.0/16 ip protocol 6 th dport 1024-65535 return",
        "counter drop",
    ]
    assert not [name for name in sets(plan, "op.vpc-app") if name.startswith("subnet")]


def test_open_group_is_not_tracked() -> None:
    """A TCP port that is open to everywhere needs no memory where all may leave."""
    plan = shipped("vpc-endpoints")
    assert elements(plan, "op.vpc-app", "in_web_any") == ["6 . 80"]
    assert chain(plan, "op.vpc-app", "in_web") == [
        "ip protocol tcp ip protocol . th dport @in_web_any return",
        "ip protocol udp ip protocol . th dport @in_web_any return",
        "ip protocol . th dport @in_web_any goto remember_in",
        "counter drop",
    ]
    assert chain(plan, "op.vpc-app", "out_web") == ["goto remember_out", "counter drop"]
