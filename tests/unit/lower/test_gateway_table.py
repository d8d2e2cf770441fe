"""The local gateway's route table: what wins where, and what is left of each route."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.lower import lower
from testbed.lower.rack import gateway_table
from testbed.lower.rack.gateway_table import Entry
from testbed.plan.checks import LocalGatewayCheck
from testbed.plan.model import Plan
from testbed.plan.replaced import replaced
from testbed.topology import loads
from testbed.topology.model import Topology

BASE = IPv4Network("10.0.0.0/24")
networks = st.builds(
    lambda address, length: IPv4Network((int(BASE[0]) + address, length), strict=False),
    st.integers(0, 255),
    st.integers(24, 32),
)
tables = st.sets(networks, min_size=1, max_size=8).map(
    lambda found: tuple(Entry(network, "vif-group", str(network)) for network in sorted(found))
)


@given(tables, st.integers(0, 255))
def test_each_address_is_in_the_range_of_the_route_that_wins(
    table: tuple[Entry, ...], offset: int
) -> None:
    """The ranges of the routes are disjoint, and say the same as a lookup."""
    address = BASE[0] + offset
    winner = gateway_table.lookup(table, address)
    owners = [
        entry
        for entry in table
        if any(address in part for part in gateway_table.own_range(table, entry))
    ]
    assert owners == ([winner] if winner else [])
    if winner:
        lengths = [e.destination.prefixlen for e in table if address in e.destination]
        assert winner.destination.prefixlen == max(lengths)


@given(st.lists(networks, max_size=4), st.lists(networks, max_size=4), st.integers(0, 255))
def test_without(kept: list[IPv4Network], taken: list[IPv4Network], offset: int) -> None:
    address = BASE[0] + offset
    rest = gateway_table.without(kept, taken)
    inside = any(address in network for network in kept)
    gone = any(address in network for network in taken)
    assert any(address in network for network in rest) == (inside and not gone)


TEXT = """
testbed: 1
name: t
region: {name: us-west-2, zones: [us-west-2a]}
vpcs:
  app:
    cidr: 10.1.0.0/16
    subnets: {rack: {cidr: 10.1.3.0/24, outpost: op, map_customer_owned_ip_on_launch: b}}
    route_tables: {main: {routes: [{destination: 0.0.0.0/0, target: op.local-gateway}]}}
  other: {cidr: 10.1.0.0/16, subnets: {there: {cidr: 10.1.3.0/24, outpost: op}}}
outposts:
  op:
    local_gateway:
      mode: coip
      coip_pools: {a: {cidrs: [172.20.0.0/26]}, b: {cidrs: [172.20.1.0/26]}}
      routes: [{destination: 0.0.0.0/0}, {destination: 172.20.1.32/27, target: first.instance}]
instances:
  first: {subnet: rack}
  second: {subnet: rack, customer_owned_ip: 172.20.1.1}
  third: {subnet: rack, customer_owned_ip: 172.20.1.40}
  fourth: {subnet: there, customer_owned_ip: auto}
"""


def test_addresses_are_given_in_order() -> None:
    """Those that the file names are nobody else's; a subnet's pool, else the first one."""
    found = {
        name: str(interface.customer_owned_ip)
        for name, interface in loads(TEXT).network_interfaces.items()
    }
    assert found == {
        "first": "172.20.1.2",
        "second": "172.20.1.1",
        "third": "172.20.1.40",
        "fourth": "172.20.0.1",
    }


def test_what_a_static_route_leads_to_an_interface_is_not_translated() -> None:
    plan = lower(loads(TEXT))
    ruleset = plan.node("op.coip-app").nftables
    assert "172.20.1.2 : 10.1.3.4" in ruleset
    assert "172.20.1.40" not in ruleset
    assert "elements = { 172.20.1.32/27 }" in ruleset


def test_the_kernel_table_has_the_pools_and_the_other_vpcs_addresses() -> None:
    node = lower(loads(TEXT)).node("op.lgw")
    inward = {route.destination: route.dev or route.type for route in node.routes}
    assert inward["172.20.0.0/26"] == inward["172.20.1.0/26"] == "coip-app"
    assert inward["172.20.0.1/32"] == "coip-other"


SMALL = """
testbed: 1
name: t
region: {name: us-west-2, zones: [us-west-2a]}
vpcs: {app: {cidr: 10.1.0.0/16, subnets: {rack: {cidr: 10.1.3.0/24, outpost: op}}}}
outposts: {op: {local_gateway: {GATEWAY}}}
"""
POOLS = "coip_pools: {a: {cidrs: [172.20.0.0/26]}}"


def small(gateway: str) -> Topology:
    """One VPC on one rack with this local gateway."""
    return loads(SMALL.replace("GATEWAY", gateway))


@pytest.mark.parametrize("without", ["vif_group: false", "vpcs: []", "routes: []"])
def test_an_inactive_table_has_no_routes_and_announces_nothing(without: str) -> None:
    topology = small(f"mode: coip, {POOLS}, {without}")
    ((rack, domain),) = topology.gateways
    assert len(domain.lacks) == 1
    assert gateway_table.entries(topology, rack, domain) == ()
    assert topology.announced(rack, domain) == ()
    plan = lower(topology)
    assert check_of(plan).lacks == domain.lacks
    assert {route.type for route in plan.node("op.lgw").routes} == {"blackhole"}


def check_of(plan: Plan) -> LocalGatewayCheck:
    """The plan's one local gateway."""
    (check,) = (check for check in plan.checks if isinstance(check, LocalGatewayCheck))
    return check


def test_another_mode_replaces_the_table() -> None:
    old, new = lower(small("mode: direct-vpc-routing")), lower(small(f"mode: coip, {POOLS}"))
    (text,) = replaced(old, new)
    assert text.startswith("op local gateway route table: the mode changes from direct-vpc-routing")
    assert replaced(new, new) == replaced(Plan("t", ()), new) == []
    before, after = ({route.table for route in p.node("op.lgw").routes} for p in (old, new))
    assert not before & after


def test_lookup_of_what_is_in_no_route() -> None:
    assert gateway_table.lookup((), IPv4Address("10.0.0.1")) is None
