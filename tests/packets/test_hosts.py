"""Servers and racks that fail: what is on them is down, what is elsewhere is not.

web and batch are on server 1 in rack 1, twin on server 2 in rack 2; so are OND 1 and 2 in rack 1,
OND 3 and 4 in rack 2.
"""

from __future__ import annotations

import pytest

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/compute-racks.yaml")]

ADDRESSES = {"web": "10.77.7.4", "twin": "10.77.7.5", "batch": "10.77.7.6"}
AGAIN_S = 20.0


def reached(testbed: Testbed) -> set[str]:
    """The instances that answer the local network."""
    desk = testbed["desk"]
    return {name for name, to in ADDRESSES.items() if desk.ping(to, count=2).received}


def expect(testbed: Testbed, wanted: set[str]) -> None:
    """These answer, and no others, once routing has had its time."""
    testbed.eventually(lambda: reached(testbed) == wanted, AGAIN_S)


def test_instances_are_apart(testbed: Testbed) -> None:
    hardware = {name: testbed.plan.node(name).hardware for name in ADDRESSES}
    assert hardware["web"] == hardware["batch"] == ("op.rack1", "op.server1")
    assert hardware["twin"] == ("op.rack2", "op.server2")
    assert reached(testbed) == set(ADDRESSES)


def test_a_host_that_fails_takes_its_instances_with_it(testbed: Testbed) -> None:
    with testbed.fault("host-down", "op.server1"):
        expect(testbed, {"twin"})
        assert not testbed["batch"].ping("10.77.7.5", count=1).received
    expect(testbed, set(ADDRESSES))


def test_a_rack_that_fails_leaves_the_other_one(testbed: Testbed) -> None:
    """Its networking devices are gone as well; the other rack's carry all."""
    with testbed.fault("rack-down", "op.rack1"):
        expect(testbed, {"twin"})
        sessions = {row["node"]: row["ok"] for row in testbed.status()["bgp"]}
        assert not sessions["op.ond1"]
        assert sessions["op.ond3"]
    expect(testbed, set(ADDRESSES))
