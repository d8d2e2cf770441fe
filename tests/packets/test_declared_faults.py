"""Faults that a topology declares: there from the start, or on a schedule that is kept exactly."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from testbed.guest import uml_kernels
from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology(str(Path(__file__).with_name("declared-faults.yaml"))),
    pytest.mark.testbed(time="virtual"),
    pytest.mark.skipif(
        uml_kernels.find((), virtual_time=True) is None, reason="no kernel here skips time"
    ),
]
EXACT_S = 0.01


def changes(testbed: Testbed, name: str) -> list[tuple[float, str]]:
    """When a fault was injected and healed."""
    events = [e for e in testbed.events() if e["kind"] == "fault" and e["subject"] == name]
    return [(event["at"], event["state"].partition(":")[0]) for event in events]


def test_a_broken_site_is_broken_from_the_start(testbed: Testbed) -> None:
    (at, what) = changes(testbed, "vlan-wrong")[0]
    assert (at < 1, what) == (True, "injected")
    assert "op OND1 - cnd1, service-link VLAN 1001" in "\n".join(testbed.problems())
    first = [e for e in testbed.events() if e["kind"] == "bgp" and e["state"] == "Established"]
    assert not [e for e in first if e["node"] == "cnd1" and e["subject"] == "op_service_link"]


def test_the_schedule_is_kept(testbed: Testbed) -> None:
    """Half a second without carrier, each two seconds, as the kernel tells it."""
    testbed.advance(12)
    turns = changes(testbed, "flapping")
    assert [what for _, what in turns[:6]] == ["injected", "healed"] * 3
    starts = [at for at, what in turns if what == "injected"]
    ends = [at for at, what in turns if what == "healed"]
    assert len(starts) >= 5
    for before, after in pairwise(starts):
        assert after - before == pytest.approx(2, abs=EXACT_S)
    for start, end in zip(starts, ends, strict=False):
        assert end - start == pytest.approx(0.5, abs=EXACT_S)
    links = [
        (e["at"], e["state"])
        for e in testbed.events()
        if (e["node"], e["kind"], e["subject"]) == ("cnd2", "link", "op_1")
        and e["at"] > starts[0] - 0.1
    ]
    lost = [at for at, text in links if text == "no carrier"]
    assert len(lost) >= 5
    for start, at in zip(starts, lost, strict=False):
        assert at == pytest.approx(start, abs=EXACT_S)


@pytest.mark.last  # what was up in between is not broken from the start
def test_what_is_declared_comes_back(testbed: Testbed) -> None:
    """Healed by hand it stays away until the plan is applied again, as the fixture does."""
    assert set(testbed.heal()) == {"vlan-wrong", "flapping"}
    assert testbed.status()["ok"]
    testbed.restore()
    states = {row["name"]: row["state"] for row in testbed.faults()}
    assert states["vlan-wrong"] == "active"
    assert states["flapping"] in {"scheduled", "active"}
