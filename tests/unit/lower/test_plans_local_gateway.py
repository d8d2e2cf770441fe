"""What the plans of the shipped topologies say of local gateways: both modes, ingress routing."""

from __future__ import annotations

from views import (
    ONE_RACK,
    ONE_RACK_CHECKS,
    addresses,
    chain,
    checks,
    described,
    elements,
    gateway_ports,
    gateway_routes,
    roles,
    routes_of,
    rules_of,
    sessions,
    sets,
    shipped,
    titles,
    vpc_routes,
    wanted_routes,
    wiring,
)

from testbed.plan.files import files_of

LOCAL, NOTHING, THROW = "169.254.168.0/22", {"0.0.0.0/0": "blackhole"}, "throw"


def test_coip() -> None:
    """The translation is one to one, of instances that have an address only."""
    plan = shipped("coip")
    assert roles(plan) == ONE_RACK | {"customer-owned-ip": 1, "instance": 4}
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 9, "listen": 13, "table_route": 3}
    assert elements(plan, "op.coip-app", "private_addresses") == [
        "172.20.0.1 : 10.0.3.113",
        "172.20.0.2 : 10.0.3.112",
    ]
    assert elements(plan, "op.coip-app", "customer_owned_addresses") == [
        "10.0.3.112 : 172.20.0.2",
        "10.0.3.113 : 172.20.0.1",
    ]
    assert elements(plan, "op.coip-app", "owners") == ["10.0.3.112", "10.0.3.113"]
    assert elements(plan, "op.coip-app", "associations") == [
        "10.0.3.112 . 172.20.0.2",
        "10.0.3.113 . 172.20.0.1",
    ]
    assert elements(plan, "op.coip-app", "not_translated") == []
    assert sets(plan, "op.coip-app") == {
        "private_addresses": "ipv4_addr : ipv4_addr",
        "customer_owned_addresses": "ipv4_addr : ipv4_addr",
        "owners": "ipv4_addr",
        "associations": "ipv4_addr . ipv4_addr",
        "not_translated": "ipv4_addr flags interval",
    }
    assert chain(plan, "op.coip-app", "raw") == [
        "type filter hook prerouting priority raw; policy accept;",
        'iifname "lgw" ip daddr @not_translated notrack',
        'iifname "vpc" ip saddr @not_translated notrack',
    ]


def test_coip_lets_nothing_else_through() -> None:
    plan = shipped("coip")
    assert chain(plan, "op.coip-app", "prerouting") == [
        "type nat hook prerouting priority dstnat; policy accept;",
        'iifname "lgw" dnat to ip daddr map @private_addresses',
    ]
    assert chain(plan, "op.coip-app", "postrouting") == [
        "type nat hook postrouting priority srcnat; policy accept;",
        'iifname "vpc" snat to ip saddr map @customer_owned_addresses',
    ]
    assert chain(plan, "op.coip-app", "forward") == [
        "type filter hook forward priority filter; policy drop;",
        'iifname "lgw" jump from_gateway',
        'iifname "vpc" jump from_vpc',
        "counter drop",
    ]
    assert chain(plan, "op.coip-app", "from_gateway") == [
        "ct direction original ip daddr . ct original ip daddr @associations accept",
        "ct direction reply ip daddr . ct reply ip daddr @associations accept",
        "ip daddr @not_translated accept",
    ]
    assert chain(plan, "op.coip-app", "from_vpc") == [
        "ct state new ip saddr @owners accept",
        "ct direction original ip saddr . ct reply ip daddr @associations accept",
        "ct direction reply ip saddr . ct original ip daddr @associations accept",
        "ip saddr @not_translated accept",
    ]


def test_coip_routes() -> None:
    """What is announced and led inward is the pool, and no subnet."""
    plan = shipped("coip")
    pool = {"0.0.0.0/0": THROW, "172.20.0.0/26": "100.100.64.3 coip-app"}
    assert routes_of(plan, "op.lgw", 1006) == routes_of(plan, "op.lgw", 1007) == pool
    assert rules_of(plan, "op.lgw") == [
        *("100: in lo 254", "110: in lo 1006", "200: in ond1 1006", "200: in ond2 1006"),
        *("210: in ond1 blackhole", "210: in ond2 blackhole"),
        *("300: 1007", "310: 1003", "320: blackhole"),
    ]
    assert routes_of(plan, "op.coip-app") == {"0.0.0.0/0": "100.100.64.2 lgw"}
    assert routes_of(plan, "op.coip-app", 1) == {"10.0.0.0/16": "100.104.2.3 vpc"}
    assert rules_of(plan, "op.coip-app") == [
        *("100: in lo 1", "200: in lgw 1", "210: in lgw blackhole")
    ]
    assert wiring(plan, "op.coip-app") == {"lgw": "op.lgw:coip-app", "vpc": "op.vpc-app:lgw"}
    for device in (1, 2):
        uplink = sessions(plan, f"op.ond{device}")["customer_local_gateway"]
        assert uplink.split(": ")[1] == "172.20.0.0/26"
    assert "  route 172.20.0.0/26 unreachable;" in files_of(plan.node("op.lgw"))["bird.conf"]
    assert gateway_routes(plan) == [
        "0.0.0.0/0 vif-group static 1007 active",
        "172.20.0.0/26 campus propagated 1006 active",
    ]
    assert gateway_ports(plan)[2:] == ["vpc app op.lgw:coip-app"]
    assert wanted_routes(plan)[-3:] == [
        *("cnd1 1002 172.20.0.0/26", "cnd2 1002 172.20.0.0/26", "op.lgw 1003 192.168.10.0/24")
    ]
    assert "cnd1: op CoIP pool 172.20.0.0/26" in titles(plan, "route")
    assert vpc_routes(plan) == ["app/rack 0.0.0.0/0 op.local-gateway by op.vpc-app 2 active"]


def test_coip_overlapping_vpcs() -> None:
    """One private address in two VPCs; behind each translation there is one VPC only."""
    plan = shipped("coip-overlapping-vpcs")
    assert roles(plan) == ONE_RACK | {
        "customer-owned-ip": 2,
        "instance": 3,
        "vpc-router": 4,
        "dns-resolver": 2,
    }
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 9, "listen": 13, "table_route": 4}
    assert described(plan, "customer-owned-ip") == [
        f"op customer-owned IP addresses of VPC {vpc} in op" for vpc in ("red", "blue")
    ]
    assert addresses(plan, "red") == addresses(plan, "blue") == {"eth0": "10.0.3.10/24"}
    for vpc, public in (("red", "172.20.0.10"), ("blue", "172.20.0.20")):
        node = f"op.coip-{vpc}"
        assert elements(plan, node, "private_addresses") == [f"{public} : 10.0.3.10"]
        assert elements(plan, node, "associations") == [f"10.0.3.10 . {public}"]
    inward = {
        "0.0.0.0/0": THROW,
        "172.20.0.0/26": "100.100.64.3 coip-red",
        "172.20.0.20/32": "100.100.64.5 coip-blue",
    }
    assert routes_of(plan, "op.lgw", 1006) == routes_of(plan, "op.lgw", 1007) == inward
    assert wiring(plan, "op.vpc-red")["sl"] == "VNI 257 100.98.0.1 > 100.98.255.254:4789 by op.sl"
    assert wiring(plan, "op.vpc-blue")["sl"] == "VNI 513 100.98.0.1 > 100.98.255.254:4789 by op.sl"
    assert gateway_ports(plan)[2:] == ["vpc red op.lgw:coip-red", "vpc blue op.lgw:coip-blue"]


def test_direct_vpc_routing() -> None:
    """Announced are the subnets with a route to the local gateway, of both VPCs."""
    plan = shipped("direct-vpc-routing")
    assert roles(plan) == ONE_RACK | {"instance": 4, "vpc-router": 4, "dns-resolver": 2}
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 11, "listen": 13, "table_route": 5}
    assert routes_of(plan, "op.lgw", 1004) == {
        "0.0.0.0/0": THROW,
        "10.0.3.0/24": "100.104.2.3 vpc-app",
        "10.8.3.0/24": "100.104.4.3 vpc-other",
    }
    assert routes_of(plan, "op.lgw", 1005) == {"0.0.0.0/0": THROW}
    for device in (1, 2):
        uplink = sessions(plan, f"op.ond{device}")["customer_local_gateway"]
        assert uplink.split(": ")[1] == "10.0.3.0/24, 10.8.3.0/24"
    assert wanted_routes(plan)[-5:] == [
        *("cnd1 1002 10.0.3.0/24", "cnd1 1002 10.8.3.0/24"),
        *("cnd2 1002 10.0.3.0/24", "cnd2 1002 10.8.3.0/24", "op.lgw 1003 192.168.10.0/24"),
    ]
    assert elements(plan, "op.vpc-app", "route_tables") == ["eni-apart : 1", "eni-web : 2"]
    assert routes_of(plan, "op.vpc-app", 1) == {"10.0.0.0/16": THROW} | NOTHING
    assert routes_of(plan, "op.vpc-app", 2) == {
        "10.0.0.0/16": THROW,
        LOCAL: "blackhole",
        "0.0.0.0/0": "100.104.2.2 lgw",
    }
    assert routes_of(plan, "region.vpc-app", 2)["0.0.0.0/0"] == "blackhole"
    assert routes_of(plan, "op.vpc-other", 1)["0.0.0.0/0"] == "100.104.4.2 lgw"
    assert gateway_routes(plan)[1:] == [
        "10.0.3.0/24 app/rack propagated 1004 active",
        "10.8.3.0/24 other/other propagated 1004 active",
    ]


def test_ingress_routing_appliance() -> None:
    """What the local gateway sends to the firewall goes on to it, and not to the server."""
    plan = shipped("ingress-routing-appliance")
    assert roles(plan) == ONE_RACK | {"instance": 2}
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 11, "listen": 6, "table_route": 5}
    inward = dict.fromkeys(["10.0.3.0/24", "10.0.4.0/24", "172.30.0.0/16"], "100.104.2.3 vpc-app")
    assert routes_of(plan, "op.lgw", 1004) == inward | {
        "0.0.0.0/0": THROW,
        "172.31.0.0/16": "blackhole",
    }
    assert routes_of(plan, "op.vpc-app", 2000) == {
        "10.0.3.0/24": THROW,
        "10.0.4.0/24": "10.0.3.4 eni-firewall",
        "172.30.0.0/16": "10.0.3.4 eni-firewall",
    }
    assert "80: in lgw 2000" in rules_of(plan, "op.vpc-app")
    assert routes_of(plan, "op.vpc-app", 3) == {
        "10.0.0.0/16": THROW,
        LOCAL: "blackhole",
        "0.0.0.0/0": "10.0.3.4 eni-firewall",
        "192.0.2.0/24": "100.104.2.2 lgw",
    }
    assert routes_of(plan, "region.vpc-app", 3)["0.0.0.0/0"] == "100.108.2.2 op-op"
    assert elements(plan, "op.vpc-app", "unchecked_ports") == ["eni-firewall"]
    assert elements(plan, "op.vpc-app", "interface_addresses") == ["eni-server . 10.0.4.4"]
    assert elements(plan, "op.vpc-app", "unchecked_addresses") == ["eni-firewall . 10.0.3.4"]
    assert gateway_routes(plan) == [
        "0.0.0.0/0 vif-group static 1005 active",
        "10.0.4.0/24 firewall.network-interface static 1004 active",
        "172.30.0.0/16 firewall.network-interface static 1004 active",
        "172.31.0.0/16 spare.network-interface static 1004 blackhole",
        "10.0.3.0/24 app/outside propagated 1004 active",
    ]
    assert vpc_routes(plan)[1:] == [
        "app/inside 0.0.0.0/0 firewall.network-interface by op.vpc-app 3 active",
        "app/inside 192.0.2.0/24 op.local-gateway by op.vpc-app 3 active",
    ]
