"""What differs between two JSON values, by path, and the same differences made elsewhere.

A change is ``{"path": […], "old": …, "new": …}``; without ``old`` the value was not there
before, without ``new`` it no longer is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from testbed.errors import ConflictError, dotted

Change = dict[str, Any]


def differences(old: Any, new: Any) -> list[Change]:
    """Return the smallest values that differ; lists of two lengths differ as a whole."""
    return list(_differences(old, new, ()))


def _differences(old: Any, new: Any, path: tuple[str | int, ...]) -> Iterator[Change]:
    if old is new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in (*old, *(key for key in new if key not in old)):
            if key not in new:
                yield {"path": [*path, key], "old": old[key]}
            elif key not in old:
                yield {"path": [*path, key], "new": new[key]}
            else:
                yield from _differences(old[key], new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, (*path, index))
    elif old != new or type(old) is not type(new):
        yield {"path": list(path), "old": old, "new": new}


def lookup(data: Any, path: Iterable[str | int], default: Any = None) -> Any:
    """Return the value at a path, or the default where there is none."""
    for step in path:
        if not isinstance(data, dict | list):
            return default
        try:
            data = data[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return default
    return data


def patched(data: Any, changes: Iterable[Change]) -> Any:
    """Return `data` with the changes made in it; what they leave alone is shared.

    Raises ConflictError, with the path, where a value is not the one that a change is from.
    """
    for change in changes:
        data = _patched(data, change["path"], change)
    return data


def _patched(data: Any, path: Sequence[str | int], change: Change) -> Any:
    if not path:
        if data != change.get("old"):
            raise _conflict(change)
        return change["new"]
    step: Any = path[0]
    if not isinstance(data, dict if isinstance(step, str) else list):
        raise _conflict(change)
    there = step in data if isinstance(data, dict) else step < len(data)
    copy: Any = data.copy()
    if len(path) > 1 and there:
        copy[step] = _patched(data[step], path[1:], change)
        return copy
    if len(path) > 1 or there != ("old" in change) or (there and data[step] != change["old"]):
        raise _conflict(change)
    if "new" in change:
        copy[step] = change["new"]
    else:
        del copy[step]
    return copy


def _conflict(change: Change) -> ConflictError:
    hint = "look at what runs now, and make the change again"
    return ConflictError(f"{dotted(change['path'])} has been changed meanwhile", hint=hint)
