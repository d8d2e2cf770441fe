"""Mount namespaces of nodes: what a command in a node sees in /sys and /etc.

A node's programs share this machine's files. Two things would be wrong
there: /sys/class/net, which is of one network namespace, and /etc/resolv.conf
where the node has one of its own. A node's mount namespace is made when the
first command runs in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.kernel import namespace
from testbed.plan.model import NODE_DIRECTORY, RESOLV_CONF

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_CURRENT = "/proc/thread-self/ns/mnt"
RESOLV_CONF_TARGET = "/etc/resolv.conf"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), what)


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, b""), target)


class Views:
    """The mount namespaces of the nodes in which commands have run."""

    def __init__(self) -> None:
        self._descriptors: dict[str, tuple[int, int]] = {}  # network namespace, descriptor

    @contextlib.contextmanager
    def inside(self, node: str, network: int) -> Iterator[None]:
        """Be in the node's network and mount namespaces; the working directory becomes /."""
        home = os.open(_CURRENT, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with namespace.inside(network):
                try:
                    self._enter(node, os.fstat(network).st_ino)
                    yield
                finally:
                    _check(_libc.setns(home, _CLONE_NEWNS), "setns")
        finally:
            os.close(home)

    def descriptor(self, node: str, network: int) -> int:
        """Return a descriptor of the node's mount namespace."""
        known = self._descriptors.get(node)
        if known is None or known[0] != os.fstat(network).st_ino:
            with self.inside(node, network):
                pass
        return self._descriptors[node][1]

    def _enter(self, node: str, network: int) -> None:
        known = self._descriptors.get(node)
        if known is not None and known[0] == network:
            _check(_libc.setns(known[1], _CLONE_NEWNS), "setns")
            return
        self.forget([node])
        _check(_libc.unshare(_CLONE_NEWNS), "unshare")
        _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
        with contextlib.suppress(OSError):  # not every container allows it
            _mount("sysfs", "/sys", "sysfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        _use_resolv_conf(node)
        current = os.open(_CURRENT, os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors[node] = network, namespace.out_of_the_way(current)

    def keep(self, nodes: Iterable[str]) -> None:
        """Give up the mount namespaces of all other nodes."""
        self.forget(set(self._descriptors) - set(nodes))

    def forget(self, nodes: Iterable[str]) -> None:
        """Give up the mount namespaces of nodes that go, or whose files have changed."""
        for node in nodes:
            if (known := self._descriptors.pop(node, None)) is not None:
                os.close(known[1])


def _use_resolv_conf(node: str) -> None:
    own = Path(NODE_DIRECTORY, node, RESOLV_CONF)
    if not own.exists():
        return
    target = Path(RESOLV_CONF_TARGET).resolve()
    if target.is_relative_to("/run") and not target.exists():  # /run is the testbed's own
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    with contextlib.suppress(OSError):  # a machine without the file: nothing is asked there
        _mount(str(own), str(target), "", _MS_BIND)
