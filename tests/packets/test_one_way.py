"""A request that routes and filters let in, and whose answer goes elsewhere, is named as such."""

from __future__ import annotations

import subprocess
import sys

import pytest

from testbed.conformance import runner
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed

FILE = "tests/packets/one-way.yaml"
pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology(FILE),
]


def test_the_check_names_who_gets_no_answer(testbed: Testbed) -> None:
    report = runner.run(testbed, load_topology(FILE, {}), ["routing.answers"])
    assert report.diagnosis
    assert report.diagnosis.check == "routing.answers"
    assert report.diagnosis.subject.startswith("scanner to ")
    assert "out.nat-gateway" in report.diagnosis.seen
    assert [result.subject for result in report.of("failed")] == [report.diagnosis.subject]


def test_reach_says_so_and_exits_with_1(testbed: Testbed) -> None:
    argv = [sys.executable, "-m", "testbed", "reach", "-n", testbed.name, "--tcp", "80"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 1
    assert "1 let in, but not answered" in done.stdout
    again = subprocess.run([*argv, "till"], capture_output=True, check=False, timeout=200)
    assert again.returncode == 0
