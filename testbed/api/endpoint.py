"""AWS's endpoint of one testbed: requests in, responses out, whatever they came by."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from testbed.api.codec.models import service_model
from testbed.api.codec.pages import page
from testbed.api.codec.requests import Call, Request, decode
from testbed.api.codec.responses import Response, encode, encode_error
from testbed.api.elsewhere import Elsewhere, is_moved
from testbed.api.errors import ApiError, unsupported
from testbed.api.operations import OPERATIONS, Ask, Operation, Result
from testbed.api.world import World
from testbed.api.writer import Job, Writer
from testbed.control.client import Client
from testbed.errors import TestbedError
from testbed.lifecycle.live import Standing, live

ANSWER_S = 600.0
STATES_S = 1.0  # how old what `testbed status` said may be

Log = Callable[[dict[str, Any]], None]


class Endpoint:
    """AWS's endpoint of a running testbed.

    With `strict`, calls that change something return only when packets follow. `log` gets a
    line for each call (docs/api.md). Raises UsageError where the testbed has no document.
    """

    def __init__(self, client: Client, *, strict: bool = False, log: Log = lambda _: None) -> None:
        import testbed.api.cloudwatch  # noqa: PLC0415 - declares the operations
        import testbed.api.ec2  # noqa: PLC0415
        import testbed.api.ecs  # noqa: PLC0415
        import testbed.api.outposts  # noqa: F401, PLC0415

        self._client = client
        self._strict = strict
        self._log = log
        self._lock = threading.Lock()
        self._world: World | None = None
        self._world = self._world_of(live(client))
        self._states: tuple[float, dict[str, Any]] = (0.0, {})
        self._elsewhere = Elsewhere(self._world.region)
        self._writer = Writer(client, self._world_of, self._set_world, log)
        self.ended = threading.Event()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def close(self) -> None:
        """Finish what has been begun."""
        self._writer.close()

    @property
    def region(self) -> str:
        """The Region's name."""
        return self.world().region

    def world(self) -> World:
        """Return what runs."""
        with self._lock:
            if self._world is None:
                self._world = self._made(live(self._client))
            world = self._world
        return replace(world, unsettled=self._writer.unsettled())

    def handle(self, request: Request) -> Response:
        """Answer a request, whatever it is."""
        call = Call()
        started = time.perf_counter()
        error: ApiError | None = None
        try:
            decode(request, call)
            response = encode(call, page(call, self._result(call)))
        except ApiError as refused:
            error = refused
        except TestbedError as problem:
            error = ApiError("ServiceUnavailable", str(problem), 503)
        except Exception as problem:  # noqa: BLE001 - a client's request ends no server
            error = ApiError("InternalError", f"{type(problem).__name__}: {problem}", 500)
        if error is not None:
            response = encode_error(call, error)
        ms = (time.perf_counter() - started) * 1000
        self._log(_entry(call, error, response.status, ms))
        return response

    def call(self, service: str, operation: str, parameters: dict[str, Any]) -> Result:
        """Carry out a call without a request, and return its result. Raises ApiError."""
        model = service_model(service)
        found = model.operation_model(operation)
        return self._result(
            Call(service=service, model=model, operation=found, parameters=parameters)
        )

    def _result(self, call: Call) -> Result:
        operation = OPERATIONS.get((call.service, call.name))
        if operation is None:
            if not is_moved(call.service, call.name):
                raise unsupported(call.service, call.name)
            return self._elsewhere.call(call.service, call.name, call.parameters)
        if operation.look is None:
            return self._changed(call, operation)
        world = self.world()
        if operation.program is not None:
            operation.check(call.parameters)
            if call.service in world.topology.workloads.control_planes:
                return self._inquired(call, *operation.program)
        if operation.needs_states:
            world = replace(world, states=self.states())
        result = operation.look(Ask(call.name, call.parameters, world))
        if call.service == "ec2" and call.parameters.get("DryRun"):
            message = "Request would have succeeded, but DryRun flag is set."
            raise ApiError("DryRunOperation", message, 412)
        return result

    def _inquired(self, call: Call, node: str, process: str) -> Result:
        """Return what a program of the testbed's answers to a call."""
        request = {"op": "operation", "operation": call.name, "parameters": call.parameters}
        reply = self._client.inquire(node, process, request)
        if "refused" in reply:
            raise ApiError(reply["refused"]["__type"], reply["refused"]["message"])
        if "error" in reply:
            raise ApiError("ServerException", reply["error"], 500)
        result: Result = reply["result"]
        return result

    def _changed(self, call: Call, operation: Operation) -> Result:
        parameters = dict(call.parameters)
        dry = call.service == "ec2" and bool(parameters.pop("DryRun", False))
        job = Job(operation, parameters, parameters.get("ClientToken"), dry)
        self._writer.submit(job)
        result = job.answer.result(ANSWER_S)
        if self._strict:
            job.settled.wait(ANSWER_S)
        return result

    def states(self) -> dict[str, Any]:
        """Return what `testbed status` says, at most a second old."""
        with self._lock:
            at, states = self._states
            if time.monotonic() - at > STATES_S:
                states = self._client.status()
                self._states = (time.monotonic(), states)
            return states

    def _world_of(self, now: Standing) -> World:
        """Return the world of what runs; the one that there is, where it is of this revision."""
        with self._lock:
            return self._made(now)

    def _made(self, now: Standing) -> World:
        if self._world is not None and self._world.live.revision == now.revision:
            return self._world
        return World(now, now.topology())

    def _set_world(self, world: World) -> None:
        with self._lock:
            self._world = world
            self._states = (0.0, {})

    def _watch(self) -> None:
        """Forget the world when somebody else has changed it; end with the testbed."""
        with contextlib.suppress(TestbedError):
            for message in self._client.watch():
                if message.get("event") == "ready":
                    unready = frozenset(row["title"] for row in message["pending"])
                    self._writer.pending = self._writer.unready = unready
                revision = message.get("revision", 0)
                missed = message.get("event") == "missed"
                if missed or message.get("event") == "revision":
                    with self._lock:
                        if self._world and (missed or revision > self._world.live.revision):
                            self._world = None
        self.ended.set()


def _entry(call: Call, error: ApiError | None, status: int, ms: float) -> dict[str, Any]:
    """Return what the log says of a call."""
    entry = {
        "at": time.time(),
        "who": call.access_key,
        "service": call.service,
        "operation": call.name,
        "parameters": call.parameters,
        "status": status,
        "ms": round(ms, 1),
        "request_id": call.request_id,
    }
    return entry | ({"error": error.code, "message": error.message} if error else {})
