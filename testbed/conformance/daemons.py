"""What routing daemons say of their sessions, whoever has written their configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed.conformance.site import Site
from testbed.errors import NetworkError
from testbed.probes.bgp import parse_bird_sessions, parse_frr_sessions
from testbed.testing.node import Node

Route = tuple[str, tuple[int, ...]]  # prefix, AS path as the neighbour gets it
_ERROR = re.compile(r"^\s+Last error:\s+(?P<text>.+)$")
_HEAD = re.compile(r"^(?P<name>\S+)\s+BGP\s+\S+\s+(?P<state>\S+)")
_FRR_REASON = re.compile(
    r'"(?:lastErrorCodeSubcodeDescription|lastNotificationReason|lastResetDueTo)"'
    r'\s*:\s*"([^"]*)"'
)
_FRR_PEER = re.compile(r'"[0-9.]+":\s*\{\s*"remoteAs"')
DISABLED = "down"  # BIRD's word for a protocol that is switched off
UP = "Established"


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session, in its daemon's words.

    `subject` is what `testbed events` calls it, `reason` why it went down last.
    """

    neighbor: str
    state: str
    subject: str = ""
    reason: str = ""
    routes: tuple[Route, ...] = ()  # that are announced

    @property
    def up(self) -> bool:
        """Whether it is Established."""
        return self.state == UP

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason and not self.up else self.state


def sessions_of(site: Site, node: str, *, routes: bool = False) -> list[Session]:
    """The sessions of a node's daemon; none where it runs no daemon, or that does not answer."""
    processes = {process.name for process in site.plan.node(node).processes}
    if not processes & {"bird", "bgpd"}:
        return []
    try:
        announced = _announced(site, node) if routes else {}
        return (_bird if "bird" in processes else _frr)(site, node, announced)
    except NetworkError:
        return []


def session_of(site: Site, node: str, neighbor: object) -> Session:
    """The session with a neighbour; one that says so where there is none."""
    found = (entry for entry in sessions_of(site, node) if entry.neighbor == str(neighbor))
    return next(found, Session(str(neighbor), "not configured, or its daemon does not answer"))


def _announced(site: Site, node: str) -> dict[str, tuple[Route, ...]]:
    """What each session announces, by its name."""
    handle: Node = site.testbed[node]
    return {
        session.name: tuple(sorted((route.prefix, route.as_path) for route in session.announced))
        for session in handle.bgp()
    }


def _bird(site: Site, node: str, announced: dict[str, tuple[Route, ...]]) -> list[Session]:
    text = site.testbed.client.ask(node, "bird", ["show protocols all"])[0]
    reasons: dict[str, str] = {}
    states: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := _HEAD.match(line):
            name = match["name"]
            states[name] = match["state"]
        elif match := _ERROR.match(line):
            reasons.setdefault(name, match["text"].strip())
    return [
        Session(
            neighbor=session.neighbor,
            state=session.state,
            subject=session.name,
            reason=reasons.get(session.name, ""),
            routes=announced.get(session.name, ()),
        )
        for session in parse_bird_sessions(text)
        if states.get(session.name) != DISABLED or session.name in reasons
    ]


def _frr(site: Site, node: str, announced: dict[str, tuple[Route, ...]]) -> list[Session]:
    ask = ["show bgp vrf all ipv4 unicast summary json", "show bgp vrf all neighbors json"]
    summary, neighbors = site.testbed.client.ask(node, "bgpd", ask)
    found = []
    for session in parse_frr_sessions(summary):
        vrf, _, neighbor = session.name.partition(" ")
        found.append(
            Session(
                neighbor=neighbor,
                state=session.state,
                subject=f"{neighbor} vrf {vrf}",
                reason=_frr_reason(neighbors, neighbor),
                routes=announced.get(session.name, ()),
            )
        )
    return found


def _frr_reason(text: str, neighbor: str) -> str:
    """Why bgpd's session with a neighbour went down last."""
    _, _, after = text.partition(f'"{neighbor}":')
    own = after[: following.start()] if (following := _FRR_PEER.search(after)) else after
    return ", ".join(dict.fromkeys(_FRR_REASON.findall(own)))
