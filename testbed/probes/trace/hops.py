"""From what was seen to hops: each namespace that the packet crossed, and what it did there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.plan.model import Bond, Bridge, Vrf
from testbed.probes.trace.routing import Decision, decide

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.probes.trace.filters import Filter, Passage
    from testbed.probes.trace.order import Wiring
    from testbed.probes.trace.sightings import Layer, Sighting, Way
    from testbed.probes.trace.words import Words


LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class Port:
    """An interface that the packet came in or left by; `vlan` is the tag that it had there."""

    interface: str
    vlan: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For `testbed trace --json`."""
        return {"interface": self.interface, "vlan": self.vlan}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Source and destination in a packet's IP header."""

    source: str
    destination: str

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination}"


@dataclass(frozen=True, slots=True)
class Hop:
    """One namespace on the way.

    `enters` and `leaves` are the interfaces from the cable's to the one that
    routes, and back; empty where the packet began or was not sent on. `layer`
    says whether the packet was inside a tunnel there; `addresses` and
    `addresses_out` are then the tunnel's. `tunnel` is one that it went into or
    came out of there. `at_ms` counts from the first hop.
    """

    number: int
    node: str
    title: str
    layer: Layer
    enters: tuple[Port, ...]
    leaves: tuple[Port, ...]
    tunnel: str | None
    at_ms: float
    ttl: int
    ttl_out: int | None
    length: int
    addresses: Addresses
    addresses_out: Addresses | None
    decision: Decision | None
    route: str
    filters: tuple[Filter, ...]

    @property
    def translated(self) -> bool:
        """Whether its addresses were changed here (NAT)."""
        return self.addresses_out is not None and self.addresses_out != self.addresses

    @property
    def dropped_by(self) -> Filter | None:
        """The rule of nftables' that dropped it."""
        return next((entry for entry in self.filters if entry.drops), None)

    def to_json(self) -> dict[str, Any]:
        """For `testbed trace --json`."""
        out = self.addresses_out
        return {
            "hop": self.number,
            "node": self.node,
            "title": self.title,
            "layer": self.layer,
            "in": [port.to_json() for port in self.enters],
            "out": [port.to_json() for port in self.leaves],
            "tunnel": self.tunnel,
            "at_ms": self.at_ms,
            "ttl": self.ttl,
            "ttl_out": self.ttl_out,
            "bytes": self.length,
            "source": self.addresses.source,
            "destination": self.addresses.destination,
            "source_out": out.source if out else None,
            "destination_out": out.destination if out else None,
            "route": self.decision.to_json() | {"text": self.route} if self.decision else None,
            "filters": [entry.to_json() for entry in self.filters],
        }


def build(
    way: Way,
    sightings: Sequence[Sighting],
    record: dict[str, Any],
    passages: Sequence[Passage],
    wiring: Wiring,
    words: Words,
) -> tuple[Hop, ...]:
    """The hops of the packet of one way, whose sightings are in order."""
    began = sightings[0].at if sightings else 0
    unused = list(passages)
    hops = []
    for number, group in enumerate(_groups(sightings, wiring), 1):
        hops.append(_hop(number, way, group, began, record, unused, wiring, words))
    return tuple(hops)


def _groups(sightings: Sequence[Sighting], wiring: Wiring) -> Iterator[list[Sighting]]:
    """Sightings of one namespace, in by something and out by something else."""
    group: list[Sighting] = []
    for sighting in sightings:
        last = group[-1] if group else None
        if last and (
            last.node != sighting.node
            or last.header.layer != sighting.header.layer
            or (last.out and not sighting.out and not _stays(sighting, wiring))
        ):
            yield group
            group = []
        group.append(sighting)
    if group:
        yield group


def _stays(sighting: Sighting, wiring: Wiring) -> bool:
    """Whether what comes in there has not come from another node: by a bridge, or to itself."""
    return sighting.interface == LOOPBACK or _is_bridge(sighting, wiring)


def _is_bridge(sighting: Sighting, wiring: Wiring) -> bool:
    return isinstance(wiring.device(sighting.node, sighting.interface), Bridge)


def _hop(
    number: int,
    way: Way,
    group: list[Sighting],
    began: int,
    record: dict[str, Any],
    passages: list[Passage],
    wiring: Wiring,
    words: Words,
) -> Hop:
    entering = [s for s in group if not s.out and not _stays(s, wiring)]
    # By a bridge it gets from one of its ports to the node itself.
    inward = [s for s in group if not s.out and s.interface != LOOPBACK]
    leaving = _leaving(group, wiring)
    first = group[0]
    passage = _take_passage(way, first, inward, passages, wiring)
    addresses = Addresses(first.header.source, first.header.destination)
    out = leaving[-1].header if leaving else None
    decision = _decision(first, inward, leaving, record, wiring, words)
    tunnels = [
        *(("out of", words.tunnel(s.node, s.interface, addresses.source)) for s in entering[-1:]),
        *(("into", words.tunnel(s.node, s.interface, addresses.destination)) for s in leaving[:1]),
    ]
    return Hop(
        number=number,
        node=first.node,
        title=words.title(first.node),
        layer=first.header.layer,
        enters=tuple(Port(s.interface, s.vlan) for s in entering),
        leaves=tuple(Port(s.interface, s.vlan) for s in leaving),
        tunnel=next((f"{end} {tunnel}" for end, tunnel in tunnels if tunnel), None),
        at_ms=round((first.at - began) / 1e6, 3),
        ttl=first.header.ttl,
        ttl_out=out.ttl if out else None,
        length=first.length,
        addresses=addresses,
        addresses_out=Addresses(out.source, out.destination) if out else None,
        decision=decision,
        route=words.route(first.node, decision, addresses.destination) if decision else "",
        filters=passage.filters if passage else (),
    )


def _leaving(group: list[Sighting], wiring: Wiring) -> list[Sighting]:
    """Where it left. Where a bridge flooded it, that is every port: the last one is as good."""
    return [
        s
        for s in group
        if s.out
        and not _is_bridge(s, wiring)
        and not isinstance(wiring.device(s.node, s.interface), Vrf)
    ]


def _take_passage(
    way: Way, first: Sighting, entering: list[Sighting], passages: list[Passage], wiring: Wiring
) -> Passage | None:
    """What nftables did with it here; each passage belongs to one hop."""
    iifs: set[str | None] = {s.interface for s in entering}
    for s in entering:  # what is in a VRF is forwarded as if it had come in by the VRF
        master = wiring.master(s.node, s.interface)
        if master is not None and isinstance(master.device, Vrf):
            iifs.add(master.name)
    for passage in passages:
        if passage.part.start or passage.node != first.node:
            continue
        if passage.iif not in (iifs or {None}):
            continue
        if first.header.layer == "wireguard":
            same = bool(passage.tunnel) and first.header.tunnel.startswith(passage.tunnel)
        elif way in {"error", "answer-error"}:
            same = passage.about_error
        else:
            same = passage.way == way
        if same:
            passages.remove(passage)
            return passage
    return None


def _decision(
    first: Sighting,
    entering: list[Sighting],
    leaving: list[Sighting],
    record: dict[str, Any],
    wiring: Wiring,
    words: Words,
) -> Decision | None:
    """The kernel's answer about a packet that came in by the last of these interfaces."""
    node = record["nodes"].get(first.node)
    iif = entering[-1].interface if entering else None
    if node is None or (iif and wiring.is_port(first.node, iif)):
        return None
    header = first.header
    answers = [
        answer
        for answer in node["decisions"]
        if answer["iif"] == iif
        and answer["source"] == header.source
        and (iif is None or answer["asked"] == header.destination)
    ]
    if not answers:
        return None
    outs = [s.interface for s in leaving]
    vrf_table = words.vrf_table(first.node, iif) if iif else None
    names = [name for name in outs if not isinstance(wiring.device(first.node, name), Bond)]
    return decide(node, answers[0], vrf_table, names[0] if names else None)
