"""Placing instances on an Outpost's servers."""

from __future__ import annotations

from testbed.topology import loads

HEAD = """
testbed: 1
name: placement
region: {name: us-west-2}
vpcs:
  app:
    cidr: 10.1.0.0/16
    subnets: {rack: {cidr: 10.1.3.0/24, outpost: op}, cloud: {cidr: 10.1.1.0/24}}
outposts:
  op: {capacity: {servers: [{c5.large: 2}, {c5.large: 2, m5.large: 1}, {c5.large: 1}]}}
placement_groups: {apart: {strategy: spread}, near: {strategy: cluster}}
instances:
"""


def servers(*lines: str) -> dict[str, int | None]:
    """The server of each instance."""
    topology = loads(HEAD + "".join(f"  {line}\n" for line in lines))
    return {name: instance.server for name, instance in topology.instances.items()}


def test_the_first_server_with_a_free_slot_is_taken() -> None:
    found = servers(
        "a: {subnet: rack}",
        "b: {subnet: rack, type: m5.large}",
        "c: {subnet: rack}",
        "d: {subnet: rack}",
        "e: {subnet: cloud}",
    )
    assert found == {"a": 1, "b": 2, "c": 1, "d": 2, "e": None}


def test_a_stopped_instance_frees_its_slot() -> None:
    full = [f"{name}: {{subnet: rack}}" for name in "abcde"]
    assert servers(*full)["e"] == 3
    stopped = ["a: {subnet: rack, state: stopped}", *full[1:], "f: {subnet: rack}"]
    assert servers(*stopped) == {"a": None, "b": 1, "c": 1, "d": 2, "e": 2, "f": 3}


def test_a_placement_group_spreads_or_clusters() -> None:
    apart = [f"{name}: {{subnet: rack, placement_group: apart}}" for name in "abc"]
    assert servers(*apart) == {"a": 1, "b": 2, "c": 3}
    near = ["a: {subnet: rack, type: m5.large, placement_group: near}"]
    near += ["b: {subnet: rack, placement_group: near}", "c: {subnet: rack}"]
    assert servers(*near) == {"a": 2, "b": 2, "c": 1}


def test_without_capacity_there_is_always_room() -> None:
    text = HEAD.replace(
        "{capacity: {servers: [{c5.large: 2}, {c5.large: 2, m5.large: 1}, {c5.large: 1}]}}", "{}"
    )
    topology = loads(text + "  a: {subnet: rack, type: x2.huge}\n")
    assert topology.instances["a"].server is None
