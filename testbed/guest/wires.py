"""Wires from a guest to interfaces of the host.

A guest's network device is a tap. In a network namespace of the relay's own,
so that nothing is left of it however the relay ends, the kernel passes every
frame between that tap and a macvlan in passthru mode on the host's interface.
A tap of the host's that nobody else has open is taken as it is, which its
owner can do without being root.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.kernel import host_interfaces, namespace
from testbed.kernel import messages as m
from testbed.kernel.netlink import (
    Message,
    NetlinkSocket,
    text,
    u32,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.kernel.host_interfaces import Found

TUN = "/dev/net/tun"
OWN_TAP = "ip tuntap add NAME mode tap user USER"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_UP, IFF_PROMISC = 0x2, 0x1000, 0x1, 0x100
CLONE_NEWNET = 0x40000000
_TAP = struct.Struct("16sH22x")  # struct ifreq


@dataclass(frozen=True, slots=True)
class Wire:
    """A host interface and the open tap that leads to it; `mac` names the guest's device."""

    interface: str
    tap: int
    mac: str
    mtu: int


def connect(names: Sequence[str]) -> list[Wire]:
    """Open a wire to each of the host's interfaces; HostError when one cannot be had.

    The calling process is in an empty network namespace afterwards, unless
    all of them are taps that can be taken as they are.
    """
    found = host_interfaces.look() if names else {}
    wires, rest = [], []
    for name in names:
        if (reason := host_interfaces.problem(name, found, taken=names)) is not None:
            raise HostError(f"host interface {name} {reason}", hint="see `ip link`")
        tap = _own_tap(name) if found[name].kind == "tun" else None
        if tap is None:
            rest.append(found[name])
        else:
            wires.append(Wire(name, tap, address(name), found[name].mtu))
    return wires + _passthru(rest)


def address(name: str) -> str:
    """The address of the guest's device for a host interface: found by it, never seen outside."""
    return "02:74:62:" + ":".join(
        f"{byte:02x}" for byte in zlib.crc32(name.encode()).to_bytes(4, "big")[1:]
    )


def problems() -> list[str]:
    """List what keeps guests from being attached to host interfaces."""
    if os.geteuid():
        return [f"not root: only a tap of your own can be ({OWN_TAP})"]
    if not os.access(TUN, os.R_OK | os.W_OK):
        return [f"{TUN} cannot be opened (CONFIG_TUN, module tun)"]
    return []


def _own_tap(name: str) -> int | None:
    """The tap `name` of the host's, opened; None when another process has it."""
    try:
        return _open_tap(name)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return None
        hint = f"make it yours: ip tuntap add {name} mode tap user USER"
        raise HostError(f"the tap {name} cannot be opened: {error.strerror}", hint=hint) from error


def _open_tap(name: str) -> int:
    """Open the tap of this name in this namespace, made if it is not there.

    Without a header before each frame: the kernel then finishes checksums and
    cuts up what is too long for a frame, so that the guest sees what a wire
    would carry.
    """
    tap = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(tap, TUNSETIFF, _TAP.pack(name.encode(), IFF_TAP | IFF_NO_PI))
    except OSError:
        os.close(tap)
        raise
    return tap


def _passthru(links: Sequence[Found]) -> list[Wire]:
    if not links:
        return []
    if reasons := problems():
        raise HostError(f"host interfaces cannot be attached: {reasons[0]}", hint="testbed doctor")
    with NetlinkSocket() as host:
        for link in links:
            host_interfaces.set_up(host, link)
        _leave()
        here = namespace.current()
        try:
            with NetlinkSocket() as inside:
                return [_wire(host, inside, here, link, n) for n, link in enumerate(links)]
        except OSError as error:
            hint = "CONFIG_TUN, CONFIG_MACVLAN, CONFIG_NET_ACT_MIRRED, CONFIG_NET_CLS_U32"
            text_ = f"host interfaces cannot be attached: {error.strerror or error}"
            raise HostError(text_, hint=f"the kernel needs {hint}") from error
        finally:
            os.close(here)


def _leave() -> None:
    """Move into an empty network namespace, which dies with this process and its children."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        hint = f"other users can attach only their own taps: {OWN_TAP}"
        raise HostError("only root can attach host interfaces", hint=hint)
    for which in ("all", "default"):
        with contextlib.suppress(OSError):  # no IPv6
            Path("/proc/sys/net/ipv6/conf", which, "disable_ipv6").write_text("1")


def _wire(host: NetlinkSocket, inside: NetlinkSocket, here: int, link: Found, number: int) -> Wire:
    tap = _open_tap(f"tap{number}")
    tap_index = socket.if_nametoindex(f"tap{number}")
    index = (1 << 16) + number
    body = m.ifinfo(index) + text(m.IFLA_IFNAME, f"wire{number}")
    host_interfaces.make_passthru(host, body, link.index, here, link.name)
    flags = IFF_UP | IFF_PROMISC  # without the latter it would take no group's frames
    for each in (tap_index, index):
        inside.request(m.set_link(each, u32(m.IFLA_MTU, link.mtu)))
        inside.request(Message(m.NEWLINK, 0, m.ifinfo(each, flags, flags)))
    host_interfaces.join(inside, tap_index, index)
    return Wire(link.name, tap, address(link.name), link.mtu)
