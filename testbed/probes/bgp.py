"""BGP sessions of a node and the routes in them, as its BIRD or FRR has them.

The daemon is asked over its own control socket; no program is started.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from testbed.errors import NetworkError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.control.client import Client
    from testbed.plan.model import Node

ESTABLISHED = "Established"
_PROTOCOL = re.compile(r"^(?P<name>\S+)\s+BGP\s+\S+\s+(?P<state>\S+)\s+(?P<since>\S+)")
_ROUTE = re.compile(
    r"^(?P<prefix>[\da-f.:]+/\d+)?\s+\w+ \[(?P<protocol>\S+) [^\]]*\](?P<best> \*)?"
)
_FRR_ALL = "show bgp vrf all ipv4 unicast"


@dataclass(frozen=True, slots=True)
class BgpRoute:
    """A prefix in a session: its AS path, nearest AS first, as the receiving end gets it.

    `next_hop` is known of received routes only; `best` says whether it is the
    route that the receiver has chosen.
    """

    prefix: str
    as_path: tuple[int, ...] = ()
    next_hop: str | None = None
    best: bool = True


@dataclass(frozen=True, slots=True)
class BgpSession:
    """A BGP session (RFC 4271). `name` is BIRD's protocol, or FRR's ``VRF neighbour``.

    `received` are the routes from the neighbour that were accepted,
    `announced` those that are announced to it; without ``routes`` both are
    empty. `since` is when it got into its `state`, as its daemon tells it.
    """

    name: str
    neighbor: str
    state: str
    local_asn: int
    asn: int
    since: str = ""
    received: tuple[BgpRoute, ...] = ()
    announced: tuple[BgpRoute, ...] = ()

    @property
    def established(self) -> bool:
        """Whether it is up."""
        return self.state == ESTABLISHED

    def prefixes(self) -> set[str]:
        """The prefixes that were received."""
        return {route.prefix for route in self.received}


def sessions(client: Client, node: Node, *, routes: bool = True) -> list[BgpSession]:
    """All sessions of a node, and with `routes` what they carry.

    UsageError when the node runs no BGP daemon, NetworkError when that does
    not answer.
    """
    daemons = {process.name for process in node.processes}
    if "bird" in daemons:
        return _bird(client, node.name, routes=routes)
    if "bgpd" in daemons:
        return _frr(client, node.name, routes=routes)
    hint = "these do: the customer's devices, the Outpost's networking devices, gateways"
    raise UsageError(f"{node.name} runs no BGP daemon", hint=hint)


# BIRD


def _bird(client: Client, node: str, *, routes: bool) -> list[BgpSession]:
    found = parse_bird_sessions(client.ask(node, "bird", ["show protocols all"])[0])
    up = [session.name for session in found if session.established] if routes else []
    wanted = ("show route all protocol {} table all", "show route all export {}")
    commands = [command.format(name) for name in up for command in wanted]
    replies = iter(client.ask(node, "bird", commands) if commands else ())
    complete = []
    for session in found:
        if session.name in up:
            received = parse_bird_routes(next(replies), session.name)
            announced = parse_bird_routes(next(replies))
            sent = _with_own_asn(announced, session)
            session = replace(session, received=received, announced=sent)  # noqa: PLW2901
        complete.append(session)
    return complete


def _with_own_asn(routes: Iterable[BgpRoute], session: BgpSession) -> tuple[BgpRoute, ...]:
    """A speaker puts its own AS in front where it announces to another one (RFC 4271, 5.1.2)."""
    own = () if session.asn == session.local_asn else (session.local_asn,)
    return tuple(BgpRoute(route.prefix, own + route.as_path) for route in routes)


def parse_bird_sessions(text: str) -> list[BgpSession]:
    """The sessions in BIRD's reply to `show protocols all`."""
    found: list[BgpSession] = []
    is_bgp = False
    for line in text.splitlines():
        if line and not line[0].isspace():
            match = _PROTOCOL.match(line)
            is_bgp = match is not None
            if match:
                found.append(BgpSession(match["name"], "", match["state"], 0, 0, match["since"]))
        elif is_bgp:
            key, colon, value = line.strip().partition(":")
            if colon:
                found[-1] = _with_detail(found[-1], key, value.strip())
    return found


def _with_detail(session: BgpSession, key: str, value: str) -> BgpSession:
    match key:
        case "BGP state":
            return replace(session, state=value)
        case "Neighbor address":
            return replace(session, neighbor=value.partition("%")[0])
        case "Neighbor AS" if value.isdigit():
            return replace(session, asn=int(value))
        case "Local AS" if value.isdigit():
            return replace(session, local_asn=int(value))
    return session


def parse_bird_routes(text: str, protocol: str | None = None) -> tuple[BgpRoute, ...]:
    """The routes in BIRD's reply to `show route all`; with `protocol` only those from it."""
    found: list[BgpRoute] = []
    prefix, wanted = "", False
    for line in text.splitlines():
        if match := _ROUTE.match(line):
            prefix = match["prefix"] or prefix
            wanted = protocol in {None, match["protocol"]}
            if wanted:
                found.append(BgpRoute(prefix, best=bool(match["best"])))
        elif wanted and found:
            key, _, value = line.strip().partition(":")
            if key == "BGP.as_path":
                path = tuple(int(asn) for asn in re.findall(r"\d+", value))
                found[-1] = replace(found[-1], as_path=path)
            elif key == "BGP.next_hop":
                found[-1] = replace(found[-1], next_hop=value.split()[0])
    return tuple(found)


# FRR


def _frr(client: Client, node: str, *, routes: bool) -> list[BgpSession]:
    found = parse_frr_sessions(client.ask(node, "bgpd", [f"{_FRR_ALL} summary json"])[0])
    up = [session for session in found if session.established] if routes else []
    commands = []
    for session in up:
        vrf, neighbor = session.name.split()
        base = f"show bgp vrf {vrf} ipv4 unicast neighbors {neighbor}"
        commands += [f"{base} routes json", f"{base} advertised-routes json"]
    replies = iter(client.ask(node, "bgpd", commands) if commands else ())
    complete = []
    for session in found:
        if session in up:
            received, announced = parse_frr_routes(next(replies)), parse_frr_routes(next(replies))
            sent = _with_own_asn(announced, session)
            session = replace(session, received=received, announced=sent)  # noqa: PLW2901
        complete.append(session)
    return complete


def _object(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text or "{}")
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise NetworkError("bgpd does not answer with JSON", hint=text[:200] or None)
    return read


def parse_frr_sessions(text: str) -> list[BgpSession]:
    """The sessions in bgpd's summary of all VRFs."""
    return [
        BgpSession(
            name=f"{vrf} {neighbor}",
            neighbor=neighbor,
            state=str(peer.get("state", "unknown")),
            local_asn=int(peer.get("localAs", table.get("as", 0))),
            asn=int(peer.get("remoteAs", 0)),
            since=str(peer.get("peerUptime", "")),
        )
        for vrf, table in _object(text).items()
        if isinstance(table, dict)
        for neighbor, peer in table.get("peers", {}).items()
    ]


def parse_frr_routes(text: str) -> tuple[BgpRoute, ...]:
    """The routes in bgpd's `routes json` or `advertised-routes json`."""
    answer = _object(text)
    found = []
    for prefix, paths in answer.get("routes", {}).items():
        for path in paths:
            hops = [hop.get("ip") for hop in path.get("nexthops", ())]
            best = bool(path.get("bestpath"))
            found.append(BgpRoute(prefix, _as_path(path), next(iter(hops), None), best))
    for prefix, path in answer.get("advertisedRoutes", {}).items():
        found.append(BgpRoute(prefix, _as_path(path)))
    return tuple(found)


def _as_path(path: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(asn) for asn in re.findall(r"\d+", str(path.get("path", ""))))
