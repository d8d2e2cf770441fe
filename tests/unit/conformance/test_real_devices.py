"""Where checks look at a site with a real device, which is no node of the testbed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from testbed.conformance.rack_subjects import DomainSubject, LagSubject
from testbed.conformance.site import Site
from testbed.conformance.test_coip import vifs
from testbed.conformance.watching import emulated, members
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.model import Plan
from testbed.topology.model import Lag

TOPOLOGY = load_topology("topologies/real-switch.yaml", {}, None)
OUTPOST = TOPOLOGY.racks["op"]
(DOMAIN,) = (DomainSubject(*gateway) for gateway in TOPOLOGY.gateways)


@dataclass(frozen=True)
class OfPlan:
    """As much of a site as is known without a testbed that runs."""

    plan: Plan


SITE = cast("Site", OfPlan(lower_topology(TOPOLOGY)))


@pytest.mark.parametrize("lag", OUTPOST.lags, ids=str)
def test_a_lag_is_looked_at_where_it_can_be(lag: Lag) -> None:
    places = members(SITE, LagSubject(OUTPOST, lag))
    assert len(places) == 2
    for node, interface in places:
        assert SITE.plan.node(node).interface(interface)


def test_so_are_vifs() -> None:
    places = vifs(SITE, DOMAIN)
    assert [node for node, _ in places] == ["op.ond1", "cnd2"]
    for node, interface in places:
        assert SITE.plan.node(node).interface(interface)


def test_frames_are_sent_from_an_emulated_device() -> None:
    vif = emulated(SITE, DOMAIN)
    assert vif is not None
    assert vif.on.device == "cnd2"
