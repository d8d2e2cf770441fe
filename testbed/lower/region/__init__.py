"""The Region: its edge towards the customer, the service link anchors, the fabric behind them.

The edge announces the Region's public addresses, among them the anchors'
(facts: H2; `testbed.lower.rack.anchors`). The fabric is
where the Region's halves of the VPC overlays end; it learns from the anchors
which Outpost is reachable through which tunnel.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from testbed.lower import bgp, names
from testbed.lower.builder import Draft, NodeDraft, netem
from testbed.lower.rack import anchors, inner
from testbed.lower.site import direct_connect
from testbed.lower.site.tuning import matched
from testbed.plan.checks import RouteCheck
from testbed.plan.roles import REGION, Role
from testbed.topology.model import BgpSettings, Topology, Uplink


def lower(draft: Draft, topology: Topology) -> None:
    """Add edge, anchors and fabric. The customer's devices are cabled by `attach`."""
    region = topology.region
    edge = draft.router(names.EDGE, Role.REGION_EDGE, REGION, f"{region.name} edge")
    edge.loopback(region.public_cidr.network_address + 1)
    fabric = draft.router(names.FABRIC, Role.REGION_FABRIC, REGION, f"{region.name} fabric")
    fabric.loopback(inner.FABRIC_ENDPOINT)
    sessions = anchors.lower(draft, topology, fabric)
    _connect_anchors(draft, topology, edge)
    own = IPv4Network(inner.FABRIC_ENDPOINT)
    instance = bgp.Instance("t_main", None, 254, region.asn, sessions, static=(str(own),))
    bgp.configure(draft, fabric, bgp.Router(str(inner.FABRIC_ENDPOINT), (instance,)))
    _configure_edge(draft, topology, edge)
    for outpost in topology.outposts.values():
        endpoint = f"{inner.overlay_endpoint(outpost)}/32"
        title = f"fabric: {outpost.name} through a tunnel"
        draft.checks.append(RouteCheck(fabric.name, 254, endpoint, title))


def _connect_anchors(draft: Draft, topology: Topology, edge: NodeDraft) -> None:
    """Give the public anchors their addresses and the way to the edge."""
    gateway = topology.region.public_cidr.network_address + 1
    for group in anchors.sets(topology):
        for anchor in group.anchors if group.owner is None else ():
            node = draft.nodes[names.anchor(None, anchor)]
            attach_public(draft, edge, node, anchor.name, anchor.address, gateway)


def attach_public(
    draft: Draft,
    edge: NodeDraft,
    node: NodeDraft,
    name: str,
    address: IPv4Address,
    gateway: IPv4Address,
) -> None:
    """Connect a node with a public address of the Region to the edge."""
    node.loopback(address)
    draft.cable((edge, name), (node, "edge"))
    edge.route(address, dev=name)
    node.route(gateway, dev="edge", source=address)
    node.route("0.0.0.0/0", via=gateway, dev="edge", source=address)


def _configure_edge(draft: Draft, topology: Topology, edge: NodeDraft) -> None:
    """BGP with the customer's devices; the links come with those (`testbed.lower.site`)."""
    public = topology.region.public_cidr
    announced = [public]
    if topology.region.internet:
        announced += [topology.region.internet.cidr, topology.region.elastic_ip_cidr]
    site = topology.site
    settings = {device.name: device.bgp.of("region", "sl") for device in site.devices}
    if site.provider_default:
        announced.append(IPv4Network("0.0.0.0/0"))
    asns = {device.name: device.asn for device in site.devices}
    asns |= {firewall.name: firewall.asn for firewall in site.firewalls}
    uplinks = (*site.region_uplinks, *(firewall.outside for firewall in site.firewalls))
    between = (
        bgp.Session(
            name=f"customer-{uplink.device}",
            interface=names.customer_port(uplink),
            local=str(uplink.addresses[1].ip),
            neighbor=str(uplink.addresses[0].ip),
            remote_asn=asns[uplink.device],
            title=f"Region edge - {uplink.device}",
            exports=bgp.only(*announced),
        )
        for uplink in uplinks
    )
    sessions = tuple(
        matched(session, settings.get(uplink.device, BgpSettings()))
        for uplink, session in zip(uplinks, between, strict=True)
    )
    sessions += tuple(
        direct_connect.terminate(draft, topology, edge, *ending)
        for ending in direct_connect.endings(topology, "public")
    )
    if not sessions:
        return
    instance = bgp.Instance(
        "t_main", None, 254, topology.region.asn, sessions, static=tuple(map(str, announced))
    )
    bgp.configure(draft, edge, bgp.Router(str(public.network_address + 1), (instance,)))
    if any(firewall.nat or firewall.ruleset for firewall in site.firewalls):
        return  # the infrastructure subnets may be translated on the way
    for outpost in topology.racks.values():
        for prefix in () if outpost.private_anchors else outpost.service_link.announced:
            title = f"Region edge: {outpost.name} infrastructure {prefix}"
            draft.checks.append(RouteCheck(edge.name, 254, str(prefix), title, match="longest"))


def attach(draft: Draft, uplink: Uplink, node: NodeDraft, interface: str, vrf: str | None) -> None:
    """Cable a customer device, or firewall, to the edge."""
    draft.cable(
        (node, interface),
        (draft.nodes[names.EDGE], names.customer_port(uplink)),
        addresses=uplink.addresses,
        masters=(vrf, None),
        mtu=uplink.quality.mtu,
        impairment=netem(uplink.quality),
    )
