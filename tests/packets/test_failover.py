"""Every single failure between the racks and the Region leaves the traffic working.

A failure is a fault put into the running testbed, and healed. Outages are printed (`pytest -s`),
not asserted: this machine may be slow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import pytest
from observing import Flow

from testbed.testing import Node, Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/two-racks.yaml")]

FLOWS = {"a to b": "10.77.11.119", "a to cloud": "10.77.1.4"}
INTERVAL_S = 0.05


FAILURES: dict[str, Callable[[int], list[tuple[str, str]]]] = {
    "uplink member": lambda side: [("link-down", f"op-a.ond{side}:uplink1")],
    "LAG": lambda side: [("link-down", f"op-a.lag{side}")],
    "OND": lambda side: [("node-stopped", f"op-a.ond{side}")],
    "customer device": lambda side: [("node-stopped", f"cnd{side}")],
}


def works(node: Node, address: str) -> bool:
    """Whether every one of three pings is answered."""
    return node.ping(address, count=3, interval_s=0.1).received == 3


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("side", [1, 2])
def test_single_failure(testbed: Testbed, failure: str, side: int) -> None:
    """Traffic goes on after an outage, and everything is up again after the repair.

    A flow uses one side: with each side failing in turn, each flow's own one does.
    """
    node = testbed["a"]
    with contextlib.ExitStack() as stack:
        flows = {
            name: stack.enter_context(Flow(testbed, "a", address, interval_s=INTERVAL_S))
            for name, address in FLOWS.items()
        }
        for flow in flows.values():
            flow.wait_for(5)
        for kind, target in FAILURES[failure](side):
            testbed.client.fault(kind, target)
        for name, flow in flows.items():
            outage_ms = flow.longest_gap() * INTERVAL_S * 1000
            print(f"{failure} {side}: {name}: outage {outage_ms:.0f} ms")
            testbed.eventually(partial(works, node, FLOWS[name]))
    testbed.heal()
    assert testbed.status()["ok"]
