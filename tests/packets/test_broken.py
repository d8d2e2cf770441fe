"""`testbed check` names the real cause of each site of topologies/broken first.

A running testbed is brought to each of them in turn; two are run as a user would,
among them the one that only real time can tell.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest
from broken_sites import SITES, BrokenSite

from testbed.conformance import runner
from testbed.control.registry import alive
from testbed.errors import NetworkError
from testbed.lifecycle.bringup import take_down
from testbed.lifecycle.live import running_topology
from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/first.yaml")]
READY_S = 25  # what is not ready then never will be
LONGEST_S = 280
WHOLE = ("slow-service-link", "swapped-vlans")


def test_the_whole_runs_are_of_sites() -> None:
    assert set(WHOLE) < {site.name for site in SITES}


def demand(site: BrokenSite, found: Mapping[str, Any]) -> None:
    """The diagnosis is the site's."""
    told = f"{found['check']} {found['subject']}"
    assert told.startswith(f"{site.check} {site.subject}"), found["seen"]
    assert found["remedy"]


@pytest.mark.parametrize(
    "site", [site for site in SITES if site.name not in WHOLE], ids=lambda site: site.name
)
def test_the_cause_is_named(site: BrokenSite, testbed: Testbed) -> None:
    with contextlib.suppress(NetworkError):  # it is not ready
        testbed.apply(site.file, timeout_s=READY_S)
    topology = running_topology(testbed.client)  # with the numbers of the sites before it
    report = runner.run(testbed, topology, disruptive=False, fail_fast=True)
    assert report.diagnosis is not None, report.problem
    demand(site, asdict(report.diagnosis))


@pytest.mark.parametrize(
    "site", [site for site in SITES if site.name in WHOLE], ids=lambda site: site.name
)
def test_a_user_is_told(site: BrokenSite, pytestconfig: pytest.Config) -> None:
    name = f"broken-{os.getpid()}"
    options = ["--topology", str(site.file), "-n", name, "--timeout", str(READY_S)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "testbed", "check", *options, "--no-disruptive", "-x", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            env={**os.environ, "TESTBED_VM": pytestconfig.getoption("testbed_vm")},
        )
    except subprocess.TimeoutExpired:
        take_down(name)
        raise
    assert done.returncode == 1, done.stderr or done.stdout
    assert not alive(name)
    demand(site, json.loads(done.stdout)["diagnosis"])
