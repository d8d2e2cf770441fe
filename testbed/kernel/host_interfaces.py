"""Interfaces of the host that a plan attaches: looking at them, and putting a node on one.

A node gets a macvlan in passthru mode on the host's interface: every frame
that arrives there is the node's, whatever its address or VLAN tag, LACP's
included, and what the node sends leaves there as it is. The interface itself
stays where it is, so that nothing has to be put back, and no end of a
testbed, however sudden, can lose it. In a micro VM, testbed/guest/wires.py
does the same for a device of the VM, and the node gets a cable to that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.kernel import messages as m
from testbed.kernel import namespace
from testbed.kernel.netlink import (
    F_CREATE,
    F_DUMP,
    F_EXCL,
    Message,
    NetlinkSocket,
    attribute,
    attributes,
    nested,
    text,
    to_text,
    to_u32,
    u32,
)
from testbed.plan.model import HostInterface, Interface, Loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from testbed.plan.model import Plan

_MODE, _PASSTHRU = 1, 8
_FAR = 1 << 24  # added to an interface's number: that of its other end
_IFF_UP, _IFF_LOOPBACK, _IFF_PROMISC = 0x1, 0x8, 0x100
_SCOPE_LINK = 253
_MAIN = 254
# How long a namespace that died may take to let go of an interface.
RELEASE_S = 5.0
# How long a micro VM may take to load the driver of its devices.
DRIVER_S = 10.0
_POLL_S = 0.05

_NEWTFILTER = 44
_TCMSG = struct.Struct("=BxxxiIII")
_INGRESS_HANDLE, _INGRESS = 0xFFFF0000, 0xFFFFFFF1
_FIRST, _ALL_PROTOCOLS = 1 << 16, 0x0300  # the filter's priority; ETH_P_ALL in network order
# struct tc_u32_sel with one key that matches everything; struct tc_mirred: redirect to egress.
_MATCH_ALL = struct.pack("=BBBBHHhhI", 1, 0, 1, 0, 0, 0, 0, 0, 0) + bytes(16)
_MIRRED = struct.Struct("=IIiiiiI")
_STOLEN, _REDIRECT = 4, 1


@dataclass(frozen=True, slots=True)
class Found:
    """An interface of the thread's namespace. `uses` says what it is in use for there.

    `kind` is the kernel's ("veth", "tun", …), empty for hardware.
    """

    name: str
    index: int
    up: bool
    mtu: int
    mac: str
    kind: str
    loopback: bool
    master: str | None
    uses: tuple[str, ...]


def of(plan: Plan) -> dict[str, str]:
    """The host interfaces of a plan, each with the node's interface that gets it."""
    return {
        interface.device.interface: f"{node.name} {interface.name}"
        for node in plan.nodes
        for interface in node.interfaces
        if isinstance(interface.device, HostInterface)
    }


def look() -> dict[str, Found]:
    """The interfaces of the thread's namespace, by name."""
    with NetlinkSocket() as netlink:
        links = [_link(body) for body in _dump(netlink, m.GETLINK, m.ifinfo(0))]
        uses: dict[int, list[str]] = {}
        for body in _dump(netlink, m.GETADDR, struct.pack("=BBBBi", 0, 0, 0, 0, 0)):
            family, length, _, scope, index = struct.unpack_from("=BBBBi", body)
            packed = attributes(body, 8).get(2) or attributes(body, 8).get(1)
            if packed and not (family == socket.AF_INET6 and scope == _SCOPE_LINK):
                address = f"{socket.inet_ntop(family, packed)}/{length}"
                uses.setdefault(index, []).append(f"has the address {address}")
        for family in (socket.AF_INET, socket.AF_INET6):
            for index in _default_routes(netlink, family):
                uses.setdefault(index, []).insert(0, "has the host's default route")
    names = {link.index: link.name for link, _ in links}
    return {
        link.name: Found(
            link.name,
            link.index,
            link.up,
            link.mtu,
            link.mac,
            link.kind,
            link.loopback,
            names.get(master, f"interface {master}") if master else None,
            tuple(dict.fromkeys(uses.get(link.index, ()))),
        )
        for link, master in links
    }


def _dump(netlink: NetlinkSocket, kind: int, body: bytes) -> list[bytes]:
    return [answer for _, answer in netlink.request(Message(kind, F_DUMP, body))]


def _link(body: bytes) -> tuple[Found, int]:
    _, index, flags = struct.unpack_from("=HxxiI", body)
    values = attributes(body, 16)
    name, mtu = to_text(values[m.IFLA_IFNAME]), to_u32(values[m.IFLA_MTU])
    up, loopback = bool(flags & _IFF_UP), bool(flags & _IFF_LOOPBACK)
    master = to_u32(values[m.IFLA_MASTER]) if m.IFLA_MASTER in values else 0
    mac = values.get(m.IFLA_ADDRESS, b"").hex(":")
    info = attributes(values.get(m.IFLA_LINKINFO, b""))
    kind = to_text(info.get(m.INFO_KIND, b""))
    return Found(name, index, up, mtu, mac, kind, loopback, None, ()), master


def _default_routes(netlink: NetlinkSocket, family: int) -> Iterator[int]:
    """The interfaces that the default routes of the main table use."""
    header = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
    for body in _dump(netlink, m.GETROUTE, header):
        values = attributes(body, 12)
        table = to_u32(values[15]) if 15 in values else body[4]
        if body[1] or table != _MAIN or body[7] != 1:  # prefix length, type: unicast
            continue
        if 4 in values:
            yield to_u32(values[4])
        hops = values.get(9, b"")
        while len(hops) >= 8:
            size, index = struct.unpack_from("=HxxI", hops)
            yield index
            hops = hops[max(size, 8) :]


def problem(name: str, found: Mapping[str, Found], taken: Collection[str] = ()) -> str | None:
    """Why an interface cannot be attached; one of `taken` may be one that the host uses."""
    link = found.get(name)
    if link is None:
        return "does not exist"
    if link.loopback:
        return "is the loopback interface"
    if link.master is not None:
        return f"belongs to {link.master}"
    if link.uses and name not in taken:
        return f"is used by the host: it {link.uses[0]}"
    return None


def require(plan: Plan, taken: Collection[str] = ()) -> None:
    """Raise HostError unless every host interface of the plan can be attached.

    Those that the host itself uses, by an address or a default route, can
    not, unless they are in `taken`.
    """
    wanted = of(plan)
    if not wanted:
        return
    found = look()
    for name, end in wanted.items():
        if (reason := problem(name, found, taken)) is None:
            continue
        hint = None
        if name not in found:
            others = ", ".join(sorted(other for other in found if not found[other].loopback))
            hint = f"the host's interfaces are: {others}" if others else "the host has none"
        elif found[name].uses and found[name].master is None:
            hint = (
                f"remove its addresses and routes first, or use --take {name} if the host"
                " can do without it"
            )
        raise HostError(f"{end}: host interface {name} {reason}", hint=hint)


class Outside:
    """The namespace that holds the host's interfaces, seen from the testbed.

    In a micro VM, the VM's devices stand for them: `addresses` has the MAC
    address of the one that leads to an interface.
    """

    def __init__(self, fd: int, addresses: Mapping[str, str] | None = None) -> None:
        self._fd = fd
        self._addresses = addresses

    def attach(self, name: str, interface: Interface, index: int, target: int) -> None:
        """Make `interface`, number `index`, in the namespace `target` on the host's `name`.

        Raises HostError.
        """
        try:
            self._attach(name, interface, index, target)
        except OSError as error:
            hint = None
            if error.errno == errno.EPERM:
                hint = "run as root; or in a micro VM (--vm uml), with a tap of your own"
            text_ = f"host interface {name} cannot be attached: {os.strerror(error.errno or 0)}"
            raise HostError(text_, hint=hint) from error

    def _attach(self, name: str, interface: Interface, index: int, target: int) -> None:
        with namespace.inside(self._fd), NetlinkSocket() as netlink:
            lower = self._lower(name)
            set_up(netlink, lower)
            if self._addresses is None:
                body = m.ifinfo(index) + m.identity(interface)
                make_passthru(netlink, body, lower.index, target, name)
            else:
                self._lead(netlink, lower, interface, index, target)

    def _lower(self, name: str) -> Found:
        if self._addresses is None:
            found = look().get(name)
            if found is None:
                raise HostError(f"host interface {name} does not exist", hint="see `ip link`")
            return found
        if name not in self._addresses:
            raise HostError(
                f"host interface {name} is not attached to the micro VM",
                hint="a micro VM gets its host interfaces when it starts: testbed down, then up",
            )
        deadline = time.monotonic() + DRIVER_S
        while time.monotonic() < deadline:
            for link in look().values():
                if link.mac == self._addresses[name]:
                    return link
            time.sleep(_POLL_S)
        raise HostError(f"the micro VM has no device for host interface {name}")

    def _lead(
        self, netlink: NetlinkSocket, lower: Found, interface: Interface, index: int, target: int
    ) -> None:
        """Make the interface a cable whose far end goes on as the VM's device.

        A macvlan would not do: such a device has no speed, which LACP wants
        to know, and a user-mode kernel's takes no other address while it is up.
        """
        far = _FAR + index
        end = Interface(f"far{index}", Loopback(), mtu=lower.mtu)
        with namespace.inside(target), NetlinkSocket() as inside:
            inside.request(m.create_veth(interface, index, end, far, self._fd, up=False))
        _silence(end.name)
        # Promiscuous, or an emulated one would drop what is not to its own address or VLANs.
        for each, flags in ((far, _IFF_UP), (lower.index, _IFF_PROMISC)):
            netlink.request(Message(m.NEWLINK, 0, m.ifinfo(each, flags, flags)))
        with contextlib.suppress(OSError):  # what an interface that has gone has left
            netlink.request(Message(m.DELQDISC, 0, _ingress(lower.index)))
        join(netlink, far, lower.index)


def set_up(netlink: NetlinkSocket, link: Found) -> None:
    """Bring up an interface of the thread's namespace that is down, without it speaking IPv6."""
    if not link.up:
        _silence(link.name)
        netlink.request(m.set_up(link.index, True))


def _silence(name: str) -> None:
    with contextlib.suppress(OSError):  # no IPv6
        Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6").write_text("1")


def make_passthru(netlink: NetlinkSocket, body: bytes, lower: int, target: int, name: str) -> None:
    """Make the macvlan that `body` begins, on number `lower`, in the namespace `target`.

    Waits for one of a testbed that has just ended to go. Raises HostError.
    """
    mode = nested(m.INFO_DATA, u32(_MODE, _PASSTHRU))
    body += nested(m.IFLA_LINKINFO, text(m.INFO_KIND, "macvlan"), mode)
    body += u32(m.IFLA_LINK, lower) + u32(m.IFLA_NET_NS_FD, target)
    deadline = time.monotonic() + RELEASE_S
    while True:
        try:
            netlink.request(Message(m.NEWLINK, F_CREATE | F_EXCL, body))
        except OSError as error:
            busy = error.errno in {errno.EBUSY, errno.EINVAL}
            if busy and time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            hint = "is it attached to another testbed, or in a bridge or bond?"
            if error.errno in {errno.EOPNOTSUPP, errno.EPROTONOSUPPORT}:
                hint = "the kernel has no macvlan (CONFIG_MACVLAN)"
            text_ = f"host interface {name} cannot be attached: {error.strerror}"
            raise HostError(text_, hint=hint) from error
        return


def join(netlink: NetlinkSocket, a: int, b: int) -> None:
    """Make every frame that arrives on one link leave by the other, both ways, as it is.

    A bridge would keep LACP's frames to itself.
    """
    for source, target in ((a, b), (b, a)):
        netlink.request(Message(m.NEWQDISC, F_CREATE | F_EXCL, _ingress(source)))
        parameters = attribute(2, _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, target))
        action = nested(1, text(1, "mirred"), nested(2, parameters))
        options = nested(2, attribute(5, _MATCH_ALL), nested(7, action))
        head = _TCMSG.pack(0, source, 0, _INGRESS_HANDLE, _FIRST | _ALL_PROTOCOLS)
        netlink.request(Message(_NEWTFILTER, F_CREATE | F_EXCL, head + text(1, "u32") + options))


def _ingress(index: int) -> bytes:
    return _TCMSG.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0) + text(1, "ingress")
