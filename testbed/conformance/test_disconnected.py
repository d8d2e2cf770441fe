"""A disconnected Outpost: what goes on, what does not, and what returns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testbed.conformance.expectation import Measurement, expect
from testbed.conformance.naming import ask
from testbed.conformance.rack_subjects import OutpostSubject
from testbed.conformance.requesting import Request, answered, until
from testbed.conformance.site import Site
from testbed.conformance.streams import Streams, choose
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.test_dns import private_name
from testbed.conformance.ways import WayEnd, Ways
from testbed.errors import NetworkError

pytestmark = pytest.mark.follows(*CONNECTIVITY)
STARTS_S = 10.0
NOTICED_S = 25.0  # three heartbeats of 5 s are missed (docs/fidelity.md)
READY_S = 60.0
SHORT_PERIOD_S, PERIODS = 10, 3
METADATA = "http://169.254.169.254/latest/"
TOKEN = ["curl", "-sS", "-m", "3", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60"]


@contextlib.contextmanager
def cut(site: Site, outpost: OutpostSubject) -> Iterator[None]:
    """Nothing of the Outpost's service link passes; everything is ready again after the block."""
    known = set(site.testbed.problems())
    with site.testbed.fault("service-link-cut", outpost.outpost.name):
        yield
    site.settled(site.testbed.problems, lambda problems: not set(problems) - known, READY_S)


def _here(site: Site, outpost: OutpostSubject) -> list[WayEnd]:
    found = [e for e in Ways(site.topology).instances if e.place == outpost.outpost.name]
    if not found:
        pytest.skip("no instance runs on it")
    return found


@pytest.mark.disruptive
def test_traffic(site: Site, outpost: OutpostSubject, measure: Callable[..., Measurement]) -> None:
    """Without the service link, local gateway traffic continues and Region traffic stops.

    Requests are sent every 20 ms through the local gateway, while the service link is cut and
    healed.

    Expected: none of them is lost; instances on the Outpost and in the Region cannot reach each
    other during the cut, but can after it.
    Source: H3, H4: instances keep running, reachable through the local gateway
    Remedy: look for routes of local gateway traffic that depend on the service link.
    """
    name = outpost.outpost.name
    ways = Ways(site.topology)
    flows = [flow for flow in choose(site) if name in {flow.source.place, flow.destination.place}]
    local = [flow for flow in flows if flow.way.kind != "service-link"]
    requests = [
        Request(flow.source.name, str(flow.way.to), "udp" if flow.port else "icmp", flow.port or 0)
        for flow in flows
        if flow.way.kind == "service-link"
    ]
    if not flows:
        pytest.skip(f"{len(ways.ends)} machines, and none of them has a path from or to it")
    with Streams(site, local) as streams:
        streams.clean(STARTS_S)
        streams.report()
        with cut(site, outpost):
            answers = until(site, requests, lambda _, answer: not answer.ok)
            streams.clean(STARTS_S)
        back = answered(site, requests, within=STARTS_S)
        streams.clean(STARTS_S)
        found = streams.report()
    for request, answer in answers.items():
        expect(not answer.ok, f"{request}, cut", expected="no answer", seen=answer)
    for request, answer in back.items():
        expect(answer.ok, f"{request}, healed", expected="an answer", seen=answer)
    for flow, (outage,) in found.items():
        lost = measure(f"{flow}: lost", outage.lost, "requests", at_most=0)
        good = outage.sent and lost.ok
        expect(good, flow, expected=f"requests, and {lost.limit} lost", seen=outage)


@pytest.mark.disruptive
def test_services(site: Site, outpost: OutpostSubject) -> None:
    """DNS names and instance metadata work on a disconnected Outpost.

    Expected: with Route 53 Resolver on the Outpost the VPC's private names resolve, without it no
    name does; instance metadata is answered; both work after the repair.
    Source: botocore (Route 53 Resolver on Outposts), S1; docs/fidelity.md (metadata)
    Remedy: opt in to Route 53 Resolver on the Outpost, or give instances your own DNS server.
    """
    ends = _here(site, outpost)
    end = ends[0]
    vpc = site.topology.vpcs[end.vpc]
    question = (private_name(site.topology, end.address), "A")
    local, asks = outpost.outpost.resolver, vpc.dns_support
    seconds = 3.0

    def resolves() -> bool:
        reply = ask(site, end.name, str(vpc.resolver), [question], seconds)[question]
        return str(end.address) in reply.values

    enabled = site.topology.instances[end.name].metadata.enabled
    with cut(site, outpost):
        if asks:
            now = site.settled(resolves, lambda found: found == local, STARTS_S)
            _expect_name(now, f"{end} asks for {question[0]}, cut", wanted=local)
        seen = _metadata(site, end)
    answer = "its instance-id" if enabled else "no answer"
    good = seen.startswith("i-") == enabled
    expect(good, f"{end} instance metadata, cut", expected=answer, seen=seen)
    if asks:
        again = site.settled(resolves, bool, READY_S)
        _expect_name(again, f"{end} asks for {question[0]}, healed", wanted=True)


def _expect_name(resolved: bool, subject: str, *, wanted: bool) -> None:
    words = {True: "its address", False: "no answer"}
    expect(resolved == wanted, subject, expected=words[wanted], seen=words[resolved])


def _metadata(site: Site, end: WayEnd) -> str:
    """The instance's ID as its metadata service says it, or what is said instead."""
    node = site.testbed[end.name]
    try:
        token = node.run([*TOKEN, f"{METADATA}api/token"]).text.strip()
        header = f"X-aws-ec2-metadata-token: {token}"
        argv = ["curl", "-sS", "-m", "3", "-H", header, f"{METADATA}meta-data/instance-id"]
        return node.run(argv).text.strip() or "nothing"
    except NetworkError as error:
        return error.hint or error.message


def _status(site: Site, outpost: OutpostSubject) -> tuple[bool, str]:
    row = site.row("management", subject=outpost.outpost.name)
    return bool(row["ok"]), str(row["state"])


@pytest.mark.disruptive
def test_metrics(site: Site, outpost: OutpostSubject, measure: Callable[..., Measurement]) -> None:
    """The Region sees that an Outpost is disconnected, and gets its metrics afterwards.

    Expected: the management channel, and so ConnectedStatus, is impaired soon after three missed
    heartbeats, and connected after the repair; metrics measured meanwhile are then delivered (if a
    period is short enough to fall into the outage).
    Source: M1 (ConnectedStatus), H3, H4: metrics are spooled and pushed after
    Remedy: see the suite metrics.
    """
    name = outpost.outpost.name
    period = site.topology.region.metrics_period_s
    short = site.testbed.is_virtual or period <= SHORT_PERIOD_S
    begun, during = site.testbed.elapsed(), (0.0, 0.0)
    with cut(site, outpost):
        ok, state = site.settled(lambda: _status(site, outpost), lambda row: not row[0], NOTICED_S)
        noticed = site.testbed.elapsed() - begun
        if short:
            during = _impaired(site, outpost, NOTICED_S + PERIODS * period)
    expect(not ok, f"{name} management channel, cut", expected="impaired", seen=state)
    figure = measure(f"{name}: noticed after", round(noticed, 1), "s", at_most=NOTICED_S)
    expect(figure.ok, f"{name} management channel", expected=figure.limit, seen=figure)
    ok, state = site.settled(lambda: _status(site, outpost), lambda row: row[0], READY_S)
    expect(ok, f"{name} management channel, healed", expected="connected", seen=state)
    if short:
        _expect_delivered(site, outpost, during)


def _points(site: Site, outpost: OutpostSubject, metric: str) -> list[dict[str, Any]]:
    """The datapoints of one of the Outpost's metrics, oldest first."""
    name = outpost.outpost.name
    for series in site.testbed.status()["metrics"]["AWS/Outposts"]:
        found: list[dict[str, Any]] = series
        first = found[0]
        if first["metric"] == metric and name in first["dimensions"].values():
            return found
    return []


def _impaired(site: Site, outpost: OutpostSubject, within: float) -> tuple[float, float]:
    """Wait for datapoints of ConnectedStatus that are 0; the times of the first and the last."""
    started = site.testbed.status()["clock"]["now"]

    def zeros() -> list[float]:
        found = _points(site, outpost, "ConnectedStatus")
        return [p["time"] for p in found if p["value"] == 0 and p["time"] >= started]

    times = site.settled(zeros, lambda found: len(found) >= PERIODS, within)
    name = f"{outpost} ConnectedStatus"
    expect(times, name, expected="0 while it is cut", seen=f"{len(times)} datapoints")
    return times[0], times[-1]


def _expect_delivered(site: Site, outpost: OutpostSubject, during: tuple[float, float]) -> None:
    """What was measured while the Outpost was cut off is there, with the times of then."""
    first, last = during

    def delivered() -> list[dict[str, Any]]:
        found = _points(site, outpost, "LagStatus")
        return [point for point in found if first <= point["time"] <= last]

    found = site.settled(delivered, bool, READY_S)
    name = f"{outpost} LagStatus of the outage"
    text = f"{len(found)} datapoints" if found else "none"
    expect(found, name, expected="datapoints, delivered after it", seen=text)
