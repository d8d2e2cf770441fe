"""VPC peering connections: a link between two VPCs' routers.

What comes over one meets only the local route of the VPC that it comes to:
peering is not transitive, and leads to no gateway (AWS: VPC peering). Two
VPCs that have subnets on the same Outpost are connected there too, so that
such traffic does not leave it (facts: W, H3); all else goes through the Region.
"""

from __future__ import annotations

from testbed.lower import names
from testbed.lower.builder import Draft, interface_name
from testbed.lower.rack import inner
from testbed.lower.vpc.interfaces import JUMBO_MTU
from testbed.lower.vpc.router import VpcRouter
from testbed.topology.model import Outpost, Target, Topology, VpcPeeringConnection


def port(connection: VpcPeeringConnection) -> str:
    """A VPC router's interface of a peering connection."""
    return interface_name("pcx-", connection.name)


def connect(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Cable the router's peering connections, as far as the other VPC's router is there."""
    for connection in topology.region.peering_of(router.vpc.name):
        peer = connection.peer(router.vpc.name)
        if not _is_here(topology, connection, router.outpost):
            continue
        router.contain()
        _keep_outposts_apart(topology, router, connection)
        ends = inner.peering_link(connection)
        own, far = ends if router.vpc.name == connection.requester else reversed(ends)
        target = Target("vpc-peering-connection", connection.name)
        router.gateways[target] = (far.ip, port(connection))
        router.answer_to(topology.vpcs[peer], far.ip, port(connection))
        name = names.outpost_vpc(router.outpost, peer) if router.outpost else names.region_vpc(peer)
        if name not in draft.nodes:
            continue  # the link comes with that router
        draft.cable(
            (router.node, port(connection)),
            (draft.nodes[name], port(connection)),
            addresses=(own, far),
            mtu=JUMBO_MTU,
        )


def _is_here(topology: Topology, connection: VpcPeeringConnection, outpost: Outpost | None) -> bool:
    """Whether the VPCs are connected at a place: in the Region, or where both have subnets."""
    if outpost is None:
        return True
    ends = (connection.requester, connection.accepter)
    return all(
        any(subnet.outpost == outpost.name for subnet in topology.vpcs[end].subnets) for end in ends
    )


def _keep_outposts_apart(
    topology: Topology, router: VpcRouter, connection: VpcPeeringConnection
) -> None:
    """The Region sends nothing on to an Outpost that comes from another one (facts: S4, H5)."""
    if router.outpost is None:
        peer = topology.vpcs[connection.peer(router.vpc.name)]
        router.keep_outposts_apart(topology, [peer])
