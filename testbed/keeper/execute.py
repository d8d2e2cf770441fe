"""Running a command in a node for a client: streams both ways, or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
from typing import Any

from testbed.control.protocol import CREDIT, STDIN_WINDOW, Frame, message_of
from testbed.errors import UsageError
from testbed.keeper.clock import Clock, Drive
from testbed.keeper.connection import Caller, ClientGone
from testbed.keeper.processes import ProcessTable
from testbed.keeper.running import Running

CHUNK = 65536
GRACE_S = 0.5  # for output that children still hold open after the command ended


def set_window(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal its size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Execution:
    """One command: its process and the descriptors that lead to it."""

    def __init__(self, connection: Caller, processes: ProcessTable, clock: Clock) -> None:
        self._clock = clock
        self._drive: Drive | None = None
        self._until = b""  # what it has to write before it no longer needs time
        self._written = b""
        self._connection = connection
        self._processes = processes
        self._stdin: int | None = None
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._unread = 0  # bytes in it
        self._outputs: list[tuple[int, Frame]] = []
        self._terminal = False
        self._moved = 0  # bytes sent to the client so far
        self._sending = 0  # pumps that wait for the client to read

    async def run(self, request: dict[str, Any]) -> int:
        """Run what the request asks for; the command's exit status as a shell would give it."""
        at_once = bool(request.get("clock", True))
        with self._clock.driven(paced=bool(request.get("tty")), at_once=at_once) as self._drive:
            return await self._run(request)

    async def _run(self, request: dict[str, Any]) -> int:
        self._until = str(request.get("until") or "").encode()
        running = self._start(request)
        self._clock.stir()
        tasks: list[asyncio.Task[Any]] = []
        try:
            await self._announce()
            pumps = [asyncio.create_task(self._pump(fd, kind)) for fd, kind in self._outputs]
            inward = asyncio.create_task(self._inward(running))
            ended = asyncio.create_task(running.ended.wait())
            tasks += [*pumps, inward, ended, asyncio.create_task(self._feed())]
            await asyncio.wait({ended, inward}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                inward.result()
                raise ClientGone
            await self._drain(set(pumps))
        finally:
            running.signal(signal.SIGHUP)  # what the client no longer waits for
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for descriptor, _ in self._outputs:
                os.close(descriptor)
            self._close_stdin()
        code = running.returncode or 0
        return code if code >= 0 else 128 - code

    async def _announce(self) -> None:
        """Tell the client that it has started, where that is worth telling."""

    def _start(self, request: dict[str, Any]) -> Running:
        argv = [str(word) for word in request["argv"]]
        env = {str(key): str(value) for key, value in (request.get("env") or {}).items()}
        options: dict[str, Any] = {
            "name": argv[0],
            "env": env,
            "cwd": request.get("cwd"),
            "command": True,
        }
        if request.get("tty"):
            return self._start_on_terminal(request, argv, options)
        return self._spawn(request["node"], argv, options)

    def _spawn(self, node: str, argv: list[str], options: dict[str, Any]) -> Running:
        """Start a program with pipes for its standard streams."""
        options = {"name": argv[0], **options}
        pipes = [os.pipe(), os.pipe(), os.pipe()]
        theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
        self._stdin = pipes[0][1]
        self._outputs = [(pipes[1][0], Frame.STDOUT), (pipes[2][0], Frame.STDERR)]
        try:
            running = self._processes.spawn(node, argv, stdio=theirs, **options)
        except BaseException:
            for descriptor in (pipes[0][1], pipes[1][0], pipes[2][0]):
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        for descriptor in (self._stdin, *(fd for fd, _ in self._outputs)):
            os.set_blocking(descriptor, False)
        return running

    def _start_on_terminal(
        self, request: dict[str, Any], argv: list[str], options: dict[str, Any]
    ) -> Running:
        main, side = pty.openpty()
        self._terminal = True
        try:
            set_window(main, int(request.get("rows") or 24), int(request.get("columns") or 80))
            path = os.ttyname(side)
            running = self._processes.spawn(request["node"], argv, stdio=path, **options)
        except BaseException:
            os.close(main)
            raise
        finally:
            os.close(side)
        os.set_blocking(main, False)
        self._stdin = os.dup(main)
        self._outputs = [(main, Frame.STDOUT)]
        return running

    async def _pump(self, descriptor: int, kind: Frame) -> None:
        """Send what the command writes until it closes the stream."""
        while data := await _read(descriptor):
            self._look_for_end(data)
            self._sending += 1
            await self._connection.send_stream(kind, data)
            self._sending -= 1
            self._moved += len(data)

    def _look_for_end(self, data: bytes) -> None:
        if self._until and self._drive is not None:
            self._written = (self._written + data)[-CHUNK - len(self._until) :]
            if self._until in self._written:
                self._until = b""
                self._drive.stop()

    async def _drain(self, pumps: set[asyncio.Task[None]]) -> None:
        """Send the rest; what a child of the command holds open silently is let go."""
        while pumps:
            before = self._moved
            _, pumps = await asyncio.wait(pumps, timeout=GRACE_S)
            if self._moved == before and not self._sending and not self._is_readable():
                return

    def _is_readable(self) -> bool:
        """Whether there is something to read: a keeper that is busy is no silent command."""
        poller = select.poll()
        for descriptor, _ in self._outputs:
            poller.register(descriptor, select.POLLIN)
        return any(events & select.POLLIN for _, events in poller.poll(0))

    async def _inward(self, running: Running) -> None:
        """Carry out what the client sends until it closes the connection.

        Never waits for the command: its input has a task of its own, `_feed`.
        """
        while True:
            try:
                kind, payload = await self._connection.receive()
            except ClientGone:
                return
            self._clock.stir()
            if kind is Frame.STDIN:
                self._unread += len(payload)
                if self._unread > STDIN_WINDOW:
                    raise UsageError("protocol error: more standard input than there is room for")
                self._input.put_nowait(payload)
            elif kind is Frame.MESSAGE:
                self._control(running, message_of(payload))

    async def _feed(self) -> None:
        """Give the command its input as it reads it, and the client credit for as much."""
        while True:
            data = await self._input.get()
            await self._give(data)
            self._clock.stir()
            self._unread -= len(data)
            if data:
                await self._connection.send_stream(Frame.CREDIT, CREDIT.pack(len(data)))

    async def _give(self, data: bytes) -> None:
        if self._stdin is None:
            return
        if not data:
            if self._terminal:
                data = b"\x04"
            else:
                self._close_stdin()
                return
        try:
            await _write(self._stdin, data)
        except OSError:
            self._close_stdin()

    def _control(self, running: Running, message: dict[str, Any]) -> None:
        with contextlib.suppress(ValueError, TypeError, OSError):
            if "signal" in message:
                running.signal(signal.Signals(int(message["signal"])))
            if "clock" in message and self._drive is not None:
                (self._drive.start if message["clock"] else self._drive.stop)()
            if "resize" in message and self._terminal:
                rows, columns = message["resize"]
                set_window(self._outputs[0][0], int(rows), int(columns))

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


async def _read(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            pass
        except OSError:  # a terminal whose last process has gone
            return b""
        ready = asyncio.Event()
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)


async def _write(descriptor: int, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    while data:
        try:
            data = data[os.write(descriptor, data) :]
            continue
        except BlockingIOError:
            pass
        ready = asyncio.Event()
        loop.add_writer(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(descriptor)
