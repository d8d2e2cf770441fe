"""Why nothing leads through the service link: its tunnels, in words of AWS's and of BFD's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from testbed.plan.model import Vxlan, WireGuard
from testbed.probes.trace.routing import decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.plan.model import Node, Plan
    from testbed.probes.trace.evidence import Evidence

BFD = "show bfd sessions"
_BFD = re.compile(
    r"^\s*(?P<address>[\da-f.:]+)\s+(?P<interface>\S+)\s+(?P<state>Up|Down|Init|AdminDown)\b"
)


def outer(device: Vxlan, e: Evidence) -> str | None:
    """Why the outer packet of a VXLAN did not leave; None where nothing says so."""
    node = device.underlay_node
    for answer in e.node(node).get("decisions", ()):
        if answer["iif"] is None and answer["destination"] == device.remote:
            decision = decide(e.node(node), answer, None, None)
            if not decision.leads and decision.type not in {"local", "unknown"}:
                return f"{_no_tunnel(device, e)}{e.down(node)}"
    return e.silent_on(node, None) or e.queued(node) or e.counted(node)


def leads(device: Vxlan, record: dict[str, Any]) -> bool:
    """Whether the kernel has a route to the far end of a VXLAN, as far as it was asked."""
    node = record["nodes"].get(device.underlay_node, {})
    return all(
        answer["route"] is not None and answer["route"]["type"] in {"unicast", "local"}
        for answer in node.get("decisions", ())
        if answer["iif"] is None and answer["destination"] == device.remote
    )


def _no_tunnel(device: Vxlan, e: Evidence) -> str:
    """That no tunnel leads to the far end of a VXLAN, with the state of each."""
    owner = rack_end(device, e.plan)
    if owner is None:
        return f"no tunnel leads to {device.remote}"
    states = dict(_bfd(e.record.get("bfd", {}).get(owner.name, "")))
    tunnels = [
        f"{interface.name} to {', '.join(peer.name for peer in interface.device.peers)}"
        + (f": BFD {states[interface.name]}" if interface.name in states else "")
        for interface in owner.interfaces
        if isinstance(interface.device, WireGuard)
    ]
    which = {1: "the one tunnel", 2: "both tunnels"}.get(len(tunnels), "all tunnels")
    verb = "is" if len(tunnels) == 1 else "are"
    name = e.words.title(owner.name)
    return f"{which} of the {name} {verb} down ({'; '.join(tunnels)})"


def rack_end(device: Vxlan, plan: Plan) -> Node | None:
    """The node with the tunnels that a VXLAN goes through: on its near side, or its far one."""
    nodes = {node.name: node for node in plan.nodes}
    for name in (device.underlay_node, *_far(device, plan)):
        node = nodes.get(name)
        if node and any(isinstance(entry.device, WireGuard) for entry in node.interfaces):
            return node
    return None


def _far(device: Vxlan, plan: Plan) -> Iterator[str]:
    for node in plan.nodes:
        for interface in node.interfaces:
            other = interface.device
            ends = (device.remote, device.local)
            if isinstance(other, Vxlan) and (other.local, other.remote) == ends:
                yield other.underlay_node


def _bfd(text: str) -> Iterator[tuple[str, str]]:
    """Interface and state of each session in BIRD's reply to `BFD`."""
    for line in text.splitlines():
        if match := _BFD.match(line):
            yield match["interface"], match["state"]
