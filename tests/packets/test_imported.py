"""A site that was made from switches' configurations comes up, and its sessions with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.conformance import runner
from testbed.importing import Answers, import_files
from testbed.lifecycle.installation import load_topology
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed

FILES = Path(__file__).parents[1] / "importing"
ANSWERS = Answers(
    {"op": [("core-1", "Po10"), ("core-2", "Po10")]},
    frozenset({1001, 1002}),
    region=[("core-1", "203.0.113.1")],
)
REST = """\
testbed: 1
name: imported
region: {name: us-west-2}
vpcs:
  app:
    cidr: 10.77.0.0/16
    subnets: {rack: {cidr: 10.77.7.0/24, outpost: op}, cloud: {cidr: 10.77.1.0/24}}
    route_tables:
      rack: {subnets: [rack], routes: [{destination: 0.0.0.0/0, target: op.local-gateway}]}
instances: {web: {subnet: rack}, db: {subnet: cloud}}
"""
pytestmark = pytest.mark.packets


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imported") / "site.yaml"
    made = import_files([FILES / "core-1.nxos", FILES / "core-2.eos"], ANSWERS)
    path.write_text(REST + made.text)
    return path


@pytest.fixture(scope="module")
def testbed(file: Path, pytestconfig: pytest.Config) -> Iterator[Testbed]:
    vm = pytestconfig.getoption("testbed_vm")
    name = f"imported-{os.getpid()}"
    with Testbed.up(file, timeout_s=120, hold=True, name=name, vm=vm, time=time_for(vm)) as up:
        yield up


def test_it_conforms_at_the_switches_and_carries_packets(testbed: Testbed, file: Path) -> None:
    suites = ["lag", "vlan", "bgp", "isp"]
    report = runner.run(testbed, load_topology(file, {}), suites, disruptive=False)
    assert report.exit_code == 0, report.diagnosis
    assert testbed["web"].ping("db").ok
    addresses = testbed["core-2"].run(["ip", "-4", "-o", "address"]).text
    assert all(own in addresses for own in ("10.1.0.6/30", "172.20.0.6/30", "192.168.20.3/24"))
