"""What makes the shipped topologies with Outposts servers what they are, as their plans say it."""

from __future__ import annotations

import json
from dataclasses import replace

from views import shipped

from testbed.lower import lower
from testbed.plan.model import Bridge, BridgePort, Netem, Node, Plan, Rule, Vlan, WireGuard
from testbed.topology import loads


def port(plan: Plan, node: str, interface: str) -> BridgePort | None:
    return plan.node(node).interface(interface).port


def argv(node: Node, name: str) -> tuple[str, ...]:
    return next(process.argv for process in node.processes if process.name == name)


def test_lni() -> None:
    plan = shipped("lni")
    link, pos = plan.node("srv.sl"), plan.node("pos")
    tunnels = [i.device for i in link.interfaces if isinstance(i.device, WireGuard)]
    assert [(t.socket_node, t.listen_port) for t in tunnels] == [("srv.sl", 443), ("srv.sl", 51443)]
    assert link.interface("eth0").addresses == ()
    assert link.interface("eth0").leased == ("192.168.51.128/24",)
    assert argv(link, "dhcp-eth0")[:3] == ("testbed-dhcp-client", "eth0", "udhcpc")
    assert not any(route.destination == "0.0.0.0/0" for route in link.routes)
    lan = pos.interface("eth1")
    assert lan.leased == ("192.168.50.102/24",)
    assert lan.netem == Netem(rate_mbps=4000.0, limit=lan.netem.limit if lan.netem else 0)
    script = pos.files["dhcp-eth1.sh"]
    assert 'ip route replace 192.168.60.0/24 via "$gateway" dev "$interface"' in script
    assert 'ip rule add from "$ip" lookup 2016 priority 316' in script
    assert 'ip route replace default via "$gateway" dev "$interface" metric' not in script
    rules = plan.node("srv.lni").nftables
    assert f'iifname "lni-pos-lan" ether saddr != {lan.mac} counter drop' in rules
    assert "limit rate over 39062500 bytes/second burst 500000000 bytes" in rules
    assert (
        f"dhcp-host={lan.mac},192.168.50.102,pos"
        in plan.node("site.dhcp-shop").files["dnsmasq.conf"]
    )
    assert plan.node("cnd1").interface("lan_transit").master == "sl"
    assert not any(node.name.endswith(".lgw") or ".ond" in node.name for node in plan.nodes)


def test_lni_vlan() -> None:
    plan = shipped("lni-vlan")
    assert plan.node("site.switch").interface("br0").device == Bridge(vlan_filtering=True)
    assert port(plan, "site.switch", "lni-srv") == BridgePort(10, (59,))
    assert port(plan, "site.switch", "sl-srv") == BridgePort(51)
    assert port(plan, "site.switch", "h-plc") == BridgePort(59)
    node = plan.node("node")
    assert node.interface("eth2.59").device == Vlan("eth2", 59)
    assert node.interface("eth2.59").addresses == ("192.168.59.30/24",)
    assert {r.dev for r in node.routes if r.table == 2033} == {"eth2.59"}
    assert "eth1" in {i.name for i in node.interfaces}  # an ordinary one of the VPC
    assert "0.0.0.0/0" in {r.destination for r in plan.node("srv.sl").routes}


def test_two_servers() -> None:
    plan = shipped("two-servers")
    assert {n.name for n in plan.nodes} >= {"srv1.sl", "srv1.lni", "srv2.sl", "srv2.lni"}
    macs = {plan.node(name).interface("eth1").mac for name in ("n1", "n2")}
    assert len(macs) == 2
    anchor = plan.node("region.anchor1").interface("wg0").device
    assert isinstance(anchor, WireGuard)
    assert [peer.name for peer in anchor.peers] == ["srv1", "srv2"]


PREFERRED = """
testbed: 1
name: t
region: {name: us-west-2}
vpcs:
  v:
    cidr: 10.80.0.0/16
    subnets: {s: {cidr: 10.80.1.0/24, outpost: srv, enable_lni_at_device_index: 1}}
outposts:
  srv:
    form_factor: server
    service_link: {segment: lan, switch_port: {mode: trunk}, key: wrong}
    local_network_interface: {segment: lan, switch_port: {auto_negotiation: true, max_macs: 3}}
site: {segments: {lan: {cidr: 192.168.1.0/24, vlan: 7, devices: [cnd1], dhcp: {}}}}
instances: {a: {subnet: s}}
network_interfaces:
  l: {subnet: s, instance: a, device_index: 1, lan: [{default_route: preferred}]}
"""


def test_what_a_customer_can_do_wrong_shows_in_the_plan() -> None:
    plan = lower(loads(PREFERRED))
    switch = plan.node("site.switch")
    assert port(plan, "site.switch", "sl-srv") == BridgePort(None, (7,))
    assert not switch.interface("lni-srv").up
    assert "size 3" in switch.nftables
    right = lower(loads(PREFERRED.replace(", key: wrong", "")))
    device, usual = (p.node("srv.sl").interface("wg1").device for p in (plan, right))
    assert isinstance(device, WireGuard)
    assert isinstance(usual, WireGuard)
    assert device != usual
    assert replace(device, private_key=usual.private_key) == usual


def test_a_preferred_lan_steps_before_the_vpc() -> None:
    node = lower(loads(PREFERRED)).node("a")
    (default,) = [r for r in node.routes if r.destination == "0.0.0.0/0" and r.dev == "eth0"]
    assert default.metric == 512
    assert 'default via "$gateway" dev "$interface" metric 0' in node.files["dhcp-eth1.sh"]


def test_nodes_of_a_service_address_leave_arp_to_its_program() -> None:
    plan = shipped("service-address")
    assert plan.names == {"shop": "192.168.70.200"}
    told = {name: json.loads(plan.node(name).files["layer2.json"]) for name in ("n1", "n2")}
    assert told["n1"]["others"] == {"n2": told["n2"]["address"]}
    for name, declared in told.items():
        node = plan.node(name)
        assert declared["services"]["shop"]["interface"] == "eth1"
        assert node.interface("lo").addresses == ("192.168.70.200/32",)
        assert node.interface("eth1").sysctls["net/ipv4/conf/eth1/arp_ignore"] == "1"
        assert Rule(290, 2016, source="192.168.70.200/32") in node.rules
