"""What a VPC costs on one Outpost, beside plain Linux forwarding in the same kernel.

Run as benchmarks/vpc.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import statistics
import sys
import time
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from testbed.errors import NetworkError, TestbedError
from testbed.lifecycle import start
from testbed.lifecycle.bringup import take_down
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.lower.builder import Draft, NodeDraft, point_to_point
from testbed.plan.model import Node, Plan
from testbed.plan.roles import Role
from testbed.testing import Testbed, eventually

TOPOLOGY = Path(__file__).resolve().parent / "vpc.yaml.j2"
READY_S = 600.0
RATE_S = 2
PINGS = 400
LINKS = IPv4Network("10.255.0.0/16")
ETHERNET, JUMBO = 1500, 9001


@dataclass(frozen=True)
class Way:
    """A way through the testbed, and the plain chain of routers to compare it with."""

    name: str
    source: str
    destination: str
    plain: str
    routers: int
    mtu: int


@dataclass
class Figures:
    """What was measured with one number of instances."""

    instances: int
    times_ms: dict[str, float]
    paths: dict[str, dict[str, list[float]]] = field(default_factory=dict)


PATHS = (
    Way("VPC router", "i0", "i1", "jumbo", 1, JUMBO),
    Way("VPC router, LGW, OND and CND", "i0", "desk", "plain", 4, ETHERNET),
)


def chain(name: str, routers: int, mtu: int, block: int) -> tuple[Node, ...]:
    """Two hosts with plain routers between them: static routes, no filter, no bond or VLAN."""
    draft = Draft("chain")
    links = IPv4Network((LINKS.network_address + 256 * block, 24))
    ends = [point_to_point(links, number) for number in range(routers + 1)]
    first = draft.host(f"{name}-a", Role.HOST, name, "")
    last = draft.host(f"{name}-b", Role.HOST, name, "")
    middle = [draft.router(f"{name}-r{n}", Role.VPC_ROUTER, name, "") for n in range(routers)]
    nodes = [first, *middle, last]
    for number, (left, right) in enumerate(itertools.pairwise(nodes)):
        addresses = ends[number]
        draft.cable((left, "right"), (right, "left"), addresses=addresses, mtu=mtu)
    _route(nodes, ends)
    return draft.build().nodes


def _route(nodes: list[NodeDraft], ends: list[tuple[IPv4Interface, IPv4Interface]]) -> None:
    near, far = ends[0][0].ip, ends[-1][1].ip
    for number, node in enumerate(nodes[:-1]):
        if number < len(nodes) - 2:
            node.route(far, via=ends[number][1].ip, dev="right")
        _back(nodes[number + 1], near, ends[number][0].ip, direct=number == 0)


def _back(node: NodeDraft, near: IPv4Address, via: IPv4Address, *, direct: bool) -> None:
    if not direct:
        node.route(near, via=via, dev="left")


def load(instances: int, **settings: str) -> tuple[Plan, float]:
    """The plan, and the milliseconds that loading and lowering took."""
    started = time.perf_counter()
    variables = {"instances": str(instances), **settings}
    plan = lower_topology(load_topology(TOPOLOGY, variables, f"bench-vpc-{instances}"))
    return plan, (time.perf_counter() - started) * 1000


def with_chains(plan: Plan) -> Plan:
    """The plan with the chains that its paths are compared with."""
    chains = (chain(path.plain, path.routers, path.mtu, n) for n, path in enumerate(PATHS))
    return replace(plan, nodes=(*plan.nodes, *(node for nodes in chains for node in nodes)))


def rate(testbed: Testbed, source: str, destination: str) -> float:
    """TCP's throughput in Mbit/s, one connection."""
    server = testbed[destination].run(["iperf3", "-s", "-D", "-1"])
    assert server.returncode == 0
    words = ["iperf3", "-c", testbed.address(destination), "-t", str(RATE_S), "-J"]
    done = eventually(lambda: testbed[source].run(words), timeout=30)
    received: dict[str, Any] = json.loads(done.text)["end"]["sum_received"]
    return float(received["bits_per_second"]) / 1e6


def latency(testbed: Testbed, source: str, destination: str) -> float:
    """The mean round-trip time in microseconds of pings one after the other."""
    address = testbed.address(destination)
    text = testbed[source].run(["ping", "-n", "-q", "-A", "-c", str(PINGS), address]).text
    found = re.search(r"= [\d.]+/([\d.]+)/", text)
    if found is None:
        raise NetworkError(f"no answer from {destination}: {text}")
    return float(found[1]) * 1000


def measure(instances: int, repeat: int, vm: str) -> Figures:
    """Everything for one number of instances."""
    plan, lowering = load(instances)
    plan = with_chains(plan)
    started = time.perf_counter()
    testbed = Testbed.up(plan, vm=vm, timeout_s=READY_S)
    figures = Figures(instances, {"load, lower": lowering})
    figures.times_ms["up"] = (time.perf_counter() - started) * 1000
    try:
        figures.times_ms["change of one rule"] = _change(testbed, instances)
        for path in PATHS:
            measured: dict[str, list[float]] = {}
            for _ in range(repeat):  # in turns, so that other work on the machine hits both
                for kind, ends in (
                    ("testbed", (path.source, path.destination)),
                    ("plain", (f"{path.plain}-a", f"{path.plain}-b")),
                ):
                    measured.setdefault(f"{kind} Mbit/s", []).append(rate(testbed, *ends))
                    measured.setdefault(f"{kind} us", []).append(latency(testbed, *ends))
            figures.paths[path.name] = measured
    finally:
        started = time.perf_counter()
        take_down(testbed.name)
        figures.times_ms["down"] = (time.perf_counter() - started) * 1000
    return figures


def _change(testbed: Testbed, instances: int) -> float:
    """Add one rule to one security group of the running testbed."""
    plan, _ = load(instances, changed="yes")
    started = time.perf_counter()
    testbed.apply(with_chains(plan), timeout_s=READY_S)
    return (time.perf_counter() - started) * 1000


def print_table(results: list[Figures]) -> None:
    """Print everything as Markdown."""
    print("| | " + " | ".join(f"{row.instances} instances" for row in results) + " |")
    print("|---" * (len(results) + 1) + "|")
    for name in results[0].times_ms:
        print(f"| {name} (ms) | " + " | ".join(f"{r.times_ms[name]:.0f}" for r in results) + " |")
    for path in PATHS:
        for unit, better in (("Mbit/s", max), ("us", min)):
            cells = []
            for row in results:
                own = row.paths[path.name][f"testbed {unit}"]
                plain = row.paths[path.name][f"plain {unit}"]
                ratio = statistics.median(a / b for a, b in zip(own, plain, strict=True))
                cells.append(f"{better(own):.0f} / {better(plain):.0f} = {ratio:.2f}")
            print(f"| {path.name}: {unit}, testbed / plain | " + " | ".join(cells) + " |")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks/vpc", description=__doc__)
    parser.add_argument("--instances", default="10,100,1000", metavar="N,N,…")
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    parser.add_argument("--vm", choices=start.VM_CHOICES, default=os.environ.get("TESTBED_VM"))
    arguments = parser.parse_args()
    try:
        numbers = [max(2, int(word)) for word in arguments.instances.split(",")]
        results = []
        for number in numbers:
            print(f"{number} instances …", file=sys.stderr, flush=True)
            results.append(measure(number, max(1, arguments.repeat), arguments.vm or "auto"))
    except ValueError:
        parser.error(f"--instances {arguments.instances!r}: numbers with commas between them")
    except TestbedError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 3
    print_table(results)
    return 0
