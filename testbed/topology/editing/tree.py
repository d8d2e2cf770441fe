"""Plain data as trees: copies with one value changed, which share all the rest.

A document says no more than it has to: a value that is the default of its key is
left out, and so is a collection that has become empty where that means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from testbed.errors import Path
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.shape import below

Data = dict[str, Any]

EMPTY = {"local_gateway"}  # keys whose empty mapping is what there is without them
ANY = "*"  # any key or index, in a pattern; no name is this


def get(data: Any, path: Path, default: Any = None) -> Any:
    """Return what is at `path`; `default` where there is nothing."""
    for step in path:
        children = data if isinstance(data, dict) else dict(_children(data))
        if step not in children:
            return default
        data = children[step]
    return data


def find(data: Any, *pattern: str | int, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Find all paths that match `pattern`, in which ANY is any key or index, with their values."""
    if not pattern:
        yield at, data
        return
    step, *rest = pattern
    for key, child in _children(data):
        if step in (ANY, key):
            yield from find(child, *rest, at=(*at, key))


def _children(data: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(data, dict):
        return data.items()
    return enumerate(data) if isinstance(data, list) else ()


def put(data: Data, path: Path, value: Any, form: Any = TopologyForm) -> Data:
    """Copy `data`, of the form `form`, with `value` at `path`; None takes out what is there.

    Mappings on the way are made where they are missing.
    """
    changed: Data = _put(data, path, value, form)
    return changed


def tidy(value: Any, form: Any) -> Any:
    """Copy a value of the form `form` without the keys that say nothing."""
    if not isinstance(value, dict):
        return value
    copy = {}
    for key, given in value.items():
        inner, default = below(form, key)
        if not _says_nothing(told := tidy(given, inner), default):
            copy[key] = told
    return copy


def _put(node: Any, path: Path, value: Any, form: Any) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    inner, default = below(form, step)
    if isinstance(step, int):
        return [*node[:step], _put(node[step], rest, value, inner), *node[step + 1 :]]
    copy = dict(node or {})
    changed = _put(copy.get(step), rest, value, inner)
    if _says_nothing(changed, default) or (changed == {} and step in EMPTY):
        copy.pop(step, None)
    else:
        copy[step] = changed
    return copy


def _says_nothing(value: Any, default: Any) -> bool:
    """Whether a key may be left out: nobody could tell the difference."""
    if value is None:
        return True
    if isinstance(default, BaseModel):
        return bool(value == {})
    return type(value) is type(default) and bool(value == default)
