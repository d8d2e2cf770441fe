"""A testbed that was changed while it ran is what a fresh one of the same file is.

Of devices with FRR, with BIRD, and with configurations of their own.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from effort import THOROUGH

from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.files import files_of
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("live-changes.yaml.j2")
BASE = {
    "members": "1",
    "bfd": "false",
    "sl_vlan": "30",
    "lgw_vlan": "40",
    "lgw_vlan2": "41",
    "lgw_net": "10.250.8",
    "lgw_asn": "65101",
    "asn": "65020",
    "lab": "",
}
# Each on top of those before. All of one device's, then of the other's, of both, and back.
CHANGES: list[dict[str, str]] = [
    {"lgw_vlan": "45"},
    {"lgw_vlan": "40", "lgw_vlan2": "46"},
    {"sl_vlan": "35"},
    {"lgw_net": "10.250.7"},
    {"lab": "yes"},
    {"members": "2"},
    {"bfd": "true"},
    {"asn": "65021", "lgw_asn": "65102"},
    {"lab": "", "sl_vlan": "30"},
]
ROUTERS = ("cnd1", "cnd2", "op.ond1", "op.ond2", "op.lgw", "op.sl")
pytestmark = [pytest.mark.packets, pytest.mark.timeout(1800)]


def settings_of(
    topology: Path, values: dict[str, str], daemon: str, *, own: bool
) -> dict[str, str]:
    """The template's variables.

    A device's `own` configuration, beside the file, is what would have been generated for it.
    """
    settings = values | {"daemon": daemon, "config1": "null", "config2": "null"}
    if not own:
        return settings
    plan = lower_topology(load_topology(topology, settings))
    for number, file in ((1, "bgpd.conf" if daemon == "frr" else "bird.conf"), (2, "bird.conf")):
        path = topology.with_name(f"cnd{number}.conf")
        path.write_text(files_of(plan.node(f"cnd{number}"))[file])
        settings[f"config{number}"] = path.name
    return settings


def state(testbed: Testbed) -> dict[str, Any]:
    """Addresses, routes and sessions of the routers."""
    found: dict[str, Any] = {}
    for node in ROUTERS:
        run = testbed[node].run
        addresses = json.loads(run(["ip", "-j", "-4", "address"]).text)
        found[f"{node} addresses"] = sorted(
            (link["ifname"], entry["local"], entry["prefixlen"])
            for link in addresses
            for entry in link.get("addr_info", ())
        )
        routes = json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]).text)
        found[f"{node} routes"] = sorted(json.dumps(_route(entry)) for entry in routes)
    found["sessions"] = sorted(
        (row["node"], row["protocol"], row["neighbor"], row["state"], row["imported"])
        for row in testbed.status()["bgp"]
    )
    return found


def _route(entry: dict[str, Any]) -> list[Any]:
    hops = entry.get("nexthops") or [entry]
    ways = sorted([hop.get("gateway", ""), hop.get("dev", "")] for hop in hops)
    return [entry.get("type", ""), entry["dst"], str(entry.get("table", "main")), ways]


def differences(seen: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What one has and the other has not."""
    return [
        f"{key}: {which} {entry}"
        for key in wanted
        for which, some, others in (("only live", seen, wanted), ("only fresh", wanted, seen))
        for entry in some[key]
        if entry not in others[key]
    ]


@pytest.fixture(params=["frr", "own-frr", "own-bird"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "own-bird" and not THOROUGH:
        pytest.skip("TESTBED_THOROUGH is not set: the other kinds have a device of this one")
    return str(request.param)


def test_a_change_leaves_what_a_fresh_start_gives(
    kind: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    vm = pytestconfig.getoption("testbed_vm")
    own, daemon = kind.startswith("own"), kind.removeprefix("own-")
    file = Path(shutil.copy(TOPOLOGY, tmp_path))
    how: dict[str, Any] = {"vm": vm, "time": time_for(vm), "hold": True, "timeout_s": 60.0}
    values = dict(BASE)

    def fresh() -> dict[str, Any]:
        settings = settings_of(file, values, daemon, own=own)
        with Testbed.up(file, settings, name=f"live-fresh-{os.getpid()}", **how) as testbed:
            return state(testbed)

    settings = settings_of(file, values, daemon, own=own)
    with Testbed.up(file, settings, name=f"live-{os.getpid()}", **how) as testbed:
        changes = CHANGES if THOROUGH or not own else CHANGES[:3]
        for change in changes:
            values |= change
            settings = settings_of(file, values, daemon, own=own)
            topology = replace(load_topology(file, settings), name=testbed.name)
            testbed.apply(topology, timeout_s=60.0)  # raises where something is not ready
            assert testbed["desk"].ping(testbed["web"], count=1).received == 1, change
            if THOROUGH or change is changes[-1]:
                same_as(testbed, fresh())


def same_as(testbed: Testbed, wanted: dict[str, Any]) -> None:
    """Wait until it is like a fresh one, as long as BGP may take to settle."""

    def same() -> bool:
        found = differences(state(testbed), wanted)
        assert not found, found
        return True

    testbed.eventually(same, 60.0, interval=5.0)
