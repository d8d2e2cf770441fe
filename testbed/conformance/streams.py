"""Constant traffic while something fails, and how long each flow was without answers."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self

from testbed.conformance.expectation import NO_DATA
from testbed.conformance.permissions import Permissions
from testbed.conformance.site import Site
from testbed.conformance.ways import Way, WayEnd, Ways
from testbed.control.client import RemoteProcess
from testbed.errors import HostError, TestbedError
from testbed.predict import WayKind
from testbed.probes.talk import Talk

INTERVAL_S = 0.02
LANES = 2  # source ports of a flow: hashes spread what is in no tunnel over ONDs and LAG members
GRACE_S = 0.6
CLEAN_S = 0.8  # without any loss: longer than BFD takes to find a failure (300 ms x 3)
SLACK_S = 60.0
ECHO_PORT, OWN_PORT = 7, 7007
KINDS: tuple[WayKind, ...] = ("local-gateway", "service-link", "local-gateways")


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests from one end to another; `port` is None for pings."""

    source: WayEnd
    destination: WayEnd
    way: Way
    port: int | None

    def __str__(self) -> str:
        return f"{self.source} to {self.destination}"


@dataclass(frozen=True, slots=True)
class Outage:
    """One phase of a flow: the longest time without answers (None: until its end), and losses."""

    gap_ms: float | None
    sent: int
    lost: int

    def __str__(self) -> str:
        if not self.sent:
            return NO_DATA
        gap = "no answers any more" if self.gap_ms is None else f"{self.gap_ms:.0f} ms"
        return f"{gap}, {self.lost} of {self.sent} requests lost"


def choose(site: Site) -> list[Flow]:
    """A flow of each kind for each Outpost: to the local network, the Region, other Outposts."""
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    found: dict[tuple[WayKind, frozenset[str | None]], Flow] = {}
    ends = sorted(ways.ends, key=lambda end: end.interface is not None)  # LAN hosts first
    for source in ends:
        for other in ways.instances:
            way = ways.way(source, other) if source != other else None
            if way is None or way.kind not in KINDS:
                continue
            key = (way.kind, frozenset({source.place, other.place}))
            flow = _flow(site, permissions, source, other, way)
            if flow is not None and (key not in found or found[key].port is None):
                found[key] = flow
    return list(found.values())


def _flow(
    site: Site, permissions: Permissions, source: WayEnd, other: WayEnd, way: Way
) -> Flow | None:
    services = site.topology.instances[other.name].services
    for port in (ECHO_PORT,) if "echo" in services else (OWN_PORT, ECHO_PORT):
        if permissions.allows(source, other, way, "udp", port):
            return Flow(source, other, way, port)
    if permissions.allows(source, other, way, "icmp", 0):
        return Flow(source, other, way, None)
    return None


class Streams:
    """The flows' traffic, as long as its `with` block lasts.

    Virtual time does not go on for it alone, but where somebody waits for something:
    what the host does in between passes no time, and checks beside it miss nothing.
    """

    def __init__(self, site: Site, flows: Sequence[Flow], interval_s: float = INTERVAL_S) -> None:
        self.site = site
        self._interval_s = interval_s
        self.flows = list(flows)
        self._senders: dict[str, _Sender] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node, port in dict.fromkeys((f.destination.name, f.port) for f in self.flows):
                services = self.site.topology.instances[node].services
                if port is not None and (port != ECHO_PORT or "echo" not in services):
                    self._serve(stack, node, port)
            for name in dict.fromkeys(flow.source.name for flow in self.flows):
                own = [flow for flow in self.flows if flow.source.name == name]
                self._senders[name] = stack.enter_context(
                    _Sender(self.site, name, own, self._interval_s)
                )
            self._drive(clock=False)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _serve(self, stack: ExitStack, node: str, port: int) -> None:
        argv = ["testbed-stream", "echo", str(port)]
        server = stack.enter_context(self.site.testbed.client.popen(node, argv, until="ready"))
        said = next(server.chunks(time.monotonic() + SLACK_S), b"")
        if b"ready" not in said:
            why = bytes(server.stderr).decode(errors="replace").strip().splitlines()[-1:]
            raise HostError(f"nothing can listen on UDP {port} in {node}: {''.join(why)}")
        stack.callback(_end, server)

    def _drive(self, *, clock: bool) -> None:
        for sender in self._senders.values():
            sender.drive(clock=clock)

    def clean(self, within: float) -> bool:
        """Wait until no flow has lost anything for a while; whether that came in time.

        `within` is in seconds of the testbed's own time.
        """
        for sender in self._senders.values():
            sender.watch()
        self._drive(clock=True)
        try:
            return all(sender.clean(within) for sender in self._senders.values())
        finally:
            self._drive(clock=False)

    def mark(self) -> None:
        """Begin a new phase."""
        for sender in self._senders.values():
            sender.tell("mark")

    def report(self) -> Mapping[Flow, list[Outage]]:
        """The phases since the last report: up to the first mark, then from each mark on."""
        found: dict[Flow, list[Outage]] = {}
        for sender in self._senders.values():
            found |= sender.report()
        return found


def _end(server: RemoteProcess) -> None:
    """End a server and wait until its port is free for the next one."""
    with suppress(TestbedError, TimeoutError):
        server.signal(signal.SIGTERM)
        server.wait(SLACK_S)


class _Sender(Talk):
    """The process that sends a node's flows."""

    def __init__(self, site: Site, node: str, flows: list[Flow], interval_s: float) -> None:
        self._flows = flows
        rows = [
            {
                "to": str(flow.way.to),
                "protocol": "icmp" if flow.port is None else "udp",
                "port": flow.port,
                "count": 1 if flow.port is None else LANES,
            }
            for flow in flows
        ]
        task = json.dumps({"interval": interval_s, "grace": GRACE_S, "flows": rows})
        super().__init__(site.testbed.client, node, ["testbed-stream", "send", task])
        self._clean = self._watched = 0.0

    def _take(self, message: dict[str, Any]) -> None:
        if "clean" in message:
            self._clean, self._watched = message["clean"], message["watched"]
        else:
            super()._take(message)

    def clean(self, within: float) -> bool:
        """Wait until nothing has been lost for CLEAN_S since `watch`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or self._clean >= CLEAN_S or self._watched >= within,
                within + SLACK_S,
            )
            return self._clean >= CLEAN_S

    def watch(self) -> None:
        """Forget what was lost up to now."""
        self.tell("watch")
        with self._changed:
            self._clean = self._watched = 0.0

    def report(self) -> Mapping[Flow, list[Outage]]:
        """The phases of each of its flows."""
        rows = self.tell("report")["report"]
        phases = [[Outage(**phase) for phase in row] for row in rows]
        return dict(zip(self._flows, phases, strict=True))
