"""What a user-mode guest with virtual time is started with.

Its command line has to be the same each time: it is part of what the kernel's
random numbers begin with. Therefore the descriptors that it names have fixed
numbers, and its parameters, the testbed's name among them, are in its inbox.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.guest.base import VirtualTime
from testbed.guest.gate import INBOX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOCKET = "clock.sock"
PARAMETERS = "0"
FIRST_DESCRIPTOR = 200
START_NS = 1_767_225_600 * 10**9
"""Where virtual time begins: 2026-01-01 00:00 UTC."""
INBOX_IN_GUEST = f"/proc/self/fd/{FIRST_DESCRIPTOR}/{INBOX}"
"""As process 1 finds it before it has mounted anything."""

SYS_GETRANDOM = 318  # x86-64
ENOSYS = 38
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
FILTER = b"".join(  # struct sock_filter: code, jump if true, jump if false, operand
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x20, 0, 0, 0),  # load the system call's number
        (0x15, 0, 1, SYS_GETRANDOM),
        (0x06, 0, 0, 0x0005_0000 | ENOSYS),  # SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7FFF_0000),  # SECCOMP_RET_ALLOW
    )
)


class Setup:
    """The descriptors of one start, and the words of its command line."""

    def __init__(self, directory: Path, control: socket.socket, console: socket.socket) -> None:
        self._directory = directory
        self._copies: list[int] = []
        doorbell, far = socket.socketpair()
        listener = socket.socket(socket.AF_UNIX)
        self.host = VirtualTime(listener, directory / INBOX, doorbell)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            (directory / SOCKET).unlink(missing_ok=True)
            listener.bind(f"/proc/self/fd/{handle}/{SOCKET}")
            listener.listen(1)
            for descriptor in (handle, handle, far.fileno(), control.fileno(), console.fileno()):
                self._copies.append(
                    fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
                )
        except OSError as error:
            self.close()
            self.host.close()
            raise HostError(f"cannot prepare virtual time in {directory}: {error}") from error
        finally:
            os.close(handle)
            far.close()

    @property
    def descriptors(self) -> list[int]:
        """What the guest inherits."""
        return self._copies

    def words(self) -> list[str]:
        """Return what its command line has for it, ports and directories included."""
        host, own, doorbell, control, console = self._copies
        return [
            f"time-travel=ext:/proc/self/fd/{host}/{SOCKET}",
            f"time-travel-start={START_NS}",
            *("con=null", f"con0=null,fd:{console}"),
            *("ssl=null", f"ssl0=fd:{doorbell},fd:{control}"),
            f"uml_dir=/proc/self/fd/{own}/",
        ]

    def prepare(self, before: Callable[[], None], parameters: str) -> Callable[[], None]:
        """Return what the new process does, after `before`, before it becomes the kernel."""
        own = self._copies[1]

        def prepare() -> None:
            before()
            inbox = self._directory / INBOX
            inbox.mkdir(mode=0o700, exist_ok=True)
            (inbox / PARAMETERS).write_text(parameters)
            # Its directory as it sees it: mounts of its own may cover the host's.
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            os.dup2(descriptor, own)
            os.close(descriptor)
            refuse_random()

        return prepare

    def close(self) -> None:
        """Close what only the guest needs."""
        for descriptor in self._copies:
            os.close(descriptor)
        self._copies = []


def refuse_random() -> None:
    """Make getrandom(2) fail for this process, and what it starts, from now on.

    A user-mode kernel without it has nothing random from its host.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(FILTER)
    program = struct.pack("HxxxxxxQ", len(FILTER) // 8, ctypes.addressof(code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0
    ):
        raise OSError(ctypes.get_errno(), "cannot set a seccomp filter")
