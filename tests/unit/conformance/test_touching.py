"""Which failures below are the cause of one of an instance's: those of the ways that it uses."""

from __future__ import annotations

import pytest

from testbed.conformance import rack_subjects, subjects
from testbed.conformance.causes import Causes, Run, made
from testbed.conformance.expectation import Deviation
from testbed.conformance.graph import graph
from testbed.lifecycle.installation import load_topology
from testbed.topology.model import Topology

TWO_RACKS = "two-racks"


def failed_below(topology: Topology, outpost: str) -> Causes:
    """What is known when the underlay of one Outpost's first tunnel carries too little."""
    tunnel = next(t for t in rack_subjects.tunnels(topology) if t.outpost.name == outpost)
    run = Run(graph()["service-link.underlay-mtu"], tunnel, topology)
    error = Deviation("tunnel", expected="1500 bytes", seen="1400")
    return Causes(topology, [made(run, "failed", error=error)])


def of_instance(topology: Topology, name: str) -> Run:
    instance = next(i for i in subjects.instances(topology) if i.instance.name == name)
    return Run(graph()["mtu.path"], instance, topology)


@pytest.mark.parametrize("outpost", ["op-a", "op-b"])
def test_an_instance_in_the_region_uses_the_service_links_of_its_vpcs_outposts(
    outpost: str,
) -> None:
    topology = load_topology(TWO_RACKS, {})
    causes = failed_below(topology, outpost)
    for subject in subjects.instances(topology):
        racks = subjects.VpcSubject(topology.vpcs[subject.instance.vpc]).touches
        used = {subject.outpost} if subject.outpost else racks
        reason = causes.following_from(of_instance(topology, subject.instance.name), None)
        assert bool(reason) == (outpost in used), subject
