"""Rendering of a template in a child process with limits of memory and processor time.

A template's loops, filters and formats can ask for any amount of both, and what
one expression does in C cannot be interrupted from within.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSOR_S = 5
MEMORY = 256 << 20  # bytes more than this process has
CHUNK = 1 << 20


class ExceededError(Exception):
    """It took too much; the text says of what."""


def limited(work: Callable[[], Any]) -> Any:
    """What `work` returns, which has a form in JSON, computed in a child; ExceededError."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():  # of threads: the child does nothing but compute
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _in_child(work, writer)
    os.close(writer)
    said = bytearray()
    try:
        while data := os.read(reader, CHUNK):
            said += data
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if said.endswith(b"\n"):
        return json.loads(said)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        raise ExceededError(f"{PROCESSOR_S} s of processor time")
    raise ExceededError(f"{MEMORY >> 20} MB of memory")


def _in_child(work: Callable[[], Any], writer: int) -> None:
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY)
        _limit(resource.RLIMIT_CPU, PROCESSOR_S)
        _limit(resource.RLIMIT_CORE, 0)
        said = json.dumps(work()).encode() + b"\n"
        while said:
            said = said[os.write(writer, said) :]
    finally:  # what is not said has not come about
        os._exit(0)


def _limit(kind: int, limit: int) -> None:
    """Lower a limit; at the hard one of processor time there would be no SIGXCPU."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(kind, (limit, hard))
