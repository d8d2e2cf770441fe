"""Putting what was seen in many namespaces into the order in which it happened.

Each namespace has an order of its own. Between them what goes into a cable
comes out at its other end, and what enters a tunnel comes out of it; that
holds where clocks cannot tell, as in virtual time, where no time passes
between two namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from testbed.plan.model import Bridge, Veth, Vlan, Vxlan, WireGuard
from testbed.probes.trace.sightings import HOST, OTHER_HOST, encrypted_lengths

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from testbed.plan.model import Interface, LinkKind, Plan
    from testbed.probes.trace.packets import Part
    from testbed.probes.trace.sightings import Sighting, Way


class Wiring:
    """The interfaces of a plan by node and name."""

    def __init__(self, plan: Plan) -> None:
        self._interfaces = {
            (node.name, interface.name): interface
            for node in plan.nodes
            for interface in node.interfaces
        }

        self._ports: set[tuple[str, str]] = set()
        for node, name in self._interfaces:
            master, device = self.master(node, name), self.device(node, name)
            if master is not None and isinstance(master.device, Bridge):
                self._ports.add((node, name))
                if isinstance(device, Vlan):
                    self._ports.add((node, device.parent))

    def interface(self, node: str, name: str) -> Interface | None:
        """An interface; None for one that the plan has not."""
        return self._interfaces.get((node, name))

    def device(self, node: str, name: str) -> LinkKind | None:
        """What an interface is."""
        found = self.interface(node, name)
        return found.device if found else None

    def master(self, node: str, name: str) -> Interface | None:
        """The bond, bridge or VRF that an interface belongs to."""
        found = self.interface(node, name)
        return self.interface(node, found.master) if found and found.master else None

    def is_port(self, node: str, name: str) -> bool:
        """Whether an interface, or a VLAN on it, is a port of a bridge."""
        return (node, name) in self._ports

    def wireguards(self, socket_node: str) -> list[tuple[str, str]]:
        """The WireGuard interfaces, with their nodes, whose UDP socket is in a node."""
        return [
            key
            for key, interface in self._interfaces.items()
            if isinstance(interface.device, WireGuard)
            and interface.device.socket_node == socket_node
        ]

    def vxlan_ends(self) -> set[tuple[str, str]]:
        """Source and destination of the outer packets of every VXLAN."""
        devices = (interface.device for interface in self._interfaces.values())
        return {(each.local, each.remote) for each in devices if isinstance(each, Vxlan)}

    def vxlans(self, underlay: str) -> list[tuple[str, str]]:
        """The VXLANs, with their nodes, whose outer packets a node routes."""
        return [
            key
            for key, interface in self._interfaces.items()
            if isinstance(interface.device, Vxlan) and interface.device.underlay_node == underlay
        ]


@dataclass(frozen=True, slots=True)
class Course:
    """Where the packet of one way came by, in order, and where only a part of it did.

    Of a packet in fragments it is the first one that is followed. `gap` is the
    place in `sightings` from which on some of the others are missing, None
    where all of them went the same way; `missing` says which. `tunnels` are
    what tells apart WireGuard's packets that they were in.
    """

    sightings: tuple[Sighting, ...]
    gap: int | None = None
    missing: str = ""
    tunnels: tuple[bytes, ...] = ()


def path(way: Way, sightings: Sequence[Sighting], wiring: Wiring) -> Course:
    """Where the packet of one way came by, through tunnels that hide it, too."""
    own = [s for s in sightings if s.header.way == way and not _is_copy(s, wiring)]
    hidden = [s for s in sightings if s.header.layer == "wireguard" and not _is_copy(s, wiring)]
    tunnels: dict[bytes, Sighting] = {}  # what went in, by what WireGuard made of it
    for entering in [s for s in own if s.out]:
        device = wiring.device(entering.node, entering.interface)
        if isinstance(device, WireGuard):
            tunnel = _encrypted(entering, device, hidden, wiring, tunnels)
            if tunnel:
                tunnels[tunnel] = entering
    own += [
        replace(s, header=replace(s.header, way=way)) for s in hidden if s.header.tunnel in tunnels
    ]
    later = {tunnel for tunnel, entering in tunnels.items() if entering.header.part.start}
    firsts = [s for s in own if not s.header.part.start and s.header.tunnel not in later]
    ordered = tuple(_merged(firsts, wiring))
    gap, missing = next(_gaps(ordered, own, tunnels), (None, ""))
    return Course(ordered, gap, missing, tuple(tunnels))


def _gaps(
    ordered: Sequence[Sighting], own: Sequence[Sighting], tunnels: Mapping[bytes, Sighting]
) -> Iterator[tuple[int, str]]:
    """The places where not all fragments came by that the first one's place is to see.

    Each is its place in `ordered` and which bytes are missing.
    """
    places: dict[tuple[str, str, bool, str], list[Sighting]] = {}
    for s in own:
        places.setdefault((s.node, s.interface, s.out, s.header.layer), []).append(s)
    for index, s in enumerate(ordered):
        here = places[s.node, s.interface, s.out, s.header.layer]
        if s.header.layer != "wireguard":
            missing = _missing([each.header.part for each in here])
        else:
            each_own = [
                [h.header.part for h in here if h.header.tunnel == tunnel]
                for tunnel in _together(s.header.tunnel, tunnels)
            ]
            missing = next((text for parts in each_own if (text := _missing(parts))), "")
        if missing:
            yield index, missing


def _together(tunnel: bytes, tunnels: Mapping[bytes, Sighting]) -> list[bytes]:
    """The packets of WireGuard's that the fragments of one packet became at one entrance."""
    at = tunnels[tunnel]
    return [
        other
        for other, entering in tunnels.items()
        if (entering.node, entering.interface) == (at.node, at.interface)
    ]


def _missing(parts: Sequence[Part]) -> str:
    """Which bytes of a packet's payload are not among these fragments; empty when all are."""
    if not parts:
        return "one of its fragments"
    end, last = 0, False
    for part in sorted(parts, key=lambda part: part.start):
        if part.start > end:
            return f"its fragment of the bytes {end} to {part.start}"
        end, last = max(end, part.end), last or part.last
    return "" if last else f"its fragment from byte {end} on"


def _is_copy(sighting: Sighting, wiring: Wiring) -> bool:
    """Whether it is one that a bridge has flooded, at somebody whom it is not for."""
    return sighting.kind == OTHER_HOST and not wiring.is_port(sighting.node, sighting.interface)


def _encrypted(
    entering: Sighting,
    device: WireGuard,
    hidden: Iterable[Sighting],
    wiring: Wiring,
    taken: Container[bytes],
) -> bytes:
    """What WireGuard made of a packet: the first of that size that its socket sent since."""
    interface = wiring.interface(entering.node, entering.interface)
    lengths = encrypted_lengths(entering.length, interface.mtu if interface else None)
    candidates = [
        s
        for s in hidden
        if s.out
        and s.node == device.socket_node
        and s.at >= entering.at
        and not s.header.part.start
        and s.header.port == device.listen_port
        and s.header.whole_length in lengths
        and s.header.tunnel not in taken
    ]
    first = min(candidates, key=lambda s: (s.at, s.order), default=None)
    return first.header.tunnel if first else b""


def _merged(sightings: Sequence[Sighting], wiring: Wiring) -> Iterator[Sighting]:
    """All sightings, each after what has to come before it, otherwise by time."""
    left: dict[str, list[Sighting]] = {}
    for sighting in sorted(sightings, key=lambda s: s.order):
        left.setdefault(sighting.node, []).append(sighting)
    done: list[Sighting] = []
    conditions = {s: _condition(s, sightings, wiring) for s in sightings}
    while left:
        heads = [queue[0] for queue in left.values()]
        ready = [s for s in heads if _holds(conditions[s], s, sightings, done)] or heads
        last = done[-1] if done else None
        chosen = min(ready, key=lambda s: (s.at, last is None or s.node != last.node, s.order))
        done.append(chosen)
        queue = left[chosen.node]
        queue.pop(0)
        if not queue:
            del left[chosen.node]
        yield chosen


def _holds(
    condition: set[tuple[str, str, bool]],
    sighting: Sighting,
    sightings: Sequence[Sighting],
    done: Sequence[Sighting],
) -> bool:
    """Whether what has to come before was seen as often as it has to, if it was seen at all."""
    if not condition:
        return True
    own = (sighting.node, sighting.interface, sighting.out)
    place = sum(1 for s in done if (s.node, s.interface, s.out) == own)
    before = [s for s in sightings if (s.node, s.interface, s.out) in condition]
    before_done = sum(1 for s in done if (s.node, s.interface, s.out) in condition)
    return before_done > place or before_done == len(before)


def _condition(
    sighting: Sighting, sightings: Sequence[Sighting], wiring: Wiring
) -> set[tuple[str, str, bool]]:
    """Where the packet has to have been before: node, interface, whether leaving."""
    device = wiring.device(sighting.node, sighting.interface)
    layer = sighting.header.layer
    if not sighting.out:
        if isinstance(device, Veth):
            return {(device.peer_node, device.peer, True)}
        if isinstance(device, WireGuard):
            return _arrivals(device.socket_node, "wireguard", sightings)
        if isinstance(device, Vxlan):
            return _arrivals(device.underlay_node, "vxlan", sightings)
        return set()
    came_in = any(
        s.node == sighting.node
        and not s.out
        and s.header.layer == layer
        and s.order < sighting.order
        for s in sightings
    )
    if came_in or layer == "packet":
        return set()
    entrances = wiring.wireguards if layer == "wireguard" else wiring.vxlans
    return {(node, name, True) for node, name in entrances(sighting.node)}


def _arrivals(node: str, layer: str, sightings: Sequence[Sighting]) -> set[tuple[str, str, bool]]:
    return {
        (s.node, s.interface, False)
        for s in sightings
        if s.node == node and s.header.layer == layer and not s.out and s.kind == HOST
    }
