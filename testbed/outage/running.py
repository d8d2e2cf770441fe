"""An outage of a testbed: traffic, the cut, traffic, its end, traffic until all is well."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from testbed.errors import NetworkError, UsageError
from testbed.outage import management
from testbed.outage.model import Cut, Delivery, Run, Seen
from testbed.programs.management.metrics import NAMESPACE
from testbed.testing import Testbed, Usage, User, Users

BEFORE_S = 60.0  # a point of each metric is measured in it
AFTER_S = 120.0  # and of the time after
LOOK_S = 1.0
BACK_S = 300.0  # for users and everything else to come back
STEP_S = 60.0  # after which progress is told
PERIOD_S = 60.0  # of the metrics that are measured most often (facts: M2)

Told = Callable[[str], None]


def run(
    testbed: Testbed,
    cuts: Sequence[Cut],
    users: Sequence[User],
    *,
    lasts_s: float,
    every_s: float,
    timeout_s: float,
    tell: Told = lambda _: None,
) -> Run:
    """Cut, hold, heal, and return what the users saw meanwhile.

    After KeyboardInterrupt what is cut is healed, and the result has what was seen so far.
    Raises UsageError where faults are active already, or no user is served before the cut.
    """
    if names := [row["name"] for row in testbed.faults() if row["state"] != "healed"]:
        hint = f"heal them first: testbed heal -n {testbed.name}"
        raise UsageError(f"{testbed.name} already has faults: {', '.join(names)}", hint=hint)
    begun = time.monotonic()
    result = Run(testbed.name, tuple(cuts))
    tell(f"{len(users)} users send requests")
    with (
        management.endpoint(testbed.client) as api,
        testbed.users(*users, every_s=every_s, timeout_s=timeout_s) as traffic,
    ):
        testbed.advance(BEFORE_S)
        before = traffic.usage()
        if not any(usage.ok for usage in before.values()):
            seen = "; ".join(f"{user}: {usage}" for user, usage in list(before.items())[:5])
            raise UsageError("no user is served before the cut", hint=seen or None)
        result.left_out = {user: usage for user, usage in before.items() if not usage.ok}
        traffic.mark()
        window = _hold(testbed, cuts, lasts_s, result, tell)
        result.management = management.attempts(api) if api else {}
        traffic.mark()
        _heal(testbed, result, tell)
        _wait_for_users(testbed, traffic, result, window[1])
        if result.back_s is not None and not result.interrupted:
            testbed.advance(AFTER_S)
        for user, phases in traffic.report().items():
            if user not in result.left_out:
                result.users[user] = Seen(*phases)
    result.metrics = deliveries(testbed.status(), *map(_wall(testbed), window))
    result.wall_s = time.monotonic() - begun
    return result


def _hold(
    testbed: Testbed, cuts: Sequence[Cut], lasts_s: float, result: Run, tell: Told
) -> tuple[float, float]:
    """Cut for so long; from when to when, on the testbed's clock."""
    start = now = testbed.elapsed()
    try:
        for cut in cuts:
            testbed.client.fault(cut.kind, cut.target, {})
        tell(f"cut: {', '.join(map(str, cuts))}")
        while (left := start + lasts_s - now) > 0:
            now = testbed.advance(min(left, STEP_S))
            tell(f"{now - start:.0f} of {lasts_s:.0f} s have passed")
    except KeyboardInterrupt:
        result.interrupted = True
    end = testbed.elapsed()
    result.lasted_s = end - start
    return start, end


def _heal(testbed: Testbed, result: Run, tell: Told) -> None:
    """End the cut and wait until everything is ready."""
    start = testbed.elapsed()
    tell("healed; waiting until everything is ready and every user is served")
    try:
        testbed.heal(timeout_s=BACK_S)
        result.ready_s = testbed.elapsed() - start
    except NetworkError as error:
        result.not_ready = tuple((error.hint or error.message).splitlines())


def _wait_for_users(testbed: Testbed, traffic: Users, result: Run, since: float) -> None:
    """Wait until every user is served, but for those that never were."""
    while True:
        usages = [u for user, u in traffic.usage().items() if user not in result.left_out]
        if all(usage.sent > usage.failed and usage.gap_s is not None for usage in usages):
            result.back_s = max(map(_back, usages))
            return
        if testbed.elapsed() - since > BACK_S:
            return
        testbed.advance(LOOK_S)


def _back(usage: Usage) -> float:
    """When it was served again, in seconds since the cut's end."""
    return usage.gap_s or 0.0


def _wall(testbed: Testbed) -> Callable[[float], float]:
    """Return what makes a time of day of the testbed's of its elapsed seconds."""
    clock = testbed.client.hello()["clock"]
    base = float(clock["now"]) - float(clock["elapsed_s"])
    return lambda elapsed: base + elapsed


def deliveries(status: Mapping[str, Any], start: float, end: float) -> dict[str, Delivery]:
    """Return for each Outpost what became of its metrics of the time from start to end.

    Both are seconds since 1970 on the testbed's clock. ConnectedStatus is the Region's own
    (facts: M1) and not counted.
    """
    found: dict[str, list[Sequence[Mapping[str, Any]]]] = {}
    for points in status.get("metrics", {}).get(NAMESPACE, []):
        if points:
            dimensions = points[0]["dimensions"]
            name = dimensions.get("OutpostId") or dimensions.get("OutpostsId")
            found.setdefault(name, []).append(points)
    return {name: _delivery(series, start, end) for name, series in sorted(found.items())}


def _delivery(series: Sequence[Sequence[Mapping[str, Any]]], start: float, end: float) -> Delivery:
    points = late = missing = 0
    delay, connected = 0.0, None
    for rows in series:
        if rows[0]["metric"] == "ConnectedStatus":
            lost = any(p["time"] > start and not p["value"] for p in rows)
            again = [p["time"] for p in rows if p["time"] >= end and p["value"]]
            connected = round(min(again) - end, 1) if lost and again else None
            continue
        times = [p["time"] for p in rows]
        period = min((b - a for a, b in itertools.pairwise(times)), default=PERIOD_S)
        within = [p for p in rows if start < p["time"] <= end]
        waited = [p["delivered"] - p["time"] for p in within]
        points += len(within)
        late += sum(1 for seconds in waited if seconds > period / 2)
        missing += max(0, int((end - start) // period) - len(within))
        delay = max(delay, *waited, 0.0)
    return Delivery(points, late, missing, round(delay, 1), connected)
