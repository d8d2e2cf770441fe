"""What checks say about themselves, and that all of them say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.conformance.graph import graph
from testbed.conformance.runner import all_checks, check_names
from testbed.conformance.sources import Part, parts
from testbed.conformance.subjects import SUBJECTS
from testbed.conformance.suites import (
    FOLDER,
    SUITES,
    Check,
    describe,
    file_of,
    name_of,
    suite_of,
)
from testbed.errors import UsageError
from testbed.lifecycle.installation import load_topology

CHECKS = all_checks()


def test_each_suite_is_a_file_and_each_file_a_suite() -> None:
    assert {path.name for path in FOLDER.glob("test_*.py")} == {file_of(s).name for s in SUITES}
    assert suite_of(file_of("service-link")) == "service-link"


def test_checks_come_from_the_cable_up() -> None:
    suites = [check.suite for check in CHECKS.values()]
    assert suites == sorted(suites, key=SUITES.index)
    assert next(iter(CHECKS)) == "lag.carrier"


def test_a_name_is_the_function_with_hyphens() -> None:
    assert name_of(Path("x/test_service_link.py"), "test_no_nat") == "service-link.no-nat"


def test_a_docstring_is_read() -> None:
    def check() -> None:
        """Something holds,
        for each of them.

        More words.

        Expected: this
        and that.
        Source: A1 (T1)
        Remedy: do it.
        """

    described = describe("lag.check", check)
    assert described == Check(
        "lag.check",
        "Something holds, for each of them. More words.",
        "this and that.",
        "A1 (T1)",
        "do it.",
    )


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_what_it_must(name: str) -> None:
    check = CHECKS[name]
    assert check.summary.endswith(".")
    assert check.expected
    assert check.remedy
    tags = [part for part in parts(check.source) if part.title]
    assert tags, f"no tag in {check.source!r}"
    assert "after" not in check.remedy.split()[:1]


@pytest.mark.parametrize("name", CHECKS)
def test_what_a_check_comes_after_is_there_and_before_it(name: str) -> None:
    order = list(graph())
    for other in graph()[name].below:
        assert order.index(other) < order.index(name)


def test_names_are_checked_and_guessed() -> None:
    check_names(["lag", "lag.carrier"])
    with pytest.raises(UsageError, match=r"no suite or check 'lag\.carier'") as raised:
        check_names(["lag.carier"])
    assert "lag.carrier" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("source", "tags"),
    [
        ("A3, A4 (T1)", ["A3", "A4", "T1"]),
        ("R1: standard fast timers", ["R1"]),
        ("S1, R2c, H3", ["S1", "R2c", "H3"]),
        ("TCP 443, a B and a VLAN A", []),
    ],
)
def test_tags_are_found_and_nothing_is_lost(source: str, tags: list[str]) -> None:
    found = list(parts(source))
    assert [part.text for part in found if part.title] == tags
    assert "".join(part.text for part in found) == source


def test_tags_lead_to_pages() -> None:
    title = "AWS's checklist A, Outpost networking device to customer device: item 10"
    url = "https://docs.aws.amazon.com/outposts/latest/userguide/network-troubleshoot.html"
    assert list(parts("A10")) == [Part("A10", title, url)]


def test_an_object_is_one_of_its_own_keys() -> None:
    """What fails for it blocks what has it among its keys."""
    root = Path(__file__).parents[3] / "topologies"
    kinds = set()
    for file in ("two-racks", "private-connectivity", "direct-vpc-routing"):
        topology = load_topology(root / f"{file}.yaml", {})
        for kind, (find, _) in SUBJECTS.items():
            for subject in find(topology):
                kinds.add(kind)
                assert getattr(subject, "name", str(subject)) in subject.keys
    assert kinds >= {"lag", "vif", "outpost", "tunnel", "uplink", "device", "vpc", "instance"}
