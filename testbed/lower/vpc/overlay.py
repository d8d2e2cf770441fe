"""The overlay of a VPC between an Outpost and the Region, inside the service link."""

from __future__ import annotations

from testbed.lower import names
from testbed.lower.builder import interface_name, mac_address
from testbed.lower.rack import inner
from testbed.lower.vpc.router import NextHop, VpcRouter
from testbed.plan.model import Neighbor, Vxlan
from testbed.topology.model import Outpost, Topology


def far_port(outpost: Outpost) -> str:
    """The Region router's interface towards an Outpost."""
    return interface_name("op-", outpost.name)


def port_of(router: VpcRouter) -> str:
    """A router's interfaces to the VPC's routers elsewhere, as nftables matches them."""
    return names.OVERLAY_PORT if router.outpost else "op-*"


def to_region(router: VpcRouter) -> NextHop:
    """Where an Outpost's router of a VPC sends what is for the Region."""
    assert router.outpost is not None
    return inner.overlay_link(router.outpost, router.vpc)[1].ip, names.OVERLAY_PORT


def connect(topology: Topology, router: VpcRouter, region: VpcRouter) -> None:
    """Connect the VPC's two routers through the service link, and route its subnets over it.

    The overlay carries the packet's mark: the route table that was chosen
    where it came from an interface is the one that holds at the other end.
    """
    outpost, vpc = router.outpost, router.vpc
    assert outpost is not None
    far_name = far_port(outpost)
    near_end, far_end = inner.overlay_link(outpost, vpc)
    outpost_endpoint = str(inner.overlay_endpoint(outpost))
    fabric_endpoint = str(inner.FABRIC_ENDPOINT)
    vni = inner.overlay_vni(outpost, vpc)
    mtu = inner.SERVICE_LINK_MTU
    near = Vxlan(names.service_link(outpost), vni, outpost_endpoint, fabric_endpoint)
    far = Vxlan(names.FABRIC, vni, fabric_endpoint, outpost_endpoint)
    router.node.add(names.OVERLAY_PORT, near, mtu=mtu, addresses=(near_end,))
    region.node.add(far_name, far, mtu=mtu, addresses=(far_end,))
    router.node.neighbors.append(
        Neighbor(names.OVERLAY_PORT, str(far_end.ip), mac_address(region.node.name, far_name))
    )
    region.node.neighbors.append(
        Neighbor(far_name, str(near_end.ip), mac_address(router.node.name, names.OVERLAY_PORT))
    )
    for subnet in vpc.subnets:
        if subnet.outpost == outpost.name:
            region.node.route(subnet.cidr, via=near_end.ip, dev=far_name)
        else:
            router.node.route(subnet.cidr, via=far_end.ip, dev=names.OVERLAY_PORT)
    for interface in region.interfaces:
        if topology.subnet(vpc.name, interface.subnet).outpost == outpost.name:
            for address in interface.addresses:
                router.node.route(address, via=far_end.ip, dev=names.OVERLAY_PORT)
