"""What the plans of the shipped topologies say of the Region: DNS, gateways, endpoints."""

from __future__ import annotations

import json

from views import (
    ONE_RACK,
    ONE_RACK_CHECKS,
    TWO_RACKS,
    TWO_RACKS_CHECKS,
    addresses,
    chain,
    checks,
    delays,
    elements,
    gateway_routes,
    mtus,
    records,
    roles,
    routes_of,
    rules_of,
    sessions,
    shipped,
    titles,
    vpc_routes,
    wanted_routes,
    wiring,
)

from testbed.plan.model import RESOLV_CONF


def test_dns_disconnected() -> None:
    """One rack asks the resolver in the Region, the other its own, which asks that one."""
    plan = shipped("dns-disconnected")
    assert roles(plan) == {
        role: number
        for role, number in (TWO_RACKS | {"customer-network-device": 4, "dns-resolver": 2}).items()
        if role not in {"host", "lan-segment"}
    }
    assert checks(plan) == TWO_RACKS_CHECKS | {
        "bgp": 60,
        "route": 12,
        "listen": 6,
        "table_route": 1,
    }
    resolvers = ("10.77.0.2/32", "169.254.169.253/32")
    assert {routes_of(plan, "op-a.vpc-app")[name] for name in resolvers} == {"100.108.2.3 sl"}
    assert {routes_of(plan, "op-b.vpc-app")[name] for name in resolvers} == {"dns"}
    assert routes_of(plan, "op-b.vpc-app")["100.101.0.1/32"] == "100.108.2.5 sl"
    assert routes_of(plan, "region.vpc-app")["100.102.1.2/32"] == "100.108.2.4 op-op-b"
    assert wiring(plan, "op-b.dns-app")["eth0"] == "op-b.vpc-app:dns"
    assert routes_of(plan, "op-b.dns-app")["0.0.0.0/0"] == "100.108.2.4 eth0 from 100.102.1.2"
    assert chain(plan, "op-a.vpc-app", "forward")[1:4] == [
        'iifname "eni-*" oifname "sl" ip daddr { 10.77.0.2, 169.254.169.253 } accept',
        'iifname "sl" oifname "eni-*" ip saddr { 10.77.0.2, 169.254.169.253 } accept',
        "ip daddr { 10.77.0.2, 169.254.169.253 } counter drop",
    ]
    assert chain(plan, "op-b.vpc-app", "forward")[1:6] == [
        'iifname "eni-*" oifname "dns" ip daddr { 10.77.0.2, 169.254.169.253 } accept',
        'iifname "dns" oifname "eni-*" ip saddr { 10.77.0.2, 169.254.169.253 } accept',
        'iifname "sl" oifname "dns" accept',
        'iifname "dns" oifname "sl" accept',
        'oifname "dns" counter drop',
    ]
    assert "op-b Route 53 Resolver for VPC app on UDP port 53" in titles(plan, "listen")


def test_what_resolvers_know() -> None:
    """The VPC's private names both; what is public the one in the Region only."""
    plan = shipped("dns-disconnected")
    zones = {
        "us-west-2.compute.internal": [
            f"ip-{address.replace('.', '-')}.us-west-2.compute.internal. A {address}"
            for address in ("10.77.7.4", "10.77.11.50", "10.77.1.4")
        ],
        "corp.internal": [
            "db.corp.internal. A 10.77.11.50",
            "www.corp.internal. CNAME db.corp.internal.",
        ],
    }
    for node in ("region.dns-app", "op-b.dns-app"):
        assert {zone: records(plan, node, zone) for zone in zones} == zones
        assert records(plan, node, "in-addr.arpa")[0] == (
            "4.7.77.10.in-addr.arpa. PTR ip-10-77-7-4.us-west-2.compute.internal."
        )
    assert records(plan, "region.dns-app", "root") == [
        "s3.us-west-2.amazonaws.com. A 198.51.100.21",
        "dynamodb.us-west-2.amazonaws.com. A 198.51.100.25",
    ]
    own = plan.node("op-b.dns-app").files
    assert "zone-root" not in own
    assert "  serve-expired: yes\n" in own["unbound.conf"]
    assert 'name: "."\n  forward-addr: 100.101.0.1\n' in own["unbound.conf"]
    assert "forward" not in plan.node("region.dns-app").files["unbound.conf"].replace(
        "for-downstream", ""
    )
    assert [plan.node(name).files[RESOLV_CONF] for name in "abc"] == [
        "search corp.internal\nnameserver 10.77.0.2\noptions timeout:2 attempts:2\n"
    ] * 3


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
        ", !~ [ 10.9.0.0/24+ ]: 10.9.0.0/24",
        "dx_dx2": "100.67.0.17 as 64900 > 100.67.0.16 as 65000 on dx-dx2, bfd, limit 100"
        ", !~ [ 10.9.0.0/24+ ]: 10.9.0.0/24",
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
        assert "export limit 100 action block;" in plan.node(node).files["bird.conf"]
        assert "peer table propagated_1;" in plan.node(node).files["bird.conf"]
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


def test_transit_gateway() -> None:
    """Two route tables: one leads to what is shared only, the other everywhere but to a part."""
    plan = shipped("transit-gateway")
    assert roles(plan) == ONE_RACK | {
        "direct-connect": 1,
        "transit-gateway": 1,
        "vpc-router": 6,
        "dns-resolver": 4,
        "instance": 8,
    }
    assert checks(plan) == ONE_RACK_CHECKS | {
        "bgp": 34,
        "route": 13,
        "listen": 16,
        "table_route": 12,
    }
    assert elements(plan, "region.tgw-hub", "associations") == [
        "att-app : 1",
        "att-data : 1",
        "att-dev : 1",
        "att-shared : 2",
        "dx-dx1 : 2",
    ]
    nothing = {"0.0.0.0/0 last": "blackhole"}
    shared = {"10.3.0.0/16": "100.100.192.7 att-shared"}
    assert routes_of(plan, "region.tgw-hub", 1) == shared | nothing
    assert routes_of(plan, "region.tgw-hub", 2) == shared | nothing | {
        "10.1.0.0/16": "100.100.192.1 att-app",
        "10.1.9.0/24": "blackhole",
        "10.2.0.0/16": "100.100.192.3 att-data",
        "10.4.0.0/16": "100.100.192.5 att-dev",
    }
    assert rules_of(plan, "region.tgw-hub") == [
        "100: mark 1 1",
        "100: mark 2 2",
        "150: 254",
        "200: blackhole",
    ]
    assert sessions(plan, "region.tgw-hub") == {
        "dx_dx1": "100.67.0.3 as 64800 > 100.67.0.2 as 65000 on dx-dx1, limit 100"
        ": 10.1.0.0/16, 10.2.0.0/16, 10.4.0.0/16, 10.3.0.0/16"
    }
    config = plan.node("region.tgw-hub").files["bird.conf"]
    assert ("t_dx1_to_1" in config, "t_dx1_to_2" in config) == (True, True)
    assert set(mtus(plan, "region.tgw-hub").values()) == {8500}
    assert mtus(plan, "cnd1")["dx-dx1.102"] == 8500
    assert mtus(plan, "region.vpc-app")["tgw-hub"] == 8500
    assert wanted_routes(plan)[3:5] == [
        "region.tgw-hub 1 192.168.10.0/24",
        "region.tgw-hub 2 192.168.10.0/24",
    ]


def test_vpcs_at_a_transit_gateway() -> None:
    """They enter it from the zones of the attachment only, and come out by its subnet's table."""
    plan = shipped("transit-gateway")
    assert elements(plan, "region.vpc-shared", "unattached") == ["eni-shared-2 . tgw-hub"]
    assert "iifname . oifname @unattached counter drop" in chain(
        plan, "region.vpc-shared", "forward"
    )
    for vpc in ("app", "data", "shared", "dev"):
        assert 'meta mark set iifname map { "tgw-hub" : 1 }' in chain(
            plan, f"region.vpc-{vpc}", "prerouting"
        )
        assert routes_of(plan, f"region.vpc-{vpc}")["0.0.0.0/0 last"] == "blackhole"
        assert plan.node(f"region.vpc-{vpc}").sysctls["net/ipv4/fwmark_reflect"] == "1"
    assert routes_of(plan, "region.vpc-shared", 1)["10.0.0.0/8"] == (
        "100.100.192.6 tgw-hub from 10.3.1.1"
    )


def test_vpc_peering() -> None:
    """Over a link in the Region and one on the rack; behind it the peer, and nothing else."""
    plan = shipped("transit-gateway")
    for place, own, hub in (
        ("region", "10.1.1.1", "100.100.192.0 tgw-hub"),
        ("op", "10.1.3.1", "100.108.2.3 sl"),
    ):
        assert wiring(plan, f"{place}.vpc-app")["pcx-app-data"] == f"{place}.vpc-data:pcx-app-data"
        assert addresses(plan, f"{place}.vpc-app")["pcx-app-data"] == "100.100.32.0/31"
        assert mtus(plan, f"{place}.vpc-app")["pcx-app-data"] == 9001
        peer = {"10.2.0.0/16": f"100.100.32.1 pcx-app-data from {own}"}
        assert routes_of(plan, f"{place}.vpc-app", 900) == peer
        assert routes_of(plan, f"{place}.vpc-app", 1) == peer | {
            "10.1.0.0/16": "throw",
            "0.0.0.0/0": "blackhole",
            "10.0.0.0/8": f"{hub} from {own}",
            "192.168.0.0/16": f"{hub} from {own}",
        }
        assert "50: in lo 900" in rules_of(plan, f"{place}.vpc-data")
    assert routes_of(plan, "op.vpc-data", 1)["10.4.0.0/16"] == (
        "100.100.32.0 pcx-app-data from 10.2.3.1"
    )
    assert vpc_routes(plan)[3:6] == [
        "data/main 10.1.0.0/16 app-data.vpc-peering-connection by region.vpc-data 1 active",
        "data/main 10.4.0.0/16 app-data.vpc-peering-connection by region.vpc-data 1 active",
        "data/main 10.3.0.0/16 hub.transit-gateway by region.vpc-data 1 active",
    ]


def test_vpc_endpoints() -> None:
    """A gateway endpoint is a route of one table; interfaces are in the Region."""
    plan = shipped("vpc-endpoints")
    assert roles(plan) == ONE_RACK | {"instance": 3, "vpc-endpoint": 3}
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 11, "listen": 10, "table_route": 6}
    prefix = "198.51.100.20/30"
    found = {
        f"{node} {table}": routes_of(plan, node, table).get(prefix)
        for node in ("op.vpc-app", "region.vpc-app")
        for table in (2, 3)
    }
    assert found == {
        "op.vpc-app 2": "100.108.2.3 sl",
        "op.vpc-app 3": None,
        "region.vpc-app 2": "100.99.128.81 vpce-s3",
        "region.vpc-app 3": None,
    }
    assert vpc_routes(plan)[1] == (
        "app/rack com.amazonaws.us-west-2.s3 s3.vpc-endpoint by op.vpc-app 2 active"
    )
    assert addresses(plan, "region.vpce-app.s3")["lo"] == "198.51.100.21/32"
    assert routes_of(plan, "region.vpce-app.s3") == {"10.77.0.0/16": "100.99.128.80 vpc"}
    assert addresses(plan, "region.vpce-app.ec2.cloud") == {"eth0": "10.77.1.254/24"}
    assert addresses(plan, "region.vpce-app.logs.rack") == {"eth0": "10.77.7.254/24"}
    assert mtus(plan, "region.vpce-app.logs.rack") == {"eth0": 8500}
    assert routes_of(plan, "op.vpc-app")["10.77.7.254/32"] == "100.108.2.3 sl"
    assert routes_of(plan, "region.vpc-app")["10.77.7.254/32"] == "eni-app.logdf57"
    assert elements(plan, "region.vpc-app", "groups_in") == [
        "eni-app.ec2ff13 : jump in_https",
        "eni-app.logdf57 : jump in_https",
    ]
    assert elements(plan, "region.vpc-app", "members_app_web") == ["10.77.7.4", "10.77.8.4"]
    for name, address in (("ec2", "10.77.1.254"), ("logs", "10.77.7.254")):
        zone = f"{name}.us-west-2.amazonaws.com"
        assert records(plan, "region.dns-app", zone) == [f"{zone}. A {address}"]
    assert gateway_routes(plan)[1:] == [
        "10.77.7.0/24 app/rack propagated 1004 active",
        "10.77.8.0/24 app/rack-plain propagated 1004 active",
    ]
    services = [title for title in titles(plan, "listen") if " aws on " in title]
    assert len(services) == 6
