"""Random edits of running testbeds, with faults between: each ends as a fresh one of its document.

Compared are the kernel's state, the files and configurations of daemons, and the status. The edits
are operations with arguments at random, those of them that AWS's rules allow.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from edits_at_random import any_change
from effort import THOROUGH, times
from kernel_state import State, differences, state

from testbed.chaos.candidates import candidates
from testbed.chaos.keeper import Sample, look
from testbed.errors import HostError, NetworkError, UsageError
from testbed.lifecycle.bringup import bring_up
from testbed.lifecycle.installation import lower_topology, read_file
from testbed.lifecycle.live import live
from testbed.plan.files import files_of
from testbed.plan.model import Plan
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed
from testbed.topology.document import Document
from testbed.topology.editing import EditError

ROOT = Path(__file__).parents[2]
SITES = {
    "two-racks": ROOT / "topologies" / "two-racks.yaml",
    "security-groups": ROOT / "topologies" / "security-groups.yaml",
    "transit-gateway": ROOT / "topologies" / "transit-gateway.yaml",
    "vpc-endpoints": ROOT / "topologies" / "vpc-endpoints.yaml",
    "coip": ROOT / "topologies" / "coip.yaml",
    "firewalls": ROOT / "topologies" / "firewalls.yaml",
    "frr": Path(__file__).with_name("live-changes.yaml.j2"),
    "own": Path(__file__).with_name("live-changes.yaml.j2"),
}
USUAL = "frr"
EDITS = times(20, 250)
COMPARED_EACH = times(20, 50)
READY_S = 40.0  # of virtual time: some edits leave what never comes
SETTLED_S = 200.0
FAULTS = 0.15  # how often an edit is made with a fault in force
# A testbed keeps its name, and its clock.
NOT_LIVE = {"modify_region"}
pytestmark = [pytest.mark.packets, pytest.mark.timeout(times(300, 5400))]


def settings_of(site: str, folder: Path) -> dict[str, str]:
    """The variables of a site's template; devices' own configurations are generated ones."""
    if site not in {"frr", "own"}:
        return {}
    own = {"config1": "null", "config2": "null"}
    base = {
        "members": "1",
        "bfd": "false",
        "sl_vlan": "30",
        "lgw_vlan": "40",
        "lgw_vlan2": "41",
        "lgw_net": "10.250.8",
        "lgw_asn": "65101",
        "asn": "65020",
        "lab": "",
        "daemon": "frr" if site == "frr" else "bird",
    }
    if site == "own":
        plan = read_file(SITES[site], base | own).plan
        for number in (1, 2):
            path = folder / f"cnd{number}.conf"
            path.write_text(files_of(plan.node(f"cnd{number}"))["bird.conf"])
            own[f"config{number}"] = path.name
    return base | own


class Editing:
    """A running testbed that is edited at random."""

    def __init__(self, testbed: Testbed, random: Random) -> None:
        self.testbed = testbed
        self.random = random
        self.made: list[str] = []
        self._drawn = ""

    def edit(self) -> None:
        """Make one edit that the rules allow; whether all becomes ready is not what is asked."""
        self._drawn = ""
        while not self._drawn:
            with contextlib.suppress(NetworkError):
                try:
                    self.testbed.edit(self._draw, timeout_s=READY_S)
                except UsageError:  # the rules refuse it, or a device's own configuration
                    self._drawn = ""
                except HostError as error:
                    error.add_note("\n".join(["after", *self.made, self._drawn]))
                    raise
        self.made.append(self._drawn)

    def _draw(self, document: Document) -> Document:
        """A document that an operation makes of this one; EditError where it is not allowed."""
        change = any_change(self.random, document)
        changed = change(document)
        if change.operation in NOT_LIVE or changed == document:
            raise EditError(None, "not a change of what runs", ())
        self._drawn = str(change)
        return changed

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """Have a fault in force meanwhile, or two, if the plan has what they are about."""
        topology = live(self.testbed.client).topology()
        known = candidates(self.testbed.plan, topology)
        chosen = self.random.sample(known, min(len(known), self.random.choice((1, 1, 2))))
        names = []
        for fault in chosen:
            with contextlib.suppress(UsageError):  # not beside another one
                row = self.testbed.client.fault(fault.kind, fault.target, dict(fault.values))
                names.append(row["name"])
                self.made.append(f"fault {fault}")
        yield
        rows = {row["name"]: row["state"] for row in self.testbed.faults()}
        if left := [name for name in names if rows.get(name) == "active"]:
            self.testbed.client.heal(*left, wait=False)
            self.made.append("heal")


def fresh(plan: Plan, how: dict[str, Any]) -> tuple[State, Sample]:
    """The state of a testbed that has never been anything else, and what its keeper holds."""
    outcome = bring_up(plan, timeout_s=READY_S, **how)
    testbed = Testbed(plan.name)
    try:
        testbed.advance(SETTLED_S)
        return state(testbed), look(testbed)
    finally:
        testbed.down()
        if outcome.lease is not None:
            outcome.lease.close()


def compare(editing: Editing, how: dict[str, Any]) -> None:
    """Compare a testbed with a fresh one, as soon as it has settled."""
    testbed = editing.testbed
    plan = lower_topology(live(testbed.client).topology())
    assert testbed.client.plan()[0] == plan, "another plan runs"
    wanted, sample = fresh(replace(plan, name=f"{testbed.name}-fresh"), how)
    testbed.advance(SETTLED_S)

    def same() -> bool:
        found = differences(state(testbed), wanted)
        last = "\n".join(editing.made)
        assert not found, f"after\n{last}\n" + "\n".join(found[:40])
        return True

    testbed.eventually(same, 100.0, interval=20.0)
    # Processes are part of the state; the keeper holds each namespace by a descriptor.
    assert look(testbed).descriptors <= sample.descriptors + 4, editing.made


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    if request.param != USUAL and not THOROUGH:
        pytest.skip("TESTBED_THOROUGH is not set: one site is edited in a usual run")
    return str(request.param)


def test_edits_at_random_leave_what_a_fresh_start_gives(
    site: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    vm = pytestconfig.getoption("testbed_vm")
    seed = int(os.environ.get("TESTBED_SEED", "1"))
    how: dict[str, Any] = {"vm": vm, "hold": True}
    file = tmp_path / SITES[site].name
    file.write_text(SITES[site].read_text())
    settings = settings_of(site, tmp_path)
    name = f"at-random-{os.getpid()}"
    with Testbed.up(file, settings, name=name, time=time_for(vm), **how) as testbed:
        editing = Editing(testbed, Random(f"{site} {seed}"))
        for number in range(1, EDITS + 1):
            if editing.random.random() < FAULTS:
                with editing.broken():
                    editing.edit()
            else:
                editing.edit()
            if number % COMPARED_EACH == 0 or number == EDITS:
                compare(editing, how)
