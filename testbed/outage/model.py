"""What is cut, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from testbed.outage.management import Attempts
from testbed.testing import Usage, User


@dataclass(frozen=True, slots=True)
class Cut:
    """A fault that is an outage: its kind and its target, as `testbed fault` takes them."""

    kind: str
    target: str

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a user saw before the cut, during it, and from its end on."""

    before: Usage
    during: Usage
    after: Usage

    @property
    def lost(self) -> int:
        """How many requests of the cut and of the time after it failed."""
        return self.during.failed + self.after.failed

    @property
    def served(self) -> bool:
        """Whether every request of the cut was answered."""
        return self.during.ok

    @property
    def back(self) -> bool:
        """Whether requests are answered again."""
        return self.after.sent > self.after.failed and self.after.gap_s is not None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An Outpost's metrics of the time of the cut, at the Region.

    `points` were measured, `late` of them arrived only after it, at most `delay_s` seconds later,
    and `missing` not at all. Where ConnectedStatus was 0 meanwhile, `connected_s` is how long
    after the cut's end it was 1 again; None: it is still 0, or never was.
    """

    points: int
    late: int
    missing: int
    delay_s: float
    connected_s: float | None


@dataclass(slots=True)
class Run:
    """An outage: what was cut for how long, and what it did.

    Times are in seconds of the testbed's own clock. `left_out` are users whose requests failed
    before the cut already. `management` has, by place and operation of AWS's API, whether it was
    accepted during the cut. `ready_s` is when everything was ready again after its end, `back_s`
    when every user was served again; None: not in time.
    """

    testbed: str
    cuts: tuple[Cut, ...]
    lasted_s: float = 0.0
    users: dict[User, Seen] = field(default_factory=dict)
    left_out: dict[User, Usage] = field(default_factory=dict)
    metrics: dict[str, Delivery] = field(default_factory=dict)
    management: Attempts = field(default_factory=dict)
    not_ready: Sequence[str] = ()
    ready_s: float | None = None
    back_s: float | None = None
    wall_s: float = 0.0
    interrupted: bool = False

    @property
    def affected(self) -> Mapping[User, Seen]:
        """Users of whose requests some failed."""
        return {user: seen for user, seen in self.users.items() if seen.lost}

    @property
    def recovered(self) -> bool:
        """Whether everything came back."""
        return not self.not_ready and all(seen.back for seen in self.users.values())

    @property
    def exit_code(self) -> int:
        """0 if everything came back, else 1."""
        return 0 if self.recovered and not self.interrupted else 1

    def to_json(self) -> dict[str, Any]:
        """Return what `testbed outage --json` prints."""
        return {
            "testbed": self.testbed,
            "cuts": [{"kind": cut.kind, "target": cut.target} for cut in self.cuts],
            "lasted_s": round(self.lasted_s, 3),
            "users": [_user(user) | asdict(seen) for user, seen in self.users.items()],
            "left_out": [_user(user) | asdict(usage) for user, usage in self.left_out.items()],
            "management": self.management,
            "metrics": {name: asdict(found) for name, found in self.metrics.items()},
            "not_ready": list(self.not_ready),
            "ready_s": self.ready_s,
            "back_s": self.back_s,
            "recovered": self.recovered,
            "interrupted": self.interrupted,
        }


def _user(user: User) -> dict[str, Any]:
    asked = {"command": list(user.command)} if user.command else {"url": user.url}
    return {"node": user.node} | asked
