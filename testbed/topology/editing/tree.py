"""Plain data as trees: copies with one value changed, which share all the rest.

A document says no more than it has to: a value that is the default of its key is
left out, and so is a collection that has become empty where that means nothing.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Any

from pydantic import BaseModel

from testbed.topology.file.position import Path
from testbed.topology.schema import TopologyForm

Data = dict[str, Any]

ANY = "*"  # any key or index, in a pattern; no name is this
MISSING = object()


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


def shape_at(path: Path, form: Any = TopologyForm) -> Any:
    """Return the type that `form` has at `path`, without `| None`; Any where it has none."""
    for step in path:
        form, _ = _below(form, step)
    return _bare(form)


def tidy(value: Any, form: Any) -> Any:
    """Copy a value of the form `form` without the keys that say nothing."""
    if not isinstance(value, dict):
        return value
    copy = {}
    for key, given in value.items():
        below, default = _below(form, key)
        if not _says_nothing(told := tidy(given, below), default):
            copy[key] = told
    return copy


def _put(node: Any, path: Path, value: Any, form: Any) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    below, default = _below(form, step)
    if isinstance(step, int):
        return [*node[:step], _put(node[step], rest, value, below), *node[step + 1 :]]
    copy = dict(node or {})
    changed = _put(copy.get(step), rest, value, below)
    if _says_nothing(changed, default):
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


def _below(form: Any, step: str | int) -> tuple[Any, Any]:
    """Return the type under a key or index, and its default; MISSING where it has none."""
    form = _bare(form)
    if isinstance(form, type) and issubclass(form, BaseModel):
        for name, field in form.model_fields.items():
            if step == (field.alias or name):
                return field.annotation, MISSING if field.is_required() else field.default
    elif typing.get_origin(form) is dict:
        return typing.get_args(form)[1], MISSING
    elif typing.get_origin(form) is list:
        return typing.get_args(form)[0], MISSING
    return Any, MISSING


def _bare(form: Any) -> Any:
    """Return a type without Annotated and without `| None`."""
    while True:
        origin = typing.get_origin(form)
        if origin is typing.Annotated:
            form = typing.get_args(form)[0]
        elif origin in (typing.Union, UnionType):
            form = next(arg for arg in typing.get_args(form) if arg is not NoneType)
        else:
            return form
