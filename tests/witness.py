"""What a check has changed of the testbed that it looked at: nothing, but counters of packets.

Before and after checks the witness looks at every namespace: routes, policy rules and cached
exceptions to routes, neighbours, the TCP connections of BGP, what connection tracking knows of the
site's own flows, what LACP counts; at the lengths of the daemons' logs, and at the events. A
thorough run looks after each check, a usual one after several, which it then names.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from effort import times

from testbed.conformance.results import Result
from testbed.lower.rack.inner import SERVICE_LINK_PORT as PORT
from testbed.lower.rack.inner import server_address
from testbed.testing import Testbed
from testbed.topology.model import Topology

INSIDE = Path(__file__).with_name("witness_inside.py")
UDP = 17
BFD = 3784
EXACTLY = ("routes", "rules", "sessions", "lacp")
SLACK_S = 2.0  # what was to stay for that longer than a check took has not gone by itself
# BIRD of routes over a gateway that is no neighbour, at each of its scans of the kernel's table;
# keepalived of whatever it hears first of `lo`; DHCP clients and servers, of leases renewed.
BY_THEMSELVES = re.compile(
    r"KRT: Received route \S+ with strange next-hop"
    r"|\(lo\) MAC Address changed"
    r"|^udhcpc: |^dnsmasq-dhcp\b"
)
CHECKS_A_LOOK = times(8, 1)
REST_S, TRIES = 20.0, 10  # zebra looks at the speed of links 15 s after they have come up


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something that was not so before these checks, each with its subject."""

    checks: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        return f"{', '.join(self.checks)}: {self.what}"


class Witness:
    """Looks before and after each check, in a `with` block; `told` is what has changed."""

    def __init__(self, testbed: Testbed, topology: Topology) -> None:
        self.told: list[Disturbance] = []
        self.looked = 0
        self._testbed = testbed
        self._tunnels = tunnels(topology)
        self._before: dict[str, Any] = {}
        self._since: list[str] = []

    def __enter__(self) -> Self:
        names = {
            node.run(["readlink", "/proc/self/ns/net"]).text.strip(): node.name
            for node in self._testbed.nodes
        }
        first = self._testbed.nodes[0].name
        argv = [sys.executable, "-I", "-S", "-c", INSIDE.read_text()]
        self._process = self._testbed.client.popen(first, argv)
        self._process.write(json.dumps(names).encode() + b"\n")
        self._before = self._at_rest()
        return self

    def _at_rest(self) -> dict[str, Any]:
        """The state once nothing changes by itself any more, as while a site comes up."""
        before = self.look()
        for _ in range(TRIES):
            self._testbed.advance(REST_S)
            now = self.look()
            if not self.differences(before, now):
                return now
            before = now
        raise AssertionError("the site does not come to rest")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._compare()
        self._process.close_stdin()
        self._process.__exit__(kind, error, trace)

    def look(self) -> dict[str, Any]:
        """The state of everything now."""
        self._process.write(b"look\n")
        text = b""
        for chunk in self._process.chunks():
            text += chunk
            if text.endswith(b"\n"):
                break
        if not text.endswith(b"\n"):
            raise AssertionError(bytes(self._process.stderr).decode(errors="replace"))
        found: dict[str, Any] = json.loads(text)
        found["at"] = self._testbed.elapsed()
        found["events"] = [
            f"{event['node']} {event['kind']} {event['subject']}: {event['state']}"
            for event in self._testbed.events()
        ]
        return found

    def after(self, result: Result, _: int = 0) -> None:
        """Count a check; look after some. What has changed since the last look is their doing."""
        self._since.append(f"{result.check} {result.about}")
        if len(self._since) >= CHECKS_A_LOOK:
            self._compare()

    def _compare(self) -> None:
        if not self._since:
            return
        now = self.look()
        self.looked += 1
        for what in self.differences(self._before, now):
            self.told.append(Disturbance(tuple(self._since), what))
        self._before = now
        self._since.clear()

    def differences(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
        """What is not as it was, in words."""
        found = []
        stayed_s = now["at"] - before["at"] + SLACK_S
        for node, state in now["nodes"].items():
            old = before["nodes"][node]
            for kind in EXACTLY:
                found += [f"{node}: {kind}: {line}" for line in changed(old[kind], state[kind])]
            kept = kept_so_long(old["exceptions"], state["exceptions"], stayed_s)
            found += [f"{node}: exceptions: {line}" for line in kept]
            found += [f"{node}: neighbours: {line}" for line in moved(old, state)]
            flows = (self._own(old["connections"]), self._own(state["connections"]))
            kept = kept_so_long(*flows, stayed_s)
            found += [f"{node}: connections: {line}" for line in kept]
        for path, length in now["logs"].items():
            old_length = before["logs"].get(path, 0)
            if length != old_length and (said := self._added(path, old_length)):
                found.append(f"{path}: says {said}")
        found += [f"event {line}" for line in now["events"][len(before["events"]) :]]
        return found

    def _own(self, connections: Iterable[list[Any]]) -> dict[str, float]:
        """Those of the site's own flows: tunnels and BFD. (For BGP the connections tell.)"""
        return {
            f"{source}:{sport} {destination}:{dport} protocol {protocol} status {status}": seconds
            for source, destination, protocol, sport, dport, status, seconds in connections
            if (protocol == UDP and dport == BFD)
            or (
                protocol == UDP
                and sport == dport == PORT
                and {source, destination} in self._tunnels
            )
        }

    def _added(self, path: str, offset: int) -> str:
        """What a log has got since it had a length, without what daemons say now and again."""
        node = path.split("/")[-2]
        done = self._testbed[node].run(["tail", "-c", f"+{offset + 1}", path], check=False)
        lines = [line for line in done.text.splitlines() if not BY_THEMSELVES.search(line)]
        return " / ".join(lines)[:300]


def tunnels(topology: Topology) -> list[set[str]]:
    """The ends of each tunnel."""
    return [
        {str(server_address(outpost, index)), str(anchor.address)}
        for outpost in topology.racks.values()
        for index, anchor in enumerate(topology.anchors(outpost))
    ]


def changed(before: list[str], now: list[str]) -> list[str]:
    """What is gone, and what is new."""
    gone = [f"gone: {line}" for line in before if line not in now]
    return gone + [f"new: {line}" for line in now if line not in before]


def kept_so_long(
    before: Mapping[str, float], now: Mapping[str, float], seconds: float
) -> list[str]:
    """What is new, and what is gone though it was to be kept for longer than so many seconds."""
    return changed([line for line, left in before.items() if left > seconds or line in now], [*now])


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The neighbours with another address than before, and those sought in vain.

    One that a packet has found is the kernel's business; so is one that was long not asked for.
    """
    old = dict(line.rsplit(" ", 1) for line in before["neighbours"])
    found = []
    for name, mac in (line.rsplit(" ", 1) for line in now["neighbours"]):
        if old.get(name, mac) not in (mac, "sought", "failed") or (
            mac == "failed" and old.get(name) != mac
        ):
            found.append(f"{name}: {mac}, was {old.get(name, 'not known')}")
    return found
