"""The rtnetlink requests that say what a bridge does at a port: its VLANs, its flooding.

The numbers are the kernel's (include/uapi/linux/{if_bridge,if_link,rtnetlink}.h).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from testbed.kernel.netlink import Message, attribute, nested, u8
from testbed.plan.model import BridgePort

if TYPE_CHECKING:
    from collections.abc import Iterator

DELLINK, SETLINK = 17, 19
AF_BRIDGE = 7
IFLA_PROTINFO, IFLA_AF_SPEC = 12 | 0x8000, 26  # the former only counts where it is marked nested
UNICAST_FLOOD = 9
VLAN_INFO = 2
PVID, UNTAGGED = 2, 4

_IFINFO = struct.Struct("=BxHiII")
_VLAN = struct.Struct("=HH")


def bridge_port(index: int, old: BridgePort | None, new: BridgePort | None) -> Iterator[Message]:
    """Yield what brings port number `index` from `old` to `new`; None: the bridge's default."""
    old, new = old or BridgePort(), new or BridgePort()
    had, wanted = dict(_vlans(old)), dict(_vlans(new))
    for vid in had:
        if vid not in wanted:
            yield _set_vlan(DELLINK, index, vid, 0)
    for vid, flags in wanted.items():
        if had.get(vid) != flags:
            yield _set_vlan(SETLINK, index, vid, flags)
    if old.flood != new.flood:
        body = _header(index) + nested(IFLA_PROTINFO, u8(UNICAST_FLOOD, new.flood))
        yield Message(SETLINK, 0, body)


def _vlans(port: BridgePort) -> Iterator[tuple[int, int]]:
    yield from ((vid, 0) for vid in port.tagged)
    if port.untagged is not None:
        yield port.untagged, PVID | UNTAGGED


def _header(index: int) -> bytes:
    return _IFINFO.pack(AF_BRIDGE, 0, index, 0, 0)


def _set_vlan(kind: int, index: int, vid: int, flags: int) -> Message:
    info = attribute(VLAN_INFO, _VLAN.pack(flags, vid))
    return Message(kind, 0, _header(index) + nested(IFLA_AF_SPEC, info))
