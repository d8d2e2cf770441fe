"""What the testbed packs by hand, read back by pyroute2: an independent view of the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from testbed.plan.model import Bond, Interface, Loopback, Node, Vlan, Vrf, Vxlan
from testbed.testing import Testbed

ROOT = Path(__file__).parents[2]
IFF_UP = 1
ROUTE_TYPES = {1: "unicast", 6: "blackhole", 7: "unreachable", 9: "throw"}
STATIC = 4
TICK_NS = 64  # of the kernel's packet scheduler


@pytest.fixture(scope="module")
def testbed() -> Iterator[Testbed]:
    with Testbed.up(ROOT / "topologies" / "rack.yaml", name="reference", vm="never") as made:
        yield made


def links(netlink: Any) -> dict[str, Any]:
    return {link.get_attr("IFLA_IFNAME"): link for link in netlink.get_links()}


def data(link: Any, name: str) -> Any:
    return link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA").get_attr(name)


def check_device(interface: Interface, link: Any, found: dict[str, Any]) -> None:
    device = interface.device
    assert link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == device.kind
    if isinstance(device, Bond):
        assert data(link, "IFLA_BOND_MODE") == 4
        assert data(link, "IFLA_BOND_AD_LACP_RATE") == 1
        assert data(link, "IFLA_BOND_MIIMON") == device.miimon_ms
    elif isinstance(device, Vlan):
        assert data(link, "IFLA_VLAN_ID") == device.vid
        assert link.get_attr("IFLA_LINK") == found[device.parent]["index"]
    elif isinstance(device, Vrf):
        assert data(link, "IFLA_VRF_TABLE") == device.table
    elif isinstance(device, Vxlan):
        assert data(link, "IFLA_VXLAN_ID") == device.vni
        assert data(link, "IFLA_VXLAN_GROUP") == device.remote


def test_interfaces(testbed: Testbed) -> None:
    """Kind, parameters, state, MTU, MAC address, master and addresses of every interface."""
    for node in testbed.plan.nodes:
        with testbed[node.name].iproute() as netlink:
            found = links(netlink)
            held: dict[int, list[str]] = {}
            for entry in netlink.get_addr(family=2):
                text = f"{entry.get_attr('IFA_LOCAL')}/{entry['prefixlen']}"
                held.setdefault(entry["index"], []).append(text)
        for interface in node.interfaces:
            link = found[interface.name]
            assert link["flags"] & IFF_UP, (node.name, interface.name)
            assert set(interface.addresses) <= set(held.get(link["index"], []))
            if isinstance(interface.device, Loopback):
                continue
            check_device(interface, link, found)
            if interface.mtu is not None:
                assert link.get_attr("IFLA_MTU") == interface.mtu
            master = found[interface.master]["index"] if interface.master else None
            assert link.get_attr("IFLA_MASTER") == master
            member = interface.master and found[interface.master].get_attr("IFLA_LINKINFO")
            if interface.mac and not (member and member.get_attr("IFLA_INFO_KIND") == "bond"):
                assert link.get_attr("IFLA_ADDRESS") == interface.mac


def planned_routes(node: Node) -> set[tuple[str, int, str]]:
    return {(route.destination, route.table, route.type) for route in node.routes}


def test_routes_and_rules(testbed: Testbed) -> None:
    """Exactly the plan's static routes, and all its policy rules."""
    for node in testbed.plan.nodes:
        with testbed[node.name].iproute() as netlink:
            routes = {
                (
                    f"{route.get_attr('RTA_DST', '0.0.0.0')}/{route['dst_len']}",
                    route.get_attr("RTA_TABLE"),
                    ROUTE_TYPES[route["type"]],
                )
                for route in netlink.get_routes(family=2)
                if route["proto"] == STATIC
            }
            rules = {
                (rule.get_attr("FRA_PRIORITY", 0), rule.get_attr("FRA_TABLE"))
                for rule in netlink.get_rules(family=2)
            }
        assert routes == planned_routes(node), node.name
        assert {(rule.priority, rule.table) for rule in node.rules} <= rules
        assert all(ip_network(destination) for destination, _, _ in routes)


def test_netem(testbed: Testbed) -> None:
    """Links have the delay and rate of the topology file."""
    with testbed["cnd1"].iproute() as netlink:
        index = links(netlink)["region"]["index"]
        qdisc = next(q for q in netlink.get_qdiscs(index=index) if q["index"] == index)
    options = qdisc.get_attr("TCA_OPTIONS")
    assert qdisc.get_attr("TCA_KIND") == "netem"
    assert options["delay"] * TICK_NS == 15_000_000
    assert options.get_attr("TCA_NETEM_RATE")["rate"] == 125_000_000
