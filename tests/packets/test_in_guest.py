"""The tests of tests/native, run in the micro VM where this kernel can't run them.

They need nothing but a kernel: a node of a testbed in a micro VM is as good as
a host of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from effort import THOROUGH, times

from testbed.kernel import features
from testbed.plan.model import Node, Plan
from testbed.plan.roles import Role
from testbed.testing import Testbed

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "native"
TIMEOUT_S = times(1200, 3600)
CAPABLE = all(feature.ok for feature in features.probe())


@pytest.mark.packets
@pytest.mark.timeout(TIMEOUT_S + 60)
@pytest.mark.skipif(CAPABLE, reason="this kernel runs tests/native itself")
def test_native_tests_in_a_micro_vm(pytestconfig: pytest.Config) -> None:
    """All of them pass, none is skipped, at least one of each file is run."""
    vm = pytestconfig.getoption("testbed_vm")
    if vm == "never":
        pytest.skip("no micro VM is wanted")
    plan = Plan("native-tests", (Node("host", role=Role.HOST, group="host"),))
    options = ["-p", "no:cacheprovider", "-v", "-s", "--durations", "10", "--rootdir", str(ROOT)]
    with Testbed.up(plan, vm="always" if vm == "auto" else vm) as guest:
        done = guest["host"].run(
            [sys.executable, "-B", "-m", "pytest", *options, str(TESTS)],
            check=False,
            env={
                "TESTBED_VM": "never",
                "PYTHONPATH": str(ROOT),
                "TESTBED_THOROUGH": str(int(THOROUGH)),
            },
            timeout=TIMEOUT_S,
        )
    print(done.text)
    assert done.returncode == 0, done.text + done.stderr.decode(errors="replace")
    summary = done.text.strip().splitlines()[-1]
    assert "passed" in summary
    assert "skipped" not in summary
    assert all(file.name in done.text for file in TESTS.glob("test_*.py"))
