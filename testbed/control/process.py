"""A command that runs in a node of a testbed, as its client sees it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.control import console
from testbed.control.frames import Connection, message_of
from testbed.control.protocol import Frame
from testbed.errors import HostError, error_from_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

ENDED = "the testbed ended before it answered"


def ended(name: str) -> HostError:
    """The error of a command whose testbed has ended: why, where its micro VM has died."""
    how = console.ended(name)
    return HostError(ENDED) if how is None else console.error(name, how)


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

    def __exit__(self, *_: object) -> None:
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
