"""Every single failure between the racks and the Region leaves the traffic working.

A failure is a plan with interfaces down: applied to the running testbed, and
taken back by applying the plan as it was. Outages are printed (`pytest -s`),
not asserted: this machine may be slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from testbed.plan.model import Plan, Veth
from testbed.testing import Testbed, eventually

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/two-racks.yaml")]

FLOWS = {"a to b": "10.77.11.119", "a to cloud": "10.77.1.4"}
INTERVAL_S = 0.05
PINGS = 200


def with_down(plan: Plan, ends: Iterable[tuple[str, str]]) -> Plan:
    """The plan with some interfaces administratively down."""
    down = set(ends)
    nodes = tuple(
        replace(
            node,
            interfaces=tuple(
                replace(interface, up=False) if (node.name, interface.name) in down else interface
                for interface in node.interfaces
            ),
        )
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def cables(plan: Plan, name: str) -> list[tuple[str, str]]:
    """All cables of a node: with them down it is cut off, as when its power fails."""
    node = plan.node(name)
    return [(name, i.name) for i in node.interfaces if isinstance(i.device, Veth)]


FAILURES: dict[str, Callable[[Plan, int], list[tuple[str, str]]]] = {
    "uplink member": lambda _, side: [(f"op-a.ond{side}", "uplink1")],
    "LAG": lambda _, side: [(f"op-a.ond{side}", "uplink1"), (f"op-a.ond{side}", "uplink2")],
    "OND": lambda plan, side: cables(plan, f"op-a.ond{side}"),
    "customer device": lambda plan, side: cables(plan, f"cnd{side}"),
}


def longest_gap(output: str) -> int:
    """The most consecutive pings that were not answered, by their sequence numbers."""
    answered = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", output)]
    assert answered, output
    gaps = [b - a - 1 for a, b in zip([0, *answered], [*answered, PINGS + 1], strict=False)]
    return max(gaps)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("side", [1, 2])
def test_single_failure(testbed: Testbed, failure: str, side: int) -> None:
    """Traffic goes on after an outage, and everything is up again after the repair.

    A flow uses one side: with each side failing in turn, each flow's own one does.
    """
    plan = testbed.plan
    broken = with_down(plan, FAILURES[failure](plan, side))
    command = ["ping", "-n", "-i", str(INTERVAL_S), "-c", str(PINGS), "-W", "1"]
    node = testbed["a"]
    with testbed.client.popen("a", [*command, FLOWS["a to b"]]) as first:
        with testbed.client.popen("a", [*command, FLOWS["a to cloud"]]) as second:
            try:
                testbed.apply(broken, wait=False)
                results = {
                    "a to b": first.wait(120).text,
                    "a to cloud": second.wait(120).text,
                }
                for flow, address in FLOWS.items():
                    eventually(lambda a=address: node.ping(a, count=3, interval_s=0.1).received == 3)
                    gap = longest_gap(results[flow])
                    print(f"{failure} {side}: {flow}: outage {gap * INTERVAL_S * 1000:.0f} ms")
            finally:
                testbed.apply(plan)
    assert testbed.status()["ok"]
