"""Talking to a running testbed over its control socket (docs/protocol.md).

Synchronous and standard library only: the command line, the pytest plugin
and other programs use it. Each request has a connection of its own, so one
`Client` may be used by several threads.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed import guest_log
from testbed.errors import HostError, NetworkError, TestbedError, UsageError, error_from_json
from testbed.frames import Connection, message_of
from testbed.protocol import Frame, dial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from testbed.plan.model import Plan

    OnEvent = Callable[[dict[str, Any]], None]

ENDED = "the testbed ended before it answered"


def ended(name: str) -> HostError:
    """The error of a command whose testbed has ended: why, where its micro VM has died."""
    how = guest_log.ended(name)
    return HostError(ENDED) if how is None else guest_log.error(name, how)


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended: its exit status (128 + n for signal n) and what it wrote."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """The standard output as text."""
        return self.stdout.decode(errors="replace")


class RemoteProcess:
    """A command that runs in a node. Closing it before its end hangs up on it (SIGHUP).

    Virtual time passes for it while somebody waits for what it writes, or
    for its end, unless it `drives` the clock all the time.
    """

    def __init__(
        self, connection: Connection, name: str, testbed: str, *, drives: bool = False
    ) -> None:
        self.connection = connection
        self.name = name
        self.testbed = testbed
        self.drives = drives
        self.returncode: int | None = None
        self.stderr = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.close()

    def write(self, data: bytes) -> None:
        """Send to the command's standard input."""
        if data:
            self.connection.queue(Frame.STDIN, data)
            self.connection.flush()

    def close_stdin(self) -> None:
        """End the command's standard input."""
        self.connection.queue(Frame.STDIN, b"")
        self.connection.flush()

    def signal(self, number: int) -> None:
        """Send a signal to the command and its children."""
        self.connection.queue_message({"signal": int(number)})
        self.connection.flush()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the command's terminal its new size."""
        self.connection.queue_message({"resize": [rows, columns]})
        self.connection.flush()

    def drive(self, *, clock: bool) -> None:
        """Let virtual time pass for the command, or no longer; real time passes anyway."""
        self.drives = clock
        self.connection.queue_message({"clock": clock})
        self.connection.flush()

    def take(self, kind: Frame, payload: bytes) -> bytes:
        """Account for a received frame; what it adds to the standard output."""
        if kind is Frame.STDOUT:
            return payload
        if kind is Frame.STDERR:
            self.stderr += payload
        elif kind is Frame.MESSAGE:
            message = message_of(payload)
            if "error" in message:
                raise error_from_json(message["error"])
            if "result" in message:
                self.returncode = int(message["result"]["returncode"])
        return b""

    def chunks(self, deadline: float | None = None) -> Iterator[bytes]:
        """The standard output as it arrives, until the command ends.

        Standard error is collected in `stderr`. Raises TimeoutError when the
        deadline (monotonic clock) passes, HostError when the testbed ends.
        """
        drives = self.drives
        if not drives and self.returncode is None:
            self.drive(clock=True)
        try:
            while self.returncode is None:
                frame = self.connection.receive(deadline)
                if frame is None:
                    raise ended(self.testbed)
                if data := self.take(*frame):
                    yield data
        finally:
            if not drives and self.returncode is None:
                with contextlib.suppress(OSError):
                    self.drive(clock=False)

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks()

    def wait(self, timeout: float | None = None) -> Completed:
        """Wait for the end, at most `timeout` seconds (TimeoutError)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        output = b"".join(self.chunks(deadline))
        return Completed(self.returncode or 0, output, bytes(self.stderr))


class Client:
    """A running testbed, as its clients see it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._spare: socket.socket | None = None

    @classmethod
    def connect(cls, name: str) -> Self:
        """The client of testbed `name`; UsageError, naming those that run, when it does not."""
        client = cls(name)
        client._spare = client._dial()
        return client

    def close(self) -> None:
        """Let go of a connection that has not been used."""
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
        from testbed.launch import running  # noqa: PLC0415 - only on the way to an error

        if (how := guest_log.ended(self.name)) is not None:
            return guest_log.error(self.name, how)
        names = running()
        hint = f"these run: {', '.join(names)}" if names else "start it: testbed up FILE"
        return UsageError(f"testbed {self.name} is not running", hint=hint)

    def _open(self, request: dict[str, Any]) -> Connection:
        sock, self._spare = self._spare or self._dial(), None
        connection = Connection(sock)
        connection.queue_message(request)
        return connection

    def _ask(
        self,
        request: dict[str, Any],
        *,
        on_event: OnEvent | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Send a request, hand its events on, return its result or raise its error."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._open(request) as connection:
            while frame := connection.receive(deadline):
                if frame[0] is not Frame.MESSAGE:
                    continue
                message = message_of(frame[1])
                if "error" in message:
                    raise error_from_json(message["error"])
                if "result" in message:
                    result: dict[str, Any] = message["result"]
                    return result
                if on_event:
                    on_event(message)
        raise ended(self.name)

    # Operations

    def hello(self, timeout: float | None = None) -> dict[str, Any]:
        """Name, version, process and start of the testbed's keeper; TimeoutError when busy."""
        return self._ask({"op": "hello"}, timeout=timeout)

    def apply(
        self,
        plan: Plan,
        *,
        wait: bool = True,
        timeout_s: float = 120.0,
        source: Any = None,
        on_event: OnEvent | None = None,
    ) -> dict[str, Any]:
        """Bring the testbed to `plan`; with `wait`, until it is ready or the time is over.

        The result has ``changed``, ``steps``, ``timings`` in ms for each
        phase, and ``pending``: what is not ready, with its state.
        """
        from testbed.plan import codec  # noqa: PLC0415 - most commands don't need plans

        request = {"op": "apply", "plan": codec.to_json(plan), "wait": wait}
        request |= {"timeout_s": timeout_s, "source": source}
        return self._ask(request, on_event=on_event)

    def plan_json(self) -> dict[str, Any]:
        """What runs, as the keeper sends it: ``plan`` and ``source``."""
        return self._ask({"op": "plan"})

    def plan(self) -> tuple[Plan, Any]:
        """What runs, and the source that it was applied with."""
        from testbed.plan import codec  # noqa: PLC0415

        answer = self.plan_json()
        return codec.from_json(answer["plan"]), answer.get("source")

    def status(self) -> dict[str, Any]:
        """The state of everything (docs/commands/status.md)."""
        return self._ask({"op": "status"})

    def stop(self) -> None:
        """End the testbed; returns when everything in it is gone."""
        self._ask({"op": "stop"})

    def events(self) -> list[dict[str, Any]]:
        """What has happened, oldest first (docs/commands/events.md)."""
        events: list[dict[str, Any]] = self._ask({"op": "events"})["events"]
        return events

    def advance(self, seconds: float, *, on_event: OnEvent | None = None) -> dict[str, Any]:
        """Let so many seconds pass: at once where time is virtual. Its ``clock`` afterwards."""
        return self._ask({"op": "advance", "seconds": seconds}, on_event=on_event)

    def require_real_time(self, what: str) -> None:
        """Raise UsageError where time is virtual: `what` would then measure nothing real."""
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

        Virtual time passes until it has written `until`; to its end with `clock`.
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
        """Start a capture (docs/protocol.md); it ends when its standard input does."""
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
        """Run a command in a node to its end; NetworkError when that takes over `timeout` s."""
        with self.popen(node, argv, env=env, clock=True) as process:
            if input:
                process.connection.queue(Frame.STDIN, input)
            process.connection.queue(Frame.STDIN, b"")
            try:
                return process.wait(timeout)
            except TimeoutError:
                message = f"{' '.join(argv)} in {node} did not end within {timeout:g} s"
                raise NetworkError(message) from None

    def exec_interactive(
        self,
        node: str,
        argv: Sequence[str],
        *,
        tty: bool,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run a command on this process's standard streams; its exit status."""
        from testbed.terminal import run_interactive  # noqa: PLC0415

        return run_interactive(self, node, argv, tty=tty, env=env)

    def logs(
        self, node: str, process: str | None = None, *, follow: bool = False
    ) -> Iterator[bytes]:
        """The log of a node's process, or of all of them, and with `follow` what is added."""
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
