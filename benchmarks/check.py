"""How long the conformance suites take on a running testbed, and what programs in nodes cost.

Run as ``python benchmarks/check.py [--time virtual|real] [--topology FILE] [--disruptive]``.
Beside the seconds of wall time stand those of the testbed's clock and of the processor, the
guest's and this process's: the ones that other work on the machine does not change.
Programs are started in turns in one testbed: /bin/true, which is the limit; a Python program
as a new interpreter; the same forked from the prepared one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from testbed.conformance import runner
from testbed.conformance.results import Result
from testbed.control import registry
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed

ROOT = Path(__file__).parents[1]
NAME = "benchmark-check"
ROUNDS = 20
SLOWEST = 12
CODE = "import json, socket, struct"
PROGRAMS = {
    "/bin/true": ["true"],
    "interpreter": [sys.executable, "-I", "-S", "-c", CODE],
    "forked": ["testbed-send", "lo", "frames"],
}


def processor_s(root: int) -> float:
    """Seconds of the processor that a process and all that descend from it have used."""
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(entry.name)] = int(fields[1])
        used[int(entry.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(used.get(pid, 0.0) for pid in family)


def programs(testbed: Testbed, node: str) -> dict[str, float]:
    """Milliseconds for each way to run a program, the least of some rounds in turns."""
    best = dict.fromkeys(PROGRAMS, float("inf"))
    for _ in range(ROUNDS):
        for name, argv in PROGRAMS.items():
            started = time.perf_counter()
            testbed[node].run(argv)
            best[name] = min(best[name], (time.perf_counter() - started) * 1000)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", choices=("virtual", "real"), default="virtual")
    parser.add_argument("--topology", default=str(ROOT / "topologies" / "two-racks.yaml"))
    parser.add_argument("--disruptive", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with Testbed.up(chosen.topology, name=NAME, time=chosen.time, hold=True) as testbed:
        topology = load_topology(chosen.topology, {}, NAME)
        by_check: dict[str, float] = defaultdict(float)
        relay = registry.owner(NAME) or 0

        def taken(result: Result, _: int) -> None:
            by_check[result.check] += result.duration_s

        clock, used, own = testbed.elapsed(), processor_s(relay), time.process_time()
        report = runner.run(testbed, topology, disruptive=chosen.disruptive, on_result=taken)
        found = {
            "outcome": report.exit_code,
            "checks": len(report.results),
            "wall_s": report.duration_s,
            "clock_s": testbed.elapsed() - clock,
            "processor_s": processor_s(relay) - used + time.process_time() - own,
            "programs_ms": programs(testbed, next(iter(topology.instances))),
            "by_check_s": dict(sorted(by_check.items(), key=lambda row: -row[1])[:SLOWEST]),
        }
    print(json.dumps(found) if chosen.json else table(found))


def table(found: dict[str, Any]) -> str:
    """What was measured, for people."""
    times = (("wall time", "wall_s"), ("the testbed's", "clock_s"), ("processor", "processor_s"))
    took = ", ".join(f"{found[key]:.1f} s of {name}" for name, key in times)
    lines = [
        f"{found['checks']} checks, exit code {found['outcome']}: {took}",
        *(f"{seconds:8.1f} s  {name}" for name, seconds in found["by_check_s"].items()),
        "a program in a node, from the client, ms:",
        *(f"{ms:8.1f}     {name}" for name, ms in found["programs_ms"].items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
