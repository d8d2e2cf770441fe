"""Parts of a plan in one line each, in the words of ip(8)."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from testbed.plan.model import SLOW, TABLE_MAIN, Veth, WireGuard

if TYPE_CHECKING:
    from testbed.plan.checks import Check
    from testbed.plan.model import Interface, LinkKind, Netem, Process, Route, Rule


def device(kind: LinkKind) -> str:
    """What an interface is, with everything that its kind has."""
    if isinstance(kind, WireGuard):
        return f"wireguard socket in {kind.socket_node}, port {kind.listen_port}"
    if isinstance(kind, Veth):
        return f"veth to {kind.peer_node} {kind.peer}"
    values = (f"{entry.name} {getattr(kind, entry.name)}" for entry in fields(kind))
    return " ".join([kind.kind, *values])


def rate(mbps: float) -> str:
    """A rate as tc(8) writes it."""
    return f"{mbps / 1000:g}Gbit" if mbps >= 1000 else f"{mbps:g}Mbit"


def netem(entry: Netem | None) -> str:
    """An egress impairment."""
    if entry is None:
        return ""
    parts = [f"delay {entry.delay_ms:g}ms"] if entry.delay_ms else []
    if entry.jitter_ms:
        parts.append(f"jitter {entry.jitter_ms:g}ms")
    if entry.loss_percent:
        parts.append(f"loss {entry.loss_percent:g}%")
    if entry.reorder_percent:
        parts.append(f"reorder {entry.reorder_percent:g}%")
    if entry.duplicate_percent:
        parts.append(f"duplicate {entry.duplicate_percent:g}%")
    if entry.rate_mbps:
        parts.append(f"rate {rate(entry.rate_mbps)}")
    parts.append(f"limit {entry.limit}")
    return " ".join([*parts, f"for packets of priority {SLOW}"] if entry.classified else parts)


def interface(entry: Interface) -> str:
    """An interface with all that is set on it."""
    parts = [entry.name, f"({device(entry.device)})", *entry.addresses]
    if entry.master:
        parts.append(f"master {entry.master}")
    if entry.mtu:
        parts.append(f"mtu {entry.mtu}")
    if entry.mac:
        parts.append(f"mac {entry.mac}")
    if entry.netem:
        parts.append(f"netem {netem(entry.netem)}")
    parts += [f"{key}={value}" for key, value in entry.sysctls.items()]
    if not entry.up:
        parts.append("down")
    return " ".join(parts)


def route(entry: Route) -> str:
    """A route."""
    parts = [entry.destination] if entry.type == "unicast" else [entry.type, entry.destination]
    if entry.via:
        parts.append(f"via {entry.via}")
    if entry.dev:
        parts.append(f"dev {entry.dev}")
    parts += [
        f"nexthop via {hop.via} dev {hop.dev}" if hop.via else f"nexthop dev {hop.dev}"
        for hop in entry.nexthops
    ]
    if entry.source:
        parts.append(f"src {entry.source}")
    if entry.metric:
        parts.append(f"metric {entry.metric}")
    if entry.table != TABLE_MAIN:
        parts.append(f"table {entry.table}")
    return " ".join(parts)


def rule(entry: Rule) -> str:
    """A policy routing rule."""
    parts = [f"{entry.priority}:", f"from {entry.source or 'all'}"]
    if entry.destination:
        parts.append(f"to {entry.destination}")
    if entry.iif:
        parts.append(f"iif {entry.iif}")
    if entry.fwmark is not None:
        parts.append(f"fwmark {entry.fwmark:#x}")
    parts.append(f"lookup {entry.table}" if entry.action == "lookup" else entry.action)
    return " ".join(parts)


def process(entry: Process) -> str:
    """A process: its name and command."""
    env = [f"{key}={value}" for key, value in entry.env.items()]
    text = f"{entry.name}: {' '.join([*env, *entry.argv])}".rstrip()
    if entry.container is None:
        return text
    return f"{text} (in {entry.container.image or 'the files of this machine'})"


def check(entry: Check) -> str:
    """What must hold once the testbed is up."""
    title = getattr(entry, "title", "") or f"{entry.node} {getattr(entry, 'interface', '')}"
    return f"{entry.kind}: {title}"
