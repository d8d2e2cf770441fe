"""Security groups and network ACLs: what they let through, port by port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.conformance.expectation import expect
from testbed.conformance.permissions import Permissions
from testbed.conformance.requesting import Answer, Protocol, Request, until
from testbed.conformance.site import Site
from testbed.conformance.subjects import InstanceSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.ways import WayEnd, Ways

pytestmark = pytest.mark.follows(*CONNECTIVITY)
CLOSED = 9  # discard: a port that files seldom open
SETTLE_S = 4.0


def cases(site: Site, end: WayEnd) -> Iterator[tuple[Request, bool]]:
    """Requests to an instance from everybody with a way to it, and whether they are let through."""
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    for source in ways.ends:
        way = ways.way(source, end) if source != end else None
        if way is None or way.kind == "other":
            continue
        for protocol, port in kinds(permissions, source, end):
            allowed = permissions.allows(source, end, way, protocol, port)
            yield Request(source.name, str(way.to), protocol, port), allowed


def kinds(permissions: Permissions, source: WayEnd, end: WayEnd) -> list[tuple[Protocol, int]]:
    """The kinds of request that tell the rules from others.

    Without UDP: a port that nothing listens on is told from a filtered one by ICMP
    errors only, which Linux limits to one a second.
    """
    found: list[tuple[Protocol, int]] = [("icmp", 0), ("tcp", 80), ("tcp", CLOSED)]
    found += [("tcp", port) for port in permissions.boundaries(source, end, "tcp")]
    if "echo" in permissions.topology.instances[end.name].services:
        found.append(("udp", 7))
    return list(dict.fromkeys(found))


def _filtered(site: Site, instance: InstanceSubject) -> WayEnd:
    end = Ways(site.topology).end(instance.instance.name)
    if not Permissions(site.topology).is_filtered(end):
        pytest.skip("its network interface is not filtered")
    return end


def test_allowed(site: Site, instance: InstanceSubject) -> None:
    """What the rules allow reaches the instance, and its answer gets back.

    Every instance and LAN host with a path sends pings, and TCP to both ports at the boundaries of
    each rule of both ends' security groups and network ACLs. A refused connection has also reached
    the instance. Answers pass security groups without a rule.

    Expected: an answer to every allowed request.
    Source: V (security groups are stateful; network ACLs are not), EC2 conntrack
    Remedy: compare the rules of both ends' security groups and of both subnets' network ACLs,
    including those for answers (ports 1024 to 65535).
    """
    end = _filtered(site, instance)
    wanted = [request for request, allowed in cases(site, end) if allowed]
    if not wanted:
        pytest.skip("the rules allow nobody in")
    answers = until(site, wanted, lambda _, answer: answer.ok, seconds=2.0, within=SETTLE_S)
    for request, answer in answers.items():
        expect(answer.ok, request, expected="an answer", seen=answer)


def test_denied(site: Site, instance: InstanceSubject) -> None:
    """What no rule allows is dropped silently.

    The same requests, on the other side of each boundary, and from those that no rule names.

    Expected: neither an answer nor an error.
    Source: V: security groups only allow; network ACLs deny what no entry allows
    Remedy: look for a rule that is too wide, in any of the instance's groups.
    """
    end = _filtered(site, instance)
    wanted = [request for request, allowed in cases(site, end) if not allowed]
    if not wanted:
        pytest.skip("the rules allow everything")
    silent = Answer()
    answers = until(site, wanted, lambda _, answer: answer == silent, within=SETTLE_S)
    for request, answer in answers.items():
        expect(answer == silent, request, expected="no answer", seen=answer)
