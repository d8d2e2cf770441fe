"""What a record has of the kernel's own reasons, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.probes.trace.sightings import asked_neighbors

if TYPE_CHECKING:
    from testbed.plan.model import Plan
    from testbed.probes.trace.order import Wiring
    from testbed.probes.trace.words import Words

COUNTERS = {
    "Ip.InHdrErrors": "its time to live expired, or its IP header was wrong",
    "Ip.InAddrErrors": "its destination address is not forwarded to",
    "Ip.InDiscards": "it was discarded on its way in",
    "Ip.OutDiscards": "it was discarded on its way out",
    "Ip.OutNoRoutes": "there was no route for it",
    "Ip.FragFails": "it is larger than the MTU and must not be fragmented",
    "Ip.ReasmFails": "a fragment of it was missing",
    "Ip6.InHdrErrors": "its hop limit was reached, or its IPv6 header was wrong",
    "Ip6.InTooBigErrors": "it is larger than the MTU",
    "Ip6.InAddrErrors": "its destination address is not forwarded to",
    "Ip6.InDiscards": "it was discarded on its way in",
    "Ip6.OutDiscards": "it was discarded on its way out",
    "Ip6.InNoRoutes": "there was no route for it",
    "Ip6.OutNoRoutes": "there was no route for it",
    "Ip6.ReasmFails": "a fragment of it was missing",
    "IpExt.InNoRoutes": "there was no route for it",
    "IpExt.InTruncatedPkts": "it was shorter than its header says",
    "TcpExt.IPReversePathFilter": "the path back to its source is a different one (rp_filter)",
    "TcpExt.ListenDrops": "the queue of the listening socket was full",
    "Udp.RcvbufErrors": "the receiving socket had no room",
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

    def lost(self, *nodes: str) -> bool:
        """Whether more came by in one of the nodes than could be recorded."""
        return not set(nodes).isdisjoint(self.record["lost"])

    def no_carrier(self, node: str, dev: str) -> str | None:
        """That an interface is down."""
        link = self.node(node).get("links", {}).get(dev)
        if link is None or link["carrier"]:
            return None
        return f"interface {dev} {'has no carrier' if link['admin_up'] else 'is down'}"

    def silent_on(self, node: str, dev: str | None) -> str | None:
        """A neighbour of the node's that was asked for its MAC address and did not answer.

        Linux soon forgets it: what is unknown was not resolved either.
        """
        states = {(d, a): state for d, a, state in self.node(node).get("neighbors", ())}
        for at, interface, address in asked_neighbors(self.record["packets"]):
            unresolved = states.get((interface, address), "FAILED") in {"FAILED", "INCOMPLETE"}
            if at == node and dev in {None, interface} and unresolved:
                how = "neighbour discovery" if ":" in address else "ARP"
                return f"no answer to {how} for {address} on {interface}"
        return None

    def queued(self, node: str) -> str | None:
        """A queue that has dropped something meanwhile."""
        for interface, count in self.node(node).get("drops", {}).items():
            planned = self.wiring.interface(node, interface)
            netem = planned.netem if planned else None
            loss = ""
            if netem and netem.loss_percent:
                loss = f", whose loss is {netem.loss_percent:g} %"
            return f"the queue of {interface}{loss}, dropped {count} packet{'s' * (count > 1)}"
        return None

    def counted(self, node: str) -> str | None:
        """A counter of the kernel's that went up meanwhile."""
        for name in self.node(node).get("counters", {}):
            if name in COUNTERS:
                return f"{COUNTERS[name]} ({name} increased)"
        return None

    def down(self, node: str) -> str:
        """The interfaces of the node that should be up and are not, as the end of a sentence."""
        planned = self.words.node(node)
        links = self.node(node).get("links", {})
        down = [
            interface.name
            for interface in (planned.interfaces if planned else ())
            if interface.up and interface.name in links and not links[interface.name]["carrier"]
        ]
        if not down:
            return ""
        return f"; {', '.join(down)} {'is' if len(down) == 1 else 'are'} down"
