"""Whether the packet arrived; else where it was dropped, and why.

The reason is the kernel's: a rule of nftables' that dropped it, an ICMP error
that was sent about it, the routing decision, a neighbour that was silent, a
queue or a counter that went up. Where nothing says why, that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.plan.model import Veth, Vxlan, WireGuard
from testbed.probes.trace.routing import decide
from testbed.probes.trace.sightings import UNREACHABLE, asked_neighbors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.plan.model import Plan
    from testbed.probes.trace.filters import Passage
    from testbed.probes.trace.hops import Hop
    from testbed.probes.trace.order import Wiring
    from testbed.probes.trace.sightings import IcmpError, Sighting, Way
    from testbed.probes.trace.words import Words

PORT_CODES = {2, 3}  # what a host says of a protocol or port, not a router of the way to it
COUNTERS = {
    "Ip.InHdrErrors": "its time to live was over, or its IP header was wrong",
    "Ip.InAddrErrors": "it was for an address that nothing is forwarded to",
    "Ip.InDiscards": "it was discarded on its way in",
    "Ip.OutDiscards": "it was discarded on its way out",
    "Ip.OutNoRoutes": "there was no route for it",
    "Ip.FragFails": "it is larger than the MTU and must not be fragmented",
    "Ip.ReasmFails": "a fragment of it was missing",
    "IpExt.InNoRoutes": "there was no route for it",
    "IpExt.InTruncatedPkts": "it was shorter than its header says",
    "TcpExt.IPReversePathFilter": "the way back to its source is another one (rp_filter)",
    "TcpExt.ListenDrops": "the queue of the listening socket was full",
    "Udp.RcvbufErrors": "the receiving socket had no room",
}


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

    `dropped_at` is a node and `reason` a sentence without its full stop, both
    None where it was delivered.
    """

    way: Way
    what: str
    hops: tuple[Hop, ...]
    delivered: bool
    dropped_at: str | None
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """For `testbed trace --json`."""
        return {
            "what": self.what,
            "delivered": self.delivered,
            "dropped_at": self.dropped_at,
            "reason": self.reason,
            "hops": [hop.to_json() for hop in self.hops],
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What conclusions are drawn from."""

    record: dict[str, Any]
    plan: Plan
    wiring: Wiring
    words: Words

    def node(self, name: str) -> dict[str, Any]:
        """What the record has of a node."""
        return dict(self.record["nodes"].get(name) or {})


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
    way: Way, sightings: Sequence[Sighting], hops: Sequence[Hop], error: Told | None, e: Evidence
) -> Path:
    """What became of the packet of one way."""
    what = next((s.header.what for s in sightings if s.header.what), "")
    for hop in hops:
        if hop.dropped_by:
            return Path(way, what, tuple(hops), False, hop.node, _filtered(hop))
    if hops and _arrived(hops[-1], error):
        return Path(way, what, tuple(hops), True, None, None)
    node, reason = _why(hops, error, e)
    return Path(way, what, tuple(hops), False, node, reason)


def _arrived(last: Hop, error: Told | None) -> bool:
    """Whether the last hop is where the packet was for, and nothing refused it there.

    That nothing listens on its port is an answer, too.
    """
    here = last.layer == "packet" and last.decision is not None and last.decision.type == "local"
    own = last.layer == "packet" and last.leaves and last.leaves[0].interface == "lo"
    if error is None or not (here or own):
        return bool(here or own)
    return error.error.type == UNREACHABLE and error.error.code in PORT_CODES


def _filtered(hop: Hop) -> str:
    entry = hop.dropped_by
    assert entry is not None
    inside = {"packet": "", "vxlan": " (inside VXLAN)", "wireguard": " (inside WireGuard)"}
    text = entry.comment or f"{entry.text} of {hop.title}"
    return text + inside[hop.layer]


def _why(hops: Sequence[Hop], error: Told | None, e: Evidence) -> tuple[str, str]:
    """The node that dropped the packet, and the reason."""
    source = str(e.record["probe"]["source"])
    if error is not None:
        return error.node, _refused(hops, error, e)
    if not hops:
        return source, _not_sent(e)
    last = hops[-1]
    if last.leaves:
        return _lost_behind(last, e)
    return last.node, _stopped(last, e)


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
    return None


def _refused(hops: Sequence[Hop], error: Told, e: Evidence) -> str:
    """What a node said of the packet in an ICMP error, with its decision."""
    sent = f"{error.error.text} sent from {error.address}"
    at = next((hop for hop in reversed(hops) if hop.node == error.node), None)
    if error.error.mtu and (error.error.type, error.error.code) == (UNREACHABLE, 4):
        size = at.length if at else e.record["probe"]["size"]
        of = f" of {at.decision.dev}" if at and at.decision and at.decision.dev else ""
        text = f"its {size} bytes are more than the MTU{of}, {error.error.mtu}, and DF is set"
        return f"{text}: {sent}"
    if at and at.decision and not at.decision.leads and at.decision.type != "local":
        return f"{at.route}: {sent}{_down(at.node, e)}"
    dev = at.decision.dev if at and at.decision else None
    if not (at and at.leaves) and (mute := _silent_on(error.node, dev, e)):
        return mute if error.node == e.record["probe"]["source"] else f"{mute}: {sent}"
    return sent


def _not_sent(e: Evidence) -> str:
    """Why the source's own kernel did not send it."""
    source, sent = str(e.record["probe"]["source"]), e.record["sent"]
    if sent["error"]:
        text = {
            "Message too long": f"its {e.record['probe']['size']} bytes are more than the MTU of "
            "the interface, and DF is set",
            "Network is unreachable": "no route to the destination",
        }.get(sent["error"])
        text = f"{text} ({sent['error']})" if text else f"sending failed: {sent['error']}"
        return f"{text}{_down(source, e)}"
    if dropped := _dropped_output(source, e):
        return dropped
    reasons = (_silent_on(source, None, e), _queued(source, e), _counted(source, e))
    return next((reason for reason in reasons if reason), "the packet was not seen to leave")


def _dropped_output(source: str, e: Evidence) -> str | None:
    """A rule of the source's own that dropped what never got to an interface."""
    step = next(
        (s for s in e.record["steps"] if s["node"] == source and s["verdict"] == "drop"), None
    )
    return f"nftables table {step['table']}, chain {step['chain']} dropped it" if step else None


def _lost_behind(last: Hop, e: Evidence) -> tuple[str, str]:
    """It left an interface, and came in nowhere."""
    port = last.leaves[-1].interface
    device = e.wiring.device(last.node, port)
    if isinstance(device, WireGuard):
        peers = ", ".join(peer.name for peer in device.peers)
        return last.node, f"WireGuard sent nothing by {port}: no session with {peers}"
    if isinstance(device, Vxlan):
        return device.underlay_node, _outer(device, e) or f"nothing of what went {last.tunnel} left"
    if isinstance(device, Veth):
        far = f"{device.peer_node} {device.peer}"
        return last.node, f"it left {port} and did not come in at {far}{_down(last.node, e)}"
    return last.node, f"it left {port} and was not seen again"


def _outer(device: Vxlan, e: Evidence) -> str | None:
    """Why the outer packet of a VXLAN did not leave."""
    node = device.underlay_node
    for answer in e.node(node).get("decisions", ()):
        if answer["iif"] is None and answer["destination"] == device.remote:
            decision = decide(e.node(node), answer, None, None)
            if not decision.leads and decision.type not in {"local", "unknown"}:
                reason = e.words.route(node, decision, device.remote)
                return f"{reason}, the far end of VXLAN VNI {device.vni}{_down(node, e)}"
    return _silent_on(node, None, e) or _queued(node, e) or _counted(node, e)


def _stopped(last: Hop, e: Evidence) -> str:
    """It came in, and did not leave."""
    decision = last.decision
    if decision and not decision.leads and decision.type not in {"local", "unknown"}:
        return f"{last.route}{_down(last.node, e)}"
    if decision and decision.dev:
        for text in (_no_carrier(last.node, decision.dev, e), _silent(last, e)):
            if text:
                return text
    if queued := _queued(last.node, e):
        return queued
    if decision and decision.type == "local" and last.layer == "wireguard":
        return "WireGuard did not accept it: it has no session with who sent it"
    counted = _counted(last.node, e)
    return counted or "it came in and did not leave; the kernel gives no reason"


def _no_carrier(node: str, dev: str, e: Evidence) -> str | None:
    link = e.node(node).get("links", {}).get(dev)
    if link is None or link["carrier"]:
        return None
    return f"interface {dev} {'has no carrier' if link['admin_up'] else 'is down'}"


def _silent(hop: Hop, e: Evidence) -> str | None:
    return _silent_on(hop.node, hop.decision.dev if hop.decision else None, e)


def _silent_on(node: str, dev: str | None, e: Evidence) -> str | None:
    """A neighbour of the node's that was asked for its MAC address and did not answer.

    Linux soon forgets it: what is unknown was not resolved either.
    """
    states = {(d, a): state for d, a, state in e.node(node).get("neighbors", ())}
    for at, interface, address in asked_neighbors(e.record["packets"]):
        unresolved = states.get((interface, address), "FAILED") in {"FAILED", "INCOMPLETE"}
        if at == node and dev in {None, interface} and unresolved:
            return f"no answer to ARP for {address} on {interface}"
    return None


def _queued(node: str, e: Evidence) -> str | None:
    """A queue that has dropped something meanwhile."""
    for interface, count in e.node(node).get("drops", {}).items():
        planned = e.wiring.interface(node, interface)
        netem = planned.netem if planned else None
        loss = f", whose loss is {netem.loss_percent:g} %" if netem and netem.loss_percent else ""
        return f"the queue of {interface}{loss}, dropped {count} packet{'s' * (count > 1)}"
    return None


def _counted(node: str, e: Evidence) -> str | None:
    """A counter of the kernel's that went up meanwhile."""
    for name in e.node(node).get("counters", {}):
        if name in COUNTERS:
            return f"{COUNTERS[name]} ({name} went up)"
    return None


def _down(node: str, e: Evidence) -> str:
    """The interfaces of the node that should be up and are not, as the end of a sentence."""
    planned = e.words.node(node)
    links = e.node(node).get("links", {})
    down = [
        interface.name
        for interface in (planned.interfaces if planned else ())
        if interface.up and interface.name in links and not links[interface.name]["carrier"]
    ]
    if not down:
        return ""
    return f"; {', '.join(down)} {'is' if len(down) == 1 else 'are'} down"
