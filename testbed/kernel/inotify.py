"""Changes of files and directories, told by the kernel (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

IN_MODIFY, IN_DELETE, IN_DELETE_SELF, IN_MOVED_FROM, IN_MOVE_SELF = 0x2, 0x200, 0x400, 0x40, 0x800
_CLOEXEC, _NONBLOCK = 0o2000000, 0o4000
_EVENT = struct.Struct("iIII")  # struct inotify_event: watch, mask, cookie, length of the name
_CHUNK = 65536


class Inotify:
    """A descriptor on which changes arrive."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.inotify_init1(_CLOEXEC | _NONBLOCK)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def fileno(self) -> int:
        """For poll(2) and event loops."""
        return self._descriptor

    def add(self, path: Path, mask: int) -> int | None:
        """Watch `path` for these changes; the watch's number, None where it cannot be watched."""
        watch: int = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), mask)
        return watch if watch >= 0 else None

    def read(self) -> dict[int, set[str]]:
        """The watches that have seen something, with the names in directories that it was about."""
        data = os.read(self._descriptor, _CHUNK)
        found: dict[int, set[str]] = {}
        offset = 0
        while offset < len(data):
            watch, _, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size
            name = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
            offset += length
            found.setdefault(watch, set()).add(name)
        return found
