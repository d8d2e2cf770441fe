"""The Region: its edge towards the customer, the service link anchors, the fabric behind them.

The edge announces the Region's public addresses, among them the anchors'
(facts: H2). An anchor answers tunnels and never opens one. The fabric is
where the Region's halves of the VPC overlays end; it learns from the anchors
which Outpost is reachable through which tunnel.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

from testbed.lower import bgp, inner, names
from testbed.lower.builder import Draft, NodeDraft, interface_name, netem
from testbed.lower.service_link import (
    PORT,
    WIREGUARD_MTU,
    anchor_key,
    outpost_key,
    public_key,
)
from testbed.plan.model import RouteCheck, WireGuard, WireGuardPeer
from testbed.topology.model import Anchor, Topology, Uplink

GROUP = "region"


def lower(draft: Draft, topology: Topology) -> None:
    """Add edge, anchors and fabric. The customer's devices are cabled by `attach`."""
    region = topology.region
    edge = draft.router(names.EDGE, "region-edge", GROUP, f"{region.name} edge")
    edge.loopback(region.public_cidr.network_address + 1)
    fabric = draft.router(names.FABRIC, "region-fabric", GROUP, f"{region.name} fabric")
    fabric.loopback(inner.FABRIC_ENDPOINT)
    sessions = tuple(
        _add_anchor(draft, topology, index, anchor, edge, fabric)
        for index, anchor in enumerate(region.anchors)
    )
    own = IPv4Network(inner.FABRIC_ENDPOINT)
    instance = bgp.Instance("t_main", None, 254, region.asn, sessions, static=(own,))
    bgp.configure(draft, fabric, bgp.Router(inner.FABRIC_ENDPOINT, (instance,)))
    _configure_edge(draft, topology, edge)
    for outpost in topology.outposts.values():
        endpoint = f"{inner.overlay_endpoint(outpost)}/32"
        title = f"fabric: {outpost.name} through a tunnel"
        draft.checks.append(RouteCheck(fabric.name, 254, endpoint, title))


def _add_anchor(
    draft: Draft, topology: Topology, index: int, anchor: Anchor, edge: NodeDraft, fabric: NodeDraft
) -> bgp.Session:
    """Add an anchor. Returns the fabric's session with it."""
    region = topology.region
    title = f"{region.name} service link {anchor.name} ({anchor.address})"
    node = draft.router(f"region.{anchor.name}", "service-link-anchor", GROUP, title)
    node.loopback(anchor.address)
    gateway = region.public_cidr.network_address + 1
    draft.cable((edge, anchor.name), (node, "edge"))
    edge.route(anchor.address, dev=anchor.name)
    node.route(gateway, dev="edge", source=anchor.address)
    node.route("0.0.0.0/0", via=gateway, dev="edge", source=anchor.address)
    fabric_end, anchor_end = inner.fabric_link(region, anchor)
    draft.cable((fabric, anchor.name), (node, "fabric"), addresses=(fabric_end, anchor_end))
    node.add(
        "wg0",
        _tunnels(topology, index, anchor),
        mtu=WIREGUARD_MTU,
        addresses=(inner.tunnel_anchor(index),),
    )
    _configure_anchor(draft, topology, index, anchor, node, (fabric_end, anchor_end))
    return bgp.Session(
        name=anchor.name,
        interface=anchor.name,
        local=fabric_end.ip,
        neighbor=anchor_end.ip,
        remote_asn=region.asn,
        title=f"fabric - {anchor.name} (inside the Region)",
    )


def _tunnels(topology: Topology, index: int, anchor: Anchor) -> WireGuard:
    peers = tuple(
        WireGuardPeer(
            name=outpost.name,
            public_key=public_key(outpost_key(topology, outpost, index)),
            endpoint=None,
            allowed_ips=(
                f"{inner.tunnel_outpost(outpost, index).ip}/32",
                f"{inner.overlay_endpoint(outpost)}/32",
            ),
        )
        for outpost in topology.outposts.values()
    )
    key = anchor_key(topology, anchor)
    return WireGuard(f"region.{anchor.name}", key, PORT, peers)


def _configure_anchor(
    draft: Draft,
    topology: Topology,
    index: int,
    anchor: Anchor,
    node: NodeDraft,
    link: tuple[IPv4Interface, IPv4Interface],
) -> None:
    endpoint = IPv4Network(inner.FABRIC_ENDPOINT)
    fabric_end, anchor_end = link
    sessions = [
        bgp.Session(
            name="fabric",
            interface="fabric",
            local=anchor_end.ip,
            neighbor=fabric_end.ip,
            remote_asn=topology.region.asn,
            title=f"{anchor.name} - fabric (inside the Region)",
        )
    ]
    sessions += [
        bgp.Session(
            name=outpost.name,
            interface="wg0",
            local=inner.tunnel_anchor(index).ip,
            neighbor=inner.tunnel_outpost(outpost, index).ip,
            remote_asn=outpost.service_link.asn,
            title=f"{anchor.name} - {outpost.name} (inside the tunnel)",
            exports=(bgp.Export(endpoint),),
            imports=(IPv4Network(inner.overlay_endpoint(outpost)),),
            bfd=True,
        )
        for outpost in topology.outposts.values()
    ]
    instance = bgp.Instance("t_main", None, 254, topology.region.asn, tuple(sessions))
    bgp.configure(draft, node, bgp.Router(anchor_end.ip, (instance,)))


def _configure_edge(draft: Draft, topology: Topology, edge: NodeDraft) -> None:
    """BGP with the customer's devices; the links come with those (`testbed.lower.site`)."""
    public = topology.region.public_cidr
    announced = [public]
    if topology.region.internet:
        announced += [topology.region.internet.cidr, topology.region.elastic_ip_cidr]
    asns = {device.name: device.asn for device in topology.site.devices}
    sessions = tuple(
        bgp.Session(
            name=f"customer-{uplink.device}",
            interface=edge_interface(uplink),
            local=uplink.addresses[1].ip,
            neighbor=uplink.addresses[0].ip,
            remote_asn=asns[uplink.device],
            title=f"Region edge - {uplink.device}",
            exports=tuple(bgp.Export(prefix) for prefix in announced),
        )
        for uplink in topology.site.region_uplinks
    )
    instance = bgp.Instance(
        "t_main", None, 254, topology.region.asn, sessions, static=tuple(announced)
    )
    bgp.configure(draft, edge, bgp.Router(public.network_address + 1, (instance,)))
    for outpost in topology.outposts.values():
        for device in (1, 2):
            prefix = outpost.service_link.own_prefix(device)
            title = f"Region edge: {outpost.name} infrastructure {prefix}"
            draft.checks.append(RouteCheck(edge.name, 254, str(prefix), title))


def edge_interface(uplink: Uplink) -> str:
    """The edge's interface towards a customer device."""
    return interface_name("cust-", uplink.device)


def attach(draft: Draft, uplink: Uplink, node: NodeDraft, interface: str, vrf: str) -> None:
    """Cable a customer device to the edge."""
    draft.cable(
        (node, interface),
        (draft.nodes[names.EDGE], edge_interface(uplink)),
        addresses=uplink.addresses,
        masters=(vrf, None),
        mtu=uplink.quality.mtu,
        impairment=netem(uplink.quality),
    )
