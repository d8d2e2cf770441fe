"""Evaluating checks: what is asked how often, and what counts as ok."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from typing import Any, cast

import pytest

from testbed.keeper import bird, observer, readiness
from testbed.keeper.processes import ProcessTable
from testbed.keeper.running import Running
from testbed.kernel import observe
from testbed.kernel.apply import Kernel
from testbed.kernel.wireguard import PeerState
from testbed.plan.checks import BgpCheck, Check, RouteCheck, TunnelCheck
from testbed.plan.model import Interface, Node, Plan, WireGuard, WireGuardPeer
from testbed.plan.roles import Role


class FakeKernel:
    """Namespaces that nobody enters."""

    def __init__(self) -> None:
        self.called: list[tuple[str, str]] = []

    def fd(self, _: str) -> int:
        return -1

    def call_again(self, node: str, interface: str) -> None:
        self.called.append((node, interface))


def observed(plan: Plan, kernel: FakeKernel | None = None) -> observer.Observer:
    processes = ProcessTable(lambda _: -1)
    for node in plan.nodes:
        processes.daemons[node.name, "bird"] = Running(os.getpid(), "bird", node.name)
    return observer.Observer(plan, cast("Kernel", kernel or FakeKernel()), processes)


def one_node(*checks: Check, interfaces: tuple[Interface, ...] = ()) -> Plan:
    return Plan("test", (Node("n", Role.VPC_ROUTER, "g", interfaces=interfaces),), checks)


def test_a_daemon_that_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question to it takes seconds in which the keeper does nothing else."""
    asked = []

    def hang(path: str) -> dict[str, bird.Session]:
        asked.append(path)
        raise bird.BirdError("timed out")

    monkeypatch.setattr(bird, "sessions", hang)
    checks = [BgpCheck("n", "bird", f"s{number}", "10.0.0.1", "title") for number in range(3)]
    look = observed(one_node(*checks))
    rows = [look.row(check) for check in checks]
    assert [row["state"] for row in rows] == ["BIRD does not answer: timed out"] * 3
    assert not any(row["ok"] for row in rows)
    assert len(asked) == 1


def route(kind: str, metric: int, *hops: observe.Hop) -> observe.RouteState:
    return observe.RouteState("0.0.0.0/0", 1001, kind, "bird", metric, None, hops)


def test_the_preferred_route_to_a_destination_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VRF has an unreachable default route as its last resort beside the one in use."""
    last = route("unreachable", 4278198272)
    table = [route("unicast", 32, observe.Hop("10.0.0.1", "e0")), last]
    monkeypatch.setattr(observe, "routes", lambda *_: table)
    check = RouteCheck("n", 1001, "0.0.0.0/0", "title")
    assert observed(one_node(check)).row(check)["ok"]
    table[:] = [last]
    assert not observed(one_node(check)).row(check)["ok"]


def wait_for_tunnel(
    monkeypatch: pytest.MonkeyPatch, handshakes: Any, kernel: FakeKernel
) -> list[list[tuple[str, str]]]:
    """Wait for a plan's only tunnel, time passing a second a look; what was pending each time."""
    peer = WireGuardPeer("anchor", "key", "192.0.2.1:443", ())
    interface = Interface("wg0", WireGuard("n", "key", 443, (peer,)))
    plan = one_node(TunnelCheck("n", "wg0", "anchor", "tunnel"), interfaces=(interface,))
    clock = itertools.count()

    def peers(_: int, __: str) -> dict[str, PeerState]:
        return {"key": PeerState("key", "198.51.100.11:443", next(handshakes), 0, 148)}

    async def at_once(_: float) -> None:
        return

    async def watch() -> list[list[tuple[str, str]]]:
        processes = ProcessTable(lambda _: -1)
        looks = readiness.watch(lambda: plan, cast("Kernel", kernel), processes, timeout_s=60)
        return [look.pending async for look in looks]

    monkeypatch.setattr(observe, "wireguard_peers", peers)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    monkeypatch.setattr(asyncio, "sleep", at_once)
    return asyncio.run(watch())


def test_a_tunnel_without_a_handshake_calls_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few times, not without end; and a tunnel that is up is left alone."""
    kernel = FakeKernel()
    pending = wait_for_tunnel(monkeypatch, itertools.repeat(0.0), kernel)
    [(title, state)] = pending[-1]
    assert (title, state.partition(" (")[0]) == ("tunnel", "no handshake yet")
    assert "no answer to UDP 443 from 198.51.100.11" in state
    assert kernel.called == [("n", "wg0")] * len(readiness.CALL_AGAIN_S)

    kernel = FakeKernel()
    assert wait_for_tunnel(monkeypatch, itertools.repeat(999.0), kernel) == [[]]
    assert kernel.called == []


def test_a_route_check_may_accept_any_prefix_that_leads_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def route(destination: str, protocol: str) -> observe.RouteState:
        hops = (observe.Hop(None, "eth0"),)
        return observe.RouteState(destination, 254, "unicast", protocol, 0, None, hops)

    table = [route("0.0.0.0/0", "static"), route("198.51.100.0/24", "bird")]
    monkeypatch.setattr(observe, "routes", lambda *_: table)
    for destination, match, ok, state in (
        ("198.51.100.11/32", "longest", True, "bird, by 198.51.100.0/24"),
        ("192.0.2.1/32", "longest", True, "static, by 0.0.0.0/0"),
        ("198.51.100.11/32", "exact", False, "not in the table"),
        ("198.51.0.0/16", "longest", True, "static, by 0.0.0.0/0"),
    ):
        check = RouteCheck("n", 254, destination, "t", match=cast("Any", match))
        row = observed(one_node(check)).row(check)
        assert (row["ok"], row["state"]) == (ok, state)
    del table[0]
    check = RouteCheck("n", 254, "192.0.2.1/32", "t", match="longest")
    assert not observed(one_node(check)).row(check)["ok"]
