"""Changes of plans that mutations of several suites make."""

from __future__ import annotations

from dataclasses import replace

from packets.mutations import Change, node
from testbed.plan.model import Node


def without_route(owner: str, destination: str, table: int) -> Change:
    """Return the change that takes a route out of one of a node's tables."""

    def edit(entry: Node) -> Node:
        kept = tuple(r for r in entry.routes if (r.destination, r.table) != (destination, table))
        assert len(kept) < len(entry.routes)
        return replace(entry, routes=kept)

    return node(owner, edit)


def like_route(owner: str, known: str, table: int, destination: str, other: int) -> Change:
    """Return the change that adds a route to table `other` like the `known` one of `table`."""

    def edit(entry: Node) -> Node:
        model = next(r for r in entry.routes if (r.destination, r.table) == (known, table))
        new = replace(model, destination=destination, table=other)
        return replace(entry, routes=(*entry.routes, new))

    return node(owner, edit)


def in_rules(owner: str, old: str, new: str) -> Change:
    """Return the change of a text in a node's ruleset; it must be there."""

    def edit(entry: Node) -> Node:
        assert old in entry.nftables, entry.nftables
        return replace(entry, nftables=entry.nftables.replace(old, new))

    return node(owner, edit)
