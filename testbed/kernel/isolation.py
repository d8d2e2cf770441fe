"""Leaving the host's namespaces: what a testbed's first process does, as root or as any user."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from testbed.kernel import pretence, rights

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_REC, MS_PRIVATE = 0x4000, 1 << 18

libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process to new namespaces; OSError when refused."""
    _check(libc.unshare(flags), "making namespaces")


def leave_host() -> None:
    """Move to new namespaces, the next child of this process being their first process.

    An ordinary user's process does so inside a user namespace, as whose root
    it has every right over what it makes, and none over anything else.
    """
    user, group = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    unshare(flags | (CLONE_NEWUSER if user else 0))
    if user:
        rights.map_user(user, group, as_root=True)


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount a file system; OSError when refused."""
    arguments = [item.encode() if item is not None else None for item in (source, target, kind)]
    _check(libc.mount(*arguments, flags, data.encode()), f"mounting {target}")


def settle() -> None:
    """As their first process, make the new namespaces fit to live in.

    They get a /proc of their own, and /run and /var/tmp are empty. Where there is but one
    user, programs that would become another one are told that they are.
    """
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    # FRR's daemons leave directories in it, for which different users' would compete.
    scratch = Path("/var/tmp")  # noqa: S108
    ours = (Path(__file__), Path(sys.prefix))
    if scratch.is_dir() and not any(path.is_relative_to(scratch) for path in ours):
        mount("tmpfs", str(scratch), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if not rights.maps_everybody():
        pretence.begin()


def try_to_settle() -> None:
    """Find out whether `settle` works, after `leave_host`, in a child; OSError when not."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            settle()
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, f"a /proc of its own: {os.strerror(abs(number))}")
