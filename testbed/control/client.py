"""Talk to a running testbed over its control socket (docs/protocol.md).

The command line, the pytest plugin and other programs use this module. It is synchronous,
and needs only the standard library. Each request has its own connection, so several threads
may use one `Client`.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

from testbed.control import console, protocol
from testbed.control.frames import Connection, message_of
from testbed.control.patience import Patience
from testbed.control.process import Completed, RemoteProcess, ended
from testbed.control.protocol import Frame, dial, peer
from testbed.errors import HostError, NetworkError, TestbedError, UsageError, error_from_json

__all__ = ["Client", "Completed", "RemoteProcess", "ended"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Self

    from testbed.plan.model import Plan

    OnEvent = Callable[[dict[str, Any]], None]


def application(
    plan: Plan, made_from: Mapping[str, Any] | None, *, wait: bool, timeout_s: float
) -> dict[str, Any]:
    """Return what is sent of a plan for it to be applied (docs/protocol.md)."""
    from testbed.plan import codec, patch  # noqa: PLC0415 - most commands don't need plans

    how = {"plan": codec.to_json(plan), "wait": wait, "timeout_s": timeout_s}
    return how | {"digest": patch.digested(plan).digest} | dict(made_from or {})


class Client:
    """A running testbed, as its clients see it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._spare: socket.socket | None = None
        self.known: Any = None  # of what runs, for the next edit (`testbed.lifecycle.live`)
        self.lease: Connection | None = None  # the testbed ends with it (`apply`)

    @classmethod
    def connect(cls, name: str) -> Self:
        """Connect to the testbed `name`. Raises UsageError, with those that run, if it does not."""
        client = cls(name)
        client._spare = client._dial()
        return client

    def close(self) -> None:
        """Close a connection that has not been used."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _dial(self) -> socket.socket:
        try:
            return dial(self.name)
        except PermissionError:
            hint = "testbeds belong to the user who started them"
            raise HostError(f"testbed {self.name} is another user's", hint=hint) from None
        except OSError:
            raise self._not_running() from None

    def _not_running(self) -> TestbedError:
        from testbed.control.registry import running  # noqa: PLC0415 - only on the way to an error

        if (how := console.ended(self.name)) is not None:
            return console.error(self.name, how)
        names = running()
        hint = "start it: testbed up TOPOLOGY"
        if names:
            hint = f"these are running: {', '.join(names)}"
        return UsageError(f"testbed {self.name} is not running", hint=hint)

    def _open(self, request: dict[str, Any]) -> Connection:
        sock, self._spare = self._spare or self._dial(), None
        connection = Connection(sock, Patience(self.name, peer(sock)[0]))
        connection.queue_message(request)
        return connection

    def _ask(
        self,
        request: dict[str, Any],
        *,
        on_event: OnEvent | None = None,
        timeout: float | None = None,
        on_turn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        decode: Callable[[bytes], dict[str, Any]] = message_of,
    ) -> dict[str, Any]:
        """Send a request, pass on its events, and return its result or raise its error."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(self._open(request))
            while frame := connection.receive(deadline):
                if frame[0] is not Frame.MESSAGE:
                    continue
                message = decode(frame[1])
                if "error" in message:
                    raise error_from_json(message["error"])
                if "result" in message:
                    result: dict[str, Any] = message["result"]
                    if request.get("hold"):
                        self.lease = connection
                        stack.pop_all()
                    return result
                if on_turn and message.get("event") == "turn":
                    connection.queue_message(on_turn(protocol.message_of(frame[1])))
                elif on_event:
                    on_event(message)
        raise ended(self.name)

    # Operations

    def hello(self, timeout: float | None = None) -> dict[str, Any]:
        """Return name, version, process and start. Raises TimeoutError if the keeper is busy."""
        return self._ask({"op": "hello"}, timeout=timeout)

    def apply(
        self,
        plan: Plan,
        *,
        wait: bool = True,
        timeout_s: float = 120.0,
        made_from: Mapping[str, Any] | None = None,
        revision: int | None = None,
        hold: bool = False,
        on_event: OnEvent | None = None,
    ) -> dict[str, Any]:
        """Update the testbed to `plan`; with `wait`, wait until it is ready, up to `timeout_s`.

        `made_from` has the ``document``, the ``numbers`` and the ``source`` of the plan, as
        JSON. With a `revision` it is refused, with ConflictError, where the testbed has
        another one by now. With `hold` the testbed ends with the connection that is then
        `lease`: when that is closed, and when this process ends, however it ends.

        Returns ``changed``, ``steps``, ``revision``, ``timings`` in ms for each
        phase, and ``pending``: what is not ready, with its state.
        """
        request = application(plan, made_from, wait=wait, timeout_s=timeout_s)
        self.known = None
        return self.change(request | {"hold": hold}, revision=revision, on_event=on_event)

    def change(
        self,
        application: Mapping[str, Any],
        *,
        revision: int | None = None,
        on_event: OnEvent | None = None,
    ) -> dict[str, Any]:
        """Do what `apply` does with an `application`, or with what has a patch instead of a plan.

        docs/protocol.md has its members.
        """
        request = {"op": "apply", "revision": revision, **application}
        return self._ask(request, on_event=on_event)

    def apply_in_turn(
        self,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        on_event: OnEvent | None = None,
    ) -> dict[str, Any]:
        """Bring the testbed to what `change` makes of what runs, while nobody else can change it.

        `change` is given what `document` returns, and returns an `application`; it has 10
        seconds. The result is that of `apply`.
        """
        return self._ask({"op": "apply", "turn": True}, on_event=on_event, on_turn=change)

    def plan_json(self) -> dict[str, Any]:
        """Return what is running, as the keeper sends it: ``plan`` and ``source``."""
        return self._ask({"op": "plan"}, decode=protocol.message_of)

    def plan(self) -> tuple[Plan, Any]:
        """Return the running plan, and the source that it was applied with."""
        from testbed.plan import codec  # noqa: PLC0415

        answer = self.plan_json()
        return codec.from_json(answer["plan"]), answer.get("source")

    def document(self, *, plan: bool = False) -> dict[str, Any]:
        """What the testbed is made from (docs/protocol.md); with `plan` its plan's JSON, too."""
        return self._ask({"op": "document", "plan": plan}, decode=protocol.message_of)

    def status(self) -> dict[str, Any]:
        """Return the state of everything (docs/commands/status.md)."""
        return self._ask({"op": "status"})

    def fault(
        self,
        kind: str,
        target: str,
        values: Mapping[str, Any] | None = None,
        *,
        at_s: float | str = 0.0,
        for_s: float | str | None = None,
        every_s: float | str | None = None,
        name: str = "",
    ) -> dict[str, Any]:
        """Inject a fault, or schedule it (docs/faults.md). Returns its row in the status.

        The fault is active when this returns, unless it begins later.
        """
        request: dict[str, Any] = {"op": "fault", "kind": kind, "target": target}
        request["values"] = dict(values or {})
        request |= {"at_s": at_s, "for_s": for_s, "every_s": every_s, "name": name}
        return self._ask(request)

    def heal(
        self,
        *names: str,
        declared: bool = True,
        wait: bool = True,
        timeout_s: float = 120.0,
        on_event: OnEvent | None = None,
    ) -> dict[str, Any]:
        """Heal these faults, or all; without `declared`, not those that the topology declares.

        If no fault is left active, with `wait`, waits until everything is ready again, up to
        `timeout_s`. Returns ``healed`` (names), ``faults`` and ``pending``, as `apply` does.
        """
        request = {"op": "heal", "names": list(names), "declared": declared, "wait": wait}
        return self._ask(request | {"timeout_s": timeout_s}, on_event=on_event)

    def stop(self) -> None:
        """Stop the testbed. Returns when everything in it is gone."""
        self._ask({"op": "stop"})

    def events(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Return what has happened since then (s), oldest first (docs/commands/events.md)."""
        events: list[dict[str, Any]] = self._ask({"op": "events", "since": since})["events"]
        return events

    def watch(self, revision: int | None = None) -> Iterator[dict[str, Any]]:
        """Messages about what changes, from a revision on or from now (docs/protocol.md).

        It goes on until it is closed, or the testbed ends (HostError).
        """
        request = {"op": "watch", "revision": revision}
        with contextlib.closing(self._open(request)) as connection:
            while frame := connection.receive():
                message = message_of(frame[1])
                if "error" in message:
                    raise error_from_json(message["error"])
                yield message
        raise ended(self.name)

    def resources(self) -> dict[str, int]:
        """Return what the keeper uses: processes, descriptors, memory (docs/protocol.md)."""
        return self._ask({"op": "resources"})

    def advance(self, seconds: float, *, on_event: OnEvent | None = None) -> dict[str, Any]:
        """Let this many seconds pass, at once if time is virtual. Returns the ``clock`` then."""
        return self._ask({"op": "advance", "seconds": seconds}, on_event=on_event)

    def trace(self, node: str, **probe: Any) -> dict[str, Any]:
        """Send one marked packet from a node. Returns what was seen of it (docs/protocol.md)."""
        return self._ask({"op": "trace", "node": node} | probe)

    def require_real_time(self, what: str) -> None:
        """Raise UsageError if time is virtual, because `what` would measure nothing real."""
        if self.hello()["clock"]["time"] != "real":
            hint = "a processor that takes no time has no limits: use testbed up --time real"
            raise UsageError(f"{what} needs real time; {self.name} runs in virtual time", hint=hint)

    def popen(
        self,
        node: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        size: tuple[int, int] = (24, 80),
        clock: bool = False,
        until: str | None = None,
    ) -> RemoteProcess:
        """Start a command in a node; `size` is the terminal's rows and columns.

        Virtual time passes until the command has written `until` or, with `clock`, until it ends.
        """
        request: dict[str, Any] = {"op": "exec", "node": node, "argv": list(argv)}
        request |= {"tty": tty, "rows": size[0], "columns": size[1], "env": dict(env or {})}
        request |= {"clock": clock or until is not None, "until": until}
        connection = self._open(request)
        process = RemoteProcess(connection, f"{argv[0]} in {node}", self.name, drives=clock)
        if not clock:
            process.connection.write_some()
        return process

    def capture(self, request: dict[str, Any]) -> RemoteProcess:
        """Start a capture (docs/protocol.md). It ends when its standard input is closed."""
        connection = self._open({"op": "capture", "clock": False} | request)
        connection.write_some()
        return RemoteProcess(connection, "the capture", self.name)

    def run(
        self,
        node: str,
        argv: Sequence[str],
        *,
        input: bytes | None = None,  # noqa: A002 - the name that subprocess.run has
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run a command in a node. Raises NetworkError if it takes more than `timeout` seconds."""
        with self.popen(node, argv, env=env, clock=True) as process:
            if input:
                process.connection.queue(Frame.STDIN, input)
            process.connection.queue(Frame.STDIN, b"")
            try:
                return process.wait(timeout)
            except TimeoutError:
                message = f"{' '.join(argv)} in {node} did not end within {timeout:g} s"
                raise NetworkError(message) from None

    def observe(self, nodes: Sequence[str] | None = None) -> dict[str, Any]:
        """Return interfaces, addresses, tunnels and rulesets of some or all nodes, by node."""
        request = {"op": "observe", "nodes": None if nodes is None else list(nodes)}
        found: dict[str, Any] = self._ask(request)["nodes"]
        return found

    def ask(self, node: str, daemon: str, commands: Sequence[str]) -> list[str]:
        """Return what a node's routing daemon (``bird``, ``bgpd``, …) answers to each command.

        Raises NetworkError if it does not answer.
        """
        request = {"op": "ask", "node": node, "daemon": daemon, "commands": list(commands)}
        replies: list[str] = self._ask(request)["replies"]
        return replies

    def inquire(self, node: str, process: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return what a program of the testbed's own answers to a request.

        Raises UsageError where the process is none that answers, NetworkError if it does not.
        """
        asked = {"op": "inquire", "node": node, "process": process, "request": request}
        reply: dict[str, Any] = self._ask(asked)["reply"]
        return reply

    def send(
        self,
        node: str,
        packets: Sequence[bytes],
        *,
        interface: str | None = None,
        layer: str = "network",
        count: int = 1,
        interval_s: float = 0.0,
    ) -> int:
        """Send packets from a node, all of them `count` times. Returns how many were sent.

        At layer ``link`` they are frames that leave by `interface`, at layer
        ``network`` IP packets that the node routes. Raises NetworkError if its kernel refuses.
        """
        texts = [base64.b64encode(packet).decode() for packet in packets]
        request: dict[str, Any] = {
            "op": "send",
            "node": node,
            "packets": texts,
            "interface": interface,
        }
        request |= {"layer": layer, "count": count, "interval_s": interval_s}
        return int(self._ask(request)["sent"])

    def logs(
        self, node: str, process: str | None = None, *, follow: bool = False
    ) -> Iterator[bytes]:
        """Yield the log of a node's process, or of all; with `follow`, also what is added."""
        request = {"op": "logs", "node": node, "process": process, "follow": follow}
        with contextlib.closing(self._open(request)) as connection:
            while frame := connection.receive():
                kind, payload = frame
                if kind is Frame.STDOUT:
                    yield payload
                    continue
                message = message_of(payload)
                if "error" in message:
                    raise error_from_json(message["error"])
                if "result" in message:
                    return
        raise ended(self.name)
