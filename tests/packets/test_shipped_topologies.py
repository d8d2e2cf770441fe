"""Every shipped topology conforms: each check of each suite that applies to it passes.

In virtual time where there is a kernel for it, so that how busy this machine is
makes no difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from observing import time_for

from testbed.bringup import load_topology
from testbed.conformance import runner
from testbed.conformance.results import Report
from testbed.conformance.suites import SUITES
from testbed.testing import Testbed

FOLDER = Path(__file__).parents[2] / "topologies"
SETTINGS = {"racks.yaml.j2": {"racks": "2"}}
LEFT_OUT = {"real-switch.yaml"}  # needs interfaces of this host
# Suites that only break things are run by the tests of their mutations: they take minutes.
BREAKING = {"failover", "disconnected"}
SHIPPED = sorted(
    {path.name for path in FOLDER.iterdir() if path.name.endswith((".yaml", ".yaml.j2"))} - LEFT_OUT
)
UP_TIMEOUT_S = 300.0

# For what hangs: how long all suites take depends on what else runs here.
pytestmark = [pytest.mark.packets, pytest.mark.timeout(1800)]


def failures(report: Report) -> str:
    """What is wrong, for the assertion's text."""
    wrong = [r for r in report.results if r.outcome not in {"passed", "not-applicable"}]
    lines = [
        f"{r.outcome} {r.check}  {r.subject}: expected {r.expected}; seen: {r.seen or r.text}"
        for r in wrong
    ]
    return "\n".join([report.problem, *lines])


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=pytest.mark.xdist_group(file)) for file in SHIPPED],
)
def test_it_conforms(file: str, pytestconfig: pytest.Config) -> None:
    settings = SETTINGS.get(file, {})
    vm = pytestconfig.getoption("testbed_vm")
    name = f"conforms-{SHIPPED.index(file)}-{os.getpid()}"
    with Testbed.up(
        FOLDER / file,
        settings,
        name=name,
        vm=vm,
        time=time_for(vm),
        timeout_s=UP_TIMEOUT_S,
        hold=True,
    ) as testbed:
        topology = load_topology(FOLDER / file, settings)
        report = runner.run(testbed, topology, disruptive=False)
    assert report.exit_code == 0, failures(report)
    assert set(report.suites) == set(SUITES) - BREAKING
