"""A testbed that nobody can find any more ends: its socket is all that leads to it.

A user's runtime directory goes when they log out; what lived on would be seen
by no command, and the next `up` would start a second testbed of that name.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from testbed.control.protocol import CONTROL_SOCKET
from testbed.kernel.inotify import IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF, IN_MOVED_FROM, Inotify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Registration:
    """Watches the directory in which the control socket is; make it where paths are the host's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._inotify: Inotify | None = None
        with contextlib.suppress(OSError):  # no watch is left for this user
            self._inotify = Inotify()
            mask = IN_DELETE | IN_DELETE_SELF | IN_MOVED_FROM | IN_MOVE_SELF
            self._inotify.add(directory, mask)

    def watch(self, lost: Callable[[], None]) -> None:
        """Call `lost` when the socket or its directory has gone."""
        if (inotify := self._inotify) is None:
            return
        loop = asyncio.get_running_loop()

        def read() -> None:
            # "" is the directory itself, or the end of a file system that was taken away.
            if any({CONTROL_SOCKET, ""} & names for names in inotify.read().values()):
                loop.remove_reader(inotify)
                lost()

        loop.add_reader(inotify, read)
