"""Rules of instances' processes."""

from __future__ import annotations

from testbed.errors import Path
from testbed.topology.model import InstanceProcess, Topology
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm

TAKEN = {"services"}  # what the testbed calls a process of its own in an instance


def check(_: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every instance's processes."""
    for instance in topology.instances.values():
        ports: dict[tuple[str, int], str] = {}
        for process in instance.processes:
            path: Path = ("instances", instance.name, "processes", process.name)
            _process(process, path, report)
            for index, listener in enumerate(process.listens):
                owner = ports.setdefault(listener, process.name)
                if owner != process.name:
                    message = f"{owner} listens at {listener[0]}/{listener[1]} of the instance"
                    report.add((*path, "listens", index), message, "choose another port")


def _process(process: InstanceProcess, path: Path, report: Report) -> None:
    if process.name in TAKEN:
        message = f"the name '{process.name}' is that of a process of the testbed's"
        report.add(path, message, "choose another name", key=True)
    if not process.image and not process.command:
        message = "has neither an image nor a command, so there is nothing to run"
        report.add(path, message, "say what it runs: command: [program, argument]", key=True)
    if process.network == "none" and process.listens:
        message = "has no network, so nothing of the instance's can listen"
        report.add((*path, "listens"), message, "network: instance")
    targets: set[str] = set()
    for index, mount in enumerate(process.mounts):
        if mount.target in targets or mount.target == "/":
            message = f"{mount.target} is mounted already"
            report.add((*path, "mounts", index, "target"), message, "choose another place")
        targets.add(mount.target)
