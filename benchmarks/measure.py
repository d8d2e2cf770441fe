"""What `testbed up` and `down` take on this machine, beside other ways to build the same.

Run as benchmarks/up.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import report

from testbed.control.client import Client
from testbed.errors import NetworkError, TestbedError
from testbed.lifecycle import start
from testbed.lifecycle.bringup import bring_up, links_of, take_down
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.model import Node, Plan
from testbed.plan.roles import Role

HERE = Path(__file__).resolve().parent
TOPOLOGY = HERE.parent / "topologies" / "racks.yaml.j2"
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that Debian's package mininet is for
READY_S = 600.0
PEER_BUDGET_MS = 60_000.0


def positive_numbers(text: str) -> list[int]:
    """[1, 4, 16] of "1,4,16"."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers from 1 on, with commas between them")
    return numbers


def positive_number(text: str) -> int:
    """3 of "3"."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a number from 1 on")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = argparse.ArgumentParser(prog="benchmarks/up", description=__doc__)
    made.add_argument("--racks", type=positive_numbers, default=[1, 4, 16], metavar="N,N,…")
    made.add_argument(
        "--repeat", type=positive_number, default=3, metavar="N", help="runs of each (%(default)s)"
    )
    made.add_argument("--vm", choices=start.VM_CHOICES, default=os.environ.get("TESTBED_VM"))
    made.add_argument("--no-peers", action="store_true", help="measure the testbed alone")
    made.add_argument("--json", action="store_true", help="print everything measured as JSON")
    return made


def say(text: str) -> None:
    """Tell what goes on."""
    print(text, file=sys.stderr, flush=True)


# up and down


@contextlib.contextmanager
def running(plan: Plan, nodes: tuple[Node, ...], vm: str) -> Iterator[Client]:
    """A testbed that runs where `plan` would, with these nodes; taken down at the end."""
    start.ensure_running(plan.name, vm=vm, plan=plan)
    try:
        client = Client(plan.name)
        client.apply(Plan(plan.name, nodes), wait=False)
        yield client
    finally:
        take_down(plan.name)


def read_kb(client: Client, node: str, path: str, key: str) -> int:
    """A figure in KiB out of a file like /proc/meminfo, read in the testbed's kernel."""
    done = client.run(node, ["cat", path], timeout=60)
    for line in done.text.splitlines():
        name, _, rest = line.partition(":")
        if name == key:
            return int(rest.split()[0])
    raise NetworkError(f"no {key} in {path}: {done.stderr.decode(errors='replace')}")


def measure_memory(plan: Plan, vm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the nodes of the plan take (KiB), and the answer to `hello`: where that was.

    The kernel's available memory before and after them, with all their
    programs, once everything is ready.
    """
    base = Node("base", Role.HOST, "base")
    with running(plan, (base,), vm) as client:
        before = read_kb(client, "base", "/proc/meminfo", "MemAvailable")
        rss_before = read_kb(client, "base", "/proc/1/status", "VmRSS")
        client.apply(Plan(plan.name, (base, *plan.nodes), plan.checks), timeout_s=READY_S)
        after = read_kb(client, "base", "/proc/meminfo", "MemAvailable")
        rss = read_kb(client, "base", "/proc/1/status", "VmRSS")
        where = client.hello()
    figures = {"before": before, "after": after, "keeper_before": rss_before, "keeper": rss}
    return figures | {"per_node": round((before - after) / len(plan.nodes), 1)}, where


def measure_up(racks: int, vm: str) -> dict[str, Any]:
    """One `up` and `down`: milliseconds of each phase."""
    started = time.perf_counter()
    topology = load_topology(TOPOLOGY, {"racks": str(racks)}, f"bench-{racks}")
    loaded = time.perf_counter()
    plan = lower_topology(topology)
    lowered = time.perf_counter()
    timings = {"load": (loaded - started) * 1000, "lower": (lowered - loaded) * 1000}
    outcome = bring_up(plan, vm=vm, timeout_s=READY_S)
    up = (time.perf_counter() - started) * 1000
    started = time.perf_counter()
    take_down(plan.name)
    down = (time.perf_counter() - started) * 1000
    pending = [row["title"] for row in outcome.pending]
    return {"timings": timings | outcome.timings, "up": up, "down": down, "pending": pending}


def measure_size(racks: int, options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything about one number of racks, and where it was."""
    vm = options.vm or "auto"
    plan = lower_topology(load_topology(TOPOLOGY, {"racks": str(racks)}, f"bench-{racks}"))
    row: dict[str, Any] = {"racks": racks, "nodes": len(plan.nodes), "links": links_of(plan)}
    row["processes"] = sum(len(node.processes) for node in plan.nodes)
    say(f"{racks} racks, {row['nodes']} nodes, {row['links']} links: memory")
    row["memory"], where = measure_memory(plan, vm)  # also the run that warms up
    row["runs"] = []
    for turn in range(options.repeat):
        run = measure_up(racks, vm)
        row["runs"].append(run)
        say(f"  {turn + 1} of {options.repeat}: up {run['up']:.0f} ms, down {run['down']:.0f} ms")
        if run["pending"]:
            say(f"  not ready: {', '.join(run['pending'])}")
    return row, where


# The others


def compile_floor(target: Path) -> bool:
    """Compile the C program; False, with a line that says so, where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        say("no C compiler (cc): the floor is left out")
        return False
    subprocess.run([compiler, "-O2", "-o", str(target), str(HERE / "floor.c")], check=True)
    return True


def find_mininet() -> str | None:
    """The Python that has Mininet; None, with a line that says so, where it is not installed."""
    with contextlib.suppress(OSError):
        found = subprocess.run(
            [SYSTEM_PYTHON, "-c", "import mininet.node"], capture_output=True, check=False
        )
        if found.returncode == 0 and shutil.which("mnexec"):
            return SYSTEM_PYTHON
    say("Mininet is not installed (Debian: apt-get install mininet): it is left out")
    return None


def measure_peers(
    sizes: Sequence[tuple[int, int]], repeat: int, *, in_vm: bool
) -> list[dict[str, Any]]:
    """Milliseconds of each way to build so many nodes and links, in the testbeds' kernel."""
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "floor")
        floor = program.read_bytes() if compile_floor(program) else b""
    request = {
        "sizes": sizes,
        "repeat": repeat,
        "budget_ms": PEER_BUDGET_MS,
        "floor": base64.b64encode(floor).decode(),
        "mininet": find_mininet(),
    }
    node = Node("bench", Role.HOST, "bench")
    argv = [sys.executable, str(HERE / "peers.py")]
    with (
        running(Plan("bench-peers", (node,)), (node,), "always" if in_vm else "never") as client,
        client.popen(node.name, argv) as process,
    ):
        process.write(json.dumps(request).encode())
        process.close_stdin()
        lines = []
        rest = b""
        for chunk in process:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                lines.append(json.loads(line))
                say("  {nodes} nodes, {links} links, {way}: {ms:.1f} ms".format(**lines[-1]))
        if process.returncode:
            what = process.stderr.decode(errors="replace")
            raise NetworkError("comparing with other ways failed", hint=what.strip()[-2000:])
    return gather(lines)


def gather(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each size: the milliseconds of each way's runs."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for line in lines:
        size = (line["nodes"], line["links"])
        row = rows.setdefault(size, {"nodes": size[0], "links": size[1], "ms": {}})
        row["ms"].setdefault(line["way"], []).append(round(line["ms"], 2))
    return list(rows.values())


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as --json prints it."""
    load = os.getloadavg()[0]
    sizes: list[dict[str, Any]] = []
    where: dict[str, Any] = {}
    for racks in options.racks:
        row, where = measure_size(racks, options)
        sizes.append(row)
    peers: list[dict[str, Any]] = []
    if not options.no_peers:
        counts = [(row["nodes"], row["links"]) for row in sizes]
        say("in turns with others")
        peers = measure_peers(counts, options.repeat, in_vm=bool(where["guest"]))
    machine = {
        "date": date.today().isoformat(),  # noqa: DTZ011 - the local day is meant
        "processors": os.cpu_count(),
        "load": round(load, 2),
        "kernel": where["kernel"],
        "guest": where["guest"],
    }
    return {"machine": machine, "up": sizes, "peers": peers}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    options = parser().parse_args(arguments)
    try:
        result = measure(options)
    except TestbedError as error:
        hint = f"\n    hint: {error.hint}" if error.hint else ""
        say(f"error: {error.message}{hint}")
        return error.exit_code
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        report.show(result)
    return 1 if any(run["pending"] for row in result["up"] for run in row["runs"]) else 0
