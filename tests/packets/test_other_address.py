"""An answer that comes from another address than was asked is none, whoever looks."""

from __future__ import annotations

import pytest

from testbed.conformance import runner
from testbed.lifecycle.installation import load_topology
from testbed.testing import Testbed

FILE = "tests/packets/other-address.yaml"
pytestmark = [pytest.mark.packets, pytest.mark.topology(FILE)]


def test_measurements_do_not_take_it_for_an_answer(testbed: Testbed) -> None:
    topology = load_topology(FILE, {})
    asked = str(topology.network_interfaces["press"].customer_owned_ip)
    own = str(topology.instances["press"].address)
    told = testbed["clerk"].ping(asked)
    assert (told.received, told.error) == (0, f"the answer comes from {own}")
    rows = [row for row in testbed.reach(["clerk"], icmp=True) if str(row.request.address) == asked]
    assert [(row.reached, row.agrees) for row in rows] == [(False, True)]
    traced = testbed.trace("clerk", asked)
    assert traced.delivered
    assert not traced.ok
    assert traced.sentence.endswith(f"it comes from {own}, and {asked} was asked")


def test_the_check_names_it(testbed: Testbed) -> None:
    report = runner.run(testbed, load_topology(FILE, {}), ["routing.answers"])
    assert report.diagnosis
    assert "the answer comes from" in report.diagnosis.seen
