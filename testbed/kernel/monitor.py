"""Being told what changes in a namespace: interfaces, members of bonds, IPv4 routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from testbed.kernel import lacp, observe
from testbed.kernel.namespace import inside
from testbed.kernel.netlink import NetlinkSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kernel.observe import Link, RouteState

LINK_GROUP, ROUTE_GROUP = 1, 7  # RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE
NEW_LINK, DELETED_LINK, NEW_ROUTE, DELETED_ROUTE = 16, 17, 24, 25
LOCAL_TABLE = 255


class Change(NamedTuple):
    """What is the state of something from now on."""

    kind: str
    """link, lacp or route"""
    subject: str
    state: str


class Monitor:
    """Tells of each change once; changes of what is not told about are not."""

    def __init__(self, fd: int) -> None:
        with inside(fd):
            self._socket = NetlinkSocket()
        self._socket.subscribe(LINK_GROUP, ROUTE_GROUP)
        self._links: dict[int, Link] = {}
        self._masters: dict[int, int] = {}
        self._states: dict[tuple[str, str], str] = {}
        found = observe.links(fd)
        for link in found.values():
            master = found[link.master].index if link.master in found else 0
            list(self._of_link(link, master))

    def fileno(self) -> int:
        """The descriptor that is readable when something may have changed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()

    def read(self) -> list[Change]:
        """What has changed since the last call."""
        changes: list[Change] = []
        for kind, body in self._socket.notifications():
            if kind == NEW_LINK:
                changes += self._of_link(*observe.parse_link(body))
            elif kind == DELETED_LINK:
                link, _ = observe.parse_link(body)
                if self._links.pop(link.index, None):
                    changes += self._changed("link", link.name, "gone")
            elif kind in {NEW_ROUTE, DELETED_ROUTE}:
                names = {index: link.name for index, link in self._links.items()}
                route = observe.parse_route(body, names)
                changes += self._of_route(route, gone=kind == DELETED_ROUTE)
        return changes

    def _changed(self, kind: str, subject: str, state: str) -> Iterator[Change]:
        if self._states.get((kind, subject)) != state:
            self._states[kind, subject] = state
            yield Change(kind, subject, state)

    def _of_link(self, link: Link, master: int) -> Iterator[Change]:
        self._links[link.index] = link
        self._masters[link.index] = master
        state = "up" if link.carrier else "no carrier" if link.admin_up else "down"
        yield from self._changed("link", link.name, state)
        for index, link_master in self._masters.items():
            if link.index in {index, link_master}:
                yield from self._of_member(self._links.get(index), self._links.get(link_master))

    def _of_member(self, link: Link | None, bond: Link | None) -> Iterator[Change]:
        if link is not None and link.member is not None and bond is not None:
            problem = lacp.problem(bond.bond, link.member)
            yield from self._changed("lacp", link.name, problem or "collecting and distributing")

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
