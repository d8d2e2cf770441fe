"""What of a plan is sent where the other side has nearly the same: nodes that differ, and where.

Both sides know by a digest that they mean the same plan.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from testbed.errors import ConflictError
from testbed.plan import codec, edits
from testbed.plan.model import Node, Plan

DIGEST_BYTES = 16
MEMBERS = [field.name for field in fields(Plan) if field.name != "nodes"]
Patch = dict[str, Any]


@dataclass(frozen=True)
class Digested:
    """A plan with the digest of each of its nodes."""

    plan: Plan
    nodes: dict[str, bytes]

    @cached_property
    def digest(self) -> str:
        """The digest of the whole plan."""
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for node in self.nodes.values():
            digest.update(node)
        digest.update(_canonical(replace(self.plan, nodes=())))
        return digest.hexdigest()


def digested(plan: Plan, like: Digested | None = None) -> Digested:
    """Return the plan with its digests; those of nodes that are in `like`, too, are taken over."""
    known = {node.name: node for node in like.plan.nodes} if like else {}
    nodes = {}
    for node in plan.nodes:
        if like is not None and known.get(node.name) == node:
            nodes[node.name] = like.nodes[node.name]
        else:
            text = _canonical(node)
            nodes[node.name] = hashlib.blake2b(text, digest_size=DIGEST_BYTES).digest()
    return Digested(plan, nodes)


def _canonical(value: Any) -> bytes:
    return json.dumps(codec.encode(value), sort_keys=True).encode()


def patch(old: Digested, new: Digested) -> Patch:
    """Return what leads from one plan to another, as JSON.

    ``base`` is the digest of the old plan. ``added`` are new nodes, each with the name of the one
    ``after`` which it comes, ``changed`` by name the members of others that differ, ``removed``
    names; ``order`` has all names where that does not give the right order. ``checks`` is a list's
    edit (`testbed.plan.edits`). Other members are there if they differ.
    """
    known = {node.name: node for node in old.plan.nodes}
    added: list[dict[str, Any]] = []
    changed: dict[str, Any] = {}
    previous = None
    for node in new.plan.nodes:
        if node.name not in known:
            added.append({"node": codec.encode(node), "after": previous})
        elif old.nodes[node.name] != new.nodes[node.name]:
            changed[node.name] = edits.members(known[node.name], node)
        previous = node.name
    removed = [name for name in known if name not in new.nodes]
    made: Patch = {"base": old.digest, "added": added, "changed": changed, "removed": removed}
    order = list(new.nodes)
    if _ordered(list(known), made) != order:
        made["order"] = order
    return made | edits.members(old.plan, new.plan, but="nodes")


def _ordered(names: list[str], made: Patch) -> list[str]:
    """The names of a plan's nodes in the order that a patch leads to."""
    gone = set(made["removed"])
    order = [name for name in names if name not in gone]
    for entry in made["added"]:
        at = 0 if entry["after"] is None else order.index(entry["after"]) + 1
        order.insert(at, entry["node"]["name"])
    return order


def applied(plan: Plan, made: Patch) -> Plan:
    """Return the plan that a patch leads to; what it leaves alone are the same objects.

    Raises ConflictError where it is of another plan, and UsageError where it is no patch.
    """
    nodes = {node.name: node for node in plan.nodes}
    try:
        for name, members in made["changed"].items():
            nodes[name] = edits.applied(nodes[name], members)
        order = made.get("order") or _ordered([node.name for node in plan.nodes], made)
        for entry in made["added"]:
            node = codec.decode(Node, entry["node"], "nodes")
            nodes[node.name] = node
        members = {name: made[name] for name in MEMBERS if name in made}
        return replace(edits.applied(plan, members), nodes=tuple(nodes[name] for name in order))
    except (LookupError, ValueError, TypeError) as error:
        raise ConflictError(f"the change is of another plan: {error!r}", hint="try again") from None
