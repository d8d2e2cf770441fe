"""A command in a node on this process's own standard streams and terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import sys
import termios
import tty as terminal_modes
from typing import IO, TYPE_CHECKING, Any

from testbed.control.client import Client, RemoteProcess, ended
from testbed.control.frames import LOOK_S
from testbed.control.protocol import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHUNK = 65536
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
BROKEN_PIPE = 128 + signal.SIGPIPE


def descriptor_of(stream: Any) -> int | None:
    """The stream's open descriptor; None when it is closed or has none."""
    try:
        descriptor: int = stream.fileno()
        os.fstat(descriptor)
    except (AttributeError, OSError, ValueError):
        return None
    return descriptor


def is_terminal() -> bool:
    """Whether both standard input and output are terminals."""
    descriptors = (descriptor_of(sys.stdin), descriptor_of(sys.stdout))
    return all(entry is not None and os.isatty(entry) for entry in descriptors)


def window_size() -> tuple[int, int]:
    """Rows and columns of the terminal."""
    try:
        answer = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
    except (AttributeError, OSError, ValueError):  # no terminal, or no standard output at all
        return 24, 80
    rows, columns, _, _ = struct.unpack("HHHH", answer)
    return rows or 24, columns or 80


def run_interactive(
    client: Client,
    node: str,
    argv: Sequence[str],
    *,
    tty: bool,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a command in a node, its streams being ours; its exit status as a shell gives it.

    With `tty` it gets a terminal of its own that ours leads to. Signals are
    forwarded. When nobody reads our output any more the command is hung up
    on, and the status is that of SIGPIPE.
    """
    with contextlib.ExitStack() as stack:
        wakeup = stack.enter_context(_signals(tty=tty))
        process = stack.enter_context(
            client.popen(node, argv, env=env, tty=tty, size=window_size(), clock=True)
        )
        if tty:
            stack.enter_context(_raw(sys.stdin.fileno()))
        try:
            return _Pump(process, wakeup).run()
        except BrokenPipeError:
            return BROKEN_PIPE


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    """Put our terminal into raw mode: every key goes to the command's."""
    before = termios.tcgetattr(descriptor)
    try:
        terminal_modes.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _signals(*, tty: bool) -> Iterator[int]:
    """Turn signals into bytes, each the signal's number, on the descriptor that is yielded."""
    wanted = (*FORWARDED, signal.SIGWINCH) if tty else FORWARDED
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in wanted}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


class _Pump:
    """Moves bytes between our streams and the command's until it ends."""

    def __init__(self, process: RemoteProcess, wakeup: int) -> None:
        self._process = process
        self._connection = process.connection
        self._wakeup = wakeup
        self._stdin = descriptor_of(sys.stdin)

    def run(self) -> int:
        if self._stdin is None:
            self._send_rest()
        while self._process.returncode is None:
            for descriptor, _ in self._wait():
                if descriptor == self._wakeup:
                    self._forward_signals()
                elif descriptor == self._stdin:
                    self._read_stdin()
                elif not self._exchange():
                    raise ended(self._process.testbed)
        return self._process.returncode

    def _wait(self) -> list[tuple[int, int]]:
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        poller.register(self._connection, self._connection.events)
        # Read no faster than the command does.
        if self._stdin is not None and not self._connection.pending:
            poller.register(self._stdin, select.POLLIN)
        ready = poller.poll(LOOK_S * 1000)
        if not ready:
            self._connection.look()
        return ready

    def _send_rest(self) -> None:
        """A standard input that is no file, such as a test's: send it whole."""
        stream = getattr(sys.stdin, "buffer", None)
        data = b""
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                data = stream.read()
        for start in range(0, len(data), CHUNK):
            self._connection.queue(Frame.STDIN, data[start : start + CHUNK])
        self._connection.queue(Frame.STDIN, b"")

    def _read_stdin(self) -> None:
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # closed, or a terminal that belongs to another job
            data = b""
        self._connection.queue(Frame.STDIN, data)
        if not data:
            self._stdin = None

    def _forward_signals(self) -> None:
        for number in os.read(self._wakeup, CHUNK):
            if number == signal.SIGWINCH:
                self._connection.queue_message({"resize": list(window_size())})
            elif number in FORWARDED:
                self._connection.queue_message({"signal": number})

    def _exchange(self) -> bool:
        """Send and receive what is ready; False once the connection has ended."""
        self._connection.write_some()
        alive = self._connection.read_some()
        for kind, payload in self._connection.arrived():
            if kind is Frame.STDERR:
                write(sys.stderr, payload)
            elif data := self._process.take(kind, payload):
                write(sys.stdout, data)
        return alive or self._process.returncode is not None


def write(stream: Any, data: bytes) -> None:
    """Write bytes to a text stream at once; nowhere when it is closed."""
    if stream is not None:
        write_all(stream.buffer, data)


def write_all(stream: IO[bytes], data: bytes) -> None:
    """Write all of `data` at once: an unbuffered stream takes a part where a signal comes."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) or 0 :]
    stream.flush()
