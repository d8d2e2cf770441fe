"""The tests of tests/native, run in the micro VM where this kernel can't run them.

They need nothing but a kernel: a node of a testbed in a micro VM is as good as
a host of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from testbed.kernel import features
from testbed.plan.model import Node, Plan
from testbed.testing import Testbed

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "native").glob("test_*.py"))
TIMEOUT_S = 2400
CAPABLE = all(feature.ok for feature in features.probe())


@pytest.mark.packets
@pytest.mark.timeout(TIMEOUT_S + 60)
@pytest.mark.skipif(CAPABLE, reason="this kernel runs tests/native itself")
@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_native_tests_in_a_micro_vm(file: Path, pytestconfig: pytest.Config) -> None:
    """All of them pass, none is skipped, at least one is run."""
    vm = pytestconfig.getoption("testbed_vm")
    if vm == "never":
        pytest.skip("no micro VM is wanted")
    plan = Plan("native-tests", (Node("host", role="host", group="host"),))
    with Testbed.up(plan, vm="always" if vm == "auto" else vm) as guest:
        command = [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-s"]
        done = guest["host"].run(
            [*command, "--rootdir", str(ROOT), str(file)],
            check=False,
            env={"TESTBED_VM": "never", "PYTHONPATH": str(ROOT)},
            timeout=TIMEOUT_S,
        )
    print(done.text)
    assert done.returncode == 0, done.text + done.stderr.decode(errors="replace")
    summary = done.text.strip().splitlines()[-1]
    assert "passed" in summary
    assert "skipped" not in summary
