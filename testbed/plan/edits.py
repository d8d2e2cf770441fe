"""The members of a node, or of a plan, that have changed: only the parts of them that differ.

A list's edit is ``[first, last, items]``, what comes in the place of those from one index to
another. A text's is a list of these for its lines, whose items are lines, or such an edit of the
characters of one line. A mapping's has an edit for each of its texts, and the names that go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from difflib import SequenceMatcher
from functools import cache
from typing import Any, TypeVar, get_origin, get_type_hints

from testbed.plan import codec

T = TypeVar("T")
Edit = Any


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def members(old: T, new: T, *, but: str = "") -> dict[str, Edit]:
    """Return the edits of the members of a dataclass that differ, by name, as JSON."""
    found = {}
    cls: Any = type(old)
    for name, hint in _hints(cls).items():
        before, after = getattr(old, name), getattr(new, name)
        if name != but and before != after:
            found[name] = _edit(hint, before, after)
    return found


def _edit(hint: Any, old: Any, new: Any) -> Edit:
    if hint is str:
        return _of_text(old, new)
    if get_origin(hint) is tuple:
        start, stop, items = _splice(old, new)
        return [start, stop, codec.encode(items)]
    if hint == dict[str, str]:
        texts = {key: _of_text(old.get(key, ""), text) for key, text in new.items()}
        changed = {key: edit for key, edit in texts.items() if edit or key not in old}
        return {"changed": changed, "removed": [key for key in old if key not in new]}
    return codec.encode(new)


def applied(value: T, changed: dict[str, Edit]) -> T:
    """Return the dataclass with its members changed; what is left alone are the same objects.

    Raises UsageError where an edit is none, LookupError, ValueError or TypeError where it is one
    of something else.
    """
    cls: Any = type(value)
    hints = _hints(cls)
    made = {name: _applied(hints[name], getattr(value, name), e) for name, e in changed.items()}
    return replace(value, **made)  # type: ignore[type-var]


def _applied(hint: Any, value: Any, edit: Edit) -> Any:
    if hint is str:
        return _text(value, edit)
    if get_origin(hint) is tuple:
        start, stop, items = edit
        return (*value[:start], *codec.decode(hint, items, "items"), *value[stop:])
    if hint == dict[str, str]:
        gone = edit["removed"]
        kept = {key: text for key, text in value.items() if key not in gone}
        return kept | {key: _text(value.get(key, ""), e) for key, e in edit["changed"].items()}
    return codec.decode(hint, edit, "value")


def _of_text(old: str, new: str) -> list[Edit]:
    """The edits of a text's lines, the last one first."""
    if old == new:
        return []
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    start, stop, middle = _splice(before, after)
    found: list[Edit] = []
    matcher = SequenceMatcher(None, before[start:stop], middle, autojunk=False)
    for kind, first, last, begin, end in matcher.get_opcodes():
        lines: list[Edit] = list(middle[begin:end])
        if kind == "equal":
            continue
        if last - first == end - begin:
            pairs = zip(before[start + first : start + last], lines, strict=True)
            lines = [list(_splice(one, other)) for one, other in pairs]
        found.insert(0, [start + first, start + last, lines])
    return found


def _text(text: str, edit: list[Edit]) -> str:
    lines = text.splitlines(keepends=True)
    for start, stop, items in edit:
        new = []
        for number, item in enumerate(items):
            if isinstance(item, str):
                new.append(item)
            else:
                first, last, part = item
                line = lines[start + number]
                new.append(line[:first] + part + line[last:])
        lines[start:stop] = new
    return "".join(lines)


def _splice(old: Sequence[Any], new: Sequence[Any]) -> tuple[int, int, Any]:
    """The first and the last index of what is replaced, and what comes there."""
    shorter = min(len(old), len(new))
    start = _common(old, new, shorter)
    end = _common(old[::-1], new[::-1], shorter - start)
    return start, len(old) - end, new[start : len(new) - end]


def _common(one: Sequence[Any], other: Sequence[Any], longest: int) -> int:
    """How many items both begin with: found by halves, since to compare slices is fast."""
    low, high = 0, longest
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
