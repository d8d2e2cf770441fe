"""Following one marked packet through a testbed, hop by hop, and its answer back.

The keeper sends the packet and records what the kernel shows of it
(`testbed.keeper.trace`); here that becomes hops and a verdict. Nothing is
taken from the plan but names and which cable leads where.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from testbed.errors import NetworkError, UsageError
from testbed.plan.model import Vxlan
from testbed.probes.trace.evidence import Evidence
from testbed.probes.trace.filters import Filter, Passage, read_passages
from testbed.probes.trace.hops import Addresses, Hop, Port, build
from testbed.probes.trace.order import Wiring, path
from testbed.probes.trace.routing import Decision
from testbed.probes.trace.service_link import BFD, leads, rack_end
from testbed.probes.trace.sightings import Probe, read_sightings
from testbed.probes.trace.verdict import Path, Told, as_asked, conclude, told, unsent
from testbed.probes.trace.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv6Address

    from testbed.control.client import Client
    from testbed.plan.model import Plan
    from testbed.probes.trace.sightings import Sighting, Way

Protocol = Literal["icmp", "tcp", "udp"]


class Probing(TypedDict):
    """What kind of packet is sent: the arguments of `trace`."""

    protocol: Protocol
    port: int
    size: int | None
    df: bool


BROADCAST, IPV6_MORE = IPv4Address("255.255.255.255"), 20
DEFAULT_SIZE: dict[Protocol, int] = {"icmp": 84, "tcp": 40, "udp": 84}
"""Bytes of the IP packet: as ping(8) sends it; a SYN without options or data."""

__all__ = ["Addresses", "Decision", "Filter", "Hop", "Path", "Port", "Protocol", "Told", "Trace"]


@dataclass(frozen=True, slots=True)
class Trace:
    """What became of a packet.

    `request` is its way, `answer` that of what came back, None without any:
    a reply, or the ICMP error that says that its port is closed.
    `error` is the ICMP error that was sent about it, `answer_error` the one
    about its answer. `lost` names the nodes where the kernel could not keep
    up, so that hops may be missing. `cookie` are the 32 bits by which captures
    know it: first in the payload of UDP and ICMP, TCP's sequence number.
    """

    source: str
    destination: str
    protocol: Protocol
    port: int
    size: int
    df: bool
    request: Path
    answer: Path | None
    error: Told | None
    answer_error: Told | None
    lost: tuple[str, ...]
    cookie: int = 0

    @property
    def delivered(self) -> bool:
        """Whether the packet arrived."""
        return self.request.delivered

    @property
    def answered(self) -> bool:
        """Whether an answer came back to the source: a reply, or that the port is closed."""
        return self.answer is not None and self.answer.delivered

    @property
    def ok(self) -> bool:
        """Whether nothing was dropped: neither the packet nor its answer, if there was one."""
        return self.delivered and (self.answer is None or self.answer.delivered)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The namespaces that the packet crossed."""
        return self.request.hops

    @property
    def nodes(self) -> list[str]:
        """The nodes that the packet crossed, in order; one that it came back to, again."""
        names: list[str] = []
        for hop in self.hops:
            if not names or names[-1] != hop.node:
                names.append(hop.node)
        return names

    @property
    def _failed(self) -> Path | None:
        if not self.request.delivered:
            return self.request
        return self.answer if self.answer is not None and not self.answer.delivered else None

    @property
    def dropped_at(self) -> str | None:
        """The node that is known to have dropped the packet, or else its answer."""
        return self._failed.dropped_at if self._failed else None

    @property
    def last_seen(self) -> str | None:
        """Where it was seen last, if nothing shows what became of it then."""
        return self._failed.last_seen if self._failed else None

    @property
    def reason(self) -> str | None:
        """Why it was dropped there; None where `ok`."""
        return self._failed.reason if self._failed else None

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        if failed := self._failed:
            return (
                failed.end if failed.way == "request" else f"delivered, but its answer {failed.end}"
            )
        if self.answer is not None:
            return f"delivered, and answered by {self.answer.what}"
        return "delivered; no answer was seen"

    def to_json(self) -> dict[str, Any]:
        """As `testbed trace --json` prints it."""
        return {
            "source": self.source,
            "destination": self.destination,
            "protocol": self.protocol,
            "port": self.port or None,
            "bytes": self.size,
            "df": self.df,
            "ok": self.ok,
            "delivered": self.delivered,
            "answered": self.answered,
            "dropped_at": self.dropped_at,
            "last_seen": self.last_seen,
            "reason": self.reason,
            "outcome": self.sentence,
            "request": self.request.to_json(),
            "answer": self.answer.to_json() if self.answer else None,
            "icmp_error": self.error.to_json() if self.error else None,
            "answer_icmp_error": self.answer_error.to_json() if self.answer_error else None,
            "lost": list(self.lost),
            "cookie": self.cookie,
        }


def trace(
    client: Client,
    plan: Plan,
    source: str,
    destination: str,
    *,
    protocol: Protocol = "icmp",
    port: int = 0,
    size: int | None = None,
    df: bool = False,
) -> Trace:
    """Send one packet from node `source` to the address `destination`, and follow it.

    An ICMP echo request, a TCP SYN or a UDP datagram to `port`; `size` is that
    of the IP packet in bytes, `df` sets Don't Fragment. UsageError for what
    cannot be sent, or followed: multicast.
    """
    address = _check_destination(destination)
    record = client.trace(
        source,
        destination=destination,
        protocol=protocol,
        port=port,
        size=size or DEFAULT_SIZE[protocol] + (IPV6_MORE if address.version == 6 else 0),
        df=df,
    )
    return analyse(record | {"bfd": dict(_bfd(client, plan, record))}, plan)


def _check_destination(destination: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(destination)
    except ValueError:
        raise UsageError(f"{destination} is not an IP address") from None
    if address.is_multicast or address == BROADCAST:
        hint = "multicast and broadcast are not followed: see testbed capture"
        raise UsageError(f"cannot trace to {destination}: not a single host's address", hint=hint)
    return address


def _bfd(client: Client, plan: Plan, record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The BFD sessions of tunnels that nothing could go into, by node, in its daemon's words."""
    devices = {
        (node.name, interface.name): interface.device
        for node in plan.nodes
        for interface in node.interfaces
        if isinstance(interface.device, Vxlan)
    }
    used = {(packet["node"], packet["interface"]) for packet in record["packets"]}
    unrouted = [devices[key] for key in used & devices.keys() if not leads(devices[key], record)]
    ends = {end.name for device in unrouted if (end := rack_end(device, plan))}
    for name in ends:
        with contextlib.suppress(NetworkError, UsageError):
            yield name, client.ask(name, "bird", [BFD])[0]


def analyse(record: dict[str, Any], plan: Plan) -> Trace:
    """What the record of a trace says (docs/protocol.md)."""
    probe = Probe(**record["probe"])
    wiring = Wiring(plan)
    evidence = Evidence(record, plan, wiring, Words(plan, wiring))
    tunnels = wiring.vxlan_ends()
    sightings = read_sightings(record["packets"], probe, tunnels)
    passages = read_passages(record, probe, tunnels)
    error = told(path("error", sightings, wiring).sightings, probe.source)
    request = _follow("request", sightings, passages, error, evidence)
    answer_error = (
        told(path("answer-error", sightings, wiring).sightings, request.hops[-1].node)
        if request.hops
        else None
    )
    answer: Path | None
    answer = _follow("answer", sightings, passages, answer_error, evidence)
    if not answer.hops:
        answer = None
        if request.delivered and error is not None:  # that a port is closed is an answer, too
            answer = _follow("error", sightings, passages, None, evidence)
        else:
            answer = unsent(request, error, passages, evidence)
    elif _came_from_elsewhere(request, answer):
        request = replace(request, delivered=True, last_seen=None, reason=None)
    else:
        answer = as_asked(request, answer)
    protocol: Protocol = record["probe"]["protocol"]
    return Trace(
        source=probe.source,
        destination=probe.destination,
        protocol=protocol,
        port=probe.port,
        size=probe.size,
        df=probe.df,
        request=request,
        answer=answer,
        error=error,
        answer_error=answer_error,
        lost=tuple(record["lost"]),
        cookie=probe.cookie,
    )


def _came_from_elsewhere(request: Path, answer: Path) -> bool:
    """Whether the answer shows that the packet arrived, though it was not seen to."""
    lost = not request.delivered and request.dropped_at is None
    return lost and answer.hops[0].node != request.last_seen


def _follow(
    way: Way,
    sightings: Sequence[Sighting],
    passages: Sequence[Passage],
    error: Told | None,
    evidence: Evidence,
) -> Path:
    own = path(way, sightings, evidence.wiring)
    hops = build(way, own.sightings, evidence.record, passages, evidence.wiring, evidence.words)
    return conclude(way, own, hops, error, passages, evidence)
