"""The keeper: the one process that holds a testbed and is its only writer.

It holds a descriptor for every namespace and is the parent of every daemon,
so that the kernel takes everything back when it ends, however it ends. It
serves clients over the control socket (docs/protocol.md). The same class
runs natively (`testbed.keeper.__main__`) and as the first process of a micro
VM (`testbed.keeper.guest_main`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from testbed import __version__
from testbed.control.protocol import PROTOCOL_VERSION
from testbed.errors import HostError, TestbedError, UsageError, no_such_node
from testbed.keeper import looking, readiness, resources, status
from testbed.keeper.capture import Capturing
from testbed.keeper.clock import Clock
from testbed.keeper.connection import Caller, ClientGone, while_open
from testbed.keeper.events import Recorder
from testbed.keeper.execute import Execution
from testbed.keeper.faults import Faults, Settling
from testbed.keeper.faults_served import DEFAULT_WAIT_S, FaultOperations
from testbed.keeper.logs import send_logs
from testbed.keeper.processes import ProcessTable
from testbed.keeper.stability import YOUNG_S
from testbed.keeper.trace import trace
from testbed.kernel.apply import Kernel
from testbed.kernel.host_interfaces import Outside
from testbed.plan import codec
from testbed.plan.diff import diff
from testbed.plan.model import Plan
from testbed.plan.replaced import replaced
from testbed.plan.steps import ReloadProcess, StartProcess

FIRST_APPLY_TIMEOUT_S = 60.0
LONGEST_ADVANCE_S = 366 * 86400.0
ADVANCE_REPORTS = 100
Handler = Callable[["Keeper", Caller, dict[str, Any]], Awaitable[dict[str, Any]]]


class Keeper(FaultOperations):
    """A testbed's state and the operations on it.

    `on_nodes` is called with the namespaces (node name to descriptor)
    whenever they have changed. `outside` is where the host's interfaces are.
    """

    def __init__(
        self,
        name: str,
        on_nodes: Callable[[dict[str, int]], None] | None = None,
        outside: Outside | None = None,
    ) -> None:
        self.name = name
        self._recorder: Recorder | None = None
        self.clock = Clock()
        self._on_nodes = on_nodes or (lambda _: None)
        self._processes = ProcessTable(self._namespace)
        self._kernel = Kernel(self._processes, outside)
        self._plan = Plan(name, ())
        self._effective = self._plan
        self._faults = Faults(self)
        self._source: Any = None
        self._started = time.time()
        self._established = False
        self._writing = asyncio.Lock()
        self._stopped = asyncio.Event()

    def _namespace(self, node: str) -> int:
        return self._kernel.fd(node)

    async def wait_stopped(self) -> None:
        """Return when the testbed is to end: on `stop`, or when no first `apply` came through."""
        deadline = asyncio.create_task(self._first_apply_deadline())
        await self._stopped.wait()
        deadline.cancel()

    async def _first_apply_deadline(self) -> None:
        await asyncio.sleep(FIRST_APPLY_TIMEOUT_S)
        if not self._established and not self._writing.locked():
            self._stopped.set()

    def abandon(self) -> None:
        """The launcher is gone: end, unless a first `apply` has been completed."""
        if not self._established:
            self._stopped.set()

    def end(self) -> None:
        """End now, as on SIGTERM."""
        self._stopped.set()

    def child_ended(self) -> None:
        """Call on SIGCHLD."""
        self._processes.reap()

    async def serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection, which carries one request."""
        connection = Caller(reader, writer)
        with contextlib.suppress(ClientGone):
            try:
                request = await connection.receive_message()
                await connection.require_client()
                handler = HANDLERS.get(str(request.get("op")), Keeper.unknown)
                await connection.send({"result": await handler(self, connection, request)})
                if handler is Keeper.apply and request.get("hold"):
                    await connection.closed()
                    self._stopped.set()
            except TestbedError as error:
                await connection.send({"error": error.to_json()})
            except ClientGone:
                pass
            except Exception as error:  # noqa: BLE001 - a bug must reach the user, not end the testbed
                hint = "".join(traceback.format_exception(error))
                problem = HostError(f"internal error in the keeper: {error!r}", hint=hint)
                await connection.send({"error": problem.to_json()})
        await connection.close()

    # Operations

    async def unknown(self, _: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Refuse what no handler is for."""
        raise UsageError(f"unknown operation {request.get('op')!r}")

    async def hello(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """Who this is."""
        return {
            "name": self.name,
            "version": __version__,
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "started": self._started,
            "nodes": len(self._plan.nodes),
            "ready": self._established,
            "kernel": os.uname().release,
            "guest": os.environ.get("TESTBED_GUEST"),
            "clock": self.clock.to_json(),
        }

    async def plan(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """What runs, and what it was made from."""
        return {"plan": codec.to_json(self._plan), "source": self._source}

    async def apply(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Bring the testbed to a plan. A first one that does not come through ends it."""
        try:
            if self._writing.locked():
                await connection.send({"event": "queued"})
            async with while_open(connection), self._writing:
                self._check_time(request["plan"])
                with self.clock.driven():
                    result = await self._apply(connection, request)
            await connection.send({"event": "applied"})
        except BaseException:
            if not self._established:
                self._stopped.set()
            raise
        self._established = True
        return result

    def _check_time(self, plan: dict[str, Any]) -> None:
        """Refuse a plan whose time is another one than this testbed's."""
        asked = str(plan.get("time", "real"))
        if asked == self.clock.kind:
            return
        own = self.clock.kind
        hint = f"use --time {own}, or take it down first: testbed down -n {self.name}"
        raise UsageError(f"testbed {self.name} runs in {own} time, not in {asked} time", hint=hint)

    async def _apply(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        plan = codec.from_json(request["plan"])
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
        self._plan, self._effective, self._source = plan, effective, request.get("source")
        if self.clock.kind == "virtual":
            self._record()
        self._faults.adopt(plan, faults)
        waited: dict[str, Any] = {"pending": [], "hopeless": None}
        try:
            for phase, ms in timings.items():
                await connection.send({"event": "phase", "phase": phase, "state": "done", "ms": ms})
            if request.get("wait", True):
                started = time.perf_counter()
                timeout = float(request.get("timeout_s") or DEFAULT_WAIT_S)
                told = any(isinstance(step, StartProcess | ReloadProcess) for step in steps)
                waited = await self._wait_ready(connection, timeout, at_least_s=YOUNG_S * told)
                timings["ready"] = (time.perf_counter() - started) * 1000
        finally:  # whether the client has waited or not
            self._faults.begin()
            self._record()
        return {
            "changed": bool(steps),
            "faults": self._faults.active(),
            "steps": len(steps),
            "notices": notices,
            "timings": timings,
        } | waited

    def _record(self) -> None:
        """Record what happens from now on: in real time, from when the testbed is ready."""
        if self._recorder is None:
            self._recorder = Recorder(self.clock)
        self._recorder.follow(self._effective, self._namespaces())

    def _namespaces(self) -> dict[str, int]:
        return {node: self._kernel.fd(node) for node in self._kernel.nodes()}

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
        self, connection: Caller, timeout_s: float, *, at_least_s: float = 0.0
    ) -> dict[str, Any]:
        """Wait until every check of the plan holds: what does not, and why none is waited for.

        With faults in force not everything need hold: nor is it waited for any longer
        when what does not hold has stayed the same as long as it took to become so.
        """
        total = len(self._plan.checks)
        settling = Settling()
        rows: list[dict[str, str]] = []
        async for look in readiness.watch(
            self._plan, self._kernel, self._processes, timeout_s, at_least_s=at_least_s
        ):
            rows = [{"title": title, "state": state} for title, state in look.pending]
            event = {"event": "waiting", "done": total - len(rows), "total": total}
            await connection.send(event | {"pending": [row["title"] for row in rows]})
            over = settling.is_over([row["title"] for row in rows])
            if self._faults.active():
                if over:
                    break
            elif look.hopeless:
                return {"pending": rows, "hopeless": look.hopeless}
        return {"pending": rows, "hopeless": None}

    async def status(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """The state of everything, as documented in docs/commands/status.md."""
        result = status.status(self._plan, self._kernel, self._processes)
        result["faults"] = self._faults.rows()
        return result | {"clock": self.clock.to_json()}

    async def events(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """What has happened (docs/commands/events.md)."""
        if self._recorder is None:
            return {"events": [], "dropped": 0}
        return self._recorder.to_json()

    async def advance(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Let so many seconds pass."""
        seconds = float(request["seconds"])
        if not 0 <= seconds <= LONGEST_ADVANCE_S:
            raise UsageError(f"can't advance by {seconds:g} s", hint="at most a year at once")
        loop = asyncio.get_running_loop()
        async with while_open(connection):
            with self.clock.driven():
                end = loop.time() + seconds
                while (left := end - loop.time()) > 0:
                    await asyncio.sleep(min(left, max(seconds / ADVANCE_REPORTS, 1.0)))
                    elapsed = seconds - max(0.0, end - loop.time())
                    await connection.send({"event": "advanced", "seconds": elapsed})
        return {"clock": self.clock.to_json()}

    async def execute(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Run a command in a node."""
        self._need_node(request)
        return {"returncode": await Execution(connection, self._processes, self.clock).run(request)}

    async def capture(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Capture packets of any number of interfaces."""
        for row in request["interfaces"]:
            self._need_node(row)
        capturing = Capturing(connection, self._processes, self.clock, self._namespaces())
        return {"returncode": await capturing.run(request)}

    async def logs(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Send the logs of a node's daemons."""
        node = self._need_node(request)
        await send_logs(
            connection, node, request.get("process"), follow=bool(request.get("follow"))
        )
        return {}

    async def observe(self, _: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """The state of single nodes, or of all."""
        names = request.get("nodes")
        nodes = self._plan.nodes if names is None else [self._need_node({"node": n}) for n in names]
        return {"nodes": {n.name: looking.node_state(n, self._kernel.fd(n.name)) for n in nodes}}

    async def ask(self, _: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Put commands to a routing daemon."""
        return {"replies": looking.ask(self._need_node(request), request)}

    async def send(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Send packets from a node."""
        node = self._need_node(request)
        async with while_open(connection):
            with self.clock.driven():
                return {"sent": await looking.send(node, self._kernel.fd(node.name), request)}

    async def resources(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """What the keeper holds."""
        return resources.held(self._recorder.kept if self._recorder else 0)

    async def trace(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Send one marked packet; what the kernel shows of it (docs/protocol.md)."""
        self._need_node(request)
        async with while_open(connection):
            with self.clock.driven():
                return await trace(self._effective, self._namespaces(), request)

    def _need_node(self, request: dict[str, Any]) -> Any:
        name = str(request.get("node"))
        try:
            return self._plan.node(name)
        except KeyError:
            names = [node.name for node in self._plan.nodes]
            raise no_such_node(name, self.name, names) from None

    async def stop(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """End the testbed. Everything is gone once the connection closes."""
        async with self._writing:
            self._faults.close()
            if self._recorder is not None:
                self._recorder.close()
            self._processes.forget(node.name for node in self._plan.nodes)
            self._kernel.close()
            self._on_nodes({})
            self._plan = self._effective = Plan(self.name, ())
        asyncio.get_running_loop().call_soon(self._stopped.set)
        return {}


HANDLERS: dict[str, Handler] = {
    "hello": Keeper.hello,
    "plan": Keeper.plan,
    "advance": Keeper.advance,
    "apply": Keeper.apply,
    "fault": Keeper.fault,
    "heal": Keeper.heal,
    "status": Keeper.status,
    "events": Keeper.events,
    "exec": Keeper.execute,
    "capture": Keeper.capture,
    "logs": Keeper.logs,
    "observe": Keeper.observe,
    "ask": Keeper.ask,
    "send": Keeper.send,
    "resources": Keeper.resources,
    "trace": Keeper.trace,
    "stop": Keeper.stop,
}
