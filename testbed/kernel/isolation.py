"""Leaving the host's namespaces: what a testbed's first process does, as root or as any user."""

from __future__ import annotations

import ctypes
import os
import re
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
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
MOUNT_ATTR_RDONLY, AT_FDCWD = 1, -100
SYS_MOUNT_SETATTR = 442  # on every architecture (mount_setattr(2))
PR_CAPBSET_DROP = 24
UNNEEDED = {  # linux/capability.h
    "LINUX_IMMUTABLE": 9,
    "SYS_MODULE": 16,
    "SYS_RAWIO": 17,
    "SYS_PACCT": 20,
    "SYS_BOOT": 22,
    "SYS_TIME": 25,
    "MKNOD": 27,
    "AUDIT_CONTROL": 30,
    "MAC_OVERRIDE": 32,
    "MAC_ADMIN": 33,
    "SYSLOG": 34,
    "WAKE_ALARM": 35,
    "BLOCK_SUSPEND": 36,
    "AUDIT_READ": 37,
}
WRITABLE = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp")  # noqa: S108

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


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def protect() -> bool:
    """Let programs in nodes change none of this machine's files but those of WRITABLE.

    Root in a node still is root: it may make them writable again. What it may
    not do any more are the things that no network is made of (UNNEEDED). False
    where the kernel (before 5.12) or a container does not allow all of it.
    """
    for capability in UNNEEDED.values():
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    readonly = _MountAttributes(MOUNT_ATTR_RDONLY, 0, 0, 0)
    arguments = (ctypes.byref(readonly), ctypes.sizeof(readonly))
    complete = True
    for path in WRITABLE:
        if Path(path).is_dir() and not os.path.ismount(path):
            mount(path, path, None, MS_BIND | MS_REC)
    for path in _mounted():
        if not any(path == kept or path.startswith(f"{kept}/") for kept in WRITABLE):
            where = (AT_FDCWD, os.fsencode(path), 0)
            complete &= libc.syscall(SYS_MOUNT_SETATTR, *where, *arguments) == 0
    return complete


def _mounted() -> list[str]:
    """Where something is mounted."""
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    escaped = re.compile(r"\\([0-7]{3})")
    return [escaped.sub(lambda m: chr(int(m[1], 8)), line.split()[4]) for line in lines]


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
