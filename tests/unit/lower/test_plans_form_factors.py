"""What each form factor's example is, as its plan says it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from views import (
    ONE_RACK,
    checks,
    gateway_ports,
    roles,
    sessions,
    shipped,
    titles,
)

from testbed.errors import UsageError
from testbed.faults.catalog import compose, make
from testbed.lower import lower
from testbed.plan.checks import LocalGatewayCheck
from testbed.plan.model import Fault, Plan, Vlan
from testbed.topology.file.load import loads

TOPOLOGIES = Path(__file__).parents[3] / "topologies"

FOUR = ONE_RACK | {"outpost-networking-device": 4, "customer-network-device": 4, "instance": 1}
FOUR_CHECKS = {"bgp": 64, "lag": 8, "local-gateway": 1, "tunnel": 2, "management": 1}


def announced(plan: Plan, node: str, session: str) -> list[str]:
    """What an OND announces in a session, each prefix with a + for each AS that is prepended."""
    text = sessions(plan, node)[session].partition(": ")[2]
    return [part.replace(" +AS", "+") for part in text.split(", ")]


def vlans(plan: Plan, node: str) -> dict[str, str | None]:
    """The VLAN interfaces of a node, with the VRFs that they are in."""
    interfaces = plan.node(node).interfaces
    return {i.name: i.master for i in interfaces if isinstance(i.device, Vlan)}


def test_compute_racks() -> None:
    """Four LAGs for two racks, each networking device with a /27 of its own."""
    plan = shipped("compute-racks")
    assert roles(plan) == FOUR | {"customer-network-device": 2, "instance": 3}
    assert checks(plan).items() >= {"bgp": 48, "lag": 8}.items()
    halves = ["10.200.0.0/27", "10.200.0.32/27", "10.200.0.64/27", "10.200.0.96/27"]
    for number in range(1, 5):
        own = announced(plan, f"op.ond{number}", "customer_service_link")
        assert own == [half + "+++" * (place != number) for place, half in enumerate(halves, 1)]
    hardware = {node.name: node.hardware for node in plan.nodes}
    assert hardware["op.ond2"] == hardware["op.host1"] == ("op.rack1",)
    assert hardware["op.ond3"] == hardware["op.host2"] == ("op.rack2",)
    assert hardware["web"] == hardware["batch"] == ("op.rack1", "op.server1")
    assert hardware["twin"] == ("op.rack2", "op.server2")


def test_ace_rack() -> None:
    """All halves of four infrastructure subnets, alike from all four networking devices."""
    plan = shipped("ace-rack")
    assert roles(plan) == FOUR
    assert checks(plan).items() >= FOUR_CHECKS.items()
    first = announced(plan, "op.ond1", "customer_service_link")
    assert len(first) == 8
    assert not any(part.endswith("+") for part in first)
    for number in range(2, 5):
        assert announced(plan, f"op.ond{number}", "customer_service_link") == first
    assert [node.hardware for node in plan.nodes if node.name.startswith("op.ond")] == [()] * 4


def test_single_rack() -> None:
    """Two networking devices, each with a LAG to each customer device."""
    plan = shipped("single-rack")
    assert roles(plan) == ONE_RACK | {"instance": 1}
    assert [title for title in titles(plan, "lag") if title.startswith("LAG op.")] == [
        "LAG op.ond1 bond0 - cnd1",
        "LAG op.ond1 bond1 - cnd2",
        "LAG op.ond2 bond0 - cnd1",
        "LAG op.ond2 bond1 - cnd2",
    ]
    assert vlans(plan, "op.ond1") == {
        "bond0.1001": "sl",
        "bond0.2001": "lgw",
        "bond1.1002": "sl",
        "bond1.2002": "lgw",
    }
    for session in ("customer_service_link", "customer2_service_link"):
        assert announced(plan, "op.ond2", session) == ["10.200.128.0/24"]
    assert [i.name for i in plan.node("cnd2").interfaces if i.name.startswith("op-")] == [
        *("op-2", "op-2_1", "op-2.1002", "op-2.2002"),
        *("op-4", "op-4_1", "op-4.1514", "op-4.2514"),
    ]


def test_routing_domains() -> None:
    """Each has a node, VRFs and tables of its own, on both sides."""
    plan = shipped("routing-domains")
    assert roles(plan) == FOUR | {
        "local-gateway": 2,
        "lan-segment": 2,
        "host": 2,
        "vpc-router": 4,
        "dns-resolver": 2,
        "instance": 2,
        "customer-owned-ip": 1,
    }
    assert vlans(plan, "op.ond1") == {
        "bond0.1001": "sl",
        "bond0.2001": "lgw-direct",
        "bond0.2002": "lgw-owned",
    }
    assert vlans(plan, "cnd1") == {"op.1001": "sl", "op.2001": "direct", "op.2002": "owned"}
    assert announced(plan, "op.ond4", "customer_local_gateway_direct") == ["10.90.7.0/24"]
    assert announced(plan, "op.ond4", "customer_local_gateway_owned") == ["172.25.200.0/26"]
    instances = {i.name: i for i in plan.node("op.ond1").router.instances}  # type: ignore[union-attr]
    tables = {instances[name].table for name in ("t_lgw_direct", "t_lgw_owned")}
    assert len(tables | {254}) == 3
    rules = {rule.iif: rule.table for rule in plan.node("op.ond1").rules}
    assert set(rules.values()) == tables
    assert rules.keys() == {"to-lgw-direct", "to-lgw-owned"}


def stopped(plan: Plan, *faults: Fault) -> set[str]:
    """The nodes whose processes and interfaces the faults take."""
    named = [replace(fault, name=f"f{number}") for number, fault in enumerate(faults)]
    after = compose(plan, named)
    return {
        node.name
        for node in after.nodes
        if all(not i.up for i in node.interfaces if i.device.kind not in {"bond", "loopback"})
    }


def test_a_host_takes_its_instances_and_a_rack_all_that_is_in_it() -> None:
    plan = shipped("compute-racks")
    assert stopped(plan, make("host-down", "op.server1", {})) == {"web", "batch"}
    rack = {"op.ond3", "op.ond4", "op.host2", "twin"}
    assert stopped(plan, make("rack-down", "op.rack2", {})) == rack


def test_what_nothing_runs_on_is_an_error_that_lists_what_there_is() -> None:
    plan = shipped("compute-racks")
    with pytest.raises(UsageError, match=r"nothing runs on 'op\.server3'") as error:
        stopped(plan, make("host-down", "op.server3", {}))
    assert error.value.hint == "in use are op.server1, op.server2"
    with pytest.raises(UsageError, match=r"nothing runs on 'op\.server1'"):
        stopped(plan, make("rack-down", "op.server1", {}))


def test_status_has_the_ports_of_each_domain() -> None:
    assert gateway_ports(shipped("single-rack")) == [
        "vif VLAN 2001 on OND1, LAG 1 op.ond1:bond0.2001",
        "vif VLAN 2002 on OND1, LAG 2 op.ond1:bond1.2002",
        "vif VLAN 2513 on OND2, LAG 3 op.ond2:bond0.2513",
        "vif VLAN 2514 on OND2, LAG 4 op.ond2:bond1.2514",
        "vpc app op.lgw:vpc-app",
    ]


def test_where_the_customer_makes_no_virtual_interface_there_is_no_session() -> None:
    text = (TOPOLOGIES / "single-rack.yaml").read_text()
    place = "form_factor: single-rack-2nd-generation"
    assert place in text
    for vifs, lags, state in (("[]", 0, "pending"), ("[{lag: 1}, {lag: 4}]", 2, "incomplete")):
        changed = text.replace(place, f"{place}, local_gateway: {{vifs: {vifs}}}")
        topology = loads(changed)
        assert topology.racks["op"].vif_group_state("") == state
        plan = lower(topology)
        found = [name for node in ("op.ond1", "op.ond2") for name in sessions(plan, node)]
        assert sum("local_gateway" in name for name in found) == lags
        (check,) = (check for check in plan.checks if isinstance(check, LocalGatewayCheck))
        assert check.vif_group == state
        assert len([port for port in check.ports if port.role == "vif"]) == lags
