"""Which faults the diagnosis is tried with: of every kind, on everything that sites have."""

from __future__ import annotations

from pathlib import Path

import pytest
from diagnosing import cases
from packets.test_diagnosis import MIXED, USUAL

from testbed.conformance.graph import graph
from testbed.faults.catalog import KINDS
from testbed.lifecycle.installation import load_topology, lower_topology

ROOT = Path(__file__).parents[2]
# Without effect on a healthy site: nothing is fragmented or too large where these are put, and
# a drained device or a second way loses nothing. What has its own site in topologies/broken:
ELSEWHERE = {"fragments-dropped", "icmp-errors-dropped", "device-drained", "route-wrong"}
# What stops several nodes at once: tests/packets/test_hosts.py.
ELSEWHERE |= {"host-down", "rack-down"}


@pytest.mark.parametrize("file", [MIXED, "topologies/two-racks.yaml", "tests/packets/bfd.yaml"])
def test_what_has_to_be_named_is_a_check(file: str) -> None:
    topology = load_topology(ROOT / file, {})
    found = cases(topology, lower_topology(topology))
    assert len({str(case) for case in found}) == len(found) > 100
    assert {check for case in found for check in case.checks} <= set(graph())
    assert all(case.objects for case in found)


def test_every_kind_is_tried() -> None:
    tried = set()
    for file in (MIXED, "topologies/two-racks.yaml", "tests/packets/bfd.yaml"):
        topology = load_topology(ROOT / file, {})
        tried |= {case.kind for case in cases(topology, lower_topology(topology))}
    assert tried == set(KINDS) - ELSEWHERE


def test_those_of_a_usual_run_are_among_them() -> None:
    topology = load_topology(ROOT / MIXED, {})
    assert set(USUAL) <= {str(case) for case in cases(topology, lower_topology(topology))}
