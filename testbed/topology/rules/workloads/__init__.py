"""Rules of what services of AWS's run. One module for each service."""

from __future__ import annotations

from testbed.topology.model import Topology
from testbed.topology.report import Report
from testbed.topology.rules.workloads import ecs
from testbed.topology.schema import TopologyForm

SMALLEST = 26  # the prefix length of public_cidr with room for the control planes


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check that the Region has room for the control planes, and what each service declares."""
    public = topology.region.public_cidr
    if topology.workloads.control_planes and public.prefixlen > SMALLEST:
        message = f"public_cidr {public} has no room for the control planes of workloads"
        report.add(("region", "public_cidr"), message, f"make it a /{SMALLEST} or larger")
    workloads = form.workloads
    if workloads and workloads.ecs and topology.workloads.ecs:
        ecs.check(workloads.ecs, topology, topology.workloads.ecs, report)
