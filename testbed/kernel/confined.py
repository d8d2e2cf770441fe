"""Work on what a user has written, in a child process that cannot harm this one.

It sees nothing of the file system but what names numbers of protocols, gets
limited memory and processor time, and is killed when it takes too long.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLACE = "/run"
DEADLINE_S = 10.0
PROCESSOR_S = 10
MEMORY = 512 << 20  # bytes more than this process has
NAMES = ("protocols", "services", "nsswitch.conf", "iproute2")  # of /etc, for nft's words
CHUNK = 65536
NO_FILES: Mapping[str, str] = MappingProxyType({})


class ExceededError(Exception):
    """It took too long or too much; the text says what, as a clause."""


def confined(work: Callable[[], bytes], files: Mapping[str, str] = NO_FILES) -> bytes:
    """What `work` returns, called in a child in this thread's namespaces; ExceededError.

    It finds `files` in its root.
    """
    root = Path(tempfile.mkdtemp(prefix=".confined-", dir=PLACE))
    try:
        _furnish(root)
        for name, text in files.items():
            (root / name).write_text(text)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _in_child(work, writer, root)
        os.close(writer)
        try:
            said = _read(reader)
        finally:
            os.close(reader)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if said is None:
        raise ExceededError(f"does not finish within {DEADLINE_S:g} s")
    if said[:1] != b"+":
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
        limit = f"{PROCESSOR_S} s of processor time" if killed else f"{MEMORY >> 20} MB of memory"
        raise ExceededError(f"takes more than {limit}")
    return said[1:]


def _furnish(root: Path) -> None:
    (root / "etc").mkdir()
    for name in NAMES:
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(source, root / "etc" / name)
        elif source.is_file():
            shutil.copyfile(source, root / "etc" / name)


def _in_child(work: Callable[[], bytes], writer: int, root: Path) -> None:
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        os.chroot(root)
        os.chdir("/")
        for kind, limit in (
            (resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY),
            (resource.RLIMIT_CPU, PROCESSOR_S),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(kind, (limit, limit + (kind == resource.RLIMIT_CPU)))
        said = b"+" + work()
        while said:
            said = said[os.write(writer, said) :]
    finally:  # a traceback is nobody's business: what is not said has not come about
        os._exit(0)


def _read(reader: int) -> bytes | None:
    """All that the child says; None when it is not done in time."""
    deadline = time.monotonic() + DEADLINE_S
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    said = b""
    while left := max(0.0, deadline - time.monotonic()):
        if poll.poll(left * 1000):
            data = os.read(reader, CHUNK)
            if not data:
                return said
            said += data
    return None
