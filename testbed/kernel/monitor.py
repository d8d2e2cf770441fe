"""Being told what changes in a namespace: interfaces, members of bonds, IPv4 routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from testbed.kernel import observe
from testbed.kernel.namespace import inside
from testbed.kernel.netlink import NetlinkSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kernel.observe import Link, RouteState

LINK_GROUP, ROUTE_GROUP = 1, 7  # RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE
NEW_LINK, DELETED_LINK, NEW_ROUTE, DELETED_ROUTE = 16, 17, 24, 25
LOCAL_TABLE = 255
WORKING = "collecting and distributing"


class Change(NamedTuple):
    """What is the state of something from now on."""

    kind: str
    """link, lacp or route"""
    subject: str
    state: str


class Monitor:
    """Tells of each change once; changes of what is not told about are not.

    The kernel says when a member of a bond begins or stops to carry traffic,
    before the bond itself is done: `refresh` while it is `unsettled`.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._names: dict[int, str] = {}
        self._states: dict[tuple[str, str], str] = {}
        self.unsettled = False
        with inside(fd):
            self._socket = NetlinkSocket()
        self._socket.keep()
        self._socket.subscribe(LINK_GROUP, ROUTE_GROUP)
        self.refresh()

    def fileno(self) -> int:
        """The descriptor that is readable when something may have changed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()

    def refresh(self) -> list[Change]:
        """Read all interfaces; what has changed since the last call."""
        found = observe.links(self._fd)
        self._names = {link.index: link.name for link in found.values()}
        changes = [change for link in found.values() for change in self._of_link(link)]
        self.unsettled = False
        for bond in [link.name for link in found.values() if link.bond is not None]:
            for member, problem in observe.members(found, bond).items():
                self.unsettled = self.unsettled or problem is not None
                changes += self._changed("lacp", member, problem or WORKING)
        return changes

    def read(self) -> list[Change]:
        """What has changed since the last call."""
        changes: list[Change] = []
        lag_changed = False
        for kind, body in self._socket.notifications():
            if kind == NEW_LINK:
                link, _ = observe.parse_link(body)
                self._names[link.index] = link.name
                changes += self._of_link(link)
                lag_changed = lag_changed or bool(link.bond or link.member)
            elif kind == DELETED_LINK:
                link, _ = observe.parse_link(body)
                if self._names.pop(link.index, None):
                    changes += self._changed("link", link.name, "gone")
            elif kind in {NEW_ROUTE, DELETED_ROUTE}:
                route = observe.parse_route(body, self._names)
                changes += self._of_route(route, gone=kind == DELETED_ROUTE)
        return changes + self.refresh() if lag_changed else changes

    def _changed(self, kind: str, subject: str, state: str) -> Iterator[Change]:
        if self._states.get((kind, subject)) != state:
            self._states[kind, subject] = state
            yield Change(kind, subject, state)

    def _of_link(self, link: Link) -> Iterator[Change]:
        state = "up" if link.carrier else "no carrier" if link.admin_up else "down"
        yield from self._changed("link", link.name, state)

    def _of_route(self, route: RouteState, *, gone: bool) -> Iterator[Change]:
        if route.table == LOCAL_TABLE or route.protocol == "kernel":
            return
        subject = f"{route.destination} table {route.table}"
        if route.metric:
            subject += f" metric {route.metric}"
        hops = [" ".join(filter(None, (hop.via, hop.dev))) for hop in route.hops]
        yield from self._changed(
            "route", subject, "gone" if gone else ", ".join(hops) or route.type
        )
