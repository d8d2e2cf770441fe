"""Changes of a document as people read them: where, what was, what is."""

from __future__ import annotations

import json
from typing import Any

from testbed.errors import dotted, shorten

LONGEST_VALUE = 160
LONGEST_SIDE = 60


def change_text(change: dict[str, Any]) -> str:
    """Write a change in one line: + for what comes, - for what goes, ~ for another value."""
    if "file" in change:
        mark = "~" if {"old", "new"} <= change.keys() else "+" if "new" in change else "-"
        return f"{mark} the text of the file {shorten(change['file'])}"
    place = dotted(change["path"])
    if "new" not in change:
        return f"- {place}: {value_text(change['old'])}"
    if "old" not in change:
        return f"+ {place}: {value_text(change['new'])}"
    old, new = (value_text(change[key], LONGEST_SIDE) for key in ("old", "new"))
    return f"~ {place}: {old} -> {new}"


def value_text(value: Any, limit: int = LONGEST_VALUE) -> str:
    """Write a value in one line, strings without quotes."""
    if isinstance(value, str):
        return shorten(value, limit)
    return shorten(json.dumps(value, ensure_ascii=False).replace('"', ""), limit)
