"""A short run of chaos, and one in which the checks are made to be wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from testbed.chaos.candidates import candidates
from testbed.chaos.keeper import look
from testbed.chaos.running import run
from testbed.chaos.schedule import Episode
from testbed.conformance.site import Site
from testbed.conformance.streams import OWN_PORT, Streams, choose
from testbed.keeper.hosting import Hosting
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed
from testbed.topology.model import Topology

SITE = "topologies/two-racks.yaml"
TARGET = "cnd1:op-a_1"

pytestmark = [pytest.mark.packets, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def topology() -> Topology:
    return load_topology(SITE, {}, f"test-chaos-{os.getpid()}")


@pytest.fixture(scope="module")
def testbed(topology: Topology, pytestconfig: pytest.Config) -> Iterator[Testbed]:
    vm = pytestconfig.getoption("testbed_vm")
    plan = lower_topology(topology)
    with Testbed.up(plan, vm=vm, time=time_for(vm), hold=True) as running:
        yield running


def episode(topology: Topology, kind: str, target: str, hold_s: float) -> Episode:
    """The episode with one fault."""
    found = candidates(lower_topology(topology), topology)
    (fault,) = [c for c in found if (c.kind, c.target) == (kind, target)]
    return Episode(1, 0.0, hold_s, (fault,))


def link_down(topology: Topology) -> Episode:
    """The episode with one member of a LAG down."""
    return episode(topology, "link-down", TARGET, 5.0)


def test_a_fault_is_noticed_and_healed(testbed: Testbed, topology: Topology) -> None:
    result = run(testbed, topology, 1, [link_down(topology)])
    (outcome,) = result.outcomes
    assert outcome.wrong == []
    assert TARGET.replace(":", " ") in outcome.during
    assert result.flows
    assert set(outcome.outages) == set(result.flows)
    assert all(outage.sent and outage.gap_ms is not None for outage in outcome.outages.values())
    assert result.exit_code == 0
    assert all(row["state"] == "healed" for row in testbed.faults())


def test_a_session_that_was_blocked_is_given_time(testbed: Testbed, topology: Topology) -> None:
    """TCP sends again what was lost ever more rarely: the longer blocked, the later it goes on."""
    result = run(testbed, topology, 1, [episode(topology, "bgp-blocked", "cnd1:op-a.2001", 12.0)])
    (outcome,) = result.outcomes
    assert outcome.during.startswith("bgp.port, cnd1 op-a.2001")
    assert outcome.wrong == []


def test_what_is_not_noticed_is_a_wrong_verdict(testbed: Testbed, topology: Topology) -> None:
    """A member that is down is none of the suite vlan's business: it passes."""
    noticed = link_down(topology)
    blind = replace(noticed, faults=(replace(noticed.faults[0], suites=("vlan",)),))
    result = run(testbed, topology, 1, [blind])
    assert result.outcomes[0].wrong == [f"link-down {TARGET} not noticed by vlan"]
    assert result.exit_code == 1


def test_blame_for_another_object_is_a_wrong_verdict(testbed: Testbed, topology: Topology) -> None:
    right = link_down(topology)
    other = replace(right.faults[0], keys=frozenset({"cnd4"}))
    result = run(testbed, topology, 1, [replace(right, faults=(other,))])
    (line,) = result.outcomes[0].wrong
    assert line.startswith("attributed to something that was not broken: lag.carrier, cnd1 op-a_1")


def test_traffic_begins_again_at_once(testbed: Testbed, topology: Topology) -> None:
    """What listened before is gone, and for several flows to one end it is there once."""
    site = Site(testbed, topology)
    own = [replace(flow, port=OWN_PORT) for flow in choose(site)]
    assert len(own) > len({flow.destination.name for flow in own})
    for _ in range(3):
        with Streams(site, own) as streams:
            streams.mark()


def test_what_the_keeper_holds(testbed: Testbed) -> None:
    testbed["cnd1"].run(["true"])  # the first command opens what all of them share
    before = look(testbed)
    processes = [process for node in testbed.plan.nodes for process in node.processes]
    assert before.processes > sum(not Hosting.takes(process) for process in processes)
    assert before.objects > 10_000
    assert before.rss_kib > before.malloc_kib > 500
    with testbed.client.popen("cnd1", ["sleep", "infinity"]):
        testbed.eventually(lambda: look(testbed).processes == before.processes + 1)
        assert look(testbed).descriptors > before.descriptors
    testbed.eventually(lambda: look(testbed).processes == before.processes)
    testbed.eventually(lambda: look(testbed).descriptors == before.descriptors)
