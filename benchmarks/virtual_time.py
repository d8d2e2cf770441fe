"""What waits for timers, in virtual time and in real time: outcome, and seconds of both clocks.

Run as ``python benchmarks/virtual_time.py [--time virtual|real] [SCENARIO]…``; see
docs/virtual-time.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.bgp import Instance, Router
from testbed.plan.model import Bond, Interface, Netem, Plan
from testbed.testing import Testbed

RACK = Path(__file__).parents[1] / "topologies" / "rack.yaml"
HOLD_S = 180
LACP_TIMEOUT_S = 90  # three times the slow rate of 30 s (IEEE 802.1AX, 6.4.4)
DAY_S = 86400.0
Ends = Iterable[tuple[str, str]]

REGION_LINKS = {
    1: (("region.edge", "cust-cnd1"), ("cnd1", "region")),
    2: (("region.edge", "cust-cnd2"), ("cnd2", "region")),
}


@dataclass
class Result:
    """How a scenario went: seconds of the testbed's clock, of real time, and what was seen."""

    scenario: str
    time: str
    seconds: float
    wall_s: float
    outcome: dict[str, Any] = field(default_factory=dict)


def changed(plan: Plan, change: Callable[[str, Interface], Interface]) -> Plan:
    """The plan with other interfaces."""
    nodes = tuple(
        replace(node, interfaces=tuple(change(node.name, i) for i in node.interfaces))
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def silent(plan: Plan, ends: Ends) -> Plan:
    """The plan with interfaces that lose everything they send, and keep their carrier."""
    lost = set(ends)

    def change(node: str, interface: Interface) -> Interface:
        if (node, interface.name) not in lost:
            return interface
        return replace(interface, netem=Netem(loss_percent=100.0))

    return changed(plan, change)


def with_hold_time(plan: Plan, seconds: int, nodes: Iterable[str]) -> Plan:
    """The plan with another BGP hold time, and a third of it as keepalive."""

    def slower(instance: Instance) -> Instance:
        sessions = tuple(
            replace(session, hold_s=seconds, keepalive_s=seconds // 3)
            for session in instance.sessions
        )
        return replace(instance, sessions=sessions)

    def routed(router: Router) -> Router:
        return replace(router, instances=tuple(map(slower, router.instances)))

    chosen = set(nodes)
    return replace(
        plan,
        nodes=tuple(
            replace(node, router=routed(node.router))
            if node.name in chosen and node.router
            else node
            for node in plan.nodes
        ),
    )


def with_slow_lacp(plan: Plan) -> Plan:
    """The plan with LACPDUs every 30 s instead of every second."""

    def change(_: str, interface: Interface) -> Interface:
        if not isinstance(interface.device, Bond):
            return interface
        return replace(interface, device=replace(interface.device, lacp_rate="slow"))

    return changed(plan, change)


def since(testbed: Testbed, start: float, kind: str, node: str, subject: str) -> list[Any]:
    """When, after `start`, and to what the state of something changed."""
    return [
        (round(event["at"] - start, 6), event["state"])
        for event in testbed.events()
        if event["at"] >= start
        and (event["kind"], event["node"], event["subject"]) == (kind, node, subject)
    ]


def bgp_hold_time(testbed: Testbed) -> dict[str, Any]:
    """A link goes silent under a BGP session without BFD; then it heals."""
    healthy = testbed.plan
    start = testbed.elapsed()
    testbed.apply(silent(healthy, REGION_LINKS[1]), wait=False)
    seen = {"edge": ("region.edge", "customer_cnd1"), "cnd1": ("cnd1", "region")}

    def noticed() -> dict[str, float]:
        changes = {side: since(testbed, start, "bgp", *of) for side, of in seen.items()}
        return {side: found[0][0] for side, found in changes.items() if found}

    testbed.eventually(lambda: len(noticed()) == len(seen), HOLD_S + 30, interval=1)
    result: dict[str, Any] = {"noticed_after_s": noticed()}
    healed = testbed.elapsed()
    testbed.apply(healthy)
    result["recovered_after_s"] = round(testbed.elapsed() - healed, 3)
    return result


def lacp_slow_timeout(testbed: Testbed) -> dict[str, Any]:
    """A member of a LAG goes silent with its carrier up; then it heals."""
    healthy = testbed.plan
    start = testbed.elapsed()
    ends = (("op.ond1", "uplink1"), ("cnd1", "op_1"))
    testbed.apply(silent(healthy, ends), wait=False)

    def noticed() -> dict[str, float]:
        changes = {node: since(testbed, start, "lacp", node, member) for node, member in ends}
        expired = {
            node: [at for at, state in found if "expired" in state]
            for node, found in changes.items()
        }
        return {node: found[0] for node, found in expired.items() if found}

    testbed.eventually(lambda: len(noticed()) == len(ends), LACP_TIMEOUT_S + 30, interval=1)
    result: dict[str, Any] = {"noticed_after_s": noticed()}
    healed = testbed.elapsed()
    testbed.apply(healthy, timeout_s=300)
    result["recovered_after_s"] = round(testbed.elapsed() - healed, 3)
    return result


def day_without_service_link(testbed: Testbed) -> dict[str, Any]:
    """Both links to the Region are silent for a day; then they heal."""
    healthy = testbed.plan
    ends = [end for link in REGION_LINKS.values() for end in link]
    testbed.apply(silent(healthy, ends), wait=False)
    testbed.advance(DAY_S)
    result: dict[str, Any] = {
        "web to db": testbed["web"].ping("db").error,
        "web to desk": testbed["web"].ping("desk").error,
        "not as planned": len(testbed.problems()),
    }
    healed = testbed.elapsed()
    testbed.apply(healthy, timeout_s=600)
    result["recovered_after_s"] = round(testbed.elapsed() - healed, 3)
    result["web to db, recovered"] = testbed["web"].ping("db").error
    return result


def rack() -> Plan:
    """The rack of topologies/rack.yaml."""
    return lower_topology(load_topology(RACK, {}))


SCENARIOS: dict[str, tuple[Callable[[Testbed], dict[str, Any]], Callable[[], Plan]]] = {
    "bgp-hold-time": (
        bgp_hold_time,
        lambda: with_hold_time(rack(), HOLD_S, ("region.edge", "cnd1")),
    ),
    "lacp-slow-timeout": (lacp_slow_timeout, lambda: with_slow_lacp(rack())),
    "day-without-service-link": (day_without_service_link, rack),
}


def run(scenario: str, kind: str, seed: int, name: str) -> Result:
    """Bring a testbed up, let the scenario happen, take it down."""
    function, plan = SCENARIOS[scenario]
    with Testbed.up(plan(), name=name, vm="uml", time=kind, seed=seed, timeout_s=300) as testbed:
        started, wall = testbed.elapsed(), time.monotonic()
        outcome = function(testbed)
        seconds, took = testbed.elapsed() - started, time.monotonic() - wall
    return Result(scenario, kind, round(seconds, 3), round(took, 3), outcome)


def main() -> int:
    """Run the scenarios that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--time", choices=("virtual", "real"), default="virtual")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(SCENARIOS):
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    results = []
    for number, scenario in enumerate(options.scenarios or SCENARIOS):
        name = f"bench-{options.time}-{number}"
        result = run(scenario, options.time, options.seed, name)
        results.append(asdict(result))
        if not options.json:
            line = f"{scenario} ({options.time}): {result.seconds:.1f} s in {result.wall_s:.1f} s"
            print(line, json.dumps(result.outcome), flush=True)
    if options.json:
        print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
