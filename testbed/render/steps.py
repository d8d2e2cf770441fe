"""Steps from one plan to another in one line each, in the words of ip(8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.plan import steps as s
from testbed.render import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def step_texts(steps: Iterable[s.Step]) -> list[str]:
    """Write what steps do, each with its node before it."""
    return [f"{step.node}: {TEXTS[type(step)](step)}" for step in steps]


def _set_interface(step: s.SetInterface) -> str:
    entry = step.interface
    texts = {
        "device": words.device(entry.device),
        "up": "up" if entry.up else "down",
        "sysctls": " ".join(f"{key}={value}" for key, value in entry.sysctls.items()),
        "master": f"master {entry.master}" if entry.master else "nomaster",
        "mtu": f"mtu {entry.mtu}",
        "mac": f"mac {entry.mac}",
    }
    return f"set {entry.name} {', '.join(texts[name] for name in step.changed)}"


def _neighbor(step: s.SetNeighbor | s.DeleteNeighbor) -> str:
    entry = step.neighbor
    return f"neighbor {entry.address} lladdr {entry.mac} dev {entry.dev}"


def _abort(step: s.AbortConnections) -> str:
    others = f" with {', '.join(step.abort.networks)}" if step.abort.networks else ""
    return f"reset TCP connections of port {step.abort.port}{others}"


def _ruleset(step: s.SetRuleset) -> str:
    lines = len(step.nftables.splitlines())
    return f"set the ruleset, {lines} lines" if lines else "delete the ruleset"


TEXTS: dict[type, Callable[[Any], str]] = {
    s.CreateNode: lambda _: "create the namespace",
    s.DeleteNode: lambda _: "delete the namespace",
    s.SetSysctls: lambda e: f"set {', '.join(f'{name}={value}' for name, value in e.sysctls)}",
    s.CreateInterface: lambda e: f"create {words.interface(e.interface)}",
    s.SetInterface: _set_interface,
    s.DeleteInterface: lambda e: f"delete {e.interface}",
    s.SetNetem: lambda e: f"set {e.interface} netem {words.netem(e.netem) or 'none'}",
    s.AwaitInterfaces: lambda e: f"wait for zebra to know {', '.join(n for n, _ in e.interfaces)}",
    s.AddAddress: lambda e: f"add address {e.address} dev {e.interface}",
    s.DeleteAddress: lambda e: f"delete address {e.address} dev {e.interface}",
    s.SetNeighbor: lambda e: f"set {_neighbor(e)}",
    s.DeleteNeighbor: lambda e: f"delete {_neighbor(e)}",
    s.SetRoute: lambda e: f"set route {words.route(e.route)}",
    s.DeleteRoute: lambda e: f"delete route {words.route(e.route)}",
    s.AddRule: lambda e: f"add rule {words.rule(e.rule)}",
    s.DeleteRule: lambda e: f"delete rule {words.rule(e.rule)}",
    s.SetRuleset: _ruleset,
    s.AbortConnections: _abort,
    s.WriteFile: lambda e: f"{'remove' if e.text is None else 'write'} {e.file}",
    s.StartProcess: lambda e: f"start {e.process.name}",
    s.StopProcess: lambda e: f"stop {e.name}",
    s.ReloadProcess: lambda e: f"reload {e.process.name}",
}
