"""Finding the testbeds of this host.

A testbed is a directory under `protocol.runtime_directory()` whose
`control.sock` answers. A directory whose socket does not is what a killed
keeper left behind; `sweep` removes it, but for the console of a micro VM that
died (`testbed.control.console`), which goes with the testbed's next `up` or `down`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from testbed.control import console
from testbed.control.protocol import (
    NAME_PATTERN,
    NETNS_DIRECTORY,
    dial,
    peer,
    runtime_directory,
    testbed_directory,
)
from testbed.errors import HostError


def owner(name: str) -> int | None:
    """The process that holds the testbed: who listens on its control socket. None: nobody."""
    try:
        sock = dial(name)
    except OSError:
        return None
    with sock:
        return peer(sock)[0]


def alive(name: str) -> bool:
    """Whether the testbed's control socket answers."""
    return owner(name) is not None


def running() -> list[str]:
    """The names of the testbeds that run, after sweeping what dead ones left."""
    sweep()
    return [name for name in _registered() if alive(name)]


def dead() -> dict[str, console.Ended]:
    """How the micro VMs ended that died and have not been forgotten, by their testbeds' names."""
    found = ((name, console.ended(name)) for name in _registered() if not alive(name))
    return {name: how for name, how in found if how is not None}


def _registered() -> list[str]:
    """The names under which this user has directories, of testbeds that run or have died."""
    directory = runtime_directory()
    try:
        names = sorted(entry.name for entry in directory.iterdir() if _is_own(entry))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        hint = "each user has their own testbeds: does TESTBED_RUNTIME_DIR belong to another user?"
        raise HostError(f"cannot read {directory}", hint=hint) from error
    return [name for name in names if NAME_PATTERN.fullmatch(name)]


def _is_own(path: Path) -> bool:
    """Whether it is a directory of this user's."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def sweep() -> None:
    """Remove what testbeds that died have left, but the console of a micro VM."""
    for name in _registered():
        with locked(name, wait=False) as held:
            if held and not alive(name):
                console.clear(name)
                _sweep_links(name)


def _sweep_links(name: str) -> None:
    with contextlib.suppress(OSError):
        for link in NETNS_DIRECTORY.glob(f"{name}.*"):
            if link.is_symlink() and str(link.readlink()).startswith("/proc/"):
                link.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the testbed's directory, making it first when waiting. Yields whether it is held."""
    path = testbed_directory(name)
    while True:
        if wait:
            _make(path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if wait:
                continue
            yield False
            return
        except PermissionError:  # another user's
            if wait:
                raise
            yield False
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_same(descriptor, path):
                yield True
                return
        except BlockingIOError:
            yield False
            return
        finally:
            os.close(descriptor)


def _make(path: Path) -> None:
    try:
        # A user's own in /tmp is for nobody else; `parents` would make it for all to see.
        private = os.geteuid() != 0
        path.parent.mkdir(mode=0o700 if private else 0o755, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        hint = "use TESTBED_RUNTIME_DIR to name another directory"
        text = f"cannot register the testbed at {path}: {error.strerror}"
        raise HostError(text, hint=hint) from error
    if not _is_own(path):
        hint = "choose another name with -n, or another TESTBED_RUNTIME_DIR"
        raise HostError(f"{path} is another user's", hint=hint)


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether the open directory is still the one at `path`; `sweep` may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
