"""`testbed check` names the real cause of each site of topologies/broken first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from broken_sites import SITES, BrokenSite

from testbed.bringup import take_down
from testbed.launch import alive

pytestmark = [pytest.mark.packets, pytest.mark.timeout(600)]
READY_S = 25  # what is not ready then never will be
LONGEST_S = 500


def diagnosis(site: BrokenSite, vm: str) -> dict[str, Any]:
    """The first check that fails: suites run from the cable up, so it is the cause."""
    name = f"broken-{os.getpid()}"
    options = ["--topology", str(site.file), "-n", name, "--timeout", str(READY_S)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "testbed", "check", *options, "--no-disruptive", "-x", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            env={**os.environ, "TESTBED_VM": vm},
        )
    except subprocess.TimeoutExpired:
        take_down(name)
        raise
    assert done.returncode == 1, done.stderr or done.stdout
    assert not alive(name)
    found: dict[str, Any] = json.loads(done.stdout)["diagnosis"]
    return found


@pytest.mark.parametrize("site", SITES, ids=[site.name for site in SITES])
def test_the_cause_is_named(site: BrokenSite, pytestconfig: pytest.Config) -> None:
    found = diagnosis(site, pytestconfig.getoption("testbed_vm"))
    told = f"{found['check']} {found['subject']}"
    assert told.startswith(f"{site.check} {site.subject}"), found["seen"]
    assert found["remedy"]
