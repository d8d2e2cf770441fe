"""This kernel, a user-mode kernel and QEMU beside each other: what a testbed costs in each.

Run as benchmarks/guests.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import pwd
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from measure import measure_up, positive_number, positive_numbers, say
from timing import KINDS, NAMES

from testbed.control import registry
from testbed.errors import NetworkError, TestbedError
from testbed.kernel import features
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.lower.builder import HOST_SYSCTLS
from testbed.lower.rack.service_link import public_key
from testbed.plan.model import (
    Bond,
    Interface,
    Node,
    Plan,
    Veth,
    Vlan,
    WireGuard,
    WireGuardPeer,
)
from testbed.plan.roles import Role
from testbed.testing import Testbed

ROOT = Path(__file__).resolve().parents[1]
SUITE = ("test_rack.py", "test_two_racks.py", "test_bfd.py")
PATHS = {"plain": "192.0.2", "VLAN on a bond": "198.51.100", "WireGuard": "203.0.113"}
PORT = 51820
SECONDS = 4
PING_INTERVAL_S = 0.01
PINGS = 600
"""A failure happens after a second of them; six seconds are what the longest outage may take."""


# What is measured


def boot(vm: str) -> dict[str, float]:
    """Milliseconds from the relay's start to the guest's first word, and to the keeper's answer."""
    if vm == "never":
        return {}
    name = "bench-boot"
    command = [sys.executable, "-P", "-m", "testbed.guest.relay", "--guest", vm, name]
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
        assert relay.stdout is not None
        for line in relay.stdout:
            message = json.loads(line)
            if "error" in message:
                raise NetworkError(message["error"]["message"])
            if message.get("ready"):
                break
        total = (time.perf_counter() - started) * 1000
        relay.terminate()
    timings: dict[str, float] = message["timings"]
    inside = timings["kernel"] + timings["keeper"]
    return {"relay": total - inside, **timings, "total": total}


def throughput_plan(name: str) -> Plan:
    """Two hosts with a cable, a VLAN on a LAG of two, and a tunnel over the cable."""
    keys = (bytes([1]) * 32, bytes([2]) * 32)
    nodes = []
    for number in (0, 1):
        own, other = f"{'ab'[number]}", f"{'ba'[number]}"

        def at(path: str, number: int = number) -> tuple[str, ...]:
            return (f"{PATHS[path]}.{number + 1}/24",)

        peer = WireGuardPeer(
            "peer",
            public_key(encoded(keys[1 - number])),
            f"{PATHS['plain']}.{2 - number}:{PORT}",
            ("0.0.0.0/0",),
        )
        tunnel = WireGuard(own, encoded(keys[number]), PORT, (peer,))
        interfaces = (
            Interface("eth0", Veth(other, "eth0"), addresses=at("plain")),
            Interface("bond0", Bond(), mac=f"02:00:00:00:00:0{number + 1}"),
            Interface("eth1", Veth(other, "eth1"), master="bond0"),
            Interface("eth2", Veth(other, "eth2"), master="bond0"),
            Interface("bond0.7", Vlan("bond0", 7), addresses=at("VLAN on a bond")),
            Interface("wg0", tunnel, mtu=1420, addresses=at("WireGuard")),
        )
        nodes.append(
            Node(own, role=Role.HOST, group="bench", sysctls=HOST_SYSCTLS, interfaces=interfaces)
        )
    return Plan(name, tuple(nodes))


def encoded(key: bytes) -> str:
    """A key in base64."""
    import base64  # noqa: PLC0415

    return base64.b64encode(key).decode()


def throughput(vm: str) -> dict[str, float]:
    """Round trip in ms, Mbit/s of one TCP connection on each path."""
    found: dict[str, float] = {}
    with Testbed.up(throughput_plan("bench-tcp"), vm=vm) as testbed:
        a, client = testbed["a"], testbed.client
        for address in (f"{prefix}.2" for prefix in PATHS.values()):
            wait_for(partial(reaches, testbed, address))
        text = a.run(["ping", "-n", "-q", "-c", "200", "-i", "0.005", f"{PATHS['plain']}.2"]).text
        summary = re.search(r"= [\d.]+/([\d.]+)/", text)
        assert summary is not None
        found["RTT"] = float(summary[1])
        for path, prefix in PATHS.items():
            with client.popen("b", ["iperf3", "-s", "-1", "--forceflush"]) as server:
                for chunk in server.chunks(time.monotonic() + 30):
                    if b"listening" in chunk:
                        break
                command = ["iperf3", "-J", "-t", str(SECONDS), "-c", f"{prefix}.2"]
                result = json.loads(a.run(command, timeout=SECONDS + 60).text)
                server.wait(30)
            found[path] = result["end"]["sum_received"]["bits_per_second"] / 1e6
    return found


def reaches(testbed: Testbed, address: str) -> bool:
    """Whether the first host gets an answer."""
    return testbed["a"].ping(address, count=1).received == 1


def wait_for(happens: Callable[[], bool]) -> None:
    """Wait until something happens."""
    deadline = time.monotonic() + 60
    while not happens():
        if time.monotonic() > deadline:
            raise NetworkError("the hosts do not reach each other")


def failover(vm: str) -> dict[str, float]:
    """The longest time in ms without an answer when a part of the first rack fails."""
    found: dict[str, float] = {}
    topology = load_topology(ROOT / "topologies" / "two-racks.yaml", {}, "bench-failover")
    plan = lower_topology(topology)
    with Testbed.up(plan, vm=vm, timeout_s=300) as testbed:
        for failure, ends in failures(plan).items():
            found[failure] = max(outage(testbed, plan, down) for down in ends)
    return found


def failures(plan: Plan) -> dict[str, list[set[tuple[str, str]]]]:
    """The interfaces that go down in each failure, on either side: a flow uses one of them."""
    sides = (1, 2)
    cables = {
        node.name: {(node.name, i.name) for i in node.interfaces if isinstance(i.device, Veth)}
        for node in plan.nodes
    }
    return {
        "uplink": [{(f"op-a.ond{side}", "uplink1")} for side in sides],
        "OND": [cables[f"op-a.ond{side}"] for side in sides],
        "customer device": [cables[f"cnd{side}"] for side in sides],
    }


def outage(testbed: Testbed, plan: Plan, down: set[tuple[str, str]]) -> float:
    """The longest gap of a flow from one rack to the other while these go down."""
    broken = replace(
        plan,
        nodes=tuple(
            replace(
                node,
                interfaces=tuple(
                    replace(i, up=i.up and (node.name, i.name) not in down) for i in node.interfaces
                ),
            )
            for node in plan.nodes
        ),
    )
    ping = ["ping", "-n", "-D", "-i", str(PING_INTERVAL_S), "-c", str(PINGS), "-W", "1"]
    with testbed.client.popen("a", [*ping, testbed.address("b")]) as flow:
        output = b""
        for chunk in flow.chunks(time.monotonic() + 60):
            output += chunk
            if b"icmp_seq=100 " in output:
                break
        testbed.apply(broken, wait=False)
        output += flow.wait(300).stdout
    times = [float(stamp) for stamp in re.findall(rb"\[(\d+\.\d+)\][^\n]*icmp_seq=\d+ ttl", output)]
    testbed.apply(plan, timeout_s=300)
    return max(b - a for a, b in itertools.pairwise(times)) * 1000


def suite(vm: str) -> dict[str, float]:
    """Seconds that some of the packet tests take."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    files = [str(ROOT / "tests" / "packets" / name) for name in SUITE]
    environment = os.environ | {"TESTBED_VM": vm}
    done = subprocess.run(
        [*command, *files], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        say(done.stdout[-2000:])
        return {}
    return {"seconds": time.perf_counter() - started}


# All of it


def usable(vm: str) -> str | None:
    """What keeps this kind from being measured; None: nothing."""
    if vm == "never":
        lacking = features.lacking(throughput_plan("bench"))
        return f"lacks {', '.join(feature.name for feature in lacking)}" if lacking else None
    from testbed.guest.kinds import KINDS as GUESTS  # noqa: PLC0415

    return "; ".join(GUESTS[vm]().problems()) or None


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything in each kind, as --json prints it."""
    result: dict[str, Any] = {
        "date": date.today().isoformat(),  # noqa: DTZ011
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "kinds": {},
    }
    for vm in options.vm or KINDS:
        if (why := usable(vm)) is not None:
            say(f"{NAMES[vm]}: left out, {why}")
            continue
        found: dict[str, Any] = {}
        result["kinds"][vm] = found
        for what in options.only or WHAT:
            say(f"{NAMES[vm]}: {what}")
            with contextlib.suppress(KeyboardInterrupt):
                found[what] = list(WHAT[what](vm, options))
    return result


def repeated(probe: Callable[[str], dict[str, float]]) -> Callable[..., Iterator[dict[str, float]]]:
    """A probe that is run as often as the options say."""

    def run(vm: str, options: argparse.Namespace) -> Iterator[dict[str, float]]:
        for _ in range(options.repeat):
            yield probe(vm)

    return run


def ups(vm: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """`up` of each number of racks."""
    for racks in options.racks:
        for _ in range(options.repeat):
            yield {"racks": racks, **measure_up(racks, vm)}


def once(probe: Callable[[str], dict[str, float]]) -> Callable[..., Iterator[dict[str, float]]]:
    """A probe that is run once."""

    def run(vm: str, _: argparse.Namespace) -> Iterator[dict[str, float]]:
        yield probe(vm)

    return run


WHAT: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
    "boot": repeated(boot),
    "up": ups,
    "throughput": repeated(throughput),
    "failover": once(failover),
    "suite": once(suite),
}


def rows_of(found: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Title, unit and median of what was measured in one kind."""
    for key in ("relay", "kernel", "keeper", "total"):
        if values := [row[key] for row in found.get("boot", []) if row]:
            yield f"boot: {key}", "ms", statistics.median(values)
    yield from _ups(found.get("up", []))
    for key, unit in (("RTT", "ms"), *((path, "Mbit/s") for path in PATHS)):
        if values := [row[key] for row in found.get("throughput", [])]:
            title = "ping, one cable" if key == "RTT" else f"TCP, {key}"
            yield title, unit, statistics.median(values)
    for row in found.get("failover", []):
        for failure, outage_ms in row.items():
            yield f"failover: {failure}", "ms", outage_ms
    for row in found.get("suite", []):
        if row:
            yield f"packet tests ({len(SUITE)} files)", "s", row["seconds"]


def _ups(runs: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, float]]:
    for racks in dict.fromkeys(run["racks"] for run in runs):
        same = [run for run in runs if run["racks"] == racks]
        for title, phases in PHASES.items():
            spent = [sum(run["timings"].get(phase, 0.0) for phase in phases) for run in same]
            yield f"{racks} racks: {title}", "ms", statistics.median(spent)
        yield f"{racks} racks: up", "ms", statistics.median(run["up"] for run in same)
        yield f"{racks} racks: down", "ms", statistics.median(run["down"] for run in same)


PHASES: dict[str, Sequence[str]] = {
    "load, lower": ("load", "lower"),
    "start": ("start",),
    "plumbing": (
        *("nodes", "links", "queueing", "addresses", "neighbors", "routes", "rules"),
        *("rulesets", "files"),
    ),
    "processes": ("processes",),
    "ready": ("ready",),
}


def show(results: Sequence[dict[str, Any]]) -> None:
    """Print a table in Markdown: a column for each kind and user, and its ratio to the first."""
    columns: dict[str, dict[str, tuple[str, float]]] = {}
    for result in results:
        for vm, found in result["kinds"].items():
            rows = {title: (unit, value) for title, unit, value in rows_of(found)}
            columns[f"{NAMES[vm]}, {result['user']}"] = rows
    first = results[0]
    machine = f"{first['processors']} processors, load {first['load']} at the start"
    print(f"{first['date']}, {machine}; medians, and the ratio to the first column\n")
    print(f"| | {' | '.join(columns)} |")
    print("|---|" + "---|" * len(columns))
    base = next(iter(columns.values()))
    for title in dict.fromkeys(title for rows in columns.values() for title in rows):
        cells = []
        for rows in columns.values():
            if title not in rows:
                cells.append("-")
                continue
            unit, value = rows[title]
            ratio = ""
            if rows is not base and base.get(title, ("", 0.0))[1]:
                ratio = f" ({value / base[title][1]:.2f})"
            cells.append(
                f"{value:.3g} {unit}{ratio}" if value < 100 else f"{value:.0f} {unit}{ratio}"
            )
        print(f"| {title} | {' | '.join(cells)} |")


def as_user(name: str, arguments: Sequence[str]) -> int:
    """Run this program as another user, who gets a home and a runtime directory for it."""
    user = pwd.getpwnam(name)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        os.chown(home, user.pw_uid, user.pw_gid)
        environment = {
            "HOME": home,
            "XDG_RUNTIME_DIR": home,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        words = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        words += ["--no-new-privs", "--bounding-set=-all", sys.executable]
        command = [*words, str(ROOT / "benchmarks" / "guests"), *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


def main() -> int:
    """Measure and print, or print what was measured before."""
    parser = argparse.ArgumentParser(prog="benchmarks/guests", description=__doc__)
    parser.add_argument("--vm", action="append", choices=KINDS, help="only there; repeatable")
    parser.add_argument("--only", action="append", choices=WHAT, help="only that; repeatable")
    parser.add_argument("--racks", type=positive_numbers, default=[1, 4, 16], metavar="N,N,…")
    parser.add_argument("--repeat", type=positive_number, default=3, metavar="N")
    parser.add_argument("--as", dest="user", metavar="USER", help="measure as this user")
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    parser.add_argument("--show", nargs="+", type=Path, metavar="FILE", help="what --json wrote")
    options = parser.parse_args()
    if options.show:
        show([json.loads(path.read_text()) for path in options.show])
        return 0
    if options.user:
        rest = [word for word in sys.argv[1:] if word not in {"--as", options.user}]
        return as_user(options.user, rest)
    try:
        registry.sweep()
        result = measure(options)
    except TestbedError as error:
        say(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
        return error.exit_code
    print(json.dumps(result, indent=2)) if options.json else show([result])
    return 0
