"""On healthy sites one random fault of each kind: the diagnosis names its kind and its object.

A few fixed ones in a usual run; with TESTBED_THOROUGH=1 every kind on hundreds of sites, of
which RATE must be right. What is missed is listed.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from diagnosing import Case, cases
from effort import THOROUGH, sites
from sites import healthy

from testbed.conformance import runner
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed
from testbed.topology.model import Topology

MIXED = "tests/packets/faults.yaml"  # BIRD and FRR, LAGs of two, a firewall, a LAN
USUAL = (  # of each part of a site one, by both daemons
    "fibre-one-way cnd1:op_1",
    "vlan-untagged cnd2:op.1002",
    "bgp-md5 cnd2:op.2002",
    "address-duplicate desk:eth0",
    "link-down cnd1:lgw_cnd2",
)
SITES = range(sites(200))
FAULTS = 6  # on each site
RATE = 0.98
QUIET_S = 40.0  # from healing on: LACP and BFD come back by timers of their own
READY_S = 250.0

pytestmark = [pytest.mark.packets, pytest.mark.timeout(3600)]


def missed(testbed: Testbed, topology: Topology, case: Case) -> str:
    """What is wrong with the diagnosis of a fault; "" if it names kind and object."""
    with testbed.fault(case.kind, case.target, **case.values, **case.times):
        testbed.advance(case.shows_s)
        report = runner.run(testbed, topology, disruptive=False, fail_fast=True)
    testbed.heal(timeout_s=READY_S)
    testbed.advance(QUIET_S)
    return case.miss(report.diagnosis)


@pytest.mark.topology(MIXED)
@pytest.mark.parametrize("fault", USUAL)
def test_the_diagnosis_names_the_fault(fault: str, testbed: Testbed) -> None:
    topology = load_topology(MIXED, {})
    found = {str(case): case for case in cases(topology, lower_topology(topology))}
    assert not missed(testbed, topology, found[fault])


@pytest.mark.skipif(not THOROUGH, reason="takes hours: TESTBED_THOROUGH=1")
def test_the_rate(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Kinds that came least often so far come first."""
    tried: dict[str, int] = {}
    misses: list[str] = []
    vm = pytestconfig.getoption("testbed_vm")
    for seed in SITES:
        (tmp_path / str(seed)).mkdir()
        file = healthy.write(seed, tmp_path / str(seed))
        topology = load_topology(file, {})
        how = {"name": f"diagnosed-{os.getpid()}", "vm": vm, "time": time_for(vm)}
        with Testbed.up(file, timeout_s=READY_S, hold=True, **how) as testbed:
            for case in chosen(topology, seed, tried):
                tried[case.kind] = tried.get(case.kind, 0) + 1
                if wrong := missed(testbed, topology, case):
                    misses.append(f"site {seed}: {case}: {wrong}")
    number = sum(tried.values())
    rate = 1 - len(misses) / number
    print(f"\n{rate:.1%} of {number} faults named, {len(SITES)} sites", *misses, sep="\n")
    assert rate >= RATE


def chosen(topology: Topology, seed: int, tried: dict[str, int]) -> list[Case]:
    """Random faults of different kinds."""
    found = cases(topology, lower_topology(topology))
    random.Random(seed).shuffle(found)
    found.sort(key=lambda case: tried.get(case.kind, 0))
    by_kind: dict[str, Case] = {}
    for case in found:
        by_kind.setdefault(case.kind, case)
    return list(by_kind.values())[:FAULTS]
