"""How well time is kept: what was asked for, what was achieved, here and in each micro VM.

Run as benchmarks/timers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from testbed.control import registry
from testbed.control.client import Client, RemoteProcess
from testbed.errors import NetworkError, TestbedError
from testbed.kernel import features
from testbed.lifecycle import start
from testbed.plan.model import Interface, Netem, Node, Plan, Process, Veth
from testbed.plan.roles import Role
from testbed.testing import Testbed

PROBE = Path(__file__).with_name("timing_probe.py")
KINDS = ("never", "uml", "qemu")
NAMES = {"never": "this kernel", "uml": "user-mode", "qemu": "QEMU"}
DELAYS_MS = (0.1, 0.5, 1.0, 5.0, 20.0, 100.0)
RATES_MBPS = (1.0, 10.0, 100.0)
LOSSES = (1.0, 10.0)
JITTER = (20.0, 5.0)  # delay, jitter: even between their difference and their sum
ADDRESSES = ("192.0.2.1", "192.0.2.2")
BIRD = """log stderr all;
router id {own};
protocol device {{}}
protocol bfd {{
  interface "eth0" {{ min rx interval 50 ms; min tx interval 50 ms; multiplier 3; }};
  neighbor {peer} dev "eth0";
}}
"""


def node(number: int, netem: Netem | None = None) -> Node:
    """One of two routers on one cable, with a BFD session to the other."""
    own, peer = ADDRESSES[number], ADDRESSES[1 - number]
    name, other = "ab"[number], "ba"[number]
    directory = f"/run/node/{name}"
    bird = ("bird", "-f", "-c", f"{directory}/bird.conf", "-s", f"{directory}/bird.ctl")
    return Node(
        name,
        role=Role.VPC_ROUTER,
        group="bench",
        interfaces=(Interface("eth0", Veth(other, "eth0"), addresses=(f"{own}/24",), netem=netem),),
        files={"bird.conf": BIRD.format(own=own, peer=peer)},
        processes=(Process("bird", bird, files=("bird.conf",), reload="bird"),),
    )


def plan(netem: Netem | None = None) -> Plan:
    """Two routers; the first one's frames are treated so."""
    return Plan("bench-timers", (node(0, netem), node(1)))


class Bench:
    """One running testbed that is measured."""

    def __init__(self, testbed: Testbed, quick: bool) -> None:
        self.client: Client = testbed.client
        self.testbed = testbed
        self.quick = quick

    def argv(self, probe: str, *words: object) -> list[str]:
        """The command that runs a probe in a node."""
        return [sys.executable, "-B", str(PROBE), probe, *map(str, words)]

    def run(self, where: str, probe: str, *words: object) -> dict[str, Any]:
        """What a probe found out."""
        package = str(Path(start.__file__).parents[1])
        env = {"PYTHONPATH": package}
        done = self.client.run(where, self.argv(probe, *words), env=env, timeout=600)
        if done.returncode:
            text = done.stderr.decode(errors="replace")
            raise NetworkError(f"{probe} failed", hint=text[-2000:])
        result: dict[str, Any] = json.loads(done.text.splitlines()[-1])
        return result

    @contextlib.contextmanager
    def running(self, where: str, probe: str, *words: object) -> Iterator[RemoteProcess]:
        """A probe that runs meanwhile and is ready."""
        with self.client.popen(where, self.argv(probe, *words)) as process:
            output = b""
            for chunk in process.chunks(time.monotonic() + 60):
                output += chunk
                if b"ready" in output:
                    break
            yield process

    def treat(self, netem: Netem | None) -> None:
        """Change what happens to the first node's frames."""
        self.testbed.apply(plan(netem), wait=False)

    def clock(self) -> dict[str, float]:
        """How far the guest's clock is from the host's, in ms, and what a second there lasts."""
        with self.running("a", "clock") as guest:
            first = compare(guest)
            time.sleep(3 if self.quick else 20)
            last = compare(guest)
        host = last["host"] - first["host"]
        return {
            "offset_ms": (last["realtime"] - last["host"]) * 1000,
            "uncertain_ms": max(first["uncertain"], last["uncertain"]) * 1000,
            "realtime_ppm": ((last["realtime"] - first["realtime"]) / host - 1) * 1e6,
            "monotonic_ppm": ((last["monotonic"] - first["monotonic"]) / host - 1) * 1e6,
        }

    def sleeps(self) -> list[dict[str, Any]]:
        """Sleeps in a program."""
        rows = []
        for wanted in DELAYS_MS:
            count = min(200, max(20, int(2000 / wanted)))
            rows.append({"wanted": wanted, **self.run("a", "sleep", wanted, count)})
        return rows

    def delays(self) -> list[dict[str, Any]]:
        """Netem's delay, as the round trip less that without it."""
        rows = []
        with self.running("b", "echo"):
            self.treat(None)
            base = self.run("a", "ping", ADDRESSES[1], 200)
            for wanted in DELAYS_MS:
                self.treat(Netem(delay_ms=wanted))
                count = min(300, max(20, int(3000 / wanted)))
                found = self.run("a", "ping", ADDRESSES[1], count)
                rows.append({"wanted": wanted, "base": base["median"], **found})
            self.treat(Netem(delay_ms=JITTER[0], jitter_ms=JITTER[1]))
            jitter = self.run("a", "ping", ADDRESSES[1], 200)
            rows.append(
                {"wanted": JITTER[0], "jitter": JITTER[1], "base": base["median"], **jitter}
            )
        return rows

    def losses(self) -> list[dict[str, Any]]:
        """Netem's loss."""
        rows = []
        count = 2000 if self.quick else 20000
        with self.running("b", "echo"):
            for wanted in (0.0, *LOSSES):
                self.treat(Netem(loss_percent=wanted) if wanted else None)
                rows.append({"wanted": wanted, **self.run("a", "lose", ADDRESSES[1], count)})
        return rows

    def rates(self) -> list[dict[str, Any]]:
        """Netem's rate."""
        rows = []
        seconds = 2 if self.quick else 5
        for wanted in RATES_MBPS:
            self.treat(None)  # what is queued at another rate goes
            self.treat(Netem(rate_mbps=wanted, limit=100))
            with (
                self.running("b", "drain", seconds) as drain,
                self.client.popen("a", self.argv("flood", ADDRESSES[1], seconds + 2)) as flood,
            ):
                result = json.loads(drain.wait(120).text.splitlines()[-1])
                flood.wait(120)
            rows.append({"wanted": wanted, **result})
        self.treat(None)
        return rows

    def bfd(self) -> dict[str, Any]:
        """BFD at 3 x 50 ms: failures that are none, and how soon a real one is noticed."""
        seconds = 10 if self.quick else 60
        path = "/run/node/a/bird.ctl"
        idle = self.run("a", "bfd_watch", path, seconds)
        detection = self.run("a", "bfd_detect", path, 5 if self.quick else 20)
        with contextlib.ExitStack() as stack:
            burners = [
                stack.enter_context(self.client.popen(where, self.argv("burn", seconds + 4)))
                for where in "ab"
            ]
            loaded = self.run("a", "bfd_watch", path, seconds)
            for burner in burners:
                burner.wait(seconds + 60)
        return {"seconds": seconds, "idle": idle, "loaded": loaded, "detection": detection}

    def all(self) -> dict[str, Any]:
        """Everything."""
        found: dict[str, Any] = {}
        for name in ("clock", "sleeps", "delays", "losses", "rates", "bfd"):
            say(f"  {name}")
            found[name] = getattr(self, name)()
        return found


def compare(guest: RemoteProcess) -> dict[str, float]:
    """The guest's clocks beside the host's: of some questions the one answered soonest."""
    answers = []
    for _ in range(40):
        before = time.time()
        guest.write(b"\n")
        for chunk in guest.chunks(time.monotonic() + 30):
            after = time.time()
            half = (after - before) / 2
            answers.append((half, json.loads(chunk) | {"host": before + half, "uncertain": half}))
            break
    best: dict[str, float] = min(answers, key=lambda entry: entry[0])[1]
    return best


def say(text: str) -> None:
    """Tell what goes on."""
    print(text, file=sys.stderr, flush=True)


def usable(vm: str) -> str | None:
    """What keeps this kind from being measured; None: nothing."""
    if vm == "never":
        lacking = features.lacking(plan(Netem(delay_ms=1)))
        return f"lacks {', '.join(feature.name for feature in lacking)}" if lacking else None
    from testbed.guest.kinds import KINDS as GUESTS  # noqa: PLC0415

    return "; ".join(GUESTS[vm]().problems()) or None


def measure(kinds: list[str], *, quick: bool) -> dict[str, Any]:
    """Everything in each kind, as --json prints it."""
    result: dict[str, Any] = {
        "date": date.today().isoformat(),  # noqa: DTZ011
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "kinds": {},
    }
    for vm in kinds:
        if (why := usable(vm)) is not None:
            say(f"{NAMES[vm]}: left out, {why}")
            continue
        say(f"{NAMES[vm]}:")
        with Testbed.up(replace(plan(), name=f"bench-timers-{vm}"), vm=vm) as testbed:
            found = Bench(testbed, quick).all()
            found["kernel"] = testbed.client.hello()["kernel"]
            result["kinds"][vm] = found
    return result


def rows_of(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What was asked for, and achieved / asked for (or what it says)."""
    clock = found["clock"]
    yield "clock: offset (ms)", f"{clock['offset_ms']:+.1f} (± {clock['uncertain_ms']:.1f})"
    yield "clock: a second of it (ppm)", f"{clock['realtime_ppm']:+.0f}"
    for row in found["sleeps"]:
        text = f"{row['median'] / row['wanted']:.3f} ({row['p99'] / row['wanted']:.2f})"
        yield f"sleep {row['wanted']:g} ms", text
    for row in found["delays"]:
        if "jitter" in row:
            even = row["jitter"] / 3**0.5
            yield (
                f"jitter {row['wanted']:g} ± {row['jitter']:g} ms",
                f"{row['deviation'] / even:.2f}",
            )
            continue
        net = row["median"] - row["base"]
        yield (
            f"delay {row['wanted']:g} ms",
            f"{net / row['wanted']:.3f} (+{row['p99'] - row['median']:.2f} ms)",
        )
    for row in found["losses"]:
        text = f"{row['lost_percent']:.2f} %"
        if row["wanted"]:
            text = f"{row['lost_percent'] / row['wanted']:.3f}"
        yield f"loss {row['wanted']:g} %", text
    for row in found["rates"]:
        yield f"rate {row['wanted']:g} Mbit/s", f"{row['mbps'] / row['wanted']:.3f}"
    bfd = found["bfd"]
    for name in ("idle", "loaded"):
        yield f"BFD 3 x 50 ms, {bfd['seconds']} s {name}: failures", str(bfd[name]["flaps"])
    detection = bfd["detection"]
    ends = f"{detection['min']:.0f} to {detection['max']:.0f}"
    yield "BFD: noticed after (ms, 100 to 150 expected)", f"{detection['median']:.0f} ({ends})"


def show(result: dict[str, Any]) -> None:
    """Print the table, in Markdown."""
    columns = {NAMES[vm]: dict(rows_of(found)) for vm, found in result["kinds"].items()}
    print(
        f"{result['date']}, {result['processors']} processors, load {result['load']} at the start\n"
    )
    print("| achieved / asked for (p99) |" + "".join(f" {name} |" for name in columns))
    print("|---|" + "---|" * len(columns))
    for title in dict.fromkeys(title for column in columns.values() for title in column):
        print(
            f"| {title} |" + "".join(f" {column.get(title, '-')} |" for column in columns.values())
        )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks/timers", description=__doc__)
    parser.add_argument("--vm", action="append", choices=KINDS, help="only there; repeatable")
    parser.add_argument("--quick", action="store_true", help="shorter, and so less exact")
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    options = parser.parse_args()
    if os.geteuid() != 0:
        say("benchmarks/timers has to be run as root")
        return 3
    try:
        registry.sweep()
        result = measure(options.vm or list(KINDS), quick=options.quick)
    except TestbedError as error:
        say(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
        return error.exit_code
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0
