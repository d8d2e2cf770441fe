"""Following one marked packet through a testbed, hop by hop, and its answer back.

The keeper sends the packet and records what the kernel shows of it
(`testbed.keeper.trace`); here that becomes hops and a verdict. Nothing is
taken from the plan but names and which cable leads where.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from testbed.errors import UsageError
from testbed.probes.trace.filters import Filter, Passage, read_passages
from testbed.probes.trace.hops import Addresses, Hop, Port, build
from testbed.probes.trace.order import Wiring, path
from testbed.probes.trace.routing import Decision
from testbed.probes.trace.sightings import Probe, read_sightings
from testbed.probes.trace.verdict import Evidence, Path, Told, conclude, told, unsent
from testbed.probes.trace.words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.client import Client
    from testbed.plan.model import Plan
    from testbed.probes.trace.sightings import Sighting, Way

Protocol = Literal["icmp", "tcp", "udp"]


class Probing(TypedDict):
    """What kind of packet is sent: the arguments of `trace`."""

    protocol: Protocol
    port: int
    size: int | None
    df: bool


IPV4, BROADCAST = 4, IPv4Address("255.255.255.255")
DEFAULT_SIZE: dict[Protocol, int] = {"icmp": 84, "tcp": 40, "udp": 84}
"""Bytes of the IP packet: as ping(8) sends it; a SYN without options or data."""

__all__ = ["Addresses", "Decision", "Filter", "Hop", "Path", "Port", "Protocol", "Told", "Trace"]


@dataclass(frozen=True, slots=True)
class Trace:
    """What became of a packet.

    `request` is its way, `answer` that of what came back, None without any.
    `error` is the ICMP error that was sent about it, `answer_error` the one
    about its answer. `lost` names the nodes where the kernel could not keep
    up, so that hops may be missing.
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

    @property
    def delivered(self) -> bool:
        """Whether the packet arrived."""
        return self.request.delivered

    @property
    def answered(self) -> bool:
        """Whether an answer came back to the source: a reply, or that the port is closed."""
        if self.answer is not None:
            return self.answer.delivered
        return self.delivered and self.error is not None and self.error.received

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
        """The node that dropped the packet, or else its answer; None where `ok`."""
        return self._failed.dropped_at if self._failed else None

    @property
    def reason(self) -> str | None:
        """Why it was dropped there; None where `ok`."""
        return self._failed.reason if self._failed else None

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        if failed := self._failed:
            subject = "dropped" if failed.way == "request" else "delivered, but its answer dropped"
            return f"{subject} at {failed.dropped_at}: {failed.reason}"
        if self.answer is not None:
            return f"delivered, and answered by {self.answer.what}"
        if self.error is not None:
            got = "" if self.error.received else ", which did not come back"
            return f"delivered, and answered by {self.error.error.text}{got}"
        return "delivered; no answer was sent"

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
            "reason": self.reason,
            "outcome": self.sentence,
            "request": self.request.to_json(),
            "answer": self.answer.to_json() if self.answer else None,
            "icmp_error": self.error.to_json() if self.error else None,
            "answer_icmp_error": self.answer_error.to_json() if self.answer_error else None,
            "lost": list(self.lost),
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
    can't be sent, or followed: IPv6, multicast.
    """
    _check_destination(destination)
    record = client.trace(
        source,
        destination=destination,
        protocol=protocol,
        port=port,
        size=size or DEFAULT_SIZE[protocol],
        df=df,
    )
    return analyse(record, plan)


def _check_destination(destination: str) -> None:
    try:
        address = ip_address(destination)
    except ValueError:
        raise UsageError(f"{destination} is not an IPv4 address") from None
    if address.version != IPV4 or address.is_multicast or address == BROADCAST:
        hint = "IPv6, multicast and broadcast are not followed: see testbed capture"
        raise UsageError(f"can't trace to {destination}: not one IPv4 host's address", hint=hint)


def analyse(record: dict[str, Any], plan: Plan) -> Trace:
    """What the record of a trace says (docs/protocol.md)."""
    probe = Probe(**record["probe"])
    wiring = Wiring(plan)
    evidence = Evidence(record, plan, wiring, Words(plan, wiring))
    sightings = read_sightings(record["packets"], probe)
    passages = read_passages(record, probe)
    error = told(path("error", sightings, wiring), probe.source)
    request = _follow("request", sightings, passages, error, evidence)
    answer_error = (
        told(path("answer-error", sightings, wiring), request.hops[-1].node)
        if request.hops
        else None
    )
    answer: Path | None = _follow("answer", sightings, passages, answer_error, evidence)
    if answer is not None and not answer.hops:
        answer = unsent(request, error, passages, evidence)
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
    )


def _follow(
    way: Way,
    sightings: Sequence[Sighting],
    passages: Sequence[Passage],
    error: Told | None,
    evidence: Evidence,
) -> Path:
    own = path(way, sightings, evidence.wiring)
    hops = build(way, own, evidence.record, passages, evidence.wiring, evidence.words)
    return conclude(way, own, hops, error, evidence)
