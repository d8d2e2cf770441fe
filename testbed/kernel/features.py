"""What the running kernel can do, found out by doing it in a throwaway network namespace.

`probe` makes one of everything a plan may need; `lacking` says what a given
plan needs and this kernel has not, so that the caller can choose the micro
VM; `programs` says which programs are missing. Nothing of this touches the
host's own network namespace: a forked child leaves it first, and the modules
that would add interfaces to it when loaded are loaded without them.

`python -m testbed.kernel.features` prints what is lacking and exits with 3
if anything is; `scripts/setup` decides by it whether a guest kernel is
needed. That is why this module needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.kernel.packages import OF_CONTAINERS, PACKAGES
from testbed.kernel.trials import NAMESPACES, OF_GUESTS, PROBES, try_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.plan.model import Plan, Process

DEADLINE_S = 20.0  # of all probes together; an emulated guest takes up to one second
OF_KIND = {
    kind: kind for kind in ("veth", "bond", "vlan", "vrf", "bridge", "dummy", "wireguard", "vxlan")
} | {"host": "macvlan"}
ROUTING_DAEMONS = frozenset({"bird", "zebra", "bgpd"})
PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/frr"
KNOWN = {**PACKAGES, **OF_CONTAINERS}
OWN_PROGRAMS = "testbed-"  # what the keeper itself provides
QUIET_MODULES = {"bond": ("bonding", "max_bonds=0"), "dummy": ("dummy", "numdummies=0")}


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a plan may need of the kernel, and whether this kernel has it.

    `error` is the kernel's own reason when it has not.
    """

    name: str
    ok: bool
    needed_for: str
    kernel_option: str
    package_or_module: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A program or library that is missing, and the Debian package that has it.

    Without a `required` one the plan cannot run; others only disable a command.
    """

    name: str
    package: str
    needed_for: str
    required: bool


def probe() -> list[Feature]:
    """Try everything once; takes some 50 ms on the host's own kernel.

    An ordinary user has those features that work in a user namespace.
    Never raises: what goes wrong is in the features' `error`.
    """
    errors = _errors_from_child(_load_quiet_modules())
    untried = errors.get("", "not tried")
    rows = [NAMESPACES, *((p.name, p.needed_for, p.option, p.module) for p in PROBES)]
    return [
        Feature(
            name=name,
            ok=not errors.get(name, untried),
            needed_for=needed_for,
            kernel_option=option,
            package_or_module=module if module == "built in" else f"module {module}",
            error=errors.get(name, untried),
        )
        for name, needed_for, option, module in rows
    ]


def required(plan: Plan) -> set[str]:
    """Name the features that the plan needs."""
    needed = {"namespaces"}
    for node in plan.nodes:
        kinds = {interface.device.kind for interface in node.interfaces}
        needed |= {OF_KIND[kind] for kind in kinds & OF_KIND.keys()}
        needed |= {p.name for p in PROBES if p.nftables and re.search(p.nftables, node.nftables)}
        if any(interface.netem for interface in node.interfaces):
            needed.add("netem")
        if any(interface.netem and interface.netem.classified for interface in node.interfaces):
            needed.add("prio")
        if node.aborts:
            needed.add("reset-connections")
        if node.rules or any(interface.device.kind == "vrf" for interface in node.interfaces):
            needed.add("policy-routing")
        daemons = {Path(process.argv[0]).name for process in node.processes if process.argv}
        if daemons & ROUTING_DAEMONS or any(route.nexthops for route in node.routes):
            needed.add("multipath")
        if any(p.container is not None and p.container.limits.grouped for p in node.processes):
            needed.add("control-groups")
    return needed


def lacking(plan: Plan) -> list[Feature]:
    """Return the features that the plan needs and this kernel has not."""
    needed = required(plan)
    found = [feature for feature in probe() if feature.name in needed and not feature.ok]
    return found + [
        Feature(
            p.name,
            ok=False,
            needed_for=p.needed_for,
            kernel_option=p.option,
            package_or_module=p.module,
            error="this machine's are not the testbed's",
        )
        for p in OF_GUESTS
        if p.name in needed
    ]


def programs(plan: Plan | None = None) -> list[Program]:
    """Return the missing ones of the programs that the plan (None: any plan) starts."""
    if plan is None:
        started = set(PACKAGES)
        firewalls = True
    else:
        started = _started(process for node in plan.nodes for process in node.processes)
        firewalls = any(node.nftables for node in plan.nodes)
    missing = [
        Program(name, KNOWN.get(Path(name).name, ""), "what runs in nodes", required=True)
        for name in sorted(started)
        if not _found(name)
    ]
    if firewalls and not _loads("libnftables.so.1"):
        missing.append(Program("libnftables.so.1", "libnftables1", "firewalls", required=True))
    for name, package, needed_for in (
        ("ping", "iputils-ping", "testbed ping"),
        ("tcpdump", "tcpdump", "captures"),
        ("iperf3", "iperf3", "testbed perf"),
        *((name, package, "processes of instances") for name, package in OF_CONTAINERS.items()),
    ):
        if name not in started and not _found(name):
            missing.append(Program(name, package, needed_for, required=False))
    return missing


def _started(processes: Iterable[Process]) -> set[str]:
    """Name the machine's programs that processes are, or are run by."""
    started: set[str] = set()
    for process in processes:
        if process.container is not None:
            started |= set(process.container.programs)
        elif not process.argv[0].startswith(OWN_PROGRAMS):
            started.add(process.argv[0])
        else:  # which may start another one
            started |= set(process.argv[1:]) & PACKAGES.keys()
    return started


def _found(program: str) -> bool:
    if "/" in program:
        return os.access(program, os.X_OK)
    path = f"{os.environ.get('PATH', '')}:{PROGRAM_PATH}"
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in path.split(":") if folder)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _load_quiet_modules() -> dict[str, str]:
    """Load the modules that the kernel would load with an interface for the host's namespace.

    Without the right to: the features that must not be tried, let alone used,
    until root has done so, and the reason.
    """
    folder = Path("/lib/modules", os.uname().release)
    wanted = {n: m for n, m in QUIET_MODULES.items() if not Path("/sys/module", m[0]).is_dir()}
    if not wanted or not folder.is_dir():
        return {}
    if os.geteuid():
        try:
            loadable = (folder / "modules.dep").read_text()
        except OSError:
            return {}
        return {
            name: "loading the module now would give this machine an interface, unless "
            f"root does it: sudo modprobe {module} {parameter}"
            for name, (module, parameter) in wanted.items()
            if f"/{module}.ko" in loadable
        }
    for module, parameter in wanted.values():
        if _found("modprobe"):
            subprocess.run(
                ["modprobe", "--quiet", module, parameter],
                check=False,  # a kernel without the module is what the probes are there to find
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": PROGRAM_PATH},
            )
    return {}


def _errors_from_child(withheld: dict[str, str]) -> dict[str, str]:
    """Run the probes in a forked child; the text of each one's error, empty if it worked.

    Those `withheld` are not tried. The key "" holds the reason why the child
    could not run any.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(writer, withheld)
    os.close(writer)
    chunks: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_S
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    try:
        while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            if not (chunk := os.read(reader, 65536)):
                break
            chunks.append(chunk)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    try:
        errors: dict[str, str] = json.loads(b"".join(chunks))
    except ValueError:
        return {"": f"the probe gave no answer within {DEADLINE_S:.0f} s or died"}
    return errors


def _child(writer: int, withheld: dict[str, str]) -> None:
    """Probe and report over the pipe; does not return."""
    # For libnftables, as in `namespace.out_of_the_way`.
    os.closerange(3, writer)
    os.closerange(writer + 1, sys.maxsize >> 32)
    try:
        report = json.dumps(try_all(withheld)).encode()
        while report:
            report = report[os.write(writer, report) :]
    finally:
        os._exit(0)


def main() -> int:
    """Print what any plan may need and this machine lacks; 0 when that is nothing, else 3."""
    lines = [
        f"{feature.name}: {feature.error} ({feature.kernel_option})"
        for feature in probe()
        if not feature.ok
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 3 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
