"""The Region and the site: changes, and those that take them back."""

from __future__ import annotations

from testbed.topology import editing as edit
from testbed.topology.editing import Change, together

CONFIG = "router id 10.0.0.1;\n"
RULE = {
    "prefixes": ["10.0.0.0/8 le 24"],
    "communities": ["65000:1"],
    "action": "deny",
    "prepend": 1,
    "local_preference": 50,
    "med": 10,
    "add_communities": ["no-export"],
}
BGP = {
    "hold_time": 30,
    "keepalive_time": 5,
    "graceful_restart": "restart",
    "max_prefixes": 100,
    "allowas_in": 1,
    "as_override": True,
    "remove_private_as": True,
    "default_originate": True,
    "inbound": [RULE],
    "outbound": [RULE],
}


AGREED = {  # with the other end
    "bfd": {"interval": 100, "multiplier": 5},
    "password": "key",
    "ttl_security": True,
}
ROUND_TRIPS: list[tuple[Change, Change]] = [
    # the Region
    (
        edit.modify_region(
            asn=64700,
            public_cidr="198.51.100.0/25",
            anchors={"first": "198.51.100.50", "second": "198.51.100.51"},
            elastic_ip_cidr="203.0.113.0/25",
            zone_delay="1ms",
            metrics_period=30,
            api=True,
        ),
        edit.modify_region(
            asn=7224,
            public_cidr=None,
            anchors=None,
            elastic_ip_cidr=None,
            zone_delay=None,
            metrics_period=None,
            api=None,
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
        edit.add_site_device(device="new", asn=65100, daemon="frr", bgp=BGP | AGREED),
        edit.remove_site_device(device="new"),
    ),
    (
        edit.modify_site_device(device="cnd3", asn=65101, daemon="frr"),
        edit.modify_site_device(device="cnd3", asn=None, daemon="bird"),
    ),
    (
        edit.modify_site_device(device="cnd3", bgp={"hold_time": 30, "restart_time": 60}),
        edit.modify_site_device(device="cnd3", bgp=None),
    ),
    (
        edit.modify_site_device_bgp(
            device="cnd3", **BGP, restart_time=60, sessions={"wan": BGP | AGREED}
        ),
        edit.modify_site_device_bgp(
            device="cnd3", **dict.fromkeys(BGP), restart_time=None, sessions=None
        ),
    ),
    (
        together(
            edit.add_file(file="cnd3.conf", text=CONFIG),
            edit.modify_site_device(
                device="cnd3",
                config="cnd3.conf",
                config_interfaces={"eth1": "region"},
                vrfs={"inet": ["region"]},
            ),
        ),
        together(
            edit.modify_site_device(device="cnd3", config=None, config_interfaces=None, vrfs=None),
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
        together(
            edit.modify_region_link(delay="5ms", rate="2G", mtu=1400, devices=["cnd1", "cnd2"]),
            edit.modify_region_link(default_route=True),
        ),
        edit.modify_region_link(delay=None, rate=None, mtu=None, devices=None, default_route=None),
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
        together(
            edit.modify_site_segment(
                segment="office",
                vlan=7,
                mtu=9000,
                mac_ageing="1m",
                floods=False,
                arp_timeout="5m",
                ipv6_cidr="2001:db8:9::/64",
                dhcp={
                    "range": "192.168.10.100-192.168.10.150",
                    "address": "192.168.10.5",
                    "router": "192.168.10.2",
                    "name_servers": ["192.168.10.5"],
                    "domain": "office.example",
                    "lease_time": "5m",
                },
                vrrp={
                    "address": "192.168.10.9",
                    "virtual_router_id": 9,
                    "interval": "100ms",
                    "priorities": {"cnd1": 90},
                },
            ),
            edit.modify_site_host(host="desk", dhcp=True, arp_timeout="20m"),
        ),
        together(
            edit.modify_site_host(host="desk", dhcp=False, arp_timeout=None),
            edit.modify_site_segment(
                segment="office",
                vlan=None,
                mtu=None,
                mac_ageing=None,
                floods=True,
                arp_timeout=None,
                ipv6_cidr=None,
                dhcp=None,
                vrrp=None,
            ),
        ),
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
        together(
            edit.create_connection(connection="new", device="cnd1", delay="2ms", rate="2G"),
            edit.create_transit_virtual_interface(
                connection="new",
                transit_gateway="lone",
                asn=64900,
                allowed_prefixes=["10.1.0.0/16"],
                mtu=8500,
                vlan=110,
                amazon_address="169.254.7.1/30",
                customer_address="169.254.7.2/30",
                auth_key="6-to-80",
                bfd=True,
                vrf="sl",
                prefix_pool_allocated_count_ipv4=50,
            ),
        ),
        together(
            edit.delete_transit_virtual_interface(connection="new"),
            edit.delete_connection(connection="new"),
        ),
    ),
    (
        together(
            edit.create_connection(
                connection="new", device="cnd1", transit_vif={"transit_gateway": "lone"}
            ),
            edit.modify_transit_virtual_interface(connection="new", mtu=8500),
        ),
        edit.delete_connection(connection="new"),
    ),
    (
        edit.modify_connection(connection="dx", delay="1ms"),
        edit.modify_connection(connection="dx", delay=None),
    ),
    (
        edit.create_public_virtual_interface(
            connection="dx",
            vlan=111,
            amazon_address="169.254.8.1/30",
            customer_address="169.254.8.2/30",
            auth_key="6-to-80",
            bfd=True,
            vrf="sl",
        ),
        edit.delete_public_virtual_interface(connection="dx"),
    ),
    (
        together(
            edit.create_public_virtual_interface(connection="dx"),
            edit.modify_public_virtual_interface(connection="dx", bfd=True),
        ),
        edit.delete_public_virtual_interface(connection="dx"),
    ),
    (
        edit.modify_private_virtual_interface(
            connection="dx",
            mtu=9001,
            vlan=112,
            amazon_address="169.254.9.1/30",
            customer_address="169.254.9.2/30",
            bfd=True,
            vrf="lgw",
            prefix_pool_allocated_count_ipv4=50,
            auth_key="6-to-80",
        ),
        edit.modify_private_virtual_interface(
            connection="dx",
            mtu=1500,
            vlan=None,
            amazon_address=None,
            customer_address=None,
            bfd=False,
            vrf=None,
            prefix_pool_allocated_count_ipv4=None,
            auth_key=None,
        ),
    ),
    (
        edit.delete_private_virtual_interface(connection="dx"),
        edit.create_private_virtual_interface(connection="dx", virtual_private_gateway="app"),
    ),
    (
        together(
            edit.remove_site_firewall(firewall="fw"),
            edit.modify_site_internet(devices=["cnd2"]),
            edit.modify_site_device(
                device="cnd1",
                host_interfaces={
                    "uplinks": {"op": ["eth1"], "op-coip": ["eth2"]},
                    "region": "eth3",
                    "wan": "eth4",
                    "links": {"cnd2": ["eth5", "eth6"]},
                    "segments": {"office": "eth7"},
                },
            ),
        ),
        together(
            edit.modify_site_device(device="cnd1", host_interfaces=None),
            edit.modify_site_internet(devices=["cnd1"]),
            edit.add_site_firewall(firewall="fw", devices=["cnd1"]),
        ),
    ),
]
