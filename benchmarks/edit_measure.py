"""Where the time goes from one edit of a running testbed to the first packet that follows it.

Run as benchmarks/edit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from testbed.control.protocol import pack_message
from testbed.errors import NetworkError, TestbedError
from testbed.lifecycle import start
from testbed.lifecycle.installation import of_document
from testbed.lifecycle.live import live
from testbed.plan.patch import digested, patch
from testbed.testing import Testbed
from testbed.topology.document import Document, resolve
from testbed.topology.editing import (
    Change,
    authorize_security_group_ingress,
    create_security_group,
    modify_region_link,
    revoke_security_group_ingress,
    run_instances,
    terminate_instances,
)
from testbed.topology.numbers import Numbers

HERE = Path(__file__).resolve().parent
READY_S = 600.0
PACKET_S = 10.0
VPC, GROUP, INSTANCE, HOST = "app", "bench", "probe", "desk"
SITES = {"two-racks": "rack-a"}  # the subnet of the instance that comes and goes
PHASES = ("document", "derive", "lower", "diff", "send", "apply", "ready", "packet")
LIMITS_MS = {"two-racks": 150.0, "1000": 500.0}


@dataclass(frozen=True)
class Edit:
    """A change, and who can reach whom once it is made (None: nobody is asked)."""

    name: str
    change: Change
    packet: tuple[str, str] | None


@dataclass
class Figures:
    """Milliseconds by phase of each edit, and of the floor."""

    site: str
    nodes: int
    patch_bytes: int = 0
    floor: list[float] = field(default_factory=list)
    edits: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def median(self, phase: str, edit: str | None = None) -> float:
        """The median of a phase, of one edit or of all."""
        rows = [row for name, some in self.edits.items() if edit in {None, name} for row in some]
        return statistics.median(row[phase] for row in rows)


def edits(subnet: str, router: str) -> Iterator[Edit]:
    """One round of edits, after which everything is as before."""
    rule: dict[str, Any] = {"vpc": VPC, "group": GROUP, "ip_protocol": "icmp"}
    rule["cidr_ip"] = "192.168.10.0/24"
    run = run_instances(instances=[INSTANCE], subnet=subnet, security_groups=[GROUP])
    yield Edit("an instance comes", run, (router, INSTANCE))
    allow = authorize_security_group_ingress(**rule)
    yield Edit("a rule is added", allow, (HOST, INSTANCE))
    yield Edit("a delay changes", modify_region_link(delay="11ms"), (HOST, INSTANCE))
    yield Edit("... and back", modify_region_link(delay="10ms"), (HOST, INSTANCE))
    yield Edit("a rule is taken away", revoke_security_group_ingress(**rule), None)
    yield Edit("an instance goes", terminate_instances(instances=[INSTANCE]), None)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds that it takes, and what comes of it."""
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1000, result


def at_the_client(document: Document, numbers: Any, change: Change) -> dict[str, Any]:
    """Milliseconds of what the client does, step by step, and the size of what it sends."""
    old = digested(of_document(document, numbers).plan)
    took: dict[str, Any] = {}
    took["document"], new = timed(lambda: change(document))
    took["derive"], topology = timed(lambda: resolve(new, Numbers(numbers)))
    from testbed.lower import lower  # noqa: PLC0415 - as the product does

    took["lower"], plan = timed(lambda: lower(topology))
    took["diff"], frame = timed(lambda: pack_message(patch(old, digested(plan, old))))
    return took | {"bytes": len(frame)}


def packet(testbed: Testbed, ends: tuple[str, str]) -> None:
    """Return when a packet has gone there and back."""
    deadline = time.monotonic() + PACKET_S
    while not testbed[ends[0]].ping(ends[1], count=1).received:
        if time.monotonic() > deadline:
            raise NetworkError(f"no packet from {ends[0]} to {ends[1]}")


def measure_edit(testbed: Testbed, edit: Edit, figures: Figures) -> None:
    """Make one edit, and record where its time went."""
    now = live(testbed.client)
    took = at_the_client(now.document, now.numbers, edit.change)
    figures.patch_bytes = max(figures.patch_bytes, took.pop("bytes"))
    total, result = timed(lambda: testbed.edit(edit.change, timeout_s=READY_S))
    timings = dict(result["timings"])
    took["ready"] = timings.pop("ready", 0.0)
    took["apply"] = sum(timings.values())
    took["packet"] = 0.0
    if (ends := edit.packet) is not None:
        took["packet"], _ = timed(lambda: packet(testbed, ends))
    took["in all"] = total + took["packet"]
    took["send"] = max(0.0, took["in all"] - sum(took[p] for p in PHASES if p != "send"))
    figures.edits.setdefault(edit.name, []).append(took)


def floor(testbed: Testbed, router: str) -> float:
    """Milliseconds to add one rule by hand, in the router's node, and for a packet after it."""
    command = ["nft", "add", "rule", "inet", "vpc", "forward", "counter"]

    def by_hand() -> None:
        testbed[router].run(command)
        packet(testbed, (HOST, testbed.address(HOST)))

    return timed(by_hand)[0]


def measure(site: str, repeat: int, vm: str) -> Figures:
    """Everything for one site: a topology's name, or a number of instances."""
    settings, source = {}, str(HERE.parent / "topologies" / f"{site}.yaml")
    if site not in SITES:
        settings, source = {"instances": site}, str(HERE / "vpc.yaml.j2")
    name = f"bench-edit-{site}"
    with Testbed.up(source, settings, name=name, vm=vm, timeout_s=READY_S, hold=True) as testbed:
        subnet = SITES.get(site, "s0")
        topology = live(testbed.client).topology()
        outpost = topology.subnet(VPC, subnet).outpost
        router = f"{outpost}.vpc-{VPC}"
        figures = Figures(site, len(testbed.plan.nodes))
        testbed.edit(create_security_group(vpc=VPC, group=GROUP), timeout_s=READY_S)
        for number in range(repeat + 1):
            round_ = Figures(site, 0) if number == 0 else figures  # the first one warms up
            for edit in edits(subnet, router):
                measure_edit(testbed, edit, round_)
            figures.floor.append(floor(testbed, router))
    return figures


def table(results: Sequence[Figures]) -> str:
    """What was measured, as Markdown."""
    lines = ["| ms (medians) | " + " | ".join(_title(row) for row in results) + " |"]
    lines.append("|---" * (len(results) + 1) + "|")

    def add(title: str, cell: Callable[[Figures], str]) -> None:
        lines.append(f"| {title} | " + " | ".join(map(cell, results)) + " |")

    for phase in PHASES:
        add(phase, lambda row, phase=phase: f"{row.median(phase):.1f}")  # type: ignore[misc]
    for name in results[0].edits:
        add(name, lambda row, name=name: f"{row.median('in all', name):.0f}")  # type: ignore[misc]
    add("**in all**", lambda row: f"{row.median('in all'):.0f}")
    add("floor: a rule by hand, and a packet", lambda row: f"{statistics.median(row.floor):.0f}")
    add("**in all / floor**", lambda row: f"{_ratio(row):.1f}")
    add("longest message (KiB)", lambda row: f"{row.patch_bytes / 1024:.1f}")
    return "\n".join([*lines, "", *map(_verdict, (r for r in results if r.site in LIMITS_MS))])


def _title(row: Figures) -> str:
    what = row.site if row.site in SITES else f"{row.site} instances"
    return f"{what}, {row.nodes} nodes"


def _ratio(row: Figures) -> float:
    return row.median("in all") / statistics.median(row.floor)


def _verdict(row: Figures) -> str:
    found, limit = row.median("in all"), LIMITS_MS[row.site]
    return (
        f"{'met   ' if found <= limit else 'MISSED'} {_title(row)}: {found:.0f} of {limit:.0f} ms"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks/edit", description=__doc__)
    parser.add_argument(
        "--sites", default="two-racks,10,100,1000", metavar="SITE,…", help="or numbers of instances"
    )
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--vm", choices=start.VM_CHOICES, default=os.environ.get("TESTBED_VM"))
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    options = parser.parse_args()
    sites = options.sites.split(",")
    if wrong := [site for site in sites if site not in SITES and not site.isdecimal()]:
        parser.error(f"--sites {wrong[0]!r}: {', '.join(SITES)}, or numbers of instances")
    results = []
    for site in sites:
        print(f"{site} …", file=sys.stderr, flush=True)
        try:
            results.append(measure(site, max(1, options.repeat), options.vm or "auto"))
        except TestbedError as error:
            print(f"error: {error.message}", file=sys.stderr)
            return error.exit_code
    if options.json:
        print(json.dumps([asdict(row) for row in results], indent=2))
    else:
        print(table(results))
    return 0
