"""The keeper's operations on faults, and what they need of it (docs/protocol.md)."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError, UsageError
from testbed.keeper.connection import Connection, while_open
from testbed.keeper.events import Recorder
from testbed.plan.diff import diff

if TYPE_CHECKING:
    from testbed.keeper.clock import Clock
    from testbed.keeper.faults import Faults
    from testbed.keeper.processes import ProcessTable
    from testbed.plan.model import Plan

DEFAULT_WAIT_S = 120.0


class FaultOperations:
    """The part of the keeper that faults are about."""

    name: str
    clock: Clock
    _plan: Plan
    _effective: Plan
    _faults: Faults
    _processes: ProcessTable
    _recorder: Recorder | None
    _established: bool
    _writing: asyncio.Lock

    @abstractmethod
    def _change(self, plan: Plan, steps: list[Any]) -> dict[str, float]: ...

    @abstractmethod
    def _record(self) -> None: ...

    @abstractmethod
    async def _wait_ready(
        self, connection: Connection, timeout_s: float, *, at_least_s: float = 0.0
    ) -> dict[str, Any]: ...

    async def fault(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """Put a fault into force, or on the schedule (docs/faults.md)."""
        async with while_open(connection), self._writing:
            self._require_established()
            with self.clock.driven():
                return self._faults.inject(self._plan, request)

    async def heal(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """End faults; with `wait`, until everything is as it should be again if none is left."""
        async with while_open(connection), self._writing:
            self._require_established()
            names = [str(name) for name in request.get("names") or ()]
            declared = bool(request.get("declared", True))
            with self.clock.driven():
                healed = self._faults.heal(self._plan, names, declared=declared)
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
            self._recorder = Recorder(self.clock)
        self._recorder.add(node, kind, subject, state)

    def elapsed(self) -> float:
        """How long the testbed's clock has run, in s."""
        return self.clock.elapsed()
