"""What a relay has to do with the program that started it, and with those that look for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError, UsageError
from testbed.kernel.namespace import raise_file_limit

if TYPE_CHECKING:
    from collections.abc import Callable


LEAST_FILES = 1024  # each file that a program in the guest has open is one of its kernel's
OWN_MEMORY_MB = 512


def bind(path: Path) -> socket.socket:
    """Return a socket that listens at `path`, for its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    # Through the directory's descriptor: the path itself may be too long for an address.
    address = f"/proc/self/fd/{directory}"
    listener = socket.socket(socket.AF_UNIX)
    try:
        temporary = path.with_name(f".{path.name}")
        temporary.unlink(missing_ok=True)
        listener.bind(f"{address}/{temporary.name}")
        temporary.chmod(0o600)
        listener.listen(128)
        # Whoever sees the socket can connect to it.
        temporary.replace(path)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(directory)
    return listener


def withdraw(path: Path) -> None:
    """Remove the socket and, if nothing else is in it, its directory."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def require_unused(path: Path) -> None:
    """Raise UsageError when somebody listens at `path`."""
    if not path.exists():
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as probe:
        in_use = probe.connect_ex(f"/proc/self/fd/{directory}/{path.name}") == 0
    os.close(directory)
    if in_use:
        raise UsageError(f"{path} is in use", hint="testbed list")


def require_limits(memory_mb: int) -> None:
    """Raise this process's limit of open files; HostError where a guest has not what it needs."""
    raise_file_limit()
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < LEAST_FILES:
        text = f"this shell allows {files} open files, a micro VM needs {LEAST_FILES}"
        raise HostError(text, hint=f"ulimit -n {LEAST_FILES}, if that is allowed")
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = (memory_mb + OWN_MEMORY_MB) << 20
    if space != resource.RLIM_INFINITY and space < needed:
        text = f"this shell limits address space to {space >> 20} MB, a micro VM needs"
        hint = "ulimit -v unlimited; unused address space takes no memory"
        raise HostError(f"{text} {needed >> 20} MB", hint=hint)


def watch_leash(let_go: Callable[[], None]) -> None:
    """Call `let_go` when the launcher closes, or has closed, the pipe to standard input."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            let_go()

    with contextlib.suppress(OSError):  # not a pipe
        loop.add_reader(0, read)


class Report:
    """The messages to the program that started the relay."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def send(self, **message: Any) -> None:
        """Send one message; it does not matter if nobody listens any more."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, json.dumps(message).encode() + b"\n")

    def watch(self, closed: Callable[[], None]) -> None:
        """Call `closed` when the launcher lets go of its end of a standard stream."""
        for descriptor in (0, self._descriptor or 0):
            with contextlib.suppress(OSError):  # not a pipe
                asyncio.get_running_loop().add_reader(descriptor, closed)

    def close(self) -> None:
        """Say nothing more."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, self._descriptor)
            os.close(null)
            self._descriptor = None
