"""Sending one packet or opening one connection, from a given interface, in a node of the site."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from testbed.conformance.expectation import expect
from testbed.conformance.requesting import Answer, Request, send
from testbed.conformance.site import SETTLE_S, Site
from testbed.errors import NetworkError
from testbed.plan.model import Place, Veth
from testbed.probes.capture import Capture
from testbed.probes.ping import HEADERS, PingResult, parse

CONNECT_S = 2.0
BROADCAST, DISCARD = "255.255.255.255", 9  # a port that a filter for pings does not concern
NO_CARRIER = "no carrier"  # the keeper's word for it: the other end is down, or the cable is out


def exists(site: Site, node: str) -> bool:
    """Whether a node is part of the testbed: a real device is not."""
    return any(entry.name == node for entry in site.plan.nodes)


def expect_up(site: Site, places: Iterable[Place]) -> None:
    """Fail for an interface that is down: for one that was set down before those that hear nothing.

    Those of nodes that the testbed has not are left out.
    """
    rows = {(row["node"], row["interface"]): row for row in site.rows("links")}
    missing = {"ok": False, "state": "missing"}
    found = [(place, rows.get(place, missing)) for place in places if exists(site, place[0])]
    for place, row in sorted(found, key=lambda entry: entry[1]["state"] == NO_CARRIER):
        expect(row["ok"], " ".join(place), expected="up", seen=row["state"])


@contextmanager
def captures(
    site: Site,
    places: Iterable[Place],
    filter_: str,
    others: Mapping[Place, str] | None = None,
) -> Iterator[dict[Place, Capture]]:
    """Capture in several places at once; those of nodes that the testbed has not are left out.

    `others` are the places with filters of their own.
    """
    own = others or {}
    with ExitStack() as stack:
        yield {
            place: stack.enter_context(
                site.testbed[place[0]].capture(place[1], own.get(place, filter_))
            )
            for place in dict.fromkeys(places)
            if exists(site, place[0])
        }


def ping(
    site: Site,
    place: Place,
    destination: object,
    *,
    size: int = 84,
    df: bool = False,
    count: int = 1,
    wait_s: float = 1.0,
    mark: bytes = b"",
) -> PingResult:
    """Ping out of an interface, whatever the routing tables say; `size` is the IP packet's.

    Its payload repeats `mark`, of at most 16 bytes.
    """
    node, interface = place
    argv = ["ping", "-n", "-c", str(count), "-i", "0.05", "-W", f"{wait_s:g}", "-I", interface]
    argv += ["-s", str(size - HEADERS), *(["-M", "do"] if df else [])]
    argv += ["-p", mark.hex()] if mark else []
    argv.append(str(destination))
    done = site.testbed[node].run(argv, check=False)
    return parse(done.text, done.stderr.decode(errors="replace"))


def expect_answer(site: Site, place: Place, answerer: Place, address: object) -> None:
    """Fail where the other end of a cable or VLAN does not come to answer a ping."""
    result = site.settled(lambda: ping(site, place, address), lambda result: result.ok, SETTLE_S)
    seen = result.error or "an answer"
    expect(result.ok, " ".join(answerer), expected=f"{address} answers", seen=seen)


def call_out(site: Site, place: Place) -> str:
    """Send a broadcast out of an interface, with its own address; why it could not, or ""."""
    node, interface = place
    call = Request(node, BROADCAST, "udp", DISCARD, device=interface)
    answer = send(site, [call], seconds=0)[call]
    return f"{interface}: {_words(answer)}" if answer.local else ""


def inject(site: Site, place: Place, *packets: Any, mac: str | None = None) -> str:
    """Send IPv4 packets of Scapy's as they are out of an interface; why it could not, or "".

    With the address of who is to receive them no route is needed.
    """
    return sent(site, place, mac.replace(":", "") if mac else "packets", packets)


def sent(site: Site, place: Place, how: str, packets: Iterable[Any]) -> str:
    """Have `testbed-send` send Scapy's packets out of an interface; why it could not, or ""."""
    node, interface = place
    lines = "".join(f"{bytes(packet).hex()}\n" for packet in packets)
    argv = ["testbed-send", interface, how]
    done = site.testbed[node].run(argv, input=lines.encode(), check=False)
    return done.stderr.decode(errors="replace").strip() if done.returncode else ""


def neighbour(site: Site, place: Place) -> str | None:
    """The Ethernet address of the other end of an interface's cable."""
    device = site.plan.node(place[0]).interface(place[1]).device
    if not isinstance(device, Veth):
        return None
    return site.plan.node(device.peer_node).interface(device.peer).mac


def connect(
    site: Site,
    place: Place,
    destination: object,
    port: int,
    *,
    source: str = "",
    wait_s: float = CONNECT_S,
) -> str:
    """Open a TCP connection: "connected", or why not ("Connection refused", "timed out").

    Without an interface in `place` the node's routes decide.
    """
    node, interface = place
    request = Request(
        node, str(destination), "tcp", port, device=interface or None, source=source or None
    )
    answer = send(site, [request], wait_s)[request]
    return "connected" if answer.answer == "open" else _words(answer)


def _words(answer: Answer) -> str:
    """Why a request was not answered, in the kernel's words."""
    name = "ECONNREFUSED" if answer.answer == "refused" else answer.error
    return os.strerror(getattr(errno, name)) if name else "timed out"


def half_open(
    site: Site,
    place: Place,
    own: object,
    destination: object,
    port: int,
    wait_s: float = CONNECT_S,
) -> str:
    """Ask whether a TCP port is open, without a connection: "open", or what came instead.

    `own` is the interface's address to ask from. What listens there is told nothing of it.
    """
    node, interface = place
    asked = (interface, str(own), str(destination), str(port), f"{wait_s:g}")
    return site.testbed[node].run(["testbed-half-open", *asked]).text


def birdc(site: Site, node: str, *words: str) -> list[str]:
    """What the BIRD of a node says to a command; NetworkError when it does not answer."""
    socket = f"{site.plan.node(node).directory}/bird.ctl"
    done = site.testbed[node].run(["birdc", "-s", socket, *words], check=False)
    if done.returncode:
        hint = done.stderr.decode(errors="replace").strip()
        raise NetworkError(f"the BIRD of {node} does not answer", hint=hint or None)
    return done.text.splitlines()


def route_to(
    site: Site, node: str, destination: object, *, source: object = "", iif: str = ""
) -> str:
    """The route that a node's kernel takes to an address, for what arrives so; or why none."""
    argv = ["ip", "-o", "route", "get", str(destination)]
    argv += ["from", str(source)] if source else []
    argv += ["iif", iif] if iif else []
    done = site.testbed[node].run(argv, check=False)
    text = done.text.strip() or done.stderr.decode(errors="replace").strip()
    return " ".join(text.replace("\\", " ").split())
