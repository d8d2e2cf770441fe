"""The keeper's operations on what it runs: `apply`, `plan` and `document` (docs/protocol.md).

One change is carried out at a time. Whoever waits until it is ready does so beside other
changes, and then waits for what they have led to.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from testbed.errors import ConflictError, HostError, NetworkError, UsageError
from testbed.keeper import readiness
from testbed.keeper.connection import Caller, while_open
from testbed.keeper.faults import Settling
from testbed.keeper.scope import Scope, scope_of
from testbed.keeper.stability import YOUNG_S
from testbed.plan import codec
from testbed.plan.diff import diff
from testbed.plan.model import Plan
from testbed.plan.patch import applied
from testbed.plan.replaced import replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.keeper.clock import Clock
    from testbed.keeper.events import Recorder
    from testbed.keeper.faults import Faults
    from testbed.keeper.ledger import Ledger
    from testbed.keeper.processes import ProcessTable
    from testbed.keeper.watching import Watchers
    from testbed.kernel.apply import Kernel

DEFAULT_WAIT_S = 120.0
TURN_S = 10.0  # that a client may take to make a change while others wait for it


class ChangeOperations:
    """The part of the keeper that brings the testbed to plans."""

    name: str
    clock: Clock
    _plan: Plan
    _effective: Plan
    _faults: Faults
    _processes: ProcessTable
    _kernel: Kernel
    _ledger: Ledger
    _watchers: Watchers
    _recorder: Recorder | None
    _on_nodes: Callable[[dict[str, int]], None]
    _established: bool
    _applying: int
    _waiting: list[Scope]
    _writing: asyncio.Lock
    _stopped: asyncio.Event
    _stopping: bool

    @abstractmethod
    def _record(self) -> None: ...

    @abstractmethod
    def _new_recorder(self) -> Recorder: ...

    @abstractmethod
    def _namespaces(self) -> dict[str, int]: ...

    async def plan(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """Return what runs, and what it was made from."""
        return {
            "plan": codec.to_json(self._plan),
            "revision": self._ledger.revision,
            "source": self._ledger.source,
        }

    async def document(self, _: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Return the document of what runs, and with `plan` its plan, too."""
        plan = {"plan": codec.to_json(self._plan)} if request.get("plan") else {}
        return self._ledger.to_json() | plan

    async def apply(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Bring the testbed to a plan. A first one that does not come through ends it."""
        first = self._ledger.revision == 0
        self._applying += 1
        try:
            result = await self._applied(connection, request)
            await connection.send({"event": "applied"})
        except BaseException:
            if first and not self._established:
                self._stopped.set()
            raise
        finally:
            self._applying -= 1
        self._established = True
        return result

    async def _applied(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        if self._writing.locked():
            await connection.send({"event": "queued"})
        async with contextlib.AsyncExitStack() as turn:
            async with while_open(connection):
                await turn.enter_async_context(self._writing)
            if request.get("turn"):
                request = await self._turn(connection)
            request = self._ledger.completed(request)
            plan = self._plan_of(request)
            self._check_time(plan)
            async with while_open(connection):
                with self.clock.driven():
                    result, scope = await self._change_to(connection, request, plan)
                    await turn.aclose()
                    waited = await self._settled(connection, request, result["timings"], scope)
        return result | {"faults": self._faults.active()} | waited

    async def _turn(self, connection: Caller) -> dict[str, Any]:
        """Tell a client what runs, and wait for what it makes of that; nobody can be faster."""
        await connection.send({"event": "turn", **self._ledger.to_json()})
        limit = TURN_S if self.clock.kind == "real" else None  # virtual time is no client's
        try:
            return await asyncio.wait_for(connection.receive_message(), limit)
        except TimeoutError:
            raise ConflictError(f"the change took more than {TURN_S:g} s to make") from None

    def _plan_of(self, request: dict[str, Any]) -> Plan:
        """The plan that a client wants: all of it, or what runs with a patch."""
        if "patch" in request:
            return applied(self._plan, request["patch"])
        return codec.from_json(request["plan"])

    async def _settled(
        self,
        connection: Caller,
        request: dict[str, Any],
        timings: dict[str, float],
        scope: Scope,
    ) -> dict[str, Any]:
        """Wait until what has been changed is ready, if that is asked for; what is not."""
        waited: dict[str, Any] = {"pending": [], "hopeless": None}
        try:
            for phase, ms in timings.items():
                await connection.send({"event": "phase", "phase": phase, "state": "done", "ms": ms})
            if request.get("wait", True):
                started = time.perf_counter()
                timeout = float(request.get("timeout_s") or DEFAULT_WAIT_S)
                waited = await self._wait_ready(connection, timeout, scope)
                timings["ready"] = (time.perf_counter() - started) * 1000
        finally:  # whether the client has waited or not
            self._faults.begin()
            self._record()
        return waited

    def _check_time(self, plan: Plan) -> None:
        """Refuse a plan whose time is another one than this testbed's."""
        own = self.clock.kind
        if plan.time != own:
            hint = f"use --time {own}, or take it down first: testbed down -n {self.name}"
            text = f"testbed {self.name} runs in {own} time, not in {plan.time} time"
            raise UsageError(text, hint=hint)

    async def _change_to(
        self, connection: Caller, request: dict[str, Any], plan: Plan
    ) -> tuple[dict[str, Any], Scope]:
        """Carry a change out; its result so far, and what has to be ready for it to be."""
        _, ending = self._faults.proposed(plan)
        notices = [*replaced(self._plan, plan), *ending]
        for text in notices:
            await connection.send({"event": "replaces", "text": text})
        await connection.send({"event": "phase", "phase": "apply", "state": "start"})
        # From here on nothing is awaited: a fault may come into force meanwhile.
        started = time.perf_counter()
        faults, _ = self._faults.proposed(plan)
        effective = self._faults.effective(plan, faults)
        steps = diff(self._effective, effective)
        steps += self._processes.restarts(effective, steps)
        timings = {"diff": (time.perf_counter() - started) * 1000}
        if steps:
            self._kernel.check(steps)
            timings |= self._change(effective, steps)
        scope = scope_of(self._plan, plan, steps)
        for waiting in self._waiting:
            waiting.add(scope)
        if request.get("ready") != "touched":
            scope = Scope(everything=True, told=scope.told)
        is_new = plan != self._plan or self._ledger.revision == 0
        self._plan, self._effective = plan, effective
        row = self._ledger.adopt(request, at=self.clock.elapsed(), changed=is_new)
        if row is not None:
            self._watchers.tell({"event": "revision", **row})
        if self.clock.kind == "virtual":
            self._record()
        self._faults.adopt(plan, faults)
        self._watchers.stir()
        result = {
            "changed": bool(steps),
            "steps": len(steps),
            "revision": self._ledger.revision,
            "notices": notices,
            "timings": timings,
        }
        return result, scope

    def _change(self, plan: Plan, steps: list[Any]) -> dict[str, float]:
        """Carry out the steps; when one fails, what ran before is built anew."""
        try:
            timings = self._kernel.apply(steps)
            self._publish()
        except Exception as problem:
            self._processes.forget(node.name for node in (*self._effective.nodes, *plan.nodes))
            if self._recorder is not None:
                self._recorder.close()
            self._kernel.close()
            self._build_anew(problem)
            raise
        return timings

    def _build_anew(self, problem: Exception) -> None:
        """Build what ran before `problem` again; the testbed ends when that fails, too."""
        try:
            self._kernel.apply(diff(Plan(self.name, ()), self._effective))
            self._publish()
        except Exception as error:
            self._stopped.set()
            message = f"{problem}; then what ran before could not be built again: {error}"
            raise HostError(message, hint="the testbed has ended: start it again") from error

    def _publish(self) -> None:
        nodes = self._namespaces()
        self._processes.keep_views(nodes)
        self._on_nodes(nodes)

    async def _wait_ready(
        self, connection: Caller, timeout_s: float, scope: Scope | None = None
    ) -> dict[str, Any]:
        """Wait until all in the scope is ready, else everything: what is not, and why not.

        With faults in force not everything need hold: nor is it waited for any longer
        when what does not hold has stayed the same as long as it took to become so.
        """
        scope = scope or Scope(everything=True)
        settling = Settling()
        rows: list[dict[str, str]] = []
        at_least_s = YOUNG_S if scope.told else 0.0
        with self._waiting_for(scope):
            async for look in readiness.watch(
                lambda: self._plan,
                self._kernel,
                self._processes,
                timeout_s,
                scope=scope,
                at_least_s=at_least_s,
            ):
                if self._stopping:
                    raise NetworkError(f"testbed {self.name} was taken down meanwhile")
                rows = [{"title": title, "state": state} for title, state in look.pending]
                titles = [row["title"] for row in rows]
                event = {"event": "waiting", "done": look.total - len(rows), "total": look.total}
                await connection.send(event | {"pending": titles})
                over = settling.is_over(titles)
                if self._faults.active():
                    if over:
                        break
                elif look.hopeless:
                    return {"pending": rows, "hopeless": look.hopeless}
        return {"pending": rows, "hopeless": None}

    @contextlib.contextmanager
    def _waiting_for(self, scope: Scope) -> Iterator[None]:
        """Have the scope grow with what others change meanwhile."""
        self._waiting.append(scope)
        try:
            yield
        finally:
            self._waiting.remove(scope)
