"""Where the checks of failovers apply, and what they let fail, from the topology alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from testbed.conformance import rack_subjects, subjects, test_failover
from testbed.conformance.second_paths import (
    kept,
    ways_out,
    without_lag,
    without_node,
    without_uplink,
)
from testbed.conformance.site import Site
from testbed.conformance.streams import Flow, choose
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.topology import loads
from testbed.topology.model import Topology, Uplink

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


def changed(*changes: tuple[str, str]) -> Topology:
    """The two racks, with texts of their file replaced."""
    text = (TOPOLOGIES / "two-racks.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return loads(text, file="two-racks.yaml")


def names_of(flows: Iterable[Flow]) -> set[str]:
    return {str(flow) for flow in flows}


def left_out(topology: Topology, left: Topology) -> set[str]:
    """The flows that have no second path."""
    flows = choose(Site(Mock(), topology))
    return names_of(flows) - names_of(filter(kept(left), flows))


def uplink_of(topology: Topology, device: str) -> Uplink:
    return next(u.uplink for u in subjects.uplinks(topology) if u.uplink.device == device)


def lag_of(topology: Topology, name: str) -> rack_subjects.LagSubject:
    return next(lag for lag in rack_subjects.lags(topology) if lag.name == name)


REGION_LINK = "region_link: {delay: 10ms, rate: 1G"
ONE_EACH = (REGION_LINK, REGION_LINK + ", devices: [cnd1, cnd3]")
ALL_LINKED = (
    REGION_LINK,
    "links: [{devices: [cnd1, cnd2]}, {devices: [cnd2, cnd4]}, {devices: [cnd4, cnd3]}]\n  "
    + REGION_LINK,
)
UNLINKED = (REGION_LINK, "links: []\n  " + REGION_LINK)
WALLS = "firewalls: {fw1: {devices: [cnd1, cnd2]}, fw2: {devices: [cnd3]}}\n  "


@pytest.mark.parametrize("name", ["cnd1", "cnd2", "cnd3", "cnd4"])
def test_two_racks_have_second_paths(name: str) -> None:
    topology = changed()
    assert left_out(topology, without_node(topology, name)) == set()
    assert left_out(topology, without_uplink(topology, uplink_of(topology, name))) == set()
    for lag in rack_subjects.lags(topology):
        assert left_out(topology, without_lag(topology, lag)) == set()


def test_the_other_data_centre_s_uplink_is_no_second_path() -> None:
    topology = changed(ONE_EACH)
    assert left_out(topology, without_node(topology, "cnd1")) == {"a to c"}
    assert left_out(topology, without_node(topology, "cnd2")) == set()
    assert left_out(topology, without_uplink(topology, uplink_of(topology, "cnd1"))) == {"a to c"}
    assert left_out(topology, without_uplink(topology, uplink_of(topology, "cnd3"))) == {"b to c"}


def test_it_is_one_where_a_link_leads_there() -> None:
    topology = changed(ONE_EACH, ALL_LINKED)
    assert left_out(topology, without_uplink(topology, uplink_of(topology, "cnd1"))) == set()
    assert left_out(topology, without_node(topology, "cnd1")) == set()
    # cnd4 is the only way from cnd1 and cnd2 to cnd3
    without = without_node(topology, "cnd4")
    assert ways_out(without, topology.racks["op-a"]) == {"cnd1"}
    assert left_out(topology, without) == set()


def test_without_a_link_the_device_of_a_lag_needs_an_uplink_of_its_own() -> None:
    topology = changed(ONE_EACH, UNLINKED)
    assert left_out(topology, without_lag(topology, lag_of(topology, "op-a.lag1"))) == {"a to c"}
    assert left_out(topology, without_lag(topology, lag_of(topology, "op-a.lag2"))) == set()


def test_a_segment_and_the_wan_need_a_second_device() -> None:
    topology = changed(
        ("devices: [cnd1, cnd2]}\n  hosts", "devices: [cnd1]}\n  hosts"),
        ("wan: {delay: 2ms, rate: 1G", "wan: {delay: 2ms, rate: 1G, devices: [cnd1, cnd3]"),
    )
    lan = {"desk to a", "desk to b"}
    assert left_out(topology, without_node(topology, "cnd1")) == lan | {"a to b"}
    assert left_out(topology, without_node(topology, "cnd2")) == set()
    assert left_out(topology, without_node(topology, "cnd3")) == {"desk to b", "a to b"}


def test_a_firewall_in_the_other_data_centre_is_no_second_way() -> None:
    topology = changed((REGION_LINK, WALLS + REGION_LINK))
    assert left_out(topology, without_node(topology, "fw1")) == {"a to c"}
    assert left_out(topology, without_node(topology, "fw2")) == set()  # cnd4 has its own uplink
    assert left_out(topology, without_uplink(topology, uplink_of(topology, "fw1"))) == {"a to c"}
    assert left_out(topology, without_node(topology, "cnd1")) == set()


def test_private_connectivity_leaves_by_direct_connect_alone() -> None:
    topology = load_topology(TOPOLOGIES / "private-connectivity.yaml", {})
    outpost = topology.racks["op"]
    assert ways_out(topology, outpost) == {"cnd1", "cnd2"}
    assert ways_out(without_node(topology, "cnd1"), outpost) == {"cnd2"}
    one = tuple(c for c in topology.site.direct_connects if c.name != "dx2")
    topology = replace(topology, site=replace(topology.site, direct_connects=one))
    assert ways_out(topology, outpost) == {"cnd1"}  # dx3 is the LAN's
    assert left_out(topology, without_node(topology, "cnd1")) == {"web to db"}


def test_checks_say_that_there_is_no_second_path() -> None:
    topology = load_topology(TOPOLOGIES / "first.yaml", {})
    only = replace(topology.site, region_uplinks=topology.site.region_uplinks[:1])
    site = Mock(topology=replace(topology, site=only))
    streams = Mock(flows=choose(site))
    uplink = subjects.uplinks(site.topology)[0]
    with pytest.raises(pytest.skip.Exception, match="has a second path"):
        test_failover.test_uplink(site, streams, uplink, Mock())
