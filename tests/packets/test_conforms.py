"""Every topology conforms: each check of each suite that applies to it passes, and changes nothing.

As the last test of each testbed, after the mutations and all else that was broken and
repaired in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from witness import Witness

from packets.mutations import ROOT
from packets.test_mutations import all_mutations
from testbed.conformance import runner
from testbed.conformance.results import Report
from testbed.conformance.suites import SUITES
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed

FOLDER = ROOT / "topologies"
SETTINGS = {"racks.yaml.j2": {"racks": "2"}}
LEFT_OUT = {
    "real-switch.yaml",  # needs interfaces of this host
    "lni-port.yaml",  # has a port that is not as AWS asks for it
    "black-hole.yaml",  # has a switch that forgets too soon
}
# Suites that only break things are run by the tests of their mutations: they take minutes.
BREAKING = {"failover", "disconnected"}
SHIPPED = {path for path in FOLDER.iterdir() if path.name.endswith((".yaml", ".yaml.j2"))}
MUTATED = {ROOT / mutation.topology for _, mutation in all_mutations()}

# For what hangs: how long all suites take depends on what else runs here.
pytestmark = [pytest.mark.packets, pytest.mark.last, pytest.mark.timeout(900)]


def failures(report: Report) -> str:
    """What is wrong, for the assertion's text."""
    wrong = [r for r in report.results if r.outcome not in {"passed", "not-applicable"}]
    lines = [
        f"{r.outcome} {r.check}  {r.subject}: expected {r.expected}; seen: {r.seen or r.text}"
        for r in wrong
    ]
    return "\n".join([report.problem, *lines])


def parameters() -> list[Any]:
    """Each topology, on its testbed."""
    files = sorted(file for file in SHIPPED | MUTATED if file.name not in LEFT_OUT)
    return [
        pytest.param(
            file, marks=pytest.mark.topology(file, **SETTINGS.get(file.name, {})), id=file.name
        )
        for file in files
    ]


@pytest.mark.parametrize("file", parameters())
def test_it_conforms(file: Path, testbed: Testbed) -> None:
    topology = load_topology(file, SETTINGS.get(file.name, {}))
    for node in testbed.nodes:  # path MTUs that other tests of the testbed have had discovered
        node.run(["ip", "route", "flush", "cache"])
    with Witness(testbed, topology) as witness:
        report = runner.run(testbed, topology, disruptive=False, on_result=witness.after)
    assert report.exit_code == 0, failures(report)
    assert not witness.told, "\n".join(map(str, witness.told))
    assert set(report.suites) == set(SUITES) - BREAKING
