"""What must make each conformance check fail: one module a suite, each with `MUTATIONS`.

`MUTATIONS` maps the name of a check ("lag.fast-rate") to what is broken; a check
that is to fail in several ways has several entries, with a word after the name
("bgp.asn of-the-device"). tests/packets/test_mutations.py runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.plan.files import files_of
from testbed.plan.model import Interface, Node, Plan

ROOT = Path(__file__).parents[3]
Change = Callable[[Plan], Plan]


@dataclass(frozen=True, slots=True)
class Fault:
    """What `Testbed.fault` is told: a kind, its target and its values."""

    kind: str
    target: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A way to break a site, and the object that a check must then name.

    `topology` is relative to the repository. `faults` are injected one after
    the other; what no fault can do is a `change` of the plan. `subject` and
    `seen` must occur in those of a failing result. The check runs once
    the change is made, but for what needs `settle_s` seconds to show; with
    `only` for the objects that have one of these keys.
    """

    topology: str
    subject: str
    faults: tuple[Fault, ...] = ()
    change: Change | None = None
    seen: str = ""
    settle_s: float = 0.0
    only: tuple[str, ...] = ()


def node(name: str, edit: Callable[[Node], Node]) -> Change:
    """Return the change of one node."""

    def change(plan: Plan) -> Plan:
        assert name in {entry.name for entry in plan.nodes}
        nodes = tuple(edit(entry) if entry.name == name else entry for entry in plan.nodes)
        return replace(plan, nodes=nodes)

    return change


def interface(owner: str, name: str, **members: Any) -> Change:
    """Return the change of members of an interface."""

    def edit(entry: Node) -> Node:
        entry.interface(name)
        return replace(entry, interfaces=tuple(map(edit_one, entry.interfaces)))

    def edit_one(entry: Interface) -> Interface:
        return replace(entry, **members) if entry.name == name else entry

    return node(owner, edit)


def with_own(entry: Node, file: str, text: str) -> Node:
    """Return a node with a file of its own, instead of the one that its data would make."""
    files = {**files_of(entry), file: text}
    return replace(entry, files=files, router=None)


def in_file(owner: str, file: str, old: str, new: str) -> Change:
    """Return the change of a text in a file of a node; it must be there."""

    def edit(entry: Node) -> Node:
        text = files_of(entry)[file]
        assert old in text, text
        return with_own(entry, file, text.replace(old, new))

    return node(owner, edit)


def in_protocol(owner: str, protocol: str, old: str, new: str) -> Change:
    """Return the change of a text in one protocol of a node's BIRD; it must be there."""

    def edit(entry: Node) -> Node:
        text = files_of(entry)["bird.conf"]
        begin = text.index(f"protocol bgp {protocol} {{\n")
        end = text.index("\n}\n", begin)
        assert old in text[begin:end], text[begin:end]
        changed = text[:begin] + text[begin:end].replace(old, new) + text[end:]
        return with_own(entry, "bird.conf", changed)

    return node(owner, edit)


def refuses_pings(owner: str, peer: str) -> Change:
    """Return the change that has a node not answer a peer's pings."""
    return drop(owner, f"ip saddr {peer} icmp type echo-request", hook="input")


def rules(owner: str, table: str) -> Change:
    """Return the change that adds an nftables table to a node's ruleset."""
    return node(owner, lambda entry: replace(entry, nftables=f"{entry.nftables}\n{table}\n"))


def drop(owner: str, *matches: str, hook: str = "forward") -> Change:
    """Return the change that has a node drop what it forwards and one of the matches holds for."""
    lines = "\n".join(f"{match} counter drop" for match in matches)
    head = f"type filter hook {hook} priority -310; policy accept;"
    return rules(owner, f"table inet mutation {{\nchain {hook} {{\n{head}\n{lines}\n}}\n}}")


def both(*changes: Change) -> Change:
    """Return several changes as one."""

    def change(plan: Plan) -> Plan:
        for one in changes:
            plan = one(plan)
        return plan

    return change
