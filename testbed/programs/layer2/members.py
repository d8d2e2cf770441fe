"""Who of several nodes lives: failure detection in the manner of memberlist (SWIM).

The protocol's moves and times are memberlist's for LANs, which MetalLB uses. Simpler than there:
messages are JSON, what one learns it tells all others at once instead of a few of them
by and by, and nothing is exchanged by TCP.

Messages are tuples of who is to get it and what it says, which the caller sends.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log10
from typing import Any, Literal

PROBE_INTERVAL_S = 1.0
PROBE_TIMEOUT_S = 0.5  # then others are asked to try
INDIRECT_CHECKS = 3
SUSPICION_MULTIPLIER = 4
JOIN_INTERVAL_S = 60.0  # between attempts to join those that are not alive (MetalLB's)
JOIN_TIMEOUT_S = 10.0
JOIN_RETRIES_S = (0.0, 1.0, 3.0, 7.0)  # as TCP, by which memberlist joins, would retransmit

State = Literal["alive", "suspect", "dead"]
Message = dict[str, Any]
Outgoing = list[tuple[str, Message]]
_WORSE: dict[State, int] = {"alive": 0, "suspect": 1, "dead": 2}


@dataclass(slots=True)
class Member:
    """Another node, as this one sees it. `since` is when it became what it is."""

    state: State = "dead"
    incarnation: int = -1
    since: float = 0.0


@dataclass(slots=True)
class Probe:
    """A question to a member that has not been answered yet."""

    member: str
    number: int
    begun: float
    indirect: bool = False
    answered: bool = False


@dataclass(slots=True)
class Join:
    """An attempt to join members, begun at a time; `attempts` have been sent."""

    waiting: set[str]
    begun: float
    attempts: int = 0


@dataclass(slots=True)
class Members:
    """The members of `own`'s group, at the time `now` in seconds of any clock."""

    own: str
    others: tuple[str, ...]
    now: float
    chance: random.Random = field(default_factory=random.Random)
    incarnation: int = 0
    known: dict[str, Member] = field(init=False)
    joined: bool = False
    _join: Join | None = field(init=False, default=None)
    _next_join: float = field(init=False)
    _next_probe: float = field(init=False)
    _probe: Probe | None = field(init=False, default=None)
    _round: list[str] = field(init=False, default_factory=list)
    _number: int = field(init=False, default=0)
    _asked_by: dict[int, tuple[str, int, float]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.known = {name: Member(since=self.now) for name in self.others}
        self._next_join = self.now
        self._next_probe = self.now + PROBE_INTERVAL_S
        self.joined = not self.others

    def living(self) -> list[str]:
        """The members that live, as far as this one knows: suspects do, until they are dead."""
        others = [name for name, member in self.known.items() if member.state != "dead"]
        return sorted([self.own, *others])

    def states(self) -> dict[str, State]:
        """What this one takes the others for."""
        return {name: member.state for name, member in self.known.items()}

    def due(self) -> float:
        """When `tick` is to be called next."""
        times = [self._next_probe, self._next_join]
        if self._join is not None:
            times.append(self._join_due(self._join))
        if self._probe is not None and not self._probe.answered and not self._probe.indirect:
            times.append(self._probe.begun + PROBE_TIMEOUT_S)
        times += [m.since + self._suspicion() for m in self.known.values() if m.state == "suspect"]
        return min(times)

    def _suspicion(self) -> float:
        """How long a suspect has to refute it."""
        scale = max(1.0, log10(max(1, len(self.living()))))
        return SUSPICION_MULTIPLIER * scale * PROBE_INTERVAL_S

    def tick(self, now: float) -> Outgoing:
        """Do what is due, and return what is to be sent."""
        self.now = now
        out = self._joining()
        for name, member in self.known.items():
            if member.state == "suspect" and now >= member.since + self._suspicion():
                out += self._learn(name, "dead", member.incarnation)
        out += self._probing()
        self._asked_by = {
            number: entry
            for number, entry in self._asked_by.items()
            if now < entry[2] + PROBE_INTERVAL_S
        }
        return out

    def _probing(self) -> Outgoing:
        """Ask others about a member that has not answered, suspect it, go on to the next."""
        out: Outgoing = []
        probe = self._probe if self._probe and not self._probe.answered else None
        if probe and not probe.indirect and self.now >= probe.begun + PROBE_TIMEOUT_S:
            probe.indirect = True
            out += self._ask_others(probe)
        if self.now >= self._next_probe:
            self._next_probe = self.now + PROBE_INTERVAL_S
            if probe and self.known[probe.member].state == "alive":
                out += self._learn(probe.member, "suspect", self.known[probe.member].incarnation)
            out += self._ping()
        return out

    def _joining(self) -> Outgoing:
        if self.now >= self._next_join:
            self._next_join = self.now + JOIN_INTERVAL_S
            self._join = Join({n for n, m in self.known.items() if m.state == "dead"}, self.now)
        self._end_join()
        join = self._join
        if join is None:
            return []
        if join.attempts < len(JOIN_RETRIES_S) and self.now >= self._join_due(join):
            join.attempts += 1
            return [(name, self._all("join")) for name in sorted(join.waiting)]
        return []

    def _end_join(self) -> None:
        """Have done with joining once all have answered, or the time is over."""
        join = self._join
        if join is None:
            return
        join.waiting = {name for name in join.waiting if self.known[name].state == "dead"}
        if not join.waiting or self.now >= join.begun + JOIN_TIMEOUT_S:
            self._join, self.joined = None, True

    @staticmethod
    def _join_due(join: Join) -> float:
        retries = JOIN_RETRIES_S
        after = retries[join.attempts] if join.attempts < len(retries) else JOIN_TIMEOUT_S
        return join.begun + after

    def _ping(self) -> Outgoing:
        """Ask the next member of the round whether it lives."""
        self._probe = None
        living = {name for name, member in self.known.items() if member.state != "dead"}
        self._round = [name for name in self._round if name in living]
        if not self._round:
            self._round = sorted(living)
            self.chance.shuffle(self._round)
        if not self._round:
            return []
        self._number += 1
        name = self._round.pop()
        self._probe = Probe(name, self._number, self.now)
        return [(name, {"kind": "ping", "number": self._number})]

    def _ask_others(self, probe: Probe) -> Outgoing:
        able = [n for n, m in self.known.items() if m.state == "alive" and n != probe.member]
        chosen = self.chance.sample(able, min(INDIRECT_CHECKS, len(able)))
        message = {"kind": "ping-for", "number": probe.number, "member": probe.member}
        return [(name, dict(message)) for name in chosen]

    def _all(self, kind: str) -> Message:
        """What this one knows of all, itself among them."""
        heard = {name: m for name, m in self.known.items() if m.incarnation >= 0}
        rows = {name: [m.state, m.incarnation] for name, m in heard.items()}
        return {"kind": kind, "members": {**rows, self.own: ["alive", self.incarnation]}}

    def hear(self, now: float, sender: str, message: Message) -> Outgoing:
        """Take what a member says, and return what is to be sent."""
        self.now = now
        out = self._answer(sender, message) if sender in self.known else []
        self._end_join()
        return out

    def _answer(self, sender: str, message: Message) -> Outgoing:
        kind = message.get("kind")
        if kind == "ping":
            return [(sender, {"kind": "answer", "number": message["number"]})]
        if kind == "ping-for" and message["member"] in self.known:
            self._number += 1
            self._asked_by[self._number] = (sender, message["number"], self.now)
            return [(message["member"], {"kind": "ping", "number": self._number})]
        if kind == "answer":
            return self._answered(message["number"])
        if kind in ("join", "joined"):
            out = self._merge(message["members"])
            return [(sender, self._all("joined")), *out] if kind == "join" else out
        if kind == "state":
            return self._learn(message["member"], message["state"], message["incarnation"])
        return []

    def _answered(self, number: int) -> Outgoing:
        if self._probe is not None and self._probe.number == number:
            self._probe.answered = True
        if number in self._asked_by:
            asker, theirs, _ = self._asked_by.pop(number)
            return [(asker, {"kind": "answer", "number": theirs})]
        return []

    def _merge(self, members: dict[str, tuple[State, int]]) -> Outgoing:
        out: Outgoing = []
        for name, (state, incarnation) in members.items():
            # what another one holds for dead is a suspect to those who hear it from it
            heard: State = "suspect" if state == "dead" else state
            out += self._learn(name, heard, incarnation)
        return out

    def _learn(self, name: str, state: State, incarnation: int) -> Outgoing:
        """Take over a member's state if it is news, and tell all."""
        if name == self.own:
            if state == "alive" or incarnation < self.incarnation:
                return []
            self.incarnation = incarnation + 1
            return self._tell(self.own, "alive", self.incarnation, self.others)
        member = self.known.get(name)
        if member is None:
            return []
        newer = incarnation > member.incarnation
        worse = incarnation == member.incarnation and _WORSE[state] > _WORSE[member.state]
        if state == "suspect" and member.state == "dead":
            return []
        if not newer and not worse:
            return []
        self.known[name] = Member(state, incarnation, self.now)
        return self._tell(name, state, incarnation, self.others)

    @staticmethod
    def _tell(name: str, state: State, incarnation: int, to: Iterable[str]) -> Outgoing:
        message = {"kind": "state", "member": name, "state": state, "incarnation": incarnation}
        return [(other, dict(message)) for other in to]
