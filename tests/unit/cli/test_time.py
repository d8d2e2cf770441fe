"""`testbed advance` and `events`, the time of a plan, and what has no virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from testbed.cli.advance import parse_duration
from testbed.control.client import Client
from testbed.errors import HostError, UsageError
from testbed.guest import uml_kernels
from testbed.guest.uml_kernels import UmlKernel
from testbed.lifecycle import start
from testbed.lifecycle.choices import with_time
from testbed.plan.model import HostInterface, Interface, Plan
from testbed.render.clocks import clock_text, duration_text
from testbed.testing import Testbed, eventually

from .conftest import small_plan
from .fake_keeper import Channel, FakeKeeper

Call = Callable[..., Result]
CLOCK = {"time": "virtual", "elapsed_s": 90061.5, "now": 1767315661.5, "seed": 7}
EVENTS = [
    {"at": 3.004211, "node": "cnd1", "kind": "bgp", "subject": "op", "state": "Established"},
    {"at": 188.330915, "node": "a", "kind": "link", "subject": "eth0", "state": "no carrier"},
]


@pytest.fixture
def virtual(keeper: FakeKeeper) -> FakeKeeper:
    """A fake keeper whose time is virtual."""

    def advance(channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
        channel.send({"event": "advanced", "seconds": request["seconds"]})
        now["elapsed_s"] += request["seconds"]
        return {"clock": dict(now)}

    now = dict(CLOCK)
    hello = keeper.replies["hello"]

    def tell(channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
        return {**(hello(channel, request) or {}), "clock": dict(now)}

    keeper.replies |= {"advance": advance, "hello": tell, "events": lambda *_: {"events": EVENTS}}
    return keeper


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0.5", 0.5), ("180s", 180), ("1h30m", 5400), ("7d", 604800), ("1500ms", 1.5)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(None, None, text) == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "soon", "1x", "h", "1h 30m", "-5s", "1e9", "1h30"])
def test_what_is_no_length_of_time(text: str, call: Call, virtual: FakeKeeper) -> None:
    assert virtual
    assert call("advance", "--", text).exit_code == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.25 s"), (59.9, "59.9 s"), (60, "1 min"), (3661, "1 h 1 min 1 s"), (86400, "1 d")],
)
def test_lengths_of_time_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_clocks_in_words() -> None:
    assert clock_text(None) == clock_text({"time": "real"}) == "real"
    assert clock_text(CLOCK) == "virtual, 1 d 1 h 1 min 2 s elapsed, seed 7"


def test_advance(call: Call, virtual: FakeKeeper) -> None:
    result = call("advance", "1h")
    assert result.exit_code == 0
    assert "1 h later" in result.output
    assert virtual.requests[-1] == {"op": "advance", "seconds": 3600.0}


def test_advance_json(call: Call, virtual: FakeKeeper) -> None:
    assert virtual
    shown = json.loads(call("advance", "10", "--json").stdout)
    assert shown["seconds"] == 10
    assert shown["clock"]["elapsed_s"] == CLOCK["elapsed_s"] + 10  # type: ignore[operator]


def test_events(call: Call, virtual: FakeKeeper) -> None:
    assert virtual
    lines = call("events").output.splitlines()
    assert [line.split() for line in lines] == [
        ["3.004211", "cnd1", "bgp", "op:", "Established"],
        ["188.330915", "a", "link", "eth0:", "no", "carrier"],
    ]


def test_events_are_chosen(call: Call, virtual: FakeKeeper) -> None:
    assert virtual
    assert json.loads(call("events", "--kind", "link", "--json").stdout) == EVENTS[1:]
    assert json.loads(call("events", "a", "--json").stdout) == EVENTS[1:]
    assert call("events", "--kind", "bfd").output == "nothing has happened yet\n"
    missing = call("events", "missing")
    assert missing.exit_code == 2
    assert "no node 'missing'" in missing.stderr


def test_list_shows_the_clock(call: Call, virtual: FakeKeeper) -> None:
    assert virtual
    (row,) = json.loads(call("list", "--json").stdout)
    assert row["clock"] == CLOCK


def test_throughput_needs_real_time(virtual: FakeKeeper) -> None:
    with pytest.raises(UsageError, match="throughput needs real time; demo runs in virtual time"):
        Client(virtual.name).require_real_time("throughput")


def test_time_and_seed_of_a_plan() -> None:
    plan = small_plan()
    assert (plan.time, plan.seed) == ("real", 1)
    assert with_time(plan, None, None) == plan
    assert with_time(plan, "virtual", 5) == replace(plan, time="virtual", seed=5)
    for time, seed in (("unreal", None), (None, -1), (None, 2**63)):
        with pytest.raises(UsageError):
            with_time(plan, time, seed)


def test_eventually_advances_a_virtual_clock(virtual: FakeKeeper) -> None:
    virtual.plan["time"] = "virtual"
    testbed = Testbed(virtual.name)
    start = testbed.elapsed()
    assert testbed.eventually(lambda: testbed.elapsed() >= start + 1000, 2000, interval=100)
    with pytest.raises(AssertionError, match="not true within 500 s"):
        eventually(lambda: False, 500, interval=100, clock=testbed)


def choose(plan: Plan, vm: str = "auto") -> list[str]:
    return start._choose(vm, with_time(plan, "virtual", 3), lambda _: None)


@pytest.mark.parametrize("vm", ["never", "qemu"])
def test_only_a_user_mode_kernel_skips_time(vm: str) -> None:
    with pytest.raises(UsageError, match=f"--vm {vm}"):
        choose(small_plan(), vm)


def test_hardware_does_not_skip_time() -> None:
    plan = small_plan()
    first = plan.nodes[0]
    wired = replace(first, interfaces=(*first.interfaces, Interface("hw", HostInterface("ens9"))))
    with pytest.raises(UsageError, match="ens9 cannot skip time"):
        choose(replace(plan, nodes=(wired, *plan.nodes[1:])))


def with_options(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """Have one kernel that works, with these options and time travel."""
    made = frozenset({"CONFIG_UML_TIME_TRAVEL_SUPPORT", *options})
    monkeypatch.setattr(UmlKernel, "options", made)
    monkeypatch.setattr(UmlKernel, "problems", lambda _: [])
    monkeypatch.setattr(UmlKernel, "lacking", lambda *_: [])
    monkeypatch.setattr(uml_kernels, "candidates", lambda: [UmlKernel(Path("/kernel"))])


def test_a_kernel_that_skips_time_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with_options(monkeypatch)
    words = choose(small_plan())
    assert words[:3] == ["testbed.guest.relay", "--guest", "uml"]
    assert words[-2:] == ["--virtual-time", "3"]


def test_a_kernel_with_its_hosts_chance_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with_options(monkeypatch, "CONFIG_UML_RANDOM")
    with pytest.raises(HostError, match="virtual time needs a user-mode kernel"):
        choose(small_plan())
