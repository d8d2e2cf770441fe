"""An outage for people: progress, and what came of it as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from testbed.outage.management import ACCEPTED
from testbed.render.style import rows_table

if TYPE_CHECKING:
    from rich.console import Console

    from testbed.outage.model import Delivery, Run, Seen
    from testbed.testing import Usage, User


def gap(usage: Usage) -> str:
    """Return the longest time without an answer, in words."""
    if usage.gap_s is None:
        return "until its end"
    return f"{usage.gap_s:.1f} s" if usage.failed else "-"


def reasons(seen: Seen) -> str:
    """Return why requests failed, the most frequent reason first."""
    counts: dict[str, int] = {}
    for usage in (seen.during, seen.after):
        for reason, number in usage.reasons.items():
            counts[reason] = counts.get(reason, 0) + number
    most = sorted(counts, key=lambda reason: -counts[reason])
    return ", ".join(f"{reason} ({counts[reason]})" for reason in most) or "-"


def back(seen: Seen) -> str:
    """Return when a user was served again after the cut, in words."""
    if not seen.back:
        return "not yet"
    return f"{seen.after.gap_s:.1f} s" if seen.after.failed else "at once"


def metrics_text(found: Delivery) -> str:
    """Return what became of an Outpost's metrics, in words."""
    text = f"{found.points} points measured meanwhile"
    if found.late:
        text += f", {found.late} arrived late (up to {found.delay_s:.0f} s)"
    if found.missing:
        text += f", {found.missing} never arrived"
    if found.connected_s is not None:
        text += f"; connected again in the minute after {found.connected_s:.0f} s"
    return text


def managed_text(tried: Mapping[str, str]) -> str:
    """Return which calls of AWS's API were refused meanwhile, in words."""
    refused = [f"{name} ({code})" for name, code in tried.items() if code != ACCEPTED]
    accepted = [name for name, code in tried.items() if code == ACCEPTED]
    parts = [f"refused meanwhile: {', '.join(refused)}"] if refused else []
    parts += [f"accepted: {', '.join(accepted)}"] if accepted else []
    return "; ".join(parts)


def summary(run: Run) -> list[str]:
    """Return the report's last lines: how many were affected, and what came back when."""
    served = len(run.users) - len(run.affected)
    lines = [f"{user} was not served before the cut: {u}" for user, u in run.left_out.items()]
    lines += [f"{name}: {metrics_text(found)}" for name, found in run.metrics.items()]
    lines += [f"{place}: {managed_text(tried)}" for place, tried in run.management.items()]
    lines += [f"not ready again: {row}" for row in run.not_ready]
    if run.ready_s is not None:
        lines.append(f"everything was ready {run.ready_s:.1f} s after the cut's end")
    what = "came back" if run.recovered else "did not all come back"
    end = "; interrupted" if run.interrupted else ""
    lines.append(
        f"{run.testbed}: {', '.join(map(str, run.cuts))} for {run.lasted_s:.0f} s: "
        f"{served} of {len(run.users)} users lost nothing, {len(run.affected)} lost requests; "
        f"users {what} (took {run.wall_s:.0f} s){end}"
    )
    return lines


def print_run(out: Console, run: Run) -> None:
    """Print what every user saw, and the summary."""
    heads = ("user", "asks for", "requests", "failed", "longest gap", "served again", "why")
    out.print(rows_table("What users saw during the cut", heads, _rows(run.users.items())))
    for line in summary(run):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _rows(users: Iterable[tuple[User, Seen]]) -> list[tuple[str, ...]]:
    worst_first = sorted(users, key=lambda item: -item[1].lost)
    return [
        (
            user.node,
            user.url or " ".join(user.command),
            str(seen.during.sent),
            str(seen.during.failed),
            gap(seen.during),
            back(seen),
            reasons(seen),
        )
        for user, seen in worst_first
    ]
