"""What the plans of the shipped topologies say of the Region: DNS, transit gateways, endpoints."""

from __future__ import annotations

from views import (
    ONE_RACK,
    ONE_RACK_CHECKS,
    TWO_RACKS,
    TWO_RACKS_CHECKS,
    addresses,
    chain,
    checks,
    described,
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

from testbed.plan.files import files_of
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
    assert 'name: "."\n  forward-addr: 100.101.0.1\n' in own["zones.conf"]
    assert "forward" not in plan.node("region.dns-app").files["zones.conf"].replace(
        "for-downstream", ""
    )
    assert [plan.node(name).files[RESOLV_CONF] for name in "abc"] == [
        "search corp.internal\nnameserver 10.77.0.2\noptions timeout:2 attempts:2\n"
    ] * 3


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
        "table_route": 17,
    }
    assert elements(plan, "region.tgw-hub", "associations") == [
        "att-app : 1",
        "att-data : 1",
        "att-dev : 1",
        "att-shared : 2",
        "dx-dx1 : 2",
    ]
    assert described(plan, "transit-gateway") == ["transit gateway hub in region"]
    assert "dx1 transit VIF, Amazon's side" in titles(plan, "bgp")
    assert "transit gateway hub: 192.168.10.0/24 in the route table isolated" in titles(
        plan, "route"
    )
    nothing = {"0.0.0.0/0 last": "blackhole", "10.3.2.0/24": "blackhole"}
    shared = {"10.3.0.0/16": "100.100.192.7 att-shared"}
    assert routes_of(plan, "region.tgw-hub", 1) == shared | nothing
    assert routes_of(plan, "region.tgw-hub", 2) == shared | nothing | {
        "10.1.0.0/16": "100.100.192.1 att-app",
        "10.1.9.0/24": "blackhole",
        "10.2.0.0/16": "100.100.192.3 att-data",
        "10.4.0.0/16": "100.100.192.5 att-dev",
    }


def test_transit_virtual_interface() -> None:
    """It announces the allowed prefixes; what it learns goes to the tables that name it."""
    plan = shipped("transit-gateway")
    assert rules_of(plan, "region.tgw-hub") == [
        "100: mark 1 1",
        "100: mark 2 2",
        "150: 254",
        "200: blackhole",
    ]
    assert sessions(plan, "region.tgw-hub") == {
        "dx_dx1": "100.67.0.3 as 64800 > 100.67.0.2 as 65000 on dx-dx1, limit 100, by community"
        ": 10.1.0.0/16, 10.2.0.0/16, 10.4.0.0/16, 10.3.0.0/16"
    }
    config = files_of(plan.node("region.tgw-hub"))["bird.conf"]
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
    assert vpc_routes(plan)[4:7] == [
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
    assert described(plan, "vpc-endpoint") == [
        "VPC endpoint ec2 for ec2 (10.77.1.254) in region",
        "VPC endpoint logs for logs (10.77.7.254) in region",
        "gateway endpoint s3 for s3 (198.51.100.21) in region",
    ]
    services = [title for title in titles(plan, "listen") if " aws on " in title]
    assert len(services) == 6


def test_ecs() -> None:
    """The control plane has a public address, and interface endpoints that lead to it."""
    plan = shipped("ecs")
    assert roles(plan) == ONE_RACK | {"instance": 2, "vpc-endpoint": 2, "aws-service": 1}
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 9, "listen": 3, "table_route": 3}
    assert addresses(plan, "region.ecs")["lo"] == "198.51.100.40/32"
    assert addresses(plan, "region.ecs")["vpce-app.eceae9"] == "100.101.64.0/31"
    endpoint = "region.vpce-app.ecs.cloud"
    assert addresses(plan, endpoint) == {"eth0": "10.77.1.254/24", "service": "100.101.64.1/31"}
    assert routes_of(plan, endpoint)["198.51.100.40/32"] == "100.101.64.0 service"
    zone = "ecs-a.us-west-2.amazonaws.com"
    assert records(plan, "region.dns-app", zone) == [f"{zone}. A 10.77.1.253"]
    processes = {p.name: p.reload for n in plan.nodes for p in n.processes if "ecs" in p.name}
    assert processes == {"ecs": "program", "ecs-agent": "restart"}
