"""One trace, and what captures and the sockets at both ends say of the same packet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.plan.model import Veth, Vxlan, WireGuard
from witnesses.wires import Part, Place, Wires, covers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed.plan.model import Plan
    from testbed.probes.trace import Path, Trace
    from witnesses.arrivals import Arrivals


def differences(
    trace: Trace,
    target: str | None,
    wires: Wires,
    ends: Mapping[str, Arrivals],
    captured: set[tuple[str, str]],
) -> list[str]:
    """What a trace says otherwise; `target` is the node that has the destination, if any has."""
    found: list[str] = []
    header = 40 if ":" in trace.destination else 20
    arrived = target is not None and ends[target].got_request(trace.cookie, trace.size - header)
    if trace.delivered != arrived:
        found.append(f"delivered: {trace.delivered}, socket at {target}: {arrived}")
    back = ends[trace.source].got_answer(trace.cookie, trace.port)
    if trace.answered != back:
        found.append(f"answered: {trace.answered}, socket at {trace.source}: {back}")
    back_way = trace.answer.way if trace.answer is not None else "answer"
    for path, way in ((trace.request, "request"), (trace.answer, back_way)):
        course = wires.course(trace.cookie, way, trace.port)
        start = trace.source if way == "request" else (target or trace.request.hops[-1].node)
        if path is not None:
            found += [f"{way}: {text}" for text in _path(path, course, captured, wires.plan, start)]
        elif course:
            found.append(f"{way}: not told, but seen at {sorted(course)[:3]}")
    senders = wires.error_from(trace.cookie, trace.port)
    teller = {trace.error.node} if trace.error is not None else set()
    if senders and not (teller and teller <= senders):
        found.append(f"error from {teller}, captures: {sorted(senders)}")
    return found


def _path(
    path: Path,
    course: dict[Place, list[Part]],
    captured: set[tuple[str, str]],
    plan: Plan,
    start: str,
) -> Iterator[str]:
    yield from _places(path, course, captured)
    if path.delivered:
        return
    nodes = ends_of(course, plan, start)
    said = path.dropped_at or path.last_seen
    if said not in nodes:
        yield f"ended at {said}, captures: {sorted(nodes)}"
    if not path.reason:
        yield "no reason"


def _places(
    path: Path, course: dict[Place, list[Part]], captured: set[tuple[str, str]]
) -> Iterator[str]:
    """Interfaces with their direction, and the times to live there."""
    told: dict[Place, set[int | None]] = {}
    for hop in path.hops:
        for ports, out, ttl in ((hop.enters, False, hop.ttl), (hop.leaves, True, hop.ttl_out)):
            for port in ports:
                if (hop.node, port.interface) in captured:
                    place = Place(hop.node, port.interface, out, hop.layer)
                    told.setdefault(place, set()).add(ttl)
    seen = {
        place: {part.ttl for part in parts if not part.start}
        for place, parts in course.items()
        if any(not part.start for part in parts)
    }
    for place in seen.keys() - told.keys():
        yield f"not told: {place}"
    for place in told.keys() - seen.keys():
        yield f"not captured: {place}"
    for place in told.keys() & seen.keys():
        if not told[place] & seen[place]:
            yield f"TTL at {place}: {told[place]}, captured {seen[place]}"


def ends_of(course: dict[Place, list[Part]], plan: Plan, start: str) -> set[str]:
    """The nodes that the packet came to, or was sent from, and did not leave as a whole."""
    whole = {place for place, parts in course.items() if covers(parts)}
    if not whole:
        return {start}
    devices = {(n.name, i.name): i.device for n in plan.nodes for i in n.interfaces}
    found = set()
    for place in whole:
        device = devices.get((place.node, place.interface))
        if place.out:
            end = _behind(place, device, whole)
        else:
            end = None if _goes_on(place, devices, whole) else place.node
        if end is not None:
            found.add(end)
    return found


def _behind(place: Place, device: object, whole: set[Place]) -> str | None:
    """Where a packet that left by an interface has ended, if it did not come out behind it."""
    if isinstance(device, Veth):
        came = Place(device.peer_node, device.peer, False, place.layer) in whole
        return None if came else place.node
    if isinstance(device, WireGuard):
        sent = any(p.node == device.socket_node and p.out and p.layer == "wireguard" for p in whole)
        return None if sent else place.node
    if isinstance(device, Vxlan):
        node = device.underlay_node
        return None if any(p.node == node and p.out and p.layer == "vxlan" for p in whole) else node
    return place.node


def _goes_on(place: Place, devices: Mapping[tuple[str, str], object], whole: set[Place]) -> bool:
    """Whether it left the node again, or came out of a tunnel that ends there."""
    return any(
        _left(place, other) if other.out else _came_out(place, other, devices) for other in whole
    )


def _left(place: Place, other: Place) -> bool:
    return other.node == place.node and other.layer == place.layer


def _came_out(place: Place, other: Place, devices: Mapping[tuple[str, str], object]) -> bool:
    device = devices.get((other.node, other.interface))
    if isinstance(device, WireGuard) and place.layer == "wireguard":
        return device.socket_node == place.node
    if isinstance(device, Vxlan) and place.layer == "vxlan":
        return device.underlay_node == place.node
    return False
