"""What the marker `after` does on the shipped topologies: what blocks what, and what does not."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from testbed.conformance.graph import After
from testbed.conformance.results import Outcome, Result, blocking
from testbed.conformance.runner import all_checks
from testbed.conformance.subjects import SUBJECTS, Subject, own_name
from testbed.conformance.suites import file_of
from testbed.lifecycle.installation import load_topology
from testbed.topology.model import Topology

TOPOLOGIES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))


@cache
def shipped(path: Path) -> Topology:
    return load_topology(path, {})


def function(check: str) -> Any:
    suite, _, name = check.partition(".")
    module = importlib.import_module(f"testbed.conformance.{file_of(suite).stem}")
    return getattr(module, f"test_{name.replace('-', '_')}")


def marks(check: str) -> list[After]:
    found = [m for m in getattr(function(check), "pytestmark", []) if m.name == "after"]
    return [After(mark.args, **mark.kwargs) for mark in found]


def edges() -> Iterator[tuple[str, After]]:
    """Each check, with each other one that it comes after."""
    for check in all_checks():
        for after in marks(check):
            for other in after.checks:
                yield check, After((other,), after.part, after.every)


def about(check: str, topology: Topology) -> list[Subject]:
    """What a check is run for."""
    arguments = inspect.signature(function(check)).parameters
    return [subject for kind in SUBJECTS if kind in arguments for subject in find(kind, topology)]


def find(kind: str, topology: Topology) -> list[Subject]:
    return list(SUBJECTS[kind][0](topology))


def came(check: str, subject: Subject, outcome: Outcome = "failed") -> Result:
    own, name = frozenset({own_name(subject)}), str(subject)
    return Result(check, name, outcome, name, keys=own, within=subject.keys)


def results(check: str, topology: Topology, bad: set[str]) -> list[Result]:
    """All results of a check that fails for the objects with these names."""
    subjects = about(check, topology)
    assert bad <= {own_name(subject) for subject in subjects}
    return [came(check, s, "failed" if own_name(s) in bad else "passed") for s in subjects]


def blocked(check: str, topology: Topology, other: str, *bad: str) -> set[str]:
    """The names of what a check is not run for when another one has failed for these objects."""
    found = results(other, topology, set(bad))
    return {
        own_name(s)
        for s in about(check, topology)
        for after in marks(check)
        if blocking(found, after, frozenset({own_name(s)}), s.keys)
    }


@pytest.mark.parametrize(
    ("check", "after"), [pytest.param(c, a, id=f"{c} after {a.checks[0]}") for c, a in edges()]
)
def test_each_of_them_blocks_on_a_shipped_topology(check: str, after: After) -> None:
    def blocks(topology: Topology) -> bool:
        failed = [came(after.checks[0], subject) for subject in about(after.checks[0], topology)]
        return any(
            blocking(failed, after, frozenset({own_name(s)}), s.keys)
            for s in about(check, topology)
        )

    assert any(blocks(shipped(path)) for path in TOPOLOGIES if path.stem != "real-switch")


@pytest.fixture(scope="module")
def rack() -> Topology:
    return shipped(next(path for path in TOPOLOGIES if path.stem == "rack"))


@pytest.fixture(scope="module")
def two_racks() -> Topology:
    return shipped(next(path for path in TOPOLOGIES if path.stem == "two-racks"))


def names(kind: str, topology: Topology) -> list[str]:
    return [own_name(subject) for subject in find(kind, topology)]


def test_a_session_blocks_what_is_about_its_lag(rack: Topology) -> None:
    """Of its own purpose only: the Region is none of the local gateway's."""
    session, other = "op.lag1.service-link", "op.lag1.local-gateway"
    for check in ("bgp.way-to-region", "bgp.route-to-rack"):
        assert blocked(check, rack, "bgp.established", session) == {"op.lag1"}
        assert not blocked(check, rack, "bgp.established", other)
    for failed in (session, other):
        assert blocked("metrics.matrix", rack, "bgp.established", failed) == {"op.lag1"}


def test_a_session_blocks_multipath_of_its_device(rack: Topology) -> None:
    (lag, *_) = find("lag", rack)
    device = {getattr(lag, "device", "")}
    found = blocked("bgp.multipath", rack, "bgp.established", "op.lag1.local-gateway")
    assert found == device
    assert not blocked("bgp.multipath", rack, "bgp.established", "op.lag1.service-link")


def test_one_tunnel_blocks_what_needs_both(two_racks: Topology) -> None:
    """What the other one carries alone is checked."""
    one, both = ["op-a.tunnel1"], ["op-a.tunnel1", "op-a.tunnel2"]
    for check in ("service-link.two-paths", "service-link.redundancy"):
        assert blocked(check, two_racks, "service-link.handshake", *one) == {"op-a"}
    for check in (
        "service-link.inner-mtu",
        "service-link.throughput",
        "service-link.encrypted",
        "metrics.connected-status",
    ):
        assert not blocked(check, two_racks, "service-link.handshake", *one)
        assert blocked(check, two_racks, "service-link.handshake", *both) == {"op-a"}


def test_the_last_link_to_the_region_blocks_what_goes_by_it(rack: Topology) -> None:
    links = names("uplink", rack)
    assert len(links) > 1
    for check in ("isp.established", "isp.way-out"):
        assert not blocked("service-link.region-reachable", rack, check, links[0])
        assert blocked("service-link.region-reachable", rack, check, *links) == {"op"}


def test_an_instance_blocks_what_may_ask_from_it(two_racks: Topology) -> None:
    outposts = {i: getattr(s, "outpost", None) for s in find("instance", two_racks) for i in s.keys}
    failed, where = next((i, o) for i, o in outposts.items() if i in names("instance", two_racks))
    assert where
    assert blocked("dns.resolver", two_racks, "dns.instances", failed) == {where}
    assert blocked("local-gateway.path", two_racks, "local-gateway.reached", failed) == {where}


def test_a_part_does_not_block_another_part(two_racks: Topology) -> None:
    found = blocked("metrics.tells-the-truth", two_racks, "service-link.management", "op-a")
    assert found == {name for name in names("lag", two_racks) if name.startswith("op-a.")}
    assert blocked("lag.members", two_racks, "lag.carrier", "op-a.lag1") == {"op-a.lag1"}
    established = blocked("bgp.equal", two_racks, "bgp.established", "op-a.lag1.local-gateway")
    assert established == {"op-a"}
