"""What a plan says of private connectivity: Direct Connect, private anchors, propagated routes."""

from __future__ import annotations

import json

from views import (
    ONE_RACK,
    ONE_RACK_CHECKS,
    addresses,
    chain,
    checks,
    delays,
    described,
    elements,
    mtus,
    roles,
    routes_of,
    rules_of,
    sessions,
    shipped,
    titles,
    wanted_routes,
    wiring,
)

from testbed.plan.files import files_of


def test_private_connectivity() -> None:
    """The anchors are network interfaces of a VPC, and nothing has a public address."""
    plan = shipped("private-connectivity")
    expected = ONE_RACK | {
        "direct-connect": 3,
        "virtual-private-gateway": 2,
        "vpc-router": 3,
        "dns-resolver": 2,
        "instance": 2,
    }
    del expected["outposts-endpoint"]
    assert roles(plan) == expected
    assert checks(plan) == ONE_RACK_CHECKS | {
        "bgp": 40,
        "route": 13,
        "listen": 7,
        "table_route": 2,
    }
    assert addresses(plan, "region.op-anchor1")["eth0"] == "10.9.0.126/25"
    assert addresses(plan, "region.op-anchor2")["eth0"] == "10.9.0.125/25"
    assert elements(plan, "region.vpc-link", "interface_addresses") == [
        "eni-op-anchor1 . 10.9.0.126",
        "eni-op-anchor2 . 10.9.0.125",
    ]
    assert chain(plan, "region.op-anchor1", "input")[1:] == [
        'iifname != "eth0" accept',
        "ct state established,related accept",
        "udp dport 443 accept",
        "tcp dport 443 accept",
        "counter drop",
    ]
    assert wiring(plan, "op.sl")["wg1"] == (
        "443 by op.host1: anchor1 10.9.0.126:443 100.96.255.254/32 100.98.255.254/32"
    )
    agent = json.loads(plan.node("op.host1").files["management.json"])
    assert (agent["endpoint"], agent["source"]) == ("10.9.0.126", "10.200.0.10")
    collector = json.loads(plan.node("region.op-anchor1").files["management.json"])
    assert (collector["address"], collector["outposts"]) == ("10.9.0.126", ["op"])
    assert "management.json" not in plan.node("region.op-anchor2").files
    assert "region" not in sessions(plan, "cnd1")
    for device in ("cnd1", "cnd2"):
        assert sessions(plan, device)["op_service_link"].endswith(": 10.9.0.0/24")


def test_direct_connect() -> None:
    """Each virtual interface is a VLAN, bridged to its gateway, with BGP over it."""
    plan = shipped("private-connectivity")
    assert {n: t for n, t in sessions(plan, "cnd1").items() if n.startswith("dx")} == {
        "dx_dx1_private": "100.67.0.0 as 65000 > 100.67.0.1 as 64900 on dx-dx1.101, bfd"
        ": 10.200.0.0/27, 10.200.0.32/27",
        "dx_dx3_private": "100.67.0.32 as 65000 > 100.67.0.33 as 64901 on dx-dx3.101: all",
    }
    assert sessions(plan, "region.vgw-link") == {
        "dx_dx1": "100.67.0.1 as 64900 > 100.67.0.0 as 65000 on dx-dx1, bfd, limit 100"
        ", !~ [ 10.9.0.0/24+ ], by community: 10.9.0.0/24",
        "dx_dx2": "100.67.0.17 as 64900 > 100.67.0.16 as 65000 on dx-dx2, bfd, limit 100"
        ", !~ [ 10.9.0.0/24+ ], by community: 10.9.0.0/24",
        "vpc": "100.99.128.67 as 64900 > 100.99.128.66 as 64900 on vpc: all",
    }
    assert wiring(plan, "region.dx-dx3") == {
        "br-101": "bridge",
        "customer": "cnd1:dx-dx3",
        "customer.101": "customer VLAN 101 in br-101",
        "vif-101": "region.vgw-app:dx-dx3 in br-101",
    }
    assert set(mtus(plan, "region.dx-dx3").values()) == {9001}
    assert set(mtus(plan, "region.dx-dx1").values()) == {1500}
    assert delays(plan, "region.dx-dx1") == {"customer": "5 ms, 1000 Mbit/s, queue 764"}
    assert wiring(plan, "cnd1")["dx-dx1.101"] == "dx-dx1 VLAN 101 in sl"
    assert wiring(plan, "cnd1")["dx-dx3.101"] == "dx-dx3 VLAN 101 in lgw"
    assert mtus(plan, "cnd1")["dx-dx3.101"] == mtus(plan, "cnd1")["dx-dx3"] == 9001
    assert wanted_routes(plan)[4:7] == [
        "cnd1 1001 10.9.0.0/24",
        "cnd2 1001 10.9.0.0/24",
        "cnd1 1002 10.77.0.0/16",
    ]


def test_direct_connect_in_words() -> None:
    """What people see of it."""
    plan = shipped("private-connectivity")
    assert described(plan, "direct-connect") == [
        f"Direct Connect location of dx{number} in region" for number in (1, 2, 3)
    ]
    assert described(plan, "virtual-private-gateway") == [
        "virtual private gateway of VPC link in region",
        "virtual private gateway of VPC app in region",
    ]
    assert described(plan, "service-link-anchor") == [
        "us-west-2 service link anchor1 of op (10.9.0.126) in region",
        "us-west-2 service link anchor2 of op (10.9.0.125) in region",
    ]
    assert {
        *("op-anchor1 - fabric (inside the Region)", "fabric - op-anchor1 (inside the Region)"),
        *("cnd1 - dx1 private VIF, VLAN 101", "dx1 private VIF, Amazon's side"),
        "virtual private gateway of app - VPC router (inside the Region)",
        "op: routes that propagate in VPC app",
    } <= set(titles(plan, "bgp"))
    assert {
        "cnd1: 10.77.0.0/16 by dx3",
        "virtual private gateway of VPC app: 192.168.10.0/24",
        "op router of VPC app: 192.168.10.0/24 in the route table main",
        "Region router of VPC link: op infrastructure 10.200.0.0/27",
    } <= set(titles(plan, "route"))


def test_bfd_of_a_virtual_interface() -> None:
    """At both ends, in the VRF in which the interface is."""
    plan = shipped("private-connectivity")
    timers = "{ interval 300 ms; multiplier 3; };"
    device = files_of(plan.node("cnd1"))["bird.conf"]
    assert f'  vrf "sl";\n  interface "dx-dx1.101" {timers}' in device
    gateway = files_of(plan.node("region.vgw-link"))["bird.conf"]
    assert f'  interface "dx-dx1" {timers}\n  interface "dx-dx2" {timers}' in gateway


def test_propagated_routes() -> None:
    """What a virtual private gateway learns goes to the VPC's routers, on the rack as well."""
    plan = shipped("private-connectivity")
    assert sessions(plan, "region.vpc-app") == {
        "vgw": "100.99.128.130 as 64901 > 100.99.128.131 as 64901 on vgw"
        ", !~ [ 10.77.0.0/16+ ]: nothing",
        "op_op": "100.108.4.3 as 64901 > 100.108.4.2 as 64901 on op-op, reflected, no hold time"
        ": all",
    }
    assert sessions(plan, "op.vpc-app") == {
        "sl": "100.108.4.2 as 64901 > 100.108.4.3 as 64901 on sl, no hold time: nothing"
    }
    for node in ("region.vpc-app", "op.vpc-app"):
        assert routes_of(plan, node, 1) == {
            "10.77.0.0/16": "throw",
            "0.0.0.0/0 last": "blackhole",
        }
        assert "export limit 100 action block;" in files_of(plan.node(node))["bird.conf"]
        pipe = "protocol pipe t_learned_to_1 {\n  table t_learned;\n  peer table propagated_1;\n"
        assert pipe in files_of(plan.node(node))["bird.conf"]
    assert routes_of(plan, "region.vgw-app") == {
        "10.77.0.0/16": "100.99.128.130 vpc",
        "0.0.0.0/0 last": "blackhole",
    }
    assert routes_of(plan, "region.vpc-app", 32769) == {
        "10.77.0.0/16": "throw",
        "0.0.0.0/0": "100.99.128.131 vgw",
    }
    assert rules_of(plan, "region.vpc-app")[-1] == "110: mark 32769 32769"
    assert 'meta mark set iifname map { "vgw" : 32769 }' in chain(
        plan, "region.vpc-app", "prerouting"
    )
    assert mtus(plan, "region.vpc-app")["vgw"] == 9001
    assert wanted_routes(plan)[8:] == [
        "region.vpc-link 1 to 10.200.0.0/27",
        "region.vpc-link 1 to 10.200.0.32/27",
        "region.vgw-app 254 192.168.10.0/24",
        "op.vpc-app 1 192.168.10.0/24",
        "region.vpc-app 1 192.168.10.0/24",
    ]
