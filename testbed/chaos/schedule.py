"""Which faults come when: a pure function of the plan, the seed and the duration."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from testbed.chaos.candidates import WEIGHTS, Candidate, candidates, possible
from testbed.errors import UsageError
from testbed.plan.model import Plan
from testbed.topology.model import Topology

EVERY_S = (25.0, 45.0)  # from one episode's start to the next
HOLD_S = (5.0, 12.0)  # longer than LACP and BFD need to notice
DOUBLE = 0.25  # the share of episodes with two faults
FIRST_S = 5.0
ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Episode:
    """One or two faults at once; `start_s` from the run's start, `hold_s` how long at least."""

    number: int
    start_s: float
    hold_s: float
    faults: tuple[Candidate, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.faults))

    @property
    def keys(self) -> frozenset[str]:
        """What a failure may be blamed on."""
        return frozenset().union(*(fault.keys for fault in self.faults))

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that notice any of its faults."""
        return tuple(dict.fromkeys(suite for fault in self.faults for suite in fault.suites))

    def to_json(self) -> dict[str, Any]:
        """As `testbed chaos --list --json` prints it."""
        return {
            "episode": self.number,
            "start_s": self.start_s,
            "hold_s": self.hold_s,
            "faults": [fault.to_json() for fault in self.faults],
        }


def schedule(plan: Plan, topology: Topology, seed: int, duration_s: float) -> list[Episode]:
    """The episodes of a run; a longer run begins with those of a shorter one.

    UsageError where nothing can be broken, or the time is too short for anything.
    """
    found = candidates(plan, topology)
    if not found:
        raise UsageError(f"{plan.name} has nothing that chaos could break")
    episodes: list[Episode] = []
    start = FIRST_S
    while True:
        number = len(episodes) + 1
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - to be reproduced, not secret
        hold, every = round(chance.uniform(*HOLD_S), 1), round(chance.uniform(*EVERY_S), 1)
        if start + hold > duration_s:
            break
        episodes.append(Episode(number, round(start, 1), hold, _faults(plan, found, chance)))
        start += every
    if not episodes:
        hint = f"at least {FIRST_S + HOLD_S[1]:g} s: --for 1m"
        raise UsageError(f"{duration_s:g} s is too short for a fault", hint=hint)
    return episodes


def _faults(plan: Plan, found: Sequence[Candidate], chance: random.Random) -> tuple[Candidate, ...]:
    first = _choose(found, chance)
    if chance.random() >= DOUBLE:
        return (first,)
    for _ in range(ATTEMPTS):
        second = _choose(found, chance)
        if second.target != first.target and possible(plan, (first, second)):
            return first, second
    return (first,)


def _choose(found: Sequence[Candidate], chance: random.Random) -> Candidate:
    """A kind by its weight, then one of its targets."""
    kinds = list(dict.fromkeys(candidate.kind for candidate in found))
    (kind,) = chance.choices(kinds, [WEIGHTS.get(kind, 1) for kind in kinds])
    return chance.choice([candidate for candidate in found if candidate.kind == kind])
