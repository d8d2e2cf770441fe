"""Every single failure between the Outposts and what they reach: how long flows are interrupted.

Flows of every kind that the topology has (LAN to instance, instance to Region, Outpost to
Outpost) carry a request each 20 ms on several source ports, while one thing fails and is
repaired. Where there is no second path, a failure can only be an outage: the check does not
apply then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from testbed.conformance.expectation import Measurement, expect
from testbed.conformance.rack_subjects import LagSubject, TunnelSubject, VifSubject
from testbed.conformance.second_paths import (
    kept,
    without_lag,
    without_networking_device,
    without_node,
    without_uplink,
)
from testbed.conformance.service_link_ways import edge_end
from testbed.conformance.site import Site
from testbed.conformance.streams import Flow, Outage, Streams, choose
from testbed.conformance.subjects import NodeSubject, UplinkSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.vif_sessions import protocol_of
from testbed.topology.model import Topology

Measure = Callable[..., Measurement]
pytestmark = pytest.mark.follows(*CONNECTIVITY)
BEFORE_S = 10.0  # until all flows run without losses, before anything fails
BEYOND_S = 5.0  # how long to wait beyond the budget
READY_S = 60.0
PHASES = ("failure", "repair")


@pytest.fixture(scope="module")
def streams(site: Site) -> Iterator[Streams]:
    """Give the flows, which run as long as this suite does."""
    with Streams(site, choose(site)) as running:
        yield running


def interrupt(
    site: Site,
    streams: Streams,
    measure: Measure,
    subject: object,
    fault: AbstractContextManager[object],
    budget_ms: float,
    concerns: Callable[[Flow], bool] = lambda _: True,
) -> None:
    """Let something fail and be repaired; no flow that it concerns may be without answers longer.

    Failure and repair are measured apart. Everything is ready again at the end.
    """
    flows = [flow for flow in streams.flows if concerns(flow)]
    if not flows:
        pytest.skip("no flow that passes the filters has a second path")
    within = budget_ms / 1000 + BEYOND_S
    known = set(site.testbed.problems())
    streams.clean(BEFORE_S)
    before = {flow: phases[-1] for flow, phases in streams.report().items()}
    for flow in flows:
        name = f"{flow} before anything failed"
        expect(before[flow].sent, name, expected="requests that are answered", seen=before[flow])
    streams.mark()
    with fault:
        streams.clean(within)
        streams.mark()
    site.settled(site.testbed.problems, lambda problems: not set(problems) - known, READY_S)
    streams.clean(within)
    found = streams.report()
    for number, phase in enumerate(PHASES, start=1):
        for flow in flows:
            _judge(measure, subject, phase, flow, found[flow][number], budget_ms, within)
    problems = [problem for problem in site.testbed.problems() if problem not in known]
    text = "; ".join(problems) or "everything ready"
    expect(not problems, subject, expected="everything ready after the repair", seen=text)


def _judge(
    measure: Measure,
    subject: object,
    phase: str,
    flow: Flow,
    outage: Outage,
    budget_ms: float,
    within_s: float,
) -> None:
    gap_ms = within_s * 1000 if outage.gap_ms is None else outage.gap_ms
    figure = measure(f"{flow}, {phase}", round(gap_ms, 1), "ms", at_most=budget_ms)
    expect(
        outage.sent and figure.ok,
        f"{subject}: {flow} after the {phase}",
        expected=f"an outage of {figure.limit}",
        seen=outage,
    )


@pytest.mark.disruptive
def test_link(site: Site, streams: Streams, lag: LagSubject, measure: Measure) -> None:
    """When one cable of a LAG fails, the others carry on.

    The check does not apply to a LAG with one cable.

    Expected: an outage within `conformance.failover.link`; carrier loss is noticed within 50 to 100
    ms (miimon), and a returning member collects and distributes 2 to 3 s later.
    Source: R1, R2 (LACP is for aggregation), H1
    Remedy: both ends of the LAG must use LACP with fast timers and watch the carrier.
    """
    if len(lag.members) == 1:
        pytest.skip("the LAG has only one cable")
    fault = site.testbed.fault("link-down", f"{lag.ond}:{lag.members[0][0]}")
    budget = site.topology.conformance.failover.link
    interrupt(site, streams, measure, f"{lag.name} {lag.members[0][0]}", fault, budget)


def _has_second_lag(lag: LagSubject) -> None:
    if len(lag.outpost.lags) == 1:
        pytest.skip("the Outpost has only one LAG")


@pytest.mark.disruptive
def test_lag(site: Site, streams: Streams, lag: LagSubject, measure: Measure) -> None:
    """When a whole LAG fails, its networking device's traffic uses the others.

    Expected: an outage within `conformance.failover.lag`; both BGP sessions end with the carrier.
    Source: M3: LAG down means both BGP sessions on it down; H1
    Remedy: both customer devices must announce equal prefixes; see the suite bgp.
    """
    _has_second_lag(lag)
    fault = site.testbed.fault("link-down", f"{lag.ond}:{lag.ond_bond}")
    budget = site.topology.conformance.failover.lag
    concerns = kept(without_lag(site.topology, lag))
    interrupt(site, streams, measure, lag.name, fault, budget, concerns)


@pytest.mark.disruptive
def test_networking_device(site: Site, streams: Streams, lag: LagSubject, measure: Measure) -> None:
    """Traffic survives when an Outpost networking device is switched off, and on again.

    Expected: an outage within `conformance.failover.device`.
    Source: H1: one OND can carry all; R2c
    Remedy: size LAGs so that one OND can carry everything; announce equal prefixes to both.
    """
    _has_second_lag(lag)
    if lag.lag.index:
        pytest.skip(f"{lag.ond} was stopped for another of its LAGs")
    fault = site.testbed.fault("node-stopped", lag.ond)
    budget = site.topology.conformance.failover.device
    concerns = kept(without_networking_device(site.topology, lag))
    interrupt(site, streams, measure, lag.ond, fault, budget, concerns)


@pytest.mark.disruptive
def test_customer_device(
    site: Site, streams: Streams, device: NodeSubject, measure: Measure
) -> None:
    """Traffic survives when a customer device is switched off, and on again.

    Flows that only this device carries (an Outpost's, a LAN segment's, the only link to the Region)
    are left out. LAN hosts use the segment's other router from before the failure, because the site
    has no VRRP, which is not part of the Outpost.

    Expected: an outage within `conformance.failover.device`.
    Source: H1, R2: two upstream devices for high availability
    Remedy: connect each OND, each LAN segment and the Region to two devices.
    """
    fault = site.testbed.fault("node-stopped", device.name)
    budget = site.topology.conformance.failover.device
    concerns = kept(without_node(site.topology, device.name))
    with steered(site, device.name):
        interrupt(site, streams, measure, device.name, fault, budget, concerns)


@contextlib.contextmanager
def steered(site: Site, device: str) -> Iterator[None]:
    """LAN hosts do not use a device as their router in the block, where there is another one."""
    for host, gateways in _gateways(site.topology):
        if others := {name: via for name, via in gateways.items() if name != device}:
            _set_gateways(site, host, list(others.values()))
    try:
        yield
    finally:
        for host, gateways in _gateways(site.topology):
            _set_gateways(site, host, list(gateways.values()))


def _gateways(topology: Topology) -> list[tuple[str, dict[str, str]]]:
    """The LAN hosts, each with its segment's routers: device and address."""
    routers = {
        s.name: {device: str(address.ip) for device, address in s.routers}
        for s in topology.site.segments
    }
    return [(host.name, routers[host.segment]) for host in topology.site.hosts]


def _set_gateways(site: Site, host: str, gateways: list[str]) -> None:
    """Replace the host's default route, in one step."""
    paths = [word for via in gateways for word in ("nexthop", "via", via, "dev", "eth0")]
    paths = paths[1:] if len(gateways) == 1 else paths
    argv = ["ip", "route", "replace", "default", "proto", "static", *paths]
    site.testbed[host].run(argv)


@pytest.mark.disruptive
def test_firewall(site: Site, streams: Streams, firewall: NodeSubject, measure: Measure) -> None:
    """Traffic survives when a firewall before the Region is switched off, and on again.

    Expected: an outage within `conformance.failover.device`.
    Source: E7 (T1): failover test of each path
    Remedy: give each customer device a path to the Region through another firewall.
    """
    fault = site.testbed.fault("node-stopped", firewall.name)
    budget = site.topology.conformance.failover.device
    concerns = _service_link_kept(without_node(site.topology, firewall.name))
    interrupt(site, streams, measure, firewall.name, fault, budget, concerns)


def _uses_service_link(flow: Flow) -> bool:
    return flow.way.kind == "service-link"


def _service_link_kept(left: Topology) -> Callable[[Flow], bool]:
    has_path = kept(left)
    return lambda flow: _uses_service_link(flow) and has_path(flow)


@pytest.mark.disruptive
def test_tunnel(site: Site, streams: Streams, tunnel: TunnelSubject, measure: Measure) -> None:
    """When a tunnel of a service link fails silently, the other one carries on.

    Its packets are dropped in both directions; no interface goes down.

    Expected: an outage within `conformance.failover.tunnel`; BFD inside the tunnels notices within
    900 ms (300 ms x 3).
    Source: S1, H2: redundant tunnels; docs/fidelity.md
    Remedy: find out what blocks UDP 443 to one of the anchors.
    """
    if len(site.topology.anchors(tunnel.outpost)) == 1:
        pytest.skip("the service link has only one tunnel")
    number = tunnel.index + 1
    fault = site.testbed.fault("service-link-cut", tunnel.outpost.name, tunnel=number)
    budget = site.topology.conformance.failover.tunnel
    interrupt(site, streams, measure, tunnel.name, fault, budget, _uses_service_link)


@contextlib.contextmanager
def session_down(site: Site, node: str, protocol: str) -> Iterator[None]:
    """A session of a node's BIRD is shut down (Cease), and started again after the block."""
    bird = ["birdc", "-s", f"/run/node/{node}/bird.ctl"]
    site.testbed[node].run([*bird, "disable", protocol])
    try:
        yield
    finally:
        site.testbed[node].run([*bird, "enable", protocol])


@pytest.mark.disruptive
def test_session(site: Site, streams: Streams, vif: VifSubject, measure: Measure) -> None:
    """Traffic survives when a BGP session of a virtual interface ends, and returns.

    Expected: an outage within `conformance.failover.session`; its routes are withdrawn at once.
    Source: M2: one VIF down leaves the service link up; H1
    Remedy: announce equal prefixes to all ONDs, with BGP multipath on the customer devices.
    """
    _has_second_lag(vif.on)
    fault = session_down(site, vif.on.ond, protocol_of(vif))
    budget = site.topology.conformance.failover.session
    has_path = kept(without_lag(site.topology, vif.on))
    serves_link = vif.purpose == "service-link"
    interrupt(
        site,
        streams,
        measure,
        f"{vif.name} BGP session",
        fault,
        budget,
        lambda flow: _uses_service_link(flow) != serves_link or has_path(flow),
    )


@pytest.mark.disruptive
def test_uplink(site: Site, streams: Streams, uplink: UplinkSubject, measure: Measure) -> None:
    """When a link to the Region's edge fails, the service link uses another one.

    Expected: an outage within `conformance.failover.uplink`.
    Source: S1: redundant paths to the Region; E7 (T1)
    Remedy: both customer devices need a link to the Region, and a link between them in VRF sl.
    """
    fault = site.testbed.fault("link-down", ":".join(edge_end(uplink)))
    budget = site.topology.conformance.failover.uplink
    concerns = _service_link_kept(without_uplink(site.topology, uplink.uplink))
    interrupt(site, streams, measure, uplink, fault, budget, concerns)
