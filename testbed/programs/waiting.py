"""Waiting in a program that may be one of several in a process: it ends when it is told to.

A program of a process of its own is killed. One that runs as a thread (`programs.host`) waits
with what is here, which raises SystemExit once the thread is to end.
"""

from __future__ import annotations

import selectors
import socket
import threading

_thread = threading.local()


def may_be_ended(descriptor: int) -> None:
    """Have this thread end when the descriptor can be read."""
    _thread.end = descriptor


class Selector(selectors.DefaultSelector):
    """A selector that wakes up, too, when its thread is to end.

    It then closes the sockets that are registered: whoever comes after may need their ports at
    once, and nothing else in the process would close them for certain.
    """

    def __init__(self) -> None:
        super().__init__()
        self._end: int | None = getattr(_thread, "end", None)
        if self._end is not None:
            self.register(self._end, selectors.EVENT_READ)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events; raises SystemExit when the thread is to end."""
        found = super().select(timeout)
        if self._end is not None and any(key.fd == self._end for key, _ in found):
            self._close_sockets()
            raise SystemExit
        return found

    def _close_sockets(self) -> None:
        for key in list(self.get_map().values()):
            self.unregister(key.fileobj)
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()


def sleep(seconds: float) -> None:
    """Wait, but not longer than until the thread is to end."""
    with Selector() as selector:
        selector.select(max(0.0, seconds))
