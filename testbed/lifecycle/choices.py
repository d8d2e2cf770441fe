"""What a testbed can be called, and which time and seed it can have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from testbed.control.protocol import NAME_PATTERN
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.plan.model import Plan


def check_name(name: str) -> str:
    """Return the name, if a testbed can have it; UsageError."""
    if NAME_PATTERN.fullmatch(name):
        return name
    hint = "lower-case letters, digits and inner hyphens, at most 32 characters"
    raise UsageError(f"{name[:80]!r} is no name for a testbed", hint=hint)


def check_time(time: str | None) -> Literal["real", "virtual"] | None:
    """Return the kind of time, if it is one; UsageError."""
    match time:
        case None | "real" | "virtual":
            return time
    raise UsageError(f"time {time!r} is none of real, virtual")


def check_seed(seed: int | None) -> int | None:
    """Return the seed, if it can be one; UsageError."""
    if seed is not None and not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed} is not between 0 and 2^63 - 1")
    return seed


def with_time(plan: Plan, time: str | None, seed: int | None) -> Plan:
    """Return the plan with another time, real or virtual, and seed, if given."""
    plan = replace(plan, time=check_time(time) or plan.time)
    seed = check_seed(seed)
    return plan if seed is None else replace(plan, seed=seed)
