"""A server's legs in the customer's switch: VLANs, port security, and whether the link comes up."""

from __future__ import annotations

from dataclasses import replace

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft, netem
from testbed.plan.model import BridgePort
from testbed.topology.model import SERVER_PORT_GBPS, Quality, Segment, SwitchPort, Topology


def segments_of(topology: Topology, port: SwitchPort) -> list[Segment]:
    """Return the segments that a port is in."""
    wanted = {port.segment, *port.tagged}
    return [segment for segment in topology.site.segments if segment.name in wanted]


def plug_in(
    draft: Draft, topology: Topology, port: SwitchPort, node: NodeDraft, own: str, far: str
) -> None:
    """Cable interface `own` of a server's node to the switch, whose interface is `far`.

    A port that is not as AWS asks for it has no link (facts: T2; docs/fidelity.md).
    """
    segments = segments_of(topology, port)
    switch = draft.nodes[names.segment(segments[0])]
    quality = Quality(rate_mbps=SERVER_PORT_GBPS * 1000.0)
    mtu = max(segment.mtu for segment in segments)
    draft.cable(
        (node, own),
        (switch, far),
        masters=(names.BRIDGE if own == names.LOCAL_UPLINK else None, names.BRIDGE),
        mtu=mtu,
        impairment=netem(replace(quality, mtu=mtu)),
    )
    tagged = tuple(s.vlan for s in segments if s.name in port.tagged and s.vlan is not None)
    native = next((s for s in segments if s.name == port.segment), None)
    floods = all(segment.floods for segment in segments)
    if tagged or (native and native.vlan is not None) or not floods:
        untagged = native.vlan if native else None
        switch.set_port(far, BridgePort(untagged, tagged, floods))
    if port.problems:
        switch.set_up(far, up=False)
    if port.max_macs is not None:
        _secure(switch, far, port.max_macs)


def _secure(switch: NodeDraft, port: str, count: int) -> None:
    """Let a port forward frames of the first `count` source MAC addresses only."""
    table = f"secure_{port.replace('-', '_')}"
    switch.nftables += f"""\
table bridge {table} {{
  set admitted {{
    type ether_addr
    size {count}
    flags dynamic
  }}
  chain in {{
    type filter hook prerouting priority filter; policy accept;
    iifname != "{port}" accept
    ether saddr @admitted accept
    add @admitted {{ ether saddr }} accept
    counter drop comment "port security of {port}: more than {count} MAC addresses"
  }}
}}
"""
