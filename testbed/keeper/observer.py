"""Looking at a testbed: the state of what a plan expects, read once for each look.

Every state is the protocol's own word for it: LACP's port state bits, BGP's
state machine, WireGuard's handshake age. Something that cannot be read is not
ok; nothing is ever ok for lack of data.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

from testbed.keeper import bird, frr, gateways, sessions
from testbed.keeper.processes import ProcessTable
from testbed.kernel import observe
from testbed.kernel.apply import Kernel
from testbed.kernel.wireguard import PeerState
from testbed.plan.checks import (
    AddressCheck,
    BgpCheck,
    Check,
    LagCheck,
    LinkCheck,
    ListenCheck,
    LocalGatewayCheck,
    ManagementCheck,
    RouteCheck,
    TableRouteCheck,
    TunnelCheck,
)
from testbed.plan.model import Plan, WireGuard
from testbed.programs.management.metrics import FILE, NAMESPACE

HANDSHAKE_MAX_AGE_S = 180  # WireGuard gives up a session after REJECT_AFTER_TIME
NO_HANDSHAKE = "no handshake yet"
Row = dict[str, Any]


class Observer:
    """One look at the testbed; what several checks need is read once."""

    def __init__(self, plan: Plan, kernel: Kernel, processes: ProcessTable) -> None:
        self._plan = plan
        self._kernel = kernel
        self._processes = processes
        self._cache: dict[tuple[Any, ...], Any] = {}

    def _once(self, key: tuple[Any, ...], read: Callable[[], Any]) -> Any:
        """What `read` returned or raised the first time: who does not answer is asked once."""
        if key not in self._cache:
            try:
                self._cache[key] = read()
            except (bird.BirdError, frr.FrrError, OSError) as error:
                self._cache[key] = error
        if isinstance(self._cache[key], Exception):
            raise self._cache[key]
        return self._cache[key]

    def links(self, node: str) -> dict[str, Any]:
        """The node's interfaces by name."""
        fd = self._kernel.fd(node)
        links: dict[str, Any] = self._once(("links", node), lambda: observe.links(fd))
        return links

    def row(self, check: Check) -> Row:
        """What the check's subject looks like: at least title, ok and state."""
        observe_row: dict[type, Callable[[Any], Row]] = {
            LinkCheck: self._link,
            LagCheck: self._lag,
            BgpCheck: self.bgp_row,
            TunnelCheck: self._tunnel,
            RouteCheck: self._route,
            TableRouteCheck: self._table_route,
            ListenCheck: self._listen,
            ManagementCheck: self._management,
            AddressCheck: self._address,
            LocalGatewayCheck: partial(gateways.local_gateway, self),
        }
        return observe_row[type(check)](check)

    def _link(self, check: LinkCheck) -> Row:
        return self.link_row(check.node, check.interface)

    def link_row(self, node: str, interface: str) -> Row:
        """State of an interface: up, or what is down about it."""
        row: Row = {"title": f"{node} {interface}", "node": node, "interface": interface}
        link = self.links(node).get(interface)
        if link is None:
            return row | {"ok": False, "state": "missing"}
        if not link.admin_up:
            return row | {"ok": False, "state": "administratively down"}
        state = "up" if link.carrier else "no carrier"
        return row | {"ok": link.carrier, "state": state}

    def _lag(self, check: LagCheck) -> Row:
        row: Row = {"title": check.title, "node": check.node, "interface": check.interface}
        bond = self.links(check.node).get(check.interface)
        if bond is None:
            return row | {"ok": False, "state": "missing", "members": []}
        members = [self._member(check, name) for name in check.members]
        missing = [member for member in members if not member["ok"]]
        good = len(members) - len(missing)
        state = f"{good} of {len(members)} members collecting and distributing"
        if missing:
            state += f"; {missing[0]['name']}: {missing[0]['state']}"
        return row | {"ok": not missing, "state": state, "members": members}

    def _member(self, check: LagCheck, name: str) -> Row:
        links = self.links(check.node)
        link = links.get(name)
        if link is None or link.member is None or link.master != check.interface:
            return {"name": name, "ok": False, "state": "not a member"}
        problem = observe.members(links, check.interface)[name]
        return {
            "name": name,
            "ok": problem is None,
            "state": problem or "collecting and distributing",
            "actor": list(link.member.actor),
            "partner": list(link.member.partner),
        }

    def bgp_row(self, check: BgpCheck) -> Row:
        """State of a BGP session, as its daemon has it."""
        row: Row = {
            "title": check.title,
            "node": check.node,
            "protocol": check.protocol,
            "neighbor": check.neighbor,
        }
        process = self._processes.daemons.get(
            (check.node, "bird" if check.daemon == "bird" else "bgpd")
        )
        if process is None or process.status is not None:
            state = process.describe() if process else "not started"
            return row | {"ok": False, "state": f"daemon {state}"}
        directory = self._plan.node(check.node).directory
        try:
            found = self._once(
                (check.daemon, directory), partial(sessions.READ[check.daemon], directory)
            )
        except (bird.BirdError, frr.FrrError) as error:
            name = "BIRD" if check.daemon == "bird" else "bgpd"
            return row | {"ok": False, "state": f"{name} does not answer: {error}"}
        session = sessions.session_of(found, check)
        if session is None:
            return row | {"ok": False, "state": "not configured"}
        return {**row, **session}

    def refused_signatures(self, node: str) -> tuple[int, ...]:
        """How many TCP segments a node has dropped because of MD5 (`sessions.SIGNATURES`)."""
        fd = self._kernel.fd(node)
        counts: tuple[int, ...] = self._once(("md5", node), lambda: sessions.refused_signatures(fd))
        return counts

    def _address(self, check: AddressCheck) -> Row:
        row: Row = {"title": check.title, "node": check.node, "interface": check.interface}
        fd = self._kernel.fd(check.node)
        found = self._once(("addresses", check.node), lambda: observe.addresses(fd))
        there = [text.partition("/")[0] for text in found.get(check.interface, [])]
        ok = check.address in there if check.address else bool(there)
        state = ", ".join(there) or "no address"
        return row | {"ok": ok, "state": state if ok or not check.address else "not here"}

    def _tunnel(self, check: TunnelCheck) -> Row:
        row: Row = {"title": check.title, "node": check.node, "interface": check.interface}
        row |= {"peer": check.peer}
        device = self._plan.node(check.node).interface(check.interface).device
        peers = device.peers if isinstance(device, WireGuard) else ()
        keys = {peer.name: peer.public_key for peer in peers}
        fd = self._kernel.fd(check.node)
        try:
            states = self._once(
                ("wireguard", check.node, check.interface),
                lambda: observe.wireguard_peers(fd, check.interface),
            )
        except OSError as error:
            return row | {"ok": False, "state": error.strerror or "unreadable"}
        peer = states.get(keys.get(check.peer))
        if peer is None:
            return row | {"ok": False, "state": "not configured"}
        age = time.time() - peer.handshake if peer.handshake else None
        row |= {
            "endpoint": peer.endpoint,
            "handshake_age_s": None if age is None else round(age, 1),
            "rx_bytes": peer.rx_bytes,
            "tx_bytes": peer.tx_bytes,
        }
        if age is None:
            return row | {"ok": False, "state": NO_HANDSHAKE, "reason": _unanswered(peer)}
        if age > HANDSHAKE_MAX_AGE_S:
            state = f"last handshake {age:.0f} s ago"
            return row | {"ok": False, "state": state, "reason": _unanswered(peer)}
        return row | {"ok": True, "state": "handshake done"}

    def table(self, node: str, number: int, family: int = AF_INET) -> dict[str, observe.RouteState]:
        """A kernel table's routes of a family by destination."""
        fd = self._kernel.fd(node)
        found: dict[str, observe.RouteState] = self._once(
            ("routes", node, number, family),
            # The kernel lists the preferred one of several with the same destination first.
            lambda: {
                route.destination: route for route in reversed(observe.routes(fd, number, family))
            },
        )
        return found

    def _route(self, check: RouteCheck) -> Row:
        row: Row = {"title": check.title, "node": check.node, "table": check.table}
        row |= {"destination": check.destination}
        table = self.table(check.node, check.table)
        longest = check.match == "longest"
        route = _longest(table, check.destination) if longest else table.get(check.destination)
        if route is None:
            return row | {"ok": False, "state": "not in the table", "nexthops": []}
        hops = [{"via": hop.via, "dev": hop.dev, "alive": hop.alive} for hop in route.hops]
        alive = any(hop.alive for hop in route.hops)
        state = route.protocol if alive else f"{route.type}, no next hop is alive"
        if longest:
            state += f", by {route.destination}"
        return row | {"ok": alive, "state": state, "nexthops": hops}

    def _table_route(self, check: TableRouteCheck) -> Row:
        """A route is active where each of its destinations leads somewhere (facts: botocore)."""
        families = [AF_INET6 if ":" in text else AF_INET for text in check.destinations]
        routes = [
            self.table(check.node, check.table, family).get(destination)
            for destination, family in zip(check.destinations, families, strict=True)
        ]
        state = "active" if all(route and _leads_on(route) for route in routes) else "blackhole"
        return {
            "title": check.title,
            "node": check.node,
            "owner": check.owner,
            "route_table": check.route_table,
            "destination": check.destination,
            "target": check.target,
            "origin": check.origin,
            "ok": state == check.state,
            "state": state,
        }

    def _collected(self, node: str) -> Row:
        """What a collector of metrics has written down last."""
        path = Path(self._plan.node(node).directory, FILE)
        collected: Row = self._once(("metrics", node), lambda: json.loads(path.read_bytes()))
        return collected

    def _management(self, check: ManagementCheck) -> Row:
        row: Row = {"title": check.title, "node": check.node, "subject": check.subject}
        try:
            connected = self._collected(check.node)["connected"][check.subject]
        except (OSError, ValueError, KeyError):
            return row | {"ok": False, "state": "unknown"}
        return row | {"ok": connected, "state": "connected" if connected else "not connected"}

    def metrics(self) -> Row:
        """All metrics that have come, by namespace: a list of datapoints for each."""
        nodes = dict.fromkeys(c.node for c in self._plan.checks if isinstance(c, ManagementCheck))
        series: list[list[Row]] = []
        for node in nodes:
            with contextlib.suppress(OSError, ValueError, KeyError):
                series += self._collected(node)["series"]
        return {NAMESPACE: series}

    def _listen(self, check: ListenCheck) -> Row:
        row: Row = {"title": check.title, "node": check.node}
        row |= {"protocol": check.protocol, "port": check.port}
        fd = self._kernel.fd(check.node)
        ports = self._once(("listen", check.node), lambda: observe.listening(fd))
        ok = (check.protocol, check.port) in ports
        return row | {"ok": ok, "state": "listening" if ok else "nothing listens"}


def _leads_on(route: observe.RouteState) -> bool:
    """Whether packets follow the route: to a next hop, or (throw) to the local route."""
    alive = any(hop.alive for hop in route.hops)
    return route.type == "throw" or (route.type == "unicast" and alive)


def _unanswered(peer: PeerState) -> str:
    """Why a tunnel is down, as far as its own end can tell."""
    address, _, port = (peer.endpoint or "").rpartition(":")
    if not address:
        return "it is to be opened from the other end"
    if not peer.tx_bytes:
        return f"nothing could be sent to {address}: there is no route"
    return f"no answer to UDP {port} from {address}: is it let through on the way, both ways?"


def _longest(
    table: Mapping[str, observe.RouteState], destination: str
) -> observe.RouteState | None:
    """The route that the kernel takes to an address: the one with the longest prefix."""
    address, _, length = destination.partition("/")
    number = int.from_bytes(socket.inet_aton(address), "big")
    for bits in range(int(length or 32), -1, -1):
        number &= -1 << (32 - bits)
        base = socket.inet_ntoa(number.to_bytes(4, "big"))
        if route := table.get(f"{base}/{bits}"):
            return route
    return None
