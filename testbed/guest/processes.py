"""Starting processes that cannot outlive the one that started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import subprocess
from typing import TYPE_CHECKING

from testbed.kernel import rights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PR_SET_PDEATHSIG = 1
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x4000, 0x40000
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 0x1
SYS_MOUNT_SETATTR, SYS_SCHED_SETATTR = 442, 314
SLICE_NS = 100_000
FATE_WAIT_S = 0.5
FATES = {
    "SIGBUS": " (no memory is left on the host)",
    "SIGKILL": " (as the host does when its memory is used up)",
}

libc = ctypes.CDLL(None, use_errno=True)


def start(
    argv: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    output: int = subprocess.DEVNULL,
    prepare: Callable[[], None] | None = None,
    environment: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that is killed when the calling thread's process ends, however it ends.

    `output` takes both of its outputs; `prepare` runs in the new process.
    """
    parent = os.getpid()

    def child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        have_short_slices()
        if prepare is not None:
            prepare()
            # Whoever changes rights on the way, as into a user namespace, may lose it.
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=pass_fds,
        env=environment,
        preexec_fn=child,  # noqa: PLW1509  the parent has no other thread
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


def fate(*processes: tuple[subprocess.Popen[bytes], str]) -> str:
    """Say, as a clause, which of these processes has ended, and how.

    They come with what to call them. One that has closed its connections may
    not be all gone yet, so the first is given a moment.
    """
    if all(process.poll() is None for process, _ in processes):
        with contextlib.suppress(subprocess.TimeoutExpired):
            processes[0][0].wait(FATE_WAIT_S)
    for process, name in processes:
        code = process.returncode
        if code is not None and code < 0:
            name_of_signal = signal.Signals(-code).name
            return f"{name} was killed by {name_of_signal}{FATES.get(name_of_signal, '')}"
        if code:
            return f"{name} ended with status {code}"
        if code == 0:
            return "it switched itself off"
    return "it lost its control port"


def have_short_slices() -> None:
    """Let the scheduler run this process soon when it wakes up, for a shorter time (6.12 on).

    Its share stays the same. Beside busy programs, a timer of a millisecond
    was late by 6 ms rather than 11 in one of a hundred cases.
    """
    size, policy, flags, nice, priority = 48, 0, 0, 0, 0
    attributes = struct.pack("=IIQiIQQQ", size, policy, flags, nice, priority, SLICE_NS, 0, 0)
    libc.syscall(ctypes.c_long(SYS_SCHED_SETATTR), ctypes.c_int(0), attributes, ctypes.c_uint(0))


def raise_file_limit() -> None:
    """Allow as many open files as this user may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(hard, 1024 * 1024), hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def see_everything_read_only(*, as_root: bool = False) -> bool:
    """Make every mount read-only for the calling process; whether it has the right to.

    An ordinary user's process has it in a user namespace of its own, in which
    it stays the same user, or becomes `as_root`. Without the right (a
    container) nothing changes, and what protects the host's files is that the
    guest mounts them read-only.
    """
    user, group = os.geteuid(), os.getegid()  # unknown once the namespace is there
    if user != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS):
            return False
        rights.map_user(user, group, as_root=as_root)
    elif libc.unshare(CLONE_NEWNS):
        return False
    if libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        return False
    attributes = _MountAttributes(set=MOUNT_ATTR_RDONLY)
    failed: int = libc.syscall(
        ctypes.c_long(SYS_MOUNT_SETATTR),
        ctypes.c_int(AT_FDCWD),
        b"/",
        ctypes.c_uint(AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    return not failed


def mount_private(directory: Path) -> bool:
    """Cover a directory with an empty one in memory, for a process with mounts of its own."""
    flags = MS_NOSUID | MS_NODEV
    target = os.fsencode(directory)
    return not libc.mount(b"guest", target, b"tmpfs", flags, b"mode=700,size=100%")
