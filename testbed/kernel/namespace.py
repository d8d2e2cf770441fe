"""Network namespaces, made and entered by this thread."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

from testbed.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pyroute2 import IPRoute

_CLONE_NEWNET = 0x40000000
_CURRENT = "/proc/thread-self/ns/net"
_FILES = 1 << 20
_FIRST_HIGH = 1024  # FD_SETSIZE

_libc = ctypes.CDLL(None, use_errno=True)


def current() -> int:
    """A file descriptor of the namespace that the thread is in."""
    return os.open(_CURRENT, os.O_RDONLY | os.O_CLOEXEC)


def enter(fd: int, kind: int = _CLONE_NEWNET) -> None:
    """Move the thread into the namespace; `kind` 0: of whatever kind it is."""
    if _libc.setns(fd, kind) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def create() -> None:
    """Make a namespace and move the thread into it; HostError without the right to.

    It lives as long as something is in it or holds a descriptor of it.
    """
    if _libc.unshare(_CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise HostError(
            f"making a network namespace: {reason}",
            hint="`testbed doctor` says why; or run the testbed in a micro VM: --vm always",
        )


@contextmanager
def preserved() -> Iterator[None]:
    """Bring the thread back to the namespace it was in."""
    home = current()
    try:
        yield
    finally:
        enter(home)
        os.close(home)


@contextmanager
def inside(fd: int) -> Iterator[None]:
    """Be in the namespace for the length of a block."""
    with preserved():
        enter(fd)
        yield


def raise_file_limit() -> None:
    """Allow as many open files as the system does: a node takes two descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, _FILES), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        except (OSError, ValueError):
            continue
        return


def out_of_the_way(fd: int) -> int:
    """Move a descriptor that stays open to a number above those that select() can handle.

    libnftables uses it, and ends the process when its socket's number is too high.
    """
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_HIGH)
    except OSError:  # more than this process may open
        return fd
    os.close(fd)
    return high


_INTERFACES = "/proc/sys/net/ipv4/conf"
_NOT_MADE = {"all", "default", "lo"}  # by the plan; lo comes with the namespace, before its sysctls
_DEFAULT = re.compile(r"(net/ipv[46]/(?:conf|neigh))/default/(\w+)")


def write_sysctls(node: str, settings: Iterable[tuple[str, str]]) -> None:
    """Write files under /proc/sys of the thread's namespace.

    Raises HostError naming the setting.
    """
    for key, value in settings:
        if ".." in key or key.startswith("/"):
            raise HostError(f"{node}: sysctl {key!r}: not a name under /proc/sys")
        try:
            fd = os.open(f"/proc/sys/{key}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                _write_sysctl(fd, key, value)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno == errno.ENOENT and "/ipv6/" in key:
                continue  # the kernel has no IPv6: nothing to switch off
            raise HostError(
                f"{node}: sysctl {key} = {value}: {error.strerror}",
                hint="is /proc/sys writable here? In containers it is not: use --vm always",
            ) from error


def for_interfaces(settings: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what settings for new interfaces are for those that are there already.

    A ``default`` counts when an interface is made. IPv6 comes last: once it is on, an
    interface has made up its addresses.
    """
    names = [name for name in os.listdir(_INTERFACES) if name not in _NOT_MADE]  # noqa: PTH208
    found = [
        (f"{match[1]}/{name}/{match[2]}", value)
        for key, value in settings
        if (match := _DEFAULT.fullmatch(key))
        for name in names
    ]
    return sorted(found, key=lambda entry: entry[0].endswith("/disable_ipv6"))


def _write_sysctl(fd: int, key: str, value: str) -> None:
    try:
        os.write(fd, value.encode())
    except OSError as error:
        # A user namespace that was made without privilege has group 0, and no other.
        if error.errno != errno.EINVAL or key != "net/ipv4/ping_group_range":
            raise
        os.write(fd, b"0 0")


def iproute(link: Path) -> IPRoute:
    """The kernel tables of a published namespace, as pyroute2's `IPRoute`."""
    from pyroute2 import IPRoute  # noqa: PLC0415 - slow to import, and rarely needed

    return IPRoute(netns=str(link))
