"""What a testbed's micro VM said on its console, and how it ended, kept on the host.

The relay writes both into the testbed's directory. When the guest dies, they
stay there for `testbed logs --guest` until the testbed's next `up` or `down`;
when it ends as it should, they go with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.control.protocol import testbed_directory
from testbed.errors import HostError

CONSOLE = "console.log"
END = "ended.json"
LIMIT = 1024 * 1024  # bytes of a console; of a longer one the last half is kept


@dataclass(frozen=True, slots=True)
class Ended:
    """How a guest died: a clause that says why, seconds since 1970, its console's last lines."""

    reason: str
    at: float
    tail: str


class ConsoleLog:
    """A console's file."""

    def __init__(self, name: str) -> None:
        self._path = console(name)
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._path.with_name(END).unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Add what the guest has said. A full disk does not matter to it."""
        with contextlib.suppress(OSError), self._path.open("ab") as file:
            if file.tell() + len(data) > LIMIT:
                kept = self._path.read_bytes()[-LIMIT // 2 :]
                file.truncate(0)
                file.write(kept)
            file.write(data.replace(b"\r", b""))


def console(name: str) -> Path:
    """Where the console of testbed `name` is kept."""
    return testbed_directory(name) / CONSOLE


class Reader:
    """Reads a console as it grows."""

    def __init__(self, name: str) -> None:
        self._path = console(name)
        self._position = 0

    def read(self) -> bytes:
        """What has been added since the last time; all that is kept where the rest is gone."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._position:  # it was shortened
                    self._position = 0
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return b""
        self._position += len(data)
        return data


def record(name: str, reason: str, tail: str) -> None:
    """Keep how the guest of testbed `name` died."""
    path = testbed_directory(name) / END
    new = path.with_suffix(".new")
    with contextlib.suppress(OSError):
        new.write_text(json.dumps(asdict(Ended(reason, time.time(), tail))))
        new.replace(path)


def ended(name: str) -> Ended | None:
    """How the guest of testbed `name` died; None where none did since its last `up` or `down`."""
    try:
        return Ended(**json.loads((testbed_directory(name) / END).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def forget(name: str) -> None:
    """Remove what is kept of the guest of testbed `name`."""
    for kept in (CONSOLE, END):
        with contextlib.suppress(OSError):
            (testbed_directory(name) / kept).unlink()


def clear(name: str) -> None:
    """Remove everything of a testbed that has ended but what is kept of its guest."""
    import shutil  # noqa: PLC0415  slow to import, and rarely needed

    directory = testbed_directory(name)
    if ended(name) is None:
        shutil.rmtree(directory, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            if entry.name in {CONSOLE, END}:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)


def error(name: str, how: Ended) -> HostError:
    """The error of a command whose testbed's guest has died."""
    message = f"the micro VM of testbed {name} has died: {how.reason}"
    if how.tail:
        message += f"; its console's last lines:\n{how.tail}"
    hint = f"testbed logs --guest -n {name} shows its whole console; testbed up restarts it"
    return HostError(message, hint=hint)
