"""The faults of a running testbed: which are in force, and when that changes.

The keeper holds the plan without faults; what runs is that plan with the
faults in force put into it (`testbed.faults`). Times are the testbed's own,
so that a schedule is kept in virtual time, too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from testbed.errors import HostError, TestbedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from testbed.plan.model import Fault, Plan

State = Literal["active", "scheduled", "over", "healed", "failed"]
SAME_MOMENT_S = 1e-6
SETTLED_S = 5.0  # BIRD and FRR try to connect each 2 s, WireGuard each 1, 2 and 3 s


class Testbed(Protocol):
    """What carries changes out: the keeper."""

    def bring_to(self, plan: Plan) -> None:
        """Bring the testbed to a plan; when that fails, what ran before runs again."""

    def note(self, node: str, kind: str, subject: str, state: str) -> None:
        """Record an event."""

    def elapsed(self) -> float:
        """How long the testbed's clock has run, in s."""


@dataclass
class Entry:
    """A fault with its schedule. `turns_at`: when its state changes next, by the loop's clock.

    A schedule that has not begun yet (`origin` None) waits for the testbed to be ready.
    """

    fault: Fault
    declared: bool
    state: State = "scheduled"
    origin: float | None = None
    turns_at: float | None = None
    since: float | None = None
    round: int = 0
    problem: str | None = None

    def begin(self, now: float) -> None:
        """Count the schedule from now on."""
        self.origin = now
        self.round = 0
        if self.state == "active":  # in force already: from now on it lasts as long as it should
            lasts = self.fault.for_s
            self.turns_at = None if lasts is None else now + lasts
        else:
            self.turns_at = now + self.fault.at_s

    def is_due(self, now: float) -> bool:
        """Whether its state is to change."""
        return self.turns_at is not None and self.turns_at <= now + SAME_MOMENT_S

    def turn(self) -> None:
        """Go on to the next state: by the plan, not by when one comes to it."""
        assert self.turns_at is not None
        assert self.origin is not None
        lasts, every = self.fault.for_s, self.fault.every_s
        if self.state == "active":
            self.state = "over" if every is None else "scheduled"
            self.round += 1
            start = self.origin + self.fault.at_s
            self.turns_at = None if every is None else start + self.round * every
            return
        self.state = "active"
        self.turns_at = None if lasts is None else self.turns_at + lasts

    def row(self) -> dict[str, Any]:
        """For `status` (docs/commands/status.md). A fault is nothing that fails."""
        fault = self.fault
        return {
            "title": f"{fault.kind} {fault.target}",
            "name": fault.name,
            "kind": fault.kind,
            "target": fault.target,
            "values": fault.values,
            "at_s": fault.at_s,
            "for_s": fault.for_s,
            "every_s": fault.every_s,
            "declared": self.declared,
            "state": self.state,
            "since": self.since,
            "reason": self.problem,
            "ok": True,
        }


class Settling:
    """Tells when what is not ready has stopped changing, by the event loop's clock."""

    def __init__(self) -> None:
        self._began = self._changed = asyncio.get_running_loop().time()
        self._last: object = None

    def is_over(self, pending: object) -> bool:
        """Whether this has been pending as long as it took to come to it."""
        now = asyncio.get_running_loop().time()
        if pending != self._last:
            self._last, self._changed = pending, now
        return now - self._changed >= max(SETTLED_S, self._changed - self._began)


class Faults:
    """The faults of a testbed."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._entries: list[Entry] = []
        self._base: Plan | None = None
        self._timer: asyncio.TimerHandle | None = None

    def rows(self) -> list[dict[str, Any]]:
        """All faults, for people and programs."""
        return [entry.row() for entry in self._entries]

    def active(self, entries: Iterable[Entry] | None = None) -> list[str]:
        """The names of those that are in force."""
        some = self._entries if entries is None else entries
        return [entry.fault.name for entry in some if entry.state == "active"]

    def effective(self, base: Plan, entries: Iterable[Entry] | None = None) -> Plan:
        """The plan with those in it that are in force."""
        some = self._entries if entries is None else entries
        faults = [entry.fault for entry in some if entry.state == "active"]
        if not faults:
            return base
        from testbed.faults import catalog  # noqa: PLC0415 - slow to import in a guest

        return catalog.compose(base, faults)

    # A new plan

    def proposed(self, base: Plan) -> tuple[list[Entry], list[str]]:
        """What the faults are under a new plan, and notices about those that go.

        Declared ones are the new plan's; one that is the same goes on as it is, unless
        it was healed. Others stay, unless there is nothing any more that they could be about.
        """
        known = {entry.fault.name: entry for entry in self._entries if entry.declared}
        entries: list[Entry] = []
        for fault in base.faults:
            old = known.get(fault.name)
            if old and old.fault == fault and old.state not in {"healed", "failed"}:
                entries.append(old)
            else:
                state: State = "scheduled" if fault.at_s else "active"
                entries.append(Entry(fault, declared=True, state=state))
        notices: list[str] = []
        for entry in (entry for entry in self._entries if not entry.declared):
            fault = entry.fault
            if reason := self._impossible(base, fault):
                notices.append(f"fault {fault.name} ({fault.kind} {fault.target}) ends: {reason}")
            elif fault.name in {each.fault.name for each in entries}:
                notices.append(f"fault {fault.name} ends: the topology declares one of this name")
            else:
                entries.append(entry)
        return entries, notices

    @staticmethod
    def _impossible(base: Plan, fault: Fault) -> str | None:
        from testbed.faults import catalog  # noqa: PLC0415

        try:
            catalog.compose(base, [fault])
        except UsageError as error:
            return error.message
        return None

    def adopt(self, base: Plan, entries: list[Entry]) -> None:
        """Take over what was proposed, now that it runs."""
        before = {id(entry) for entry in self._entries}
        gone = {id(entry) for entry in self._entries} - {id(entry) for entry in entries}
        for entry in self._entries:
            if id(entry) in gone and entry.state == "active":
                self._note(entry, "healed")
        self._base, self._entries = base, entries
        for entry in entries:
            if id(entry) not in before and entry.state == "active":
                self._note(entry, "injected")

    def begin(self) -> None:
        """Begin the schedules that wait for the testbed to be ready."""
        now = asyncio.get_running_loop().time()
        for entry in self._entries:
            if entry.origin is None and entry.state in {"active", "scheduled"}:
                entry.begin(now)
        self._set_timer()

    # Operations

    def inject(self, base: Plan, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out the operation `fault`; its row. UsageError and nothing changed when it cannot.

        One that is scheduled has to be possible now, too.
        """
        from testbed.faults import catalog  # noqa: PLC0415

        taken = [e.fault.name for e in self._entries if e.declared or e.state != "over"]
        fault = catalog.make(
            str(request.get("kind")),
            str(request.get("target")),
            request.get("values") or {},
            at_s=request.get("at_s") or 0.0,
            for_s=request.get("for_s"),
            every_s=request.get("every_s"),
            name=str(request.get("name") or ""),
        )
        if fault.name in taken:
            hint = f"testbed heal {fault.name}, or choose another name"
            raise UsageError(f"there already is a fault {fault.name}", hint=hint)
        fault = replace(fault, name=fault.name or catalog.named(fault.kind, taken))
        others = [entry for entry in self._entries if entry.fault.name != fault.name]
        in_force = [entry.fault for entry in others if entry.state == "active"]
        catalog.compose(base, [*in_force, fault])
        entry = Entry(fault, declared=False)
        entry.begin(asyncio.get_running_loop().time())
        if not fault.at_s:
            entry.turn()
        self._carry_out(base, [*others, entry])
        return entry.row()

    def heal(self, base: Plan, names: Sequence[str], *, declared: bool) -> list[str]:
        """End these faults, or all (of the declared ones only where `declared`); their names."""
        known = {entry.fault.name: entry for entry in self._entries}
        if unknown := [name for name in names if name not in known]:
            hint = f"faults: {', '.join(known)}" if known else "there are no faults"
            raise UsageError(f"there is no fault {unknown[0][:60]!r}", hint=hint)
        chosen = [
            entry
            for entry in self._entries
            if (entry.fault.name in names if names else declared or not entry.declared)
        ]
        kept = [
            replace(entry, state="healed", turns_at=None) if entry in chosen else entry
            for entry in self._entries
            if entry not in chosen or entry.declared
        ]
        self._carry_out(base, kept)
        return [entry.fault.name for entry in chosen if entry.state != "healed"]

    def _carry_out(self, base: Plan, entries: list[Entry]) -> None:
        """Bring the testbed to these faults; when that fails, nothing has changed."""
        self._testbed.bring_to(self.effective(base, entries))
        before = {entry.fault.name: entry for entry in self._entries}
        self._base, self._entries = base, entries
        now = set(self.active())
        for name, entry in before.items():
            if entry.state == "active" and name not in now:
                self._note(entry, "healed")
        for entry in entries:
            old = before.get(entry.fault.name)
            if entry.state == "active" and (old is None or old.state != "active"):
                self._note(entry, "injected")
        self._set_timer()

    def _note(self, entry: Entry, what: str) -> None:
        entry.since = self._testbed.elapsed()
        fault = entry.fault
        given = "".join(f" {name} {_short(value)}" for name, value in fault.values.items())
        state = f"{what}: {fault.kind} {fault.target}{given}"
        self._testbed.note(fault.target.partition(":")[0], "fault", fault.name, state)

    # The schedule

    def close(self) -> None:
        """Let nothing happen any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self.close()
        turns = [entry.turns_at for entry in self._entries if entry.turns_at is not None]
        if turns:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(min(turns), self._turn)

    def _turn(self) -> None:
        """Change what is due: all that is due at this moment, in one step."""
        self._timer = None
        assert self._base is not None
        now = asyncio.get_running_loop().time()
        turned: list[tuple[Entry, Entry]] = []
        for entry in self._entries:
            if entry.is_due(now):
                before = replace(entry)
                while entry.is_due(now):
                    entry.turn()
                turned.append((before, entry))
        try:
            self._testbed.bring_to(self.effective(self._base))
        except TestbedError as error:
            self._give_up(turned, error)
        else:
            for before, entry in turned:
                if before.state != entry.state and "active" in {before.state, entry.state}:
                    self._note(entry, "injected" if entry.state == "active" else "healed")
        finally:
            self._set_timer()

    def _give_up(self, turned: Collection[tuple[Entry, Entry]], error: TestbedError) -> None:
        """Leave out what could not be carried out, and say so."""
        for before, entry in turned:
            if entry.state == "active" or before.state == "active":
                self._fail(entry, error)
        assert self._base is not None
        while True:
            try:
                self._testbed.bring_to(self.effective(self._base))
            except HostError:  # the keeper has ended the testbed, or tells the next client more
                return
            except UsageError as refused:  # a fault could only be beside one that has gone
                in_force = [entry for entry in self._entries if entry.state == "active"]
                self._fail(max(in_force, key=lambda entry: entry.since or 0.0), refused)
            else:
                return

    def _fail(self, entry: Entry, error: TestbedError) -> None:
        entry.state, entry.turns_at, entry.problem = "failed", None, error.message
        self._note(entry, f"failed: {error.message}")


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
