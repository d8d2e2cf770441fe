"""Whether the packet arrived; else where it was dropped, and why.

The reason is the kernel's: a rule of nftables' that dropped it, an ICMP error
that was sent about it, the routing decision, a neighbour that was silent, a
queue or a counter that went up. Where nothing says why, that is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from testbed.plan.model import Veth, Vxlan, WireGuard
from testbed.probes.trace.routing import decide
from testbed.probes.trace.service_link import outer
from testbed.probes.trace.sightings import UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.probes.trace.evidence import Evidence
    from testbed.probes.trace.filters import Passage
    from testbed.probes.trace.hops import Hop
    from testbed.probes.trace.order import Course
    from testbed.probes.trace.sightings import IcmpError, Sighting, Way

BROADCAST = "255.255.255.255"
SESSION_S = 180  # after which a handshake of WireGuard's counts for nothing (REJECT_AFTER_TIME)
PORT_CODES = {2, 3}  # what a host says of a protocol or port, not a router of the way to it


@dataclass(frozen=True, slots=True)
class Told:
    """An ICMP error about the packet, where it came from, whether it reached the source."""

    error: IcmpError
    node: str
    address: str
    received: bool

    def to_json(self) -> dict[str, Any]:
        """For `testbed trace --json`."""
        return {
            "type": self.error.type,
            "code": self.error.code,
            "mtu": self.error.mtu or None,
            "text": self.error.text,
            "node": self.node,
            "address": self.address,
            "received": self.received,
        }


@dataclass(frozen=True, slots=True)
class Path:
    """The way of the packet, or of its answer: its hops and what became of it.

    `dropped_at` is the node that is known to have dropped it. Without one, and
    not `delivered`, nothing shows what became of it: `last_seen` is where it
    was seen last. `reason` is a sentence without its full stop, None where it
    was delivered.
    """

    way: Way
    what: str
    hops: tuple[Hop, ...]
    delivered: bool
    dropped_at: str | None
    reason: str | None
    last_seen: str | None = None

    @property
    def end(self) -> str:
        """What became of it, where it was not delivered."""
        if self.dropped_at is not None:
            return f"dropped at {self.dropped_at}: {self.reason}"
        return f"not seen again after {self.last_seen}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """For `testbed trace --json`."""
        return {
            "what": self.what,
            "delivered": self.delivered,
            "dropped_at": self.dropped_at,
            "last_seen": self.last_seen,
            "reason": self.reason,
            "hops": [hop.to_json() for hop in self.hops],
        }


def as_asked(request: Path, answer: Path) -> Path:
    """Return the answer, as not delivered where it comes from another address than was asked.

    No program takes such an answer for one.
    """
    if not answer.delivered or not request.hops or answer.way != "answer":
        return answer
    first, last = request.hops[0], answer.hops[-1]
    asked, source = first.addresses.destination, last.addresses.source
    if source == asked or ip_address(asked).is_multicast or asked == BROADCAST:
        return answer
    reason = f"it comes from {source}, and {asked} was asked"
    return replace(answer, delivered=False, dropped_at=last.node, reason=reason)


@dataclass(frozen=True, slots=True)
class Loss:
    """Where a packet ended, and why; `known`: something shows that it was dropped there."""

    node: str
    reason: str
    known: bool = True


def told(errors: Sequence[Sighting], source: str) -> Told | None:
    """The ICMP error that was sent about a packet, from its sightings in order."""
    plain = [s for s in errors if s.header.layer == "packet" and s.header.error]
    if not plain:
        return None
    first = plain[0]
    assert first.header.error is not None
    received = any(s.node == source and not s.out for s in plain) or first.interface == "lo"
    return Told(first.header.error, first.node, first.header.source, received)


def conclude(
    way: Way,
    course: Course,
    hops: Sequence[Hop],
    error: Told | None,
    passages: Sequence[Passage],
    e: Evidence,
) -> Path:
    """What became of the packet of one way."""
    what = next((s.header.what for s in course.sightings if s.header.what), "")
    end: Loss | None = None
    dropping = next((hop for hop in hops if hop.dropped_by), None)
    if course.gap is not None:
        end = _in_part(course, course.gap, passages, e)
    elif dropping is not None:
        end = Loss(dropping.node, _filtered(dropping))
    elif not (hops and _arrived(hops[-1], error)):
        end = _why(hops, error, e)
    if end is None:
        return Path(way, what, tuple(hops), True, None, None)
    at = end.node if end.known else None
    return Path(way, what, tuple(hops), False, at, end.reason, None if end.known else end.node)


def _in_part(course: Course, gap: int, passages: Sequence[Passage], e: Evidence) -> Loss:
    """Why only some of its fragments got to a place on the way."""
    here = course.sightings[gap]
    before = course.sightings[max(gap - 1, 0)]
    inside = INSIDE[here.header.layer]
    keys = {s.header.part.key for s in course.sightings}
    for passage in passages:
        entry = next((entry for entry in passage.filters if entry.drops), None)
        hidden = any(t.startswith(passage.tunnel) for t in course.tunnels if passage.tunnel)
        if entry and ((passage.part.start and passage.part.key in keys) or hidden):
            text = entry.comment or f"{entry.text} of {e.words.title(passage.node)}"
            return Loss(passage.node, f"{course.missing}: {text}{inside}")
    node = before.node
    reason = e.queued(node) or e.counted(node)
    where = f"did not arrive at {here.node} {here.interface}"
    if here.node == before.node:
        where = f"did not leave by {here.interface}"
    text = f"{course.missing} {where}{inside}"
    return Loss(node, f"{text}: {reason}" if reason else text, known=not e.lost(node, here.node))


def _arrived(last: Hop, error: Told | None) -> bool:
    """Whether the last hop is where the packet was for, and nothing refused it there.

    That nothing listens on its port is an answer, too.
    """
    here = last.layer == "packet" and last.decision is not None and last.decision.type == "local"
    own = last.layer == "packet" and last.leaves and last.leaves[0].interface == "lo"
    if error is None or not (here or own):
        return bool(here or own)
    return error.error.type == UNREACHABLE and error.error.code in PORT_CODES


INSIDE = {"packet": "", "vxlan": " (inside VXLAN)", "wireguard": " (inside WireGuard)"}


def _filtered(hop: Hop) -> str:
    entry = hop.dropped_by
    assert entry is not None
    text = entry.comment or f"{entry.text} of {hop.title}"
    return text + INSIDE[hop.layer]


def _why(hops: Sequence[Hop], error: Told | None, e: Evidence) -> Loss:
    """Where the packet ended, and the reason."""
    if error is not None:
        return Loss(error.node, _refused(hops, error, e))
    if not hops:
        return _not_sent(e)
    last = hops[-1]
    return _lost_behind(last, e) if last.leaves else _stopped(last, e)


def unsent(
    request: Path, error: Told | None, passages: Sequence[Passage], e: Evidence
) -> Path | None:
    """Why no answer left where the packet was delivered; None where nothing kept it from that."""
    if not request.delivered or error is not None or not request.hops:
        return None
    last = request.hops[-1]
    for passage in passages:
        dropped = next((entry for entry in passage.filters if entry.drops), None)
        if passage.node == last.node and passage.way == "answer" and dropped:
            return Path("answer", "", (), False, last.node, dropped.text)
    for answer in e.node(last.node).get("decisions", ()):
        if answer["iif"] is None and answer["destination"] == last.addresses.source:
            decision = decide(e.node(last.node), answer, None, None)
            if not decision.leads and decision.type not in {"local", "unknown"}:
                reason = e.words.route(last.node, decision, last.addresses.source)
                return Path("answer", "", (), False, last.node, reason)
    if queued := e.queued(last.node):
        return Path("answer", "", (), False, last.node, queued)
    return None


def _refused(hops: Sequence[Hop], error: Told, e: Evidence) -> str:
    """What a node said of the packet in an ICMP error, with its decision."""
    sent = f"{error.error.text} sent from {error.address}"
    at = next((hop for hop in reversed(hops) if hop.node == error.node), None)
    if error.error.mtu and (error.error.type, error.error.code) == (UNREACHABLE, 4):
        size = at.length if at else e.record["probe"]["size"]
        of = f" of {at.decision.dev}" if at and at.decision and at.decision.dev else ""
        text = f"its {size} bytes are more than the MTU{of}, {error.error.mtu}"
        text += "" if error.error.six else ", and DF is set"  # no router fragments IPv6
        return f"{text}: {sent}"
    if at and at.decision and not at.decision.leads and at.decision.type != "local":
        return f"{at.route}: {sent}{e.down(at.node)}"
    dev = at.decision.dev if at and at.decision else None
    if not (at and at.leaves) and (mute := e.silent_on(error.node, dev)):
        return mute if error.node == e.record["probe"]["source"] else f"{mute}: {sent}"
    return sent


def _not_sent(e: Evidence) -> Loss:
    """Why the source's own kernel did not send it."""
    source, sent = str(e.record["probe"]["source"]), e.record["sent"]
    if sent["error"]:
        text = {
            "Message too long": f"its {e.record['probe']['size']} bytes are more than the MTU of "
            "the interface, and DF is set",
            "Network is unreachable": "no route to the destination",
            "Cannot assign requested address": "no address to send it from",
        }.get(sent["error"])
        text = f"{text} ({sent['error']})" if text else f"sending failed: {sent['error']}"
        return Loss(source, f"{text}{e.down(source)}")
    if dropped := _dropped_output(source, e):
        return Loss(source, dropped)
    reasons = (e.silent_on(source, None), e.queued(source), e.counted(source))
    if reason := next((reason for reason in reasons if reason), None):
        return Loss(source, reason)
    return Loss(source, "the packet was not seen to leave", known=False)


def _dropped_output(source: str, e: Evidence) -> str | None:
    """A rule of the source's own that dropped what never got to an interface."""
    step = next(
        (s for s in e.record["steps"] if s["node"] == source and s["verdict"] == "drop"), None
    )
    return f"nftables table {step['table']}, chain {step['chain']} dropped it" if step else None


def _lost_behind(last: Hop, e: Evidence) -> Loss:
    """It left an interface, and came in nowhere."""
    port = last.leaves[-1].interface
    device = e.wiring.device(last.node, port)
    if isinstance(device, WireGuard):
        return _not_encrypted(last, port, device, e)
    if isinstance(device, Vxlan):
        if reason := outer(device, e):
            return Loss(device.underlay_node, reason)
        return Loss(device.underlay_node, f"nothing that went {last.tunnel} left", known=False)
    if isinstance(device, Veth):
        far = f"{device.peer_node} {device.peer}"
        reason = f"it left {port} and did not arrive at {far}{e.down(last.node)}"
        return Loss(last.node, reason, known=not e.lost(last.node, device.peer_node))
    if device is None:
        text = f"it went into {port}, which is not the testbed's, and is not followed further"
        return Loss(last.node, text, known=False)
    return Loss(last.node, f"it left {port}, and is not followed further", known=False)


def _not_encrypted(last: Hop, port: str, device: WireGuard, e: Evidence) -> Loss:
    """It went into a tunnel, and WireGuard sent nothing that looks like it."""
    ages = e.node(last.node).get("wireguard", {}).get(port)
    names = ", ".join(peer.name for peer in device.peers)
    sessions = [ages.get(peer.public_key) for peer in device.peers] if ages is not None else None
    if sessions is not None and all(age is None or age > SESSION_S for age in sessions):
        return Loss(last.node, f"WireGuard has no session with {names}: it sent nothing by {port}")
    text = f"it went into {port}, and was not recognised in WireGuard"
    return Loss(last.node, text, known=False)


def _stopped(last: Hop, e: Evidence) -> Loss:
    """It came in, and did not leave."""
    decision = last.decision
    if last.enters and (vlan := last.enters[-1].vlan) is not None:
        tagged = f"it arrived by {last.enters[-1].interface} with the tag of VLAN {vlan}"
        return Loss(last.node, f"{tagged}, which no interface there accepts")
    if decision and not decision.leads and decision.type not in {"local", "unknown"}:
        return Loss(last.node, f"{last.route}{e.down(last.node)}")
    if decision and decision.dev:
        for text in (e.no_carrier(last.node, decision.dev), e.silent_on(last.node, decision.dev)):
            if text:
                return Loss(last.node, text)
    reason = e.queued(last.node)
    if not reason and decision and decision.type == "local" and last.layer == "wireguard":
        reason = "WireGuard did not accept it: it belongs to none of its sessions"
    if reason := reason or e.counted(last.node):
        return Loss(last.node, reason)
    return Loss(last.node, "it arrived and did not leave; the kernel gives no reason", known=False)
