"""VPC routers: one for each VPC on each Outpost that has subnets of it, and one in the Region.

The implicit router of a VPC (facts: V): every network interface has its own
link to it, there is no broadcast domain, the router answers ARP for what it
can reach. Routing has two stages (`testbed.lower.vpc.routes`); what the
router lets through is one ruleset (`testbed.lower.vpc.ruleset`).
"""

from __future__ import annotations

from testbed.lower import names
from testbed.lower.builder import Draft
from testbed.lower.rack import local_gateway
from testbed.lower.region import transit_gateway, virtual_private_gateway
from testbed.lower.vpc import (
    dns,
    endpoints,
    filters,
    interfaces,
    internet_gateway,
    ipv6,
    metadata,
    overlay,
    peering,
    routes,
    zones,
)
from testbed.lower.vpc.router import BETWEEN_OUTPOSTS, VpcRouter
from testbed.lower.vpc.ruleset import comment
from testbed.plan.checks import RouteCheck
from testbed.topology.model import NetworkInterface, Outpost, Rack, Topology, Vpc


def lower(draft: Draft, topology: Topology, vpc: Vpc) -> None:
    """Add the VPC's routers, the overlays between them and its instances."""
    region = _add(draft, topology, vpc, None)
    internet_gateway.attach(draft, topology, region)
    internet_gateway.attach_egress_only(draft, region)
    endpoints.attach_gateways(draft, topology, region)
    _attach_anchors(draft, topology, region)
    routers = [region]
    if vpc.dns_support:
        dns.add_region_resolver(draft, topology, region)
    for outpost in topology.outposts.values():
        if not _has(topology, vpc, outpost):
            continue
        router = _add(draft, topology, vpc, outpost)
        overlay.connect(topology, router, region)
        if vpc.dns_support and outpost.resolver:
            dns.add_outpost_resolver(draft, topology, router)
        elif vpc.dns_support:
            dns.use_region_resolver(router)
        domain = topology.domain(outpost.name, vpc.name)
        if domain is not None and isinstance(outpost, Rack):
            local_gateway.attach(draft, topology, (outpost, domain), vpc, router.node)
            why = comment("the service link carries nothing that came by the local gateway")
            router.ruleset.forward.append(f'iifname "lgw" oifname "sl" counter drop{why}')
            routes.add_ingress(topology, router, (outpost, domain))
        routers.append(router)
    why = comment(BETWEEN_OUTPOSTS)
    region.ruleset.forward.append(f'iifname "op-*" oifname "op-*" counter drop{why}')
    zones.add_delays(draft, topology, region)
    transit_gateway.attach(draft, topology, region)
    virtual_private_gateway.lower(draft, topology, region, routers[1:])
    for router in routers:
        peering.connect(draft, topology, router)
    ipv6.add(draft, topology, routers)
    routes.expect(draft, topology, routers)
    for router in routers:
        routes.add_tables(topology, router, region)
        filters.add(topology, router)
        metadata.add(draft, topology, router)
        router.node.nftables = router.ruleset.text(f"{router.node.title} ({vpc.cidr})")


def _has(topology: Topology, vpc: Vpc, outpost: Outpost) -> bool:
    on_outpost = any(subnet.outpost == outpost.name for subnet in vpc.subnets)
    return on_outpost or topology.domain(outpost.name, vpc.name) is not None


def _add(draft: Draft, topology: Topology, vpc: Vpc, outpost: Outpost | None) -> VpcRouter:
    """The VPC's router at one place, with the network interfaces of the subnets that are there."""
    router = VpcRouter.add(draft, topology, vpc, outpost)
    for interface in router.interfaces:
        interfaces.attach(draft, topology, router, interface)
    return router


def _attach_anchors(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Add the network interfaces of private service link anchors that are in the VPC (S2)."""
    for outpost in topology.racks.values():
        link = outpost.service_link
        if link.vpc != router.vpc.name or link.subnet is None:
            continue
        for prefix in link.announced:
            title = f"{router.node.title}: {outpost.name} infrastructure {prefix}"
            table = router.mark_of(link.subnet)
            draft.checks.append(
                RouteCheck(router.node.name, table, str(prefix), title, match="longest")
            )
        for anchor in link.private_anchors:
            interface = NetworkInterface(
                name=f"{outpost.name}-{anchor.name}",
                vpc=link.vpc,
                subnet=link.subnet,
                address=anchor.address,
                secondary_addresses=(),
                source_destination_check=True,
                instance=None,
                device_index=0,
            )
            node = draft.nodes[names.anchor(outpost, anchor)]
            interfaces.attach(draft, topology, router, interface, node)
            router.interfaces.append(interface)
