"""What a testbed of a test suite's can be brought to, and what is wrong where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testbed.errors import NetworkError
from testbed.lifecycle.choices import with_time
from testbed.plan.model import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from testbed.topology.model import Topology

    Source = str | Path | Topology | Plan


class State(NamedTuple):
    """What a testbed can be brought to: a plan, and what that was made from."""

    plan: Plan
    made_from: dict[str, Any]


def state_of(
    source: Source,
    settings: Mapping[str, str] | None,
    name: str | None,
    *,
    time: str | None = None,
    seed: int | None = None,
    numbers: Callable[[str], Mapping[str, Mapping[str, int]]] | None = None,
) -> State:
    """Return the state of a testbed of a topology or a plan.

    `numbers` returns the numbers of its objects if it is already running.
    """
    from testbed.lifecycle.installation import lower_topology, read_file  # noqa: PLC0415 - slow

    if isinstance(source, str | Path):
        how: dict[str, Any] = {} if numbers is None else {"previous": numbers}
        made = read_file(source, settings or {}, name, time=time, seed=seed, **how)
        return State(made.plan, made.made_from())
    plan = source if isinstance(source, Plan) else lower_topology(source)
    plan = with_time(plan, time, seed)
    return State(replace(plan, name=name) if name else plan, {})


def require_ready(result: Mapping[str, Any], timeout_s: float) -> None:
    """Raise NetworkError where something is not ready although no fault is active."""
    if result.get("pending") and not result.get("faults"):
        raise not_ready(result["pending"], timeout_s, result["hopeless"])


def not_ready(
    pending: Sequence[Mapping[str, str]], timeout_s: float, hopeless: str | None
) -> NetworkError:
    """Return the error of what is not ready after `timeout_s` seconds, or why it never is."""
    rows = "\n".join(f"{row['title']}: {row['state']}" for row in pending)
    how = f"and cannot become ready: {hopeless}" if hopeless else f"after {timeout_s:g} s"
    return NetworkError(f"{len(pending)} not ready {how}", hint=rows)
