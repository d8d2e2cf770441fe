"""On sites made up from seeds every check passes, or does not apply, and changes nothing.

With TESTBED_THOROUGH=1 hundreds of them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from effort import THOROUGH, sites
from sites import healthy
from witness import Witness

from testbed.conformance import runner
from testbed.lifecycle.installation import load_topology
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed

SEEDS = range(sites(300)) if THOROUGH else (28,)
UP_TIMEOUT_S = 300.0

pytestmark = [pytest.mark.packets, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_site_is_called_healthy(
    seed: int, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    file = healthy.write(seed, tmp_path)
    topology = load_topology(file, {})
    vm = pytestconfig.getoption("testbed_vm")
    name = f"healthy-{seed}-{os.getpid()}"
    how = {"name": name, "vm": vm, "time": time_for(vm), "timeout_s": UP_TIMEOUT_S}
    with Testbed.up(file, **how, hold=True) as testbed, Witness(testbed, topology) as witness:
        report = runner.run(testbed, topology, disruptive=False, on_result=witness.after)
    wrong = [r for r in report.results if r.outcome not in {"passed", "not-applicable"}]
    assert not wrong, "\n".join(f"{r.check} {r.subject}: {r.seen or r.text}" for r in wrong)
    assert not witness.told, "\n".join(map(str, witness.told))
    assert all(r.text for r in report.of("not-applicable"))
    assert report.of("passed")
