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
from testbed.keeper import inquiries, looking, resources, status
from testbed.keeper.capture import Capturing
from testbed.keeper.clock import Clock
from testbed.keeper.connection import Caller, ClientGone, while_open
from testbed.keeper.events import Recorder
from testbed.keeper.execute import Execution
from testbed.keeper.faults import Faults
from testbed.keeper.faults_served import FaultOperations
from testbed.keeper.ledger import Ledger
from testbed.keeper.logs import send_logs
from testbed.keeper.processes import ProcessTable
from testbed.keeper.scope import Scope
from testbed.keeper.trace import trace
from testbed.keeper.watching import Watchers
from testbed.kernel.apply import Kernel
from testbed.kernel.host_interfaces import Outside
from testbed.plan.model import Plan

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
        self._ledger = Ledger()
        self._watchers = Watchers(self._state, self.elapsed)
        self._started = time.time()
        self._established = False
        self._applying = 0
        self._waiting: list[Scope] = []
        self._writing = asyncio.Lock()
        self._stopped = asyncio.Event()
        self._stopping = False

    def _namespace(self, node: str) -> int:
        return self._kernel.fd(node)

    async def wait_stopped(self) -> None:
        """Return when the testbed is to end: on `stop`, or when no first `apply` came through."""
        deadline = asyncio.create_task(self._first_apply_deadline())
        await self._stopped.wait()
        deadline.cancel()

    async def _first_apply_deadline(self) -> None:
        await asyncio.sleep(FIRST_APPLY_TIMEOUT_S)
        if not self._established and not self._applying:
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
            "revision": self._ledger.revision,
            "kernel": os.uname().release,
            "guest": os.environ.get("TESTBED_GUEST"),
            "clock": self.clock.to_json(),
        }

    def _record(self) -> None:
        """Record what happens from now on: in real time, from when the testbed is ready."""
        if self._recorder is None:
            self._recorder = self._new_recorder()
        self._recorder.follow(self._effective, self._namespaces())

    def _new_recorder(self) -> Recorder:
        return Recorder(self.clock, self._watchers.tell)

    def _namespaces(self) -> dict[str, int]:
        return {node: self._kernel.fd(node) for node in self._kernel.nodes()}

    async def status(self, _: Caller, __: dict[str, Any]) -> dict[str, Any]:
        """The state of everything, as documented in docs/commands/status.md."""
        result = self._state()
        result["faults"] = self._faults.rows()
        return result | {"revision": self._ledger.revision, "clock": self.clock.to_json()}

    def _state(self) -> dict[str, Any]:
        return status.status(self._plan, self._kernel, self._processes)

    async def events(self, _: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """What has happened (docs/commands/events.md)."""
        if self._recorder is None:
            return {"events": [], "dropped": 0}
        return self._recorder.to_json(float(request.get("since") or 0.0))

    async def watch(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Tell what changes, from a revision on or from now, until the client closes."""
        revision = request.get("revision")
        async with while_open(connection):
            with self._watchers.joined() as watcher:
                for message in self._missed(revision):
                    await connection.send(message)
                while True:
                    await connection.send(await watcher.next())

    def _missed(self, revision: int | None) -> list[dict[str, Any]]:
        """What a watcher is told of the time before it came, in order."""
        known = self._ledger.revision
        begin = {"event": "watching", "revision": known, "at": self.clock.elapsed()}
        if revision is None:
            return [begin]
        rows, lost = self._ledger.since(revision)
        told: list[dict[str, Any]] = [{"event": "revision", **row} for row in rows]
        if self._recorder is not None:
            since = self._ledger.time_of(revision)
            events = self._recorder.to_json(since)["events"]
            told += [{"event": "occurred", **event} for event in events]
        told.sort(key=lambda message: float(message["at"]))
        return [*([{"event": "missed", "messages": lost}] if lost else []), *told, begin]

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

    async def inquire(self, connection: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """Ask a program of ours that has a control socket (docs/protocol.md)."""
        node, process = self._need_node(request), str(request.get("process"))
        if process not in {each.name for each in node.processes if each.reload == "program"}:
            raise UsageError(f"no process {process[:80]!r} in {node.name} that answers inquiries")
        async with while_open(connection):
            with self.clock.driven():
                path = f"{node.directory}/{process}.ctl"
                return {"reply": await inquiries.ask(path, dict(request.get("request") or {}))}

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
        self._stopping = True
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
    "document": Keeper.document,
    "advance": Keeper.advance,
    "apply": Keeper.apply,
    "fault": Keeper.fault,
    "heal": Keeper.heal,
    "status": Keeper.status,
    "events": Keeper.events,
    "watch": Keeper.watch,
    "exec": Keeper.execute,
    "capture": Keeper.capture,
    "logs": Keeper.logs,
    "observe": Keeper.observe,
    "ask": Keeper.ask,
    "inquire": Keeper.inquire,
    "send": Keeper.send,
    "resources": Keeper.resources,
    "trace": Keeper.trace,
    "stop": Keeper.stop,
}
