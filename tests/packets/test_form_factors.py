"""A form factor that AWS does not have: nothing knows how many there are of anything.

Three networking devices with two LAGs each, at two customer devices, with two routing domains. It
is one more entry of the table of form factors, and comes up and conforms like all others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from packets.mutations import ROOT
from testbed.conformance import runner
from testbed.lifecycle.installation import load_topology
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed
from testbed.topology.form_factors import RACKS
from testbed.topology.form_factors.base import halves

FILE = ROOT / "tests/packets/three-devices.yaml"
SUITES = ("lag", "vlan", "bgp", "local-gateway")
MADE_UP = replace(
    RACKS["rack-2nd-generation"],
    name="three-devices",
    title="a rack of three networking devices",
    devices=lambda compute_racks: 3,
    lags_per_device=2,
    customer_devices=(2,),
    split=halves,
    routing_domains=2,
)

pytestmark = [pytest.mark.packets, pytest.mark.timeout(600)]


@pytest.fixture
def three_devices(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> Iterator[Testbed]:
    """The testbed of a rack of that form factor, which is known as long as it runs."""
    monkeypatch.setitem(RACKS, MADE_UP.name, MADE_UP)
    name, vm = f"three-devices-{os.getpid()}", pytestconfig.getoption("testbed_vm")
    with Testbed.up(FILE, name=name, vm=vm, time=time_for(vm), hold=True) as testbed:
        yield testbed


def test_it_comes_up_and_conforms(three_devices: Testbed) -> None:
    topology = load_topology(FILE, {})
    rack = topology.racks["op"]
    assert [lag.device for lag in rack.lags] == [1, 1, 2, 2, 3, 3]
    assert sum(len(lag.vifs) for lag in rack.lags) == 18  # as many sessions
    report = runner.run(three_devices, topology, list(SUITES), disruptive=False)
    wrong = [r for r in report.results if r.outcome not in {"passed", "not-applicable"}]
    assert not wrong, "\n".join(f"{r.check} {r.subject}: {r.seen or r.text}" for r in wrong)
    passed = {r.check.partition(".")[0] for r in report.results if r.outcome == "passed"}
    assert passed == set(SUITES)
    # the domains are apart: equal addresses, two VRFs
    assert three_devices["desk"].ping("10.90.7.10", count=2).received == 2
    assert three_devices["plc"].ping("10.90.7.10", count=2).received == 2
    assert three_devices["desk"].http("http://10.90.7.10/").text.startswith("web")
    assert three_devices["plc"].http("http://10.90.7.10/").text.startswith("hmi")
