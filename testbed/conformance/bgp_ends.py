"""What keeps the two ends of a BGP session apart: signatures, prefix limits, BFD."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP, TCP

from testbed.conformance.bgp_wire import PORT, Notification, listen
from testbed.conformance.daemons import Session, session_of
from testbed.conformance.probing import exists
from testbed.conformance.sessions import DOWN, RECENT_S
from testbed.conformance.site import Site
from testbed.errors import NetworkError
from testbed.plan.model import Place

MD5_OPTION = (19, "MD5")  # TCP's option (RFC 2385), and Scapy's name for it
LIMIT = re.compile(
    r"PfxCt|maximum number of prefixes|prefix(?:es)? limit|limit exceeded|max(?:imum)?-prefix",
    re.IGNORECASE,
)
CEASE_LIMIT = (6, 1)  # RFC 4486: maximum number of prefixes reached
LOOK_S = 8.0  # a daemon that begins again does so after some seconds
FAILURES = "TCPMD5Failure"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Which end signs otherwise than the other one, and how; empty words: none does."""

    end: str = ""
    words: str = ""


def signatures(site: Site, place: Place, ends: tuple[str, ...], within: float) -> Mismatch:
    """Whether the ends of a session that is down sign what they send alike, from the wire."""
    before = _failures(site, place[0])
    with site.testbed[place[0]].capture(place[1], f"tcp port {PORT}") as capture:
        site.settled(lambda: _signers(capture.packets), lambda seen: set(ends) <= set(seen), within)
        seen = _signers(capture.packets)
    signing = [end for end in ends if seen.get(end)]
    plain = [end for end in ends if seen.get(end) is False]
    if len(signing) == 1:
        other = f"{plain[0]} does not" if plain else "the other end does not answer"
        return Mismatch(signing[0], f"{signing[0]} signs with MD5 (TCP option 19), {other}")
    if len(signing) == 2 and _failures(site, place[0]) > before:
        return Mismatch(signing[0], "both ends sign with MD5, with different keys")
    return Mismatch()


def _signers(packets: Iterable[Any]) -> dict[str, bool]:
    """Whether each sender of TCP segments signs them."""
    return {
        packet[IP].src: any(kind in MD5_OPTION for kind, _ in packet[TCP].options)
        for packet in packets
        if IP in packet and TCP in packet and not packet[TCP].flags.R
    }


def _failures(site: Site, node: str) -> int:
    """How many segments with a wrong signature a node's kernel has dropped."""
    lines = site.testbed[node].run(["cat", "/proc/net/netstat"], check=False).text.splitlines()
    table: dict[str, str] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        table |= dict(zip(names.split(), values.split(), strict=False))
    number = table.get(FAILURES, "0")
    return int(number) if number.isdigit() else 0


def limit_reached(
    site: Site, place: Place, ends: Iterable[tuple[str, object, object]]
) -> tuple[str, str] | None:
    """Who has ended a session for too many prefixes, and in which words; None: nobody.

    `ends` are (node, its neighbour's address, its own). What its daemon remembers counts, and
    of one that is down now the NOTIFICATION that is on the wire.
    """
    sessions = [
        (node, own, session_of(site, node, far)) for node, far, own in ends if exists(site, node)
    ]
    for node, _, session in sessions:
        if _at_limit(session) and "received" not in session.reason.casefold().split(",")[0]:
            return node, f"{session.state}: {session.reason}"
    if all(session.up for *_, session in sessions) and not _restless(site, sessions):
        return None
    for number, (node, _, session) in enumerate(sessions):
        if _at_limit(session):
            others = [entry[0] for entry in sessions if entry[0] != sessions[number][0]]
            return (others or [node])[0], f"{session.state} at {node}: {session.reason}"
    with site.testbed[place[0]].capture(place[1], f"tcp port {PORT}") as capture:
        site.settled(lambda: _limits(capture.packets, sessions), bool, LOOK_S)
        return next(iter(_limits(capture.packets, sessions)), None)


def _at_limit(session: Session) -> bool:
    """Whether its daemon says that a limit has ended a session, its own or the other end's."""
    return LIMIT.search(f"{session.state} {session.reason}") is not None


def _restless(site: Site, sessions: list[Any]) -> bool:
    """Whether one of the sessions has gone down lately: it may do so again and again."""
    names = {(node, session.subject) for node, _, session in sessions}
    since = site.testbed.elapsed() - RECENT_S
    return any(
        event["kind"] == "bgp"
        and event["at"] > since
        and (event["node"], event["subject"]) in names
        and event["state"].partition(":")[0] in DOWN
        for event in site.testbed.events()
    )


def _limits(packets: Any, sessions: list[Any]) -> list[tuple[str, str]]:
    heard = listen(packets)
    return [
        (node, str(message))
        for node, own, _ in sessions
        for message in heard.of(own)
        if isinstance(message, Notification) and (message.code, message.subcode) == CEASE_LIMIT
    ]


def bfd_state(site: Site, node: str, neighbor: object) -> str:
    """The state of a node's BFD session with a neighbour: "up", "down", or that there is none."""
    daemons = {process.name for process in site.plan.node(node).processes}
    try:
        if "bird" in daemons:
            lines = site.testbed.client.ask(node, "bird", ["show bfd sessions"])[0].splitlines()
            rows = [line.split() for line in lines if line.split()[:1] == [str(neighbor)]]
            return rows[0][2].lower() if rows else "no BFD session"
        if "bfdd" not in daemons:
            return "no BFD daemon"
        peers = json.loads(site.testbed.client.ask(node, "bfdd", ["show bfd peers json"])[0])
        found = [peer["status"] for peer in peers if peer.get("peer") == str(neighbor)]
        return str(found[0]) if found else "no BFD session"
    except (NetworkError, ValueError) as error:
        return f"the daemon does not answer: {error}"
