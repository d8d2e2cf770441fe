"""Where the checks of failovers apply, and what they let fail, from the topology alone."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from testbed.bringup import load_topology, lower_topology
from testbed.conformance import subjects, test_failover

TOPOLOGIES = Path(__file__).parents[3] / "topologies"


@pytest.mark.parametrize("name", ["real-switch", "two-racks", "firewalls"])
def test_each_uplink_fails_at_the_region_s_edge(name: str) -> None:
    topology = load_topology(TOPOLOGIES / f"{name}.yaml", {})
    plan = lower_topology(topology)
    for uplink in subjects.uplinks(topology):
        site = Mock(topology=topology, plan=plan)
        with pytest.raises(pytest.skip.Exception):
            test_failover.test_uplink(site, Mock(flows=[]), uplink, Mock())
        kind, target = site.testbed.fault.call_args.args
        node, _, port = target.partition(":")
        assert (kind, node) == ("link-down", "region.edge")
        assert plan.node(node).interface(port).name == f"cust-{uplink.uplink.device}"
