"""Lengths of time, and a testbed's clock, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def duration_text(seconds: float) -> str:
    """A length of time: ``1 d 2 h``, ``3 min 20 s``, ``0.25 s``."""
    if seconds < 60:
        return f"{round(seconds, 3):g} s"
    left = round(seconds)
    parts = []
    for unit, size in UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    if left:
        parts.append(f"{left} s")
    return " ".join(parts)


def clock_text(clock: Mapping[str, Any] | None) -> str:
    """A testbed's clock as `hello` and `status` tell it."""
    if not clock or clock.get("time") != "virtual":
        return "real"
    return f"virtual, {duration_text(clock['elapsed_s'])} elapsed, seed {clock['seed']}"
