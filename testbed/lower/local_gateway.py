"""The rack's local gateway in direct VPC routing.

It learns the customer's routes from both ONDs and balances over them. Its
route table's static routes to the VIF group decide which destinations of a
VPC may use what was learned: without one nothing is forwarded (facts: L1,
L3). Inward it has one propagated route for each announced subnet, and
nothing for the rest of the VPC (facts: R1 tip, L2). What has no route is
dropped silently.
"""

from __future__ import annotations

from testbed.lower import bgp, inner, names
from testbed.lower.builder import Draft, NodeDraft, interface_name
from testbed.lower.rack import TO_LOCAL_GATEWAY
from testbed.plan.model import TABLE_MAIN, Rule
from testbed.topology.model import Outpost, Topology, Vpc

PRIORITY_PROPAGATED = 900
PRIORITY_STATIC = 1000
PRIORITY_NOTHING = 2000


def lower(draft: Draft, topology: Topology, outpost: Outpost) -> None:
    """Add the local gateway, its links to both ONDs, and its route table.

    The links to the VPC routers come with those (`testbed.lower.vpc`).
    """
    title = f"{outpost.name} local gateway"
    node = draft.router(names.local_gateway(outpost), "local-gateway", outpost.name, title)
    sessions = []
    for lag in outpost.lags:
        interface = f"ond{lag.device}"
        ond_end, own_end = inner.rack_link(outpost, lag.device, gateway=True)
        draft.cable(
            (draft.nodes[names.ond(outpost, lag.device)], TO_LOCAL_GATEWAY),
            (node, interface),
            addresses=(ond_end, own_end),
            masters=(names.VRF_LOCAL_GATEWAY, None),
        )
        sessions.append(
            bgp.Session(
                name=interface,
                interface=interface,
                local=own_end.ip,
                neighbor=ond_end.ip,
                remote_asn=outpost.local_gateway.asn,
                title=f"{title} - OND{lag.device} (inside the rack)",
            )
        )
    announced = tuple(subnet.cidr for subnet in topology.announced_subnets(outpost))
    instance = bgp.Instance(
        name="t_vif_group",
        vrf=None,
        table=names.TABLE_VIF_GROUP,
        asn=outpost.local_gateway.asn,
        sessions=tuple(sessions),
        static=announced,
    )
    router_id = inner.rack_link(outpost, 1, gateway=True)[1].ip
    bgp.configure(draft, node, bgp.Router(router_id, (instance,)))
    node.rules.append(Rule(PRIORITY_PROPAGATED, TABLE_MAIN))
    node.rules.append(Rule(PRIORITY_NOTHING, TABLE_MAIN, action="blackhole"))


def attach(draft: Draft, topology: Topology, outpost: Outpost, vpc: Vpc, router: NodeDraft) -> None:
    """Connect a VPC's router to the local gateway, as the VPC association does."""
    node = draft.nodes[names.local_gateway(outpost)]
    interface = interface_name("vpc-", vpc.name)
    own_end, vpc_end = inner.gateway_link(outpost, vpc)
    draft.cable((node, interface), (router, "lgw"), addresses=(own_end, vpc_end))
    for subnet in topology.announced_subnets(outpost):
        if subnet.vpc == vpc.name:
            node.route(subnet.cidr, via=vpc_end.ip, dev=interface)
    for destination in outpost.local_gateway.static_routes:
        node.rules.append(
            Rule(
                PRIORITY_STATIC,
                names.TABLE_VIF_GROUP,
                iif=interface,
                destination=None if destination.prefixlen == 0 else str(destination),
            )
        )
