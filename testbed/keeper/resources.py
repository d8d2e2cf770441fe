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
    """The C library's function, or None: only glibc 2.33 and later have it."""
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is not None:
        function.restype = _Mallinfo2
    return function


def held(events: int) -> dict[str, int]:
    """Counts and KiB (docs/protocol.md), not counting as many kept `events`: they have an end."""
    gc.collect()
    mallinfo2 = _mallinfo2()
    used = 0
    if mallinfo2 is not None:
        info = mallinfo2()
        used = info.uordblks + info.hblkhd
    return {
        "processes": sum(map(_is_program, Path("/proc").glob("[0-9]*/cmdline"))),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "objects": sys.getallocatedblocks() - BLOCKS_PER_EVENT * events,
        "malloc_kib": used // 1024,
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
