"""Host interfaces on this kernel: a LAG with VLANs whose other side is the host's."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.control import registry
from testbed.lifecycle import start
from testbed.plan.checks import LagCheck
from testbed.plan.model import Bond, HostInterface, Interface, Node, Plan, Vlan
from testbed.plan.roles import Role
from testbed.testing import Testbed, eventually

PORTS = ("port1", "port2")


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A LAG of this host with a VLAN on it, wired to port1 and port2."""
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path / "run"))
    ip("link", "add", "lag", "type", "bond", "mode", "802.3ad", "miimon", "50", "lacp_rate", "fast")
    for port in PORTS:
        ip("link", "add", port, "type", "veth", "peer", "name", f"{port}-far")
        ip("link", "set", f"{port}-far", "master", "lag")
    ip("link", "set", "lag", "up")
    ip("link", "add", "link", "lag", "name", "lag.7", "type", "vlan", "id", "7")
    ip("address", "add", "192.0.2.2/24", "dev", "lag.7")
    ip("link", "set", "lag.7", "up")
    yield "192.0.2.2"
    for name in registry.running():
        start.kill(name)
    for name in ("lag", *PORTS):
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", name)


def plan(vid: int = 7) -> Plan:
    members = (
        Interface(f"uplink{number}", HostInterface(port), master="bond0", mtu=1500)
        for number, port in enumerate(PORTS, 1)
    )
    interfaces = (
        Interface("bond0", Bond(), mac="02:00:00:00:00:07"),
        *members,
        Interface(f"bond0.{vid}", Vlan("bond0", vid), addresses=("192.0.2.1/24",), mtu=1500),
    )
    node = Node("node", role=Role.VPC_ROUTER, group="op", interfaces=interfaces)
    return Plan("real", (node,), (LagCheck("node", "bond0", ("uplink1", "uplink2"), "LAG"),))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_lag_of_the_hosts_is_a_partner(switch: str) -> None:
    """LACP agrees, tagged packets pass; the host says nothing of its own on the ports."""
    with Testbed.up(plan(), vm="never") as testbed:
        assert testbed.status()["lags"][0]["ok"]
        assert testbed["node"].ping(switch, count=2, size=1472, df=True).received == 2
    for port in PORTS:
        assert "inet" not in ip("-o", "address", "show", "dev", port)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_killed_it_can_be_attached_again(switch: str) -> None:
    for _ in range(3):
        testbed = Testbed.up(plan(), vm="never")
        start.kill(testbed.name)
    with Testbed.up(plan(), vm="never") as testbed:
        assert testbed["node"].ping(switch, count=1).received == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_running_testbed_changes_on_them(switch: str) -> None:
    """To another VLAN, off the ports and onto them again."""
    with Testbed.up(plan(8), vm="never") as testbed:
        assert testbed["node"].ping(switch, count=1).received == 0
        testbed.apply(plan(7))
        assert testbed["node"].ping(switch, count=1).received == 1
        testbed.apply(Plan("real", (Node("node", role=Role.VPC_ROUTER, group="op"),)))
        testbed.apply(plan(7))
        assert eventually(lambda: testbed["node"].ping(switch, count=1).received == 1)
