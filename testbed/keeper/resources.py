"""What the keeper itself holds, so that what grows without end is found (`testbed chaos`).

The resident memory tells that badly: Python and the C library keep what is
free for later, and a busy hour leaves 5 MiB of it between what is in use.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache
from pathlib import Path
from typing import Any

from testbed.errors import HostError

BLOCKS_PER_EVENT = 2  # a tuple and its time; its texts are interned


class _Mallinfo2(ctypes.Structure):
    """What mallinfo2(3) tells, in bytes."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@cache
def _mallinfo2() -> Any:
    """The C library's function, which glibc has from 2.33 on; HostError without it."""
    try:
        function = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        hint = "glibc has it from 2.33 on"
        raise HostError("the C library does not tell what memory is in use", hint=hint) from None
    function.restype = _Mallinfo2
    return function


def held(events: int) -> dict[str, int]:
    """Counts and KiB (docs/protocol.md), not counting as many kept `events`: they have an end."""
    gc.collect()
    info = _mallinfo2()()
    return {
        "processes": sum(map(_is_program, Path("/proc").glob("[0-9]*/cmdline"))),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "objects": sys.getallocatedblocks() - BLOCKS_PER_EVENT * events,
        "malloc_kib": (info.uordblks + info.hblkhd) // 1024,
        "rss_kib": _resident_kib(),
    }


def _is_program(cmdline: Path) -> bool:
    """Whether it is none of the kernel's own threads, nor about to end."""
    try:
        return bool(cmdline.read_bytes())
    except OSError:
        return False


def _resident_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
