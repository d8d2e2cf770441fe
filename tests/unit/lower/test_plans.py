"""What makes each shipped topology what it is, as its plan says it: racks and sites.

`first` and `firewalls` are pinned to the byte (`test_lower.py`), and with them what
every site has; here is what the others have beyond that. What is special in their local
gateways is in `test_plans_local_gateway.py`, in the Region in
`test_plans_region.py` and `test_plans_direct_connect.py`, in filters in
`test_plans_filters.py`.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest
from views import (
    ONE_RACK,
    ONE_RACK_CHECKS,
    OTHERS,
    TWO_RACKS,
    TWO_RACKS_CHECKS,
    addresses,
    chain,
    checks,
    delays,
    described,
    frr_options,
    frr_sessions,
    named,
    roles,
    routes_of,
    sessions,
    shipped,
    titles,
    vpc_routes,
    wanted_routes,
    wiring,
)

from testbed.plan.checks import BgpCheck, LagCheck, ListenCheck
from testbed.plan.files import files_of
from testbed.plan.model import Veth

LOCAL, NOTHING, THROW = "169.254.168.0/22", {"0.0.0.0/0": "blackhole"}, "throw"


def test_each_topology_has_its_tests() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_plans*.py"))
    assert [name for name in OTHERS if f'shipped("{name}")' not in text] == []


@pytest.mark.parametrize("name", OTHERS)
def test_both_ends_of_a_session_agree(name: str) -> None:
    """On addresses and AS numbers, wherever both are BIRD's."""
    plan = shipped(name)
    found = [
        tuple(text.split(" on ")[0].split(" > "))
        for node in plan.nodes
        if node.router and node.router.daemon == "bird"
        for text in sessions(plan, node.name).values()
    ]
    own = {near for near, _ in found}
    assert [(near, far) for near, far in found if far in own and (far, near) not in found] == []
    others = {far.split()[0] for _, far in found if far not in own}
    expected = {"rack": {"10.0.0.6", "172.16.0.6", "100.64.0.1", "100.64.0.3", "100.65.0.2"}}
    expected["real-switch"] = {"198.18.0.1", "198.19.0.1", "100.65.0.0"}
    # of the device that runs FRR, which has two LAGs
    lags = {"198.18.0.3", "198.18.4.3", "198.19.0.3", "198.19.4.3"}
    expected["single-rack"] = lags | {"100.64.0.1", "100.64.0.3", "100.65.0.2"}
    assert others == expected.get(name, set())


@pytest.mark.parametrize("name", OTHERS)
def test_both_ends_of_a_cable_agree(name: str) -> None:
    """They are in one subnet, with an address each, where both have one."""
    plan = shipped(name)
    for node in plan.nodes:
        for interface in node.interfaces:
            if not isinstance(interface.device, Veth) or not interface.addresses:
                continue
            peer = plan.node(interface.device.peer_node).interface(interface.device.peer)
            own = ip_interface(interface.addresses[0])
            for far in map(ip_interface, peer.addresses[:1]):
                assert (own.network, own != far) == (far.network, True), (node.name, interface.name)


def test_intra_vpc_two_outposts() -> None:
    """Each rack has its own numbers, and a route to the other by its own local gateway."""
    plan = shipped("intra-vpc-two-outposts")
    assert roles(plan) == {
        role: number for role, number in TWO_RACKS.items() if role not in {"host", "lan-segment"}
    }
    assert checks(plan) == TWO_RACKS_CHECKS | {
        "bgp": 52,
        "route": 18,
        "listen": 6,
        "table_route": 5,
    }
    assert vpc_routes(plan) == [
        "app/a 10.0.4.0/24 op-a.local-gateway by op-a.vpc-app 2 active",
        "app/b 10.0.3.0/24 op-b.local-gateway by op-b.vpc-app 3 active",
    ]
    assert routes_of(plan, "op-a.vpc-app", 2) == NOTHING | {
        "10.0.0.0/16": THROW,
        "10.0.4.0/24": "100.104.2.2 lgw",
    }
    assert routes_of(plan, "op-a.vpc-app", 3)["10.0.3.0/24"] == "blackhole"
    assert routes_of(plan, "op-b.vpc-app", 3)["10.0.3.0/24"] == "100.104.2.4 lgw"
    assert wanted_routes(plan)[-6:] == [
        *("cnd1 1002 10.0.3.0/24", "cnd2 1002 10.0.3.0/24", "op-a.lgw 1003 10.0.4.0/24"),
        *("cnd1 1002 10.0.4.0/24", "cnd2 1002 10.0.4.0/24", "op-b.lgw 1003 10.0.3.0/24"),
    ]


def test_second_outpost_has_numbers_of_its_own() -> None:
    """VLANs, AS numbers, infrastructure subnet, tunnels and overlay."""
    plan = shipped("intra-vpc-two-outposts")
    assert sessions(plan, "cnd2") == {
        "op_a_service_link": "198.18.0.3 as 65000 > 198.18.0.2 as 64512 on op-a.1002"
        ": 198.51.100.0/24",
        "op_b_service_link": "198.18.0.7 as 65000 > 198.18.0.6 as 64514 on op-b.1004"
        ": 198.51.100.0/24",
        "sl_cnd1": "100.64.0.1 as 65000 > 100.64.0.0 as 65000 on sl_cnd1: all",
        "region": "100.65.0.2 as 65000 > 100.65.0.3 as 7224 on region: all",
        "op_a_local_gateway": "198.19.0.3 as 65000 > 198.19.0.2 as 64513 on op-a.2002: all",
        "op_b_local_gateway": "198.19.0.7 as 65000 > 198.19.0.6 as 64515 on op-b.2004: all",
        "lgw_cnd1": "100.64.0.3 as 65000 > 100.64.0.2 as 65000 on lgw_cnd1: all",
    }
    assert sessions(plan, "op-b.ond2")["customer_service_link"] == (
        "198.18.0.6 as 64514 > 198.18.0.7 as 65000 on bond0.1004"
        ": 10.200.0.64/27 +AS +AS +AS, 10.200.0.96/27"
    )
    assert wiring(plan, "op-b.sl")["wg2"] == (
        "443 by op-b.host2: anchor2 198.51.100.12:443 100.97.255.254/32 100.98.255.254/32"
    )
    assert addresses(plan, "op-b.sl") == {
        "lo": "100.98.0.2/32",
        "ond1": "100.99.0.33/31",
        "ond2": "100.99.0.35/31",
        "wg1": "100.96.0.2/16",
        "wg2": "100.97.0.2/16",
    }
    assert wiring(plan, "region.anchor1")["wg0"] == (
        "443 by region.anchor1: op-a None 100.96.0.1/32 100.98.0.1/32,"
        " op-b None 100.96.0.2/32 100.98.0.2/32"
    )
    assert wiring(plan, "region.vpc-app")["op-op-b"] == (
        "VNI 258 100.98.255.254 > 100.98.0.2:4789 by region.fabric"
    )


def test_region_keeps_outposts_apart() -> None:
    """And takes longer from one zone to another."""
    plan = shipped("intra-vpc-two-outposts")
    assert 'iifname "op-*" oifname "op-*" counter drop' in chain(plan, "region.vpc-app", "forward")
    assert [rule.replace('"', "") for rule in chain(plan, "region.vpc-app", "zones")[1:]] == [
        "iifname vmap { eni-cloud : jump zone_1, op-op-a : jump zone_1, op-op-b : jump zone_2 }"
    ]
    slow = ["meta priority set 2:2"]
    assert chain(plan, "region.vpc-app", "zone_1") == [
        'oifname { "eni-cloud", "op-op-a" } return',
        *slow,
    ]
    assert chain(plan, "region.vpc-app", "zone_2") == ['oifname { "op-op-b" } return', *slow]
    assert delays(plan, "region.vpc-app") == dict.fromkeys(
        ["eni-cloud", "op-op-a", "op-op-b"], "0.5 ms, 0 Mbit/s, queue 42084, between zones"
    )
    for node in ("op-a.vpc-app", "op-b.vpc-app"):
        assert 'iifname "lgw" oifname "sl" counter drop' in chain(plan, node, "forward")


def test_rack() -> None:
    """The addresses of the example in AWS's user guide, and four uplinks for each device."""
    plan = shipped("rack")
    assert roles(plan) == ONE_RACK | {"instance": 2}
    assert checks(plan) == ONE_RACK_CHECKS | {"route": 9, "listen": 11, "table_route": 3}
    assert addresses(plan, "op.ond1") | addresses(plan, "op.ond2") == {
        "bond0.1001": "10.0.0.1/30",
        "bond0.2001": "172.16.0.1/30",
        "bond0.1002": "10.0.0.5/30",
        "bond0.2002": "172.16.0.5/30",
        "to-lgw": "100.99.0.22/31",
        "to-sl": "100.99.0.18/31",
    }
    assert addresses(plan, "cnd2")["lan_office"] == "192.168.10.3/24"
    assert {name: wiring(plan, "cnd2")[name] for name in ("op", "op.1002", "op.2002", "op_4")} == {
        "op": "LACP fast, 50 ms, 1 link",
        "op_4": "op.ond2:uplink4 in op",
        "op.1002": "op VLAN 1002 in sl",
        "op.2002": "op VLAN 2002 in lgw",
    }
    assert [check.members for check in plan.checks if isinstance(check, LagCheck)] == [
        *[("uplink1", "uplink2", "uplink3", "uplink4")] * 2,
        *[("op_1", "op_2", "op_3", "op_4")] * 2,
    ]
    assert delays(plan, "cnd1") == {
        **dict.fromkeys(["op_1", "op_2", "op_3", "op_4"], "0 ms, 10000 Mbit/s, queue 41667"),
        **dict.fromkeys(["sl_cnd2", "lgw_cnd2"], "0.1 ms, 10000 Mbit/s, queue 41751"),
        "region": "15 ms, 1000 Mbit/s, queue 5417",
    }
    assert [title for title in titles(plan, "listen") if title.startswith("desk")] == [
        *("desk http on tcp port 80", "desk echo on tcp port 7", "desk echo on udp port 7")
    ]
    listening = [check for check in plan.checks if isinstance(check, ListenCheck)]
    assert [(c.protocol, c.port) for c in listening if c.node == "desk"] == [
        *(("tcp", 80), ("tcp", 7), ("udp", 7))
    ]
    assert routes_of(plan, "desk") == {"0.0.0.0/0": "192.168.10.2 eth0 + 192.168.10.3 eth0"}


def test_rack_has_an_frr_device() -> None:
    """With sessions, filters and daemons of its own, and checks by neighbour."""
    plan = shipped("rack")
    assert frr_sessions(plan, "cnd2") == {
        "sl 10.0.0.5": "65000 > 64512: op-service-link-out",
        "sl 100.64.0.0": "65000 > 65000: all",
        "sl 100.65.0.3": "65000 > 7224: all",
        "lgw 172.16.0.5": "65000 > 64513: all",
        "lgw 100.64.0.2": "65000 > 65000: all",
        "lgw network": "192.168.10.0/24",
    }
    assert files_of(plan.node("cnd2"))["bgpd.conf"].splitlines()[1:7] == [
        "hostname cnd2",
        "log stdout",
        "ip prefix-list op-service-link-out-1 seq 5 permit 198.51.100.0/24",
        "route-map op-service-link-out permit 10",
        " match ip address prefix-list op-service-link-out-1",
        "exit",
    ]
    assert frr_options(plan, "cnd2") == 2 * [
        {
            *("bgp router-id 10.0.0.6", "bgp log-neighbor-changes", "timers 30 90"),
            *("no bgp default ipv4-unicast", "no bgp ebgp-requires-policy"),
            *("no bgp network import-check", "bgp bestpath as-path multipath-relax"),
            *("timers connect 2", "advertisement-interval 0", "activate", "next-hop-self"),
            *("address-family ipv4 unicast", "exit-address-family"),
            *("maximum-paths 16", "maximum-paths ibgp 16"),
        }
    ]
    frr = [c for c in plan.checks if isinstance(c, BgpCheck) and c.daemon == "frr"]
    assert [f"{check.protocol} {check.neighbor}" for check in frr] == [
        name for name in frr_sessions(plan, "cnd2") if "network" not in name
    ]


def test_frr_daemons() -> None:
    """Each reads its own file; bgpd begins once zebra listens."""
    plan = shipped("rack")
    own = "/run/node/cnd2"
    for process, after in zip(plan.node("cnd2").processes, ((), ("zserv.api",)), strict=True):
        name = process.name
        assert process.argv == (
            *(name, "-f", f"{own}/{name}.conf", "-i", f"{own}/{name}.pid"),
            *("-z", f"{own}/zserv.api", "--vty_socket", own, "-P", "0", "--log", "stdout"),
        )
        assert (process.files, process.after) == ((f"{name}.conf",), after)
    assert [process.name for process in plan.node("cnd2").processes] == ["zebra", "bgpd"]


def test_real_switch() -> None:
    """Where cables led to the real device there are the host's interfaces."""
    plan = shipped("real-switch")
    assert roles(plan) == ONE_RACK | {"instance": 1, "customer-network-device": 1}
    assert checks(plan) == ONE_RACK_CHECKS | {
        "bgp": 25,
        "lag": 3,
        "route": 8,
        "listen": 3,
        "table_route": 2,
    }
    assert {
        f"{node.name} {name}": text
        for node in plan.nodes
        for name, text in wiring(plan, node.name).items()
        if text.startswith("host ")
    } == {
        "op.ond1 uplink1": "host eth1 in bond0",
        "op.ond1 uplink2": "host eth2 in bond0",
        "region.edge cust-cnd1": "host eth3",
        "site.lan-office cnd1": "host eth4 in br0",
        "site.lan-office real-eth5": "host eth5 in br0",
    }
    assert plan.node("op.ond1").interface("uplink1").mac is None
    assert delays(plan, "op.ond1") == dict.fromkeys(
        ["uplink1", "uplink2"], "0 ms, 1000 Mbit/s, queue 4167"
    )
    assert addresses(plan, "region.edge")["cust-cnd1"] == "100.65.0.1/31"
    assert titles(plan, "lag") == [
        *("LAG op.ond1 bond0 - cnd1", "LAG op.ond2 bond0 - cnd2", "LAG cnd2 op - op.ond2")
    ]
    assert [title for title in titles(plan, "bgp") if title.startswith("cnd")] == [
        "cnd2 - op OND2, service-link VLAN 1002",
        "cnd2 - Region edge",
        "cnd2 - op OND2, local-gateway VLAN 2002",
    ]


def test_two_racks() -> None:
    """Two sites with AS numbers of their own, and a WAN between them."""
    plan = shipped("two-racks")
    assert roles(plan) == TWO_RACKS | {"customer-network-device": 4, "wan": 1}
    assert checks(plan) == TWO_RACKS_CHECKS | {
        "bgp": 68,
        "route": 20,
        "listen": 14,
        "table_route": 7,
    }
    assert sessions(plan, "site.wan") == {
        "customer_cnd1": "100.66.0.1 as 65500 > 100.66.0.0 as 65000 on cust-cnd1: all",
        "customer_cnd2": "100.66.0.3 as 65500 > 100.66.0.2 as 65000 on cust-cnd2: all",
        "customer_cnd3": "100.66.0.5 as 65500 > 100.66.0.4 as 65001 on cust-cnd3: all",
        "customer_cnd4": "100.66.0.7 as 65500 > 100.66.0.6 as 65001 on cust-cnd4: all",
    }
    assert described(plan, "wan") == ["customer WAN (AS 65500) in site"]
    assert {"WAN - cnd1", "cnd1 - WAN", "cnd3 - cnd4, VRF lgw"} <= set(titles(plan, "bgp"))
    wan = dict.fromkeys(addresses(plan, "site.wan"), "2 ms, 1000 Mbit/s, queue 4334")
    assert delays(plan, "site.wan") == wan
    assert wiring(plan, "cnd3")["wan"] == "site.wan:cust-cnd3 in lgw"
    assert "lgw_cnd4" in sessions(plan, "cnd3")
    assert routes_of(plan, "op-a.vpc-app", 2) == {
        "10.77.0.0/16": THROW,
        LOCAL: "blackhole",
        **dict.fromkeys(["0.0.0.0/0", "10.77.11.0/24"], "100.104.2.2 lgw"),
    }
    assert wanted_routes(plan)[-8:] == [
        *("cnd1 1002 10.77.7.0/24", "cnd2 1002 10.77.7.0/24"),
        *("op-a.lgw 1003 10.77.11.0/24", "op-a.lgw 1003 192.168.10.0/24"),
        *("cnd3 1002 10.77.11.0/24", "cnd4 1002 10.77.11.0/24"),
        *("op-b.lgw 1003 10.77.7.0/24", "op-b.lgw 1003 192.168.10.0/24"),
    ]


def test_two_racks_blocked() -> None:
    """It is two-racks without four routes and what they are checked by; nothing else differs."""
    whole, blocked = shipped("two-racks"), shipped("two-racks-blocked")
    gone = {}
    for node in whole.nodes:
        other = blocked.node(node.name)
        routes = tuple(route for route in node.routes if route in other.routes)
        assert replace(node, routes=routes) == other
        if routes != node.routes:
            gone[node.name] = [
                (r.table, r.destination) for r in node.routes if r not in other.routes
            ]
    more_specific = [(2, "10.77.11.0/24"), (3, "10.77.7.0/24")]
    assert gone == dict.fromkeys(named(whole, "vpc-router"), more_specific)
    assert [title for title in vpc_routes(whole) if title not in vpc_routes(blocked)] == [
        "app/rack-a 10.77.11.0/24 op-a.local-gateway by op-a.vpc-app 2 active",
        "app/rack-b 10.77.7.0/24 op-b.local-gateway by op-b.vpc-app 3 active",
    ]
    assert len(whole.checks) == len(blocked.checks) + 2
    assert [check for check in blocked.checks if check not in whole.checks] == []
