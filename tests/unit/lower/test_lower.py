"""Lowering: deterministic, complete, and what a customer's switch would see."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from views import PINNED, SHIPPED

from testbed.lower import lower
from testbed.plan import codec
from testbed.plan.diff import diff
from testbed.plan.model import Plan, Veth, Vlan
from testbed.topology import load
from testbed.topology.model import Topology

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parent / "golden"


def shipped(name: str) -> Topology:
    return load(ROOT / "topologies" / f"{name}.yaml")


def test_readme_shows_the_shipped_topology() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks == [(ROOT / "topologies" / "first.yaml").read_text()]


@pytest.mark.parametrize("name", PINNED)
def test_golden_plan(name: str) -> None:
    """To the byte; GOLDEN=write accepts a change. `test_plans.py` is about the others."""
    plan = lower(shipped(name))
    text = json.dumps(codec.to_json(plan), indent=1, sort_keys=True) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("name", SHIPPED)
def test_deterministic_and_sound(name: str) -> None:
    """Twice the same; every reference leads somewhere; no interface name is too long."""
    plan = lower(shipped(name))
    assert plan == lower(shipped(name))
    assert diff(plan, plan) == []
    assert diff(Plan(plan.name, ()), plan)
    nodes = {node.name: node for node in plan.nodes}
    macs = [i.mac for node in plan.nodes for i in node.interfaces if i.mac]
    assert len(macs) == len(set(macs))
    for node in plan.nodes:
        interfaces = {interface.name: interface for interface in node.interfaces}
        assert len(interfaces) == len(node.interfaces)
        for interface in node.interfaces:
            assert 0 < len(interface.name) <= 15
            assert interface.master is None or interface.master in interfaces
            if isinstance(interface.device, Vlan):
                assert interface.device.parent in interfaces
            if isinstance(interface.device, Veth):
                peer = nodes[interface.device.peer_node].interface(interface.device.peer)
                assert isinstance(peer.device, Veth)
                assert (peer.device.peer_node, peer.device.peer) == (node.name, interface.name)
                assert peer.mtu == interface.mtu
        keys = [(route.destination, route.table, route.metric) for route in node.routes]
        assert len(keys) == len(set(keys)), f"two routes to one destination in {node.name}"
    for check in plan.checks:
        assert check.node in nodes


def test_long_names_get_distinct_interfaces() -> None:
    """Names as long as they may be, alike but for their last character."""
    text = """
testbed: 1
name: long
region: {name: us-west-2, zones: [us-west-2a]}
vpcs:
  app: {cidr: 10.1.0.0/16, subnets: {rack: {cidr: 10.1.3.0/24, outpost: NAME-1}}}
outposts: {NAME-1: {}, NAME-2: {}}
site: {devices: {NAME-3: {}, NAME-4: {}}}
instances: {NAME-5: {subnet: rack}, NAME-6: {subnet: rack}}
""".replace("NAME", "n" * 30)
    from testbed.topology import loads

    plan = lower(loads(text))
    for node in plan.nodes:
        names = [interface.name for interface in node.interfaces]
        assert len(names) == len(set(names)), node.name
        assert max(map(len, names)) <= 15


def test_mac_addresses_do_not_depend_on_what_else_is_there() -> None:
    """The same node has the same addresses in another testbed: plans differ by what changed."""
    with_routes, without = lower(shipped("two-racks")), lower(shipped("two-racks-blocked"))
    before = {(n.name, i.name): i.mac for n in with_routes.nodes for i in n.interfaces}
    after = {(n.name, i.name): i.mac for n in without.nodes for i in n.interfaces}
    assert before == after
