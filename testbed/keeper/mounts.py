"""Mounting what a guest has of its own, before anything else runs in it."""

from __future__ import annotations

import errno
import os

# Options that the kernel takes as flags; all others go to the file system.
FLAGS = {"ro": 0x1, "rw": 0, "nosuid": 0x2, "remount": 0x20, "bind": 0x1000}


def mount_all(table: str) -> None:
    """Mount what an fstab(5) lists, top to bottom, making the directories it names.

    `lowerdir`, `upperdir` and `workdir` of an overlay are made, too, where missing.
    """
    import ctypes  # noqa: PLC0415  imports cost most in process 1's first milliseconds

    libc = ctypes.CDLL(None, use_errno=True)
    for line in table.splitlines():
        source, target, kind, options = line.split()[:4]
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
        for option in options.split(","):
            name, _, value = option.partition("=")
            if name in ("upperdir", "workdir"):
                os.makedirs(value, exist_ok=True)  # noqa: PTH103
        flags = sum(FLAGS.get(option, 0) for option in options.split(","))
        data = ",".join(option for option in options.split(",") if option not in FLAGS)
        if libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()):
            code = ctypes.get_errno()
            if code == errno.EBUSY:  # the kernel mounted it by itself
                continue
            raise OSError(code, f"mounting {kind}: {os.strerror(code)}", target)
