"""The keeper's operations on faults, and what they need of it (docs/protocol.md)."""

from __future__ import annotations

import contextlib
from typing import Any

from testbed.errors import HostError, UsageError
from testbed.keeper.changing import DEFAULT_WAIT_S, ChangeOperations
from testbed.keeper.connection import Caller, while_open
from testbed.plan.diff import diff
from testbed.plan.model import Plan


class FaultOperations(ChangeOperations):
    """The part of the keeper that faults are about."""

    async def fault(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Put a fault into force, or on the schedule (docs/faults.md)."""
        async with while_open(connection), self._writing:
            self._require_established()
            with self.clock.driven():
                return self._faults.inject(self._plan, request)

    async def heal(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """End faults; with `wait`, until everything is as it should be again if none is left."""
        async with while_open(connection), contextlib.AsyncExitStack() as turn:
            await turn.enter_async_context(self._writing)
            self._require_established()
            names = [str(name) for name in request.get("names") or ()]
            declared = bool(request.get("declared", True))
            with self.clock.driven():
                healed = self._faults.heal(self._plan, names, declared=declared)
                await turn.aclose()
                waited: dict[str, Any] = {"pending": [], "hopeless": None}
                if healed and request.get("wait", True) and not self._faults.active():
                    timeout = float(request.get("timeout_s") or DEFAULT_WAIT_S)
                    waited = await self._wait_ready(connection, timeout)
            return {"healed": healed, "faults": self._faults.rows()} | waited

    def _require_established(self) -> None:
        if not self._established:
            raise UsageError(f"testbed {self.name} is still being built", hint="try again later")

    def bring_to(self, plan: Plan) -> None:
        """Bring the testbed to a plan with other faults in it; HostError when it cannot.

        What ran before runs again then.
        """
        before = self._effective
        self.clock.stir()
        if not (steps := diff(before, plan)):
            return
        refusing = {id(running) for running in self._processes.refusing()}
        try:
            self._change(plan, steps)
            self._effective = plan
            refused = [r for r in self._processes.refusing() if id(r) not in refusing]
            if refused:
                text = f"{refused[0].name} in {refused[0].node} refuses the fault's configuration"
                problem = HostError(f"{text}: {refused[0].refused}")
                self._effective = before
                self._change(before, diff(plan, before))
                raise problem
        finally:
            self._record()

    def note(self, node: str, kind: str, subject: str, state: str) -> None:
        """Record something that the keeper itself has done."""
        if self._recorder is None:
            self._recorder = self._new_recorder()
        self._recorder.add(node, kind, subject, state)

    def elapsed(self) -> float:
        """How long the testbed's clock has run, in s."""
        return self.clock.elapsed()
