"""Places in a document as people write them, ``vpcs.app.subnets.rack.cidr``, and values there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from testbed.errors import Path, UsageError, dotted, shorten
from testbed.plan.json_diff import lookup
from testbed.topology.report import choices, plural

STEP = re.compile(
    r"""
    \[(?P<index>\d+)\]
    | (?P<dot>\.?) (?: "(?P<double>[^"]+)" | '(?P<single>[^']+)' | (?P<word>[^.\["']+) )
    """,
    re.VERBOSE,
)


def place_of(text: str, data: Any) -> Path:
    """Return the path that a text stands for in a document's data.

    Keys are parted by dots, indexes are in brackets. A key with dots of its own, such as a
    hosted zone's, is found where there is one, and can be put in quotes where there is none yet.
    """
    path: list[str | int] = []
    at, node = 0, data
    while at < len(text) or not path:
        match = STEP.match(text, at)
        if match is None or (match["index"] is None and bool(match["dot"]) != bool(path)):
            raise _no_place(text)
        step: str | int
        if match["word"] is not None:
            step = _known_key(text[match.start("word") :], node) or match["word"]
            at = match.start("word") + len(step)
        else:
            index, at = match["index"], match.end()
            step = match["double"] or match["single"] if index is None else int(index)
        path.append(step)
        node = lookup(node, (step,))
    return tuple(path)


def _known_key(text: str, node: Any) -> str | None:
    """The longest key of a mapping that the text begins with."""
    if not isinstance(node, Mapping):
        return None
    keys = [key for key in node if text == key or text.startswith((f"{key}.", f"{key}["))]
    return max(keys, key=len, default=None)


def _no_place(text: str) -> UsageError:
    hint = "for example vpcs.app.subnets.rack.cidr, or instances.web.services[0]"
    return UsageError(f"{shorten(text)!r} is not a place in a topology", hint=hint)


def with_value(data: Any, path: Path, value: Any) -> Any:
    """Return `data` with a value at a path; mappings on the way are made, a list grows by one."""
    if not path:
        return value
    return _changed(data, path, 0, value)


def _changed(node: Any, path: Path, depth: int, value: Any) -> Any:
    if depth == len(path):
        return value
    step = path[depth]
    if isinstance(step, int):
        items = [] if node is None else node
        if not isinstance(items, list) or step > len(items):
            raise _not_there(node, path, depth)
        below = items[step] if step < len(items) else None
        return [*items[:step], _changed(below, path, depth + 1, value), *items[step + 1 :]]
    if node is not None and not isinstance(node, Mapping):
        raise _not_there(node, path, depth)
    mapping = dict(node or {})
    mapping[step] = _changed(mapping.get(step), path, depth + 1, value)
    return mapping


def without(data: Any, path: Path) -> Any:
    """Return `data` without what is at a path; UsageError where nothing is."""
    return _left(data, path, 0)


def _left(node: Any, path: Path, depth: int) -> Any:
    step, last = path[depth], depth == len(path) - 1
    if isinstance(step, int):
        if not isinstance(node, list) or step >= len(node):
            raise _not_there(node, path, depth)
        middle = [] if last else [_left(node[step], path, depth + 1)]
        return [*node[:step], *middle, *node[step + 1 :]]
    if not isinstance(node, Mapping) or step not in node:
        raise _not_there(node, path, depth)
    return {
        key: _left(value, path, depth + 1) if key == step else value
        for key, value in node.items()
        if key != step or not last
    }


def _not_there(node: Any, path: Path, depth: int) -> UsageError:
    """The error for a path that leads nowhere from its step `depth` on."""
    place, step = dotted(path[:depth]), path[depth]
    if isinstance(node, list):
        count = f"has {len(node)} entr{'y' if len(node) == 1 else 'ies'}"
        hint = "indexes begin at 0; the one after the last can be set, too" if node else None
        return UsageError(f"{place} is a list and {count}", hint=hint)
    if isinstance(node, Mapping) and isinstance(step, str):
        what = plural(str(path[depth - 1])) if depth else "keys"
        return UsageError(f"there is no {dotted(path)}", hint=choices(step, node, what))
    if node is None:
        return UsageError(f"there is no {dotted(path)}", hint=f"nor is there a {place}")
    return UsageError(f"{place} is {shorten(str(node))}: it contains nothing")
