"""Service link anchors: where an Outpost's tunnels end in the Region.

With public connectivity all Outposts share the anchors at the Region's public
addresses. With private connectivity an Outpost has its own, as network
interfaces in a subnet of a VPC that is for nothing else, behind a security
group that allows UDP 443 (facts: H2, S2). An anchor answers tunnels and never
opens one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from testbed.lower import bgp, names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.rack import inner
from testbed.lower.rack.service_link import WIREGUARD_MTU, anchor_key, known_key
from testbed.plan.model import WireGuard, WireGuardPeer
from testbed.plan.roles import REGION, Role
from testbed.topology.model import Anchor, Outpost, Topology

FABRIC_PORT = "fabric"

PRIVATE_FIREWALL = """\
# the security group of the service link's network interfaces: UDP 443 in and out,
# and TCP 443 for the management channel
table inet security_group {
  chain input {
    type filter hook input priority filter; policy accept;
    iifname != "eth0" accept
    ct state established,related accept
    udp dport 443 accept
    tcp dport 443 accept
    counter drop
  }
}
"""


@dataclass(frozen=True, slots=True)
class AnchorSet:
    """Anchors that the same Outposts use; `owner` is the Outpost of private ones."""

    anchors: tuple[Anchor, ...]
    outposts: tuple[Outpost, ...]
    owner: Outpost | None


def sets(topology: Topology) -> list[AnchorSet]:
    """The public anchors, if any Outpost uses them or none is private, and the private ones."""
    outposts = topology.outposts.values()
    private = [outpost for outpost in outposts if outpost.private_anchors]
    public = tuple(outpost for outpost in outposts if outpost not in private)
    found = []
    if public or not private:
        found.append(AnchorSet(topology.region.anchors, public, None))
    found += [AnchorSet(o.private_anchors, (o,), o) for o in private]
    return found


def lower(draft: Draft, topology: Topology, fabric: NodeDraft) -> tuple[bgp.Session, ...]:
    """Add all anchors, each connected to the fabric. Returns the fabric's sessions with them.

    What leads to them from outside comes with the Region's edge and the VPCs.
    """
    sessions: list[bgp.Session] = []
    for group in sets(topology):
        for index, anchor in enumerate(group.anchors):
            name = names.anchor(group.owner, anchor)
            of = f" of {group.owner.name}" if group.owner else ""
            title = f"{topology.region.name} service link {anchor.name}{of} ({anchor.address})"
            node = draft.router(name, Role.ANCHOR, REGION, title)
            if group.owner:
                node.nftables = PRIVATE_FIREWALL
            link = inner.fabric_link(draft.numbers.claim("fabric-link", name, first=0))
            port = names.fabric_port(group.owner, anchor)
            draft.cable((fabric, port), (node, FABRIC_PORT), addresses=link)
            key = anchor_key(topology, group.owner, anchor)
            node.add(
                "wg0",
                _tunnels(name, key, index, group.outposts),
                mtu=WIREGUARD_MTU,
                addresses=(inner.tunnel_anchor(index),),
            )
            _configure(draft, topology, node, index, anchor, group.outposts, link)
            sessions.append(
                bgp.Session(
                    name=port,
                    interface=port,
                    local=str(link[0].ip),
                    neighbor=str(link[1].ip),
                    remote_asn=topology.region.asn,
                    title=f"fabric - {name.removeprefix('region.')} (inside the Region)",
                )
            )
    return tuple(sessions)


def _tunnels(name: str, key: str, index: int, outposts: Sequence[Outpost]) -> WireGuard:
    peers = tuple(
        WireGuardPeer(
            name=outpost.name,
            public_key=known_key(outpost, index),
            endpoint=None,
            allowed_ips=(
                f"{inner.tunnel_outpost(outpost, index).ip}/32",
                f"{inner.overlay_endpoint(outpost)}/32",
            ),
        )
        for outpost in outposts
    )
    return WireGuard(name, key, inner.SERVICE_LINK_PORT, peers)


def _configure(
    draft: Draft,
    topology: Topology,
    node: NodeDraft,
    index: int,
    anchor: Anchor,
    outposts: Sequence[Outpost],
    link: tuple[IPv4Interface, IPv4Interface],
) -> None:
    endpoint = IPv4Network(inner.FABRIC_ENDPOINT)
    fabric_end, anchor_end = link
    sessions = [
        bgp.Session(
            name=FABRIC_PORT,
            interface=FABRIC_PORT,
            local=str(anchor_end.ip),
            neighbor=str(fabric_end.ip),
            remote_asn=topology.region.asn,
            title=f"{node.name.removeprefix('region.')} - fabric (inside the Region)",
        )
    ]
    sessions += [
        bgp.Session(
            name=outpost.name,
            interface="wg0",
            local=str(inner.tunnel_anchor(index).ip),
            neighbor=str(inner.tunnel_outpost(outpost, index).ip),
            remote_asn=inner.tunnel_asn(outpost),
            title=f"{anchor.name} - {outpost.name} (inside the tunnel)",
            exports=bgp.only(endpoint),
            imports=bgp.only(IPv4Network(inner.overlay_endpoint(outpost))),
            bfd=bgp.Bfd(),
        )
        for outpost in outposts
    ]
    instance = bgp.Instance("t_main", None, 254, topology.region.asn, tuple(sessions))
    bgp.configure(draft, node, bgp.Router(str(anchor_end.ip), (instance,)))
