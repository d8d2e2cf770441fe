"""Fixtures: a runtime directory of one's own, fake keepers, the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from testbed.plan.checks import BgpCheck, LagCheck
from testbed.plan.codec import to_json
from testbed.plan.model import (
    Bond,
    Interface,
    Loopback,
    Netem,
    Node,
    Plan,
    Process,
    Route,
    Rule,
    Veth,
    Vlan,
    WireGuard,
    WireGuardPeer,
)
from testbed.plan.roles import Role

from .fake_keeper import FakeKeeper

TOPOLOGY = Path(__file__).parents[3] / "topologies" / "two-racks.yaml"


def small_plan(name: str = "demo") -> Plan:
    """One customer device with a LAG of two to an OND, and an instance behind it."""
    lag = [
        Interface("op-a", Bond()),
        Interface("op-a-1", Veth("op-a.ond1", "up1"), master="op-a", netem=Netem(rate_mbps=10000)),
        Interface("op-a-2", Veth("op-a.ond1", "up2"), master="op-a"),
        Interface("op-a.201", Vlan("op-a", 201), master="lgw", addresses=("10.0.0.1/30",)),
        Interface("region", Veth("region.edge", "cnd1"), addresses=("100.65.0.0/31",)),
    ]
    ond = [
        Interface("bond0", Bond()),
        Interface("up1", Veth("cnd1", "op-a-1"), master="bond0"),
        Interface("up2", Veth("cnd1", "op-a-2"), master="bond0"),
        Interface("bond0.201", Vlan("bond0", 201), master="lgw", addresses=("10.0.0.2/30",)),
        Interface("a", Veth("a", "eth0")),
    ]
    peer = WireGuardPeer("edge", "cHVi", "198.51.100.1:443", ("0.0.0.0/0",))
    instance = [
        Interface("lo", Loopback(), addresses=("10.9.9.9/32",)),
        Interface("eth0", Veth("op-a.ond1", "a"), mac="02:00:00:00:00:01", mtu=1500,
                  addresses=("10.77.7.88/24",)),
        Interface("wg0", WireGuard("a", "a2V5", 443, (peer,))),
    ]  # fmt: skip
    edge = [
        Interface("lo", Loopback(), addresses=("198.51.100.1/32",)),
        Interface("cnd1", Veth("cnd1", "region"), addresses=("100.65.0.1/31",)),
        Interface("wg0", WireGuard("region.edge", "a2V5", 443, ())),
    ]
    nodes = (
        Node("region.edge", Role.REGION_EDGE, "region", "edge", interfaces=tuple(edge)),
        Node("cnd1", Role.CUSTOMER_DEVICE, "site", "device cnd1", interfaces=tuple(lag),
             files={"bird.conf": "router id 10.0.0.1;\n"},
             processes=(Process("bird", ("bird", "-f"), files=("bird.conf",)),)),
        Node("op-a.ond1", Role.NETWORKING_DEVICE, "op-a", "OND 1", interfaces=tuple(ond)),
        Node("a", Role.INSTANCE, "op-a", "instance a", interfaces=tuple(instance),
             routes=(Route("0.0.0.0/0", via="10.77.7.1", dev="eth0"),),
             rules=(Rule(100, 1, fwmark=1),)),
    )  # fmt: skip
    checks = (
        LagCheck("cnd1", "op-a", ("op-a-1", "op-a-2"), "LAG cnd1 - op-a"),
        BgpCheck("cnd1", "bird", "op_a", "10.0.0.2", "cnd1 - op-a OND1"),
        BgpCheck("op-a.ond1", "bird", "cnd1", "10.0.0.1", "op-a OND1 - cnd1"),
        BgpCheck("cnd1", "bird", "region", "100.65.0.1", "cnd1 - Region edge"),
    )
    return Plan(name, nodes, checks)


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty runtime directory; short, because socket paths must be."""
    directory = Path(tempfile.mkdtemp(prefix="tb"))
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(directory))
    for variable in ("TESTBED_NAME", "TESTBED_VM", "TESTBED_DEBUG", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def keeper_of() -> Iterator[Callable[..., FakeKeeper]]:
    """Start fake keepers."""
    made: list[FakeKeeper] = []

    def start(name: str = "demo", plan: Plan | None = None) -> FakeKeeper:
        made.append(FakeKeeper(name, to_json(plan) if plan else None))
        return made[-1]

    yield start
    for entry in made:
        entry.close()


@pytest.fixture
def keeper(keeper_of: Callable[..., FakeKeeper]) -> FakeKeeper:
    """A fake keeper of testbed demo that runs the small plan."""
    return keeper_of("demo", small_plan())


@pytest.fixture
def call() -> Callable[..., Result]:
    """Run the command line in this process."""
    from testbed.cli import cli

    def run(*args: str, stdin: str | bytes | None = None, **extra: Any) -> Result:
        return CliRunner().invoke(cli, list(args), prog_name="testbed", input=stdin, **extra)

    return run


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run the command line as a process of its own."""

    def run(*args: str, **extra: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*program(), *args], capture_output=True, timeout=60, check=False, **extra
        )

    return run


def program() -> list[str]:
    """The words that start the command line."""
    return [sys.executable, "-c", "from testbed.cli import main; main()"]


@pytest.fixture
def starting(
    monkeypatch: pytest.MonkeyPatch, keeper_of: Callable[..., FakeKeeper]
) -> dict[str, FakeKeeper]:
    """Let `up` start fake keepers; they are found here by name."""
    from testbed.control import registry
    from testbed.lifecycle import start

    started: dict[str, FakeKeeper] = {}

    def ensure_running(name: str, **_: Any) -> bool:
        if registry.alive(name):
            return False
        started[name] = keeper_of(name)
        return True

    def end(name: str, ask: Callable[[], None]) -> None:
        ask()
        entry = started.get(name)
        assert entry is None or entry.stopped.wait(10)
        registry.sweep()

    monkeypatch.setattr(start, "ensure_running", ensure_running)
    monkeypatch.setattr(start, "end", end)
    return started


@pytest.fixture
def environment(runtime: Path) -> dict[str, str]:
    """The environment for a process of its own."""
    return dict(os.environ) | {"TESTBED_RUNTIME_DIR": str(runtime)}
