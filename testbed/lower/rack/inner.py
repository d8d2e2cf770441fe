"""Addresses of AWS's own equipment: links, tunnels and the rack's servers.

AWS documents none of them. Those that no customer sees come from the upper half of the shared
address space (RFC 6598), one block for each purpose; docs/fidelity.md lists
the choice.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.lower.builder import point_to_point
from testbed.topology.model import (
    MAX_OUTPOSTS,
    Outpost,
    Rack,
    RoutingDomain,
    Topology,
    TransitGatewayAttachment,
    Vpc,
    VpcPeeringConnection,
)
from testbed.topology.numbers import Numbers

TUNNELS = (IPv4Network("100.96.0.0/16"), IPv4Network("100.97.0.0/16"))
OVERLAY_ENDPOINTS = IPv4Network("100.98.0.0/16")
RACK_LINKS = IPv4Network("100.99.0.0/17")
VPC_LINKS = IPv4Network("100.99.128.0/17")
FABRIC_LINKS = IPv4Network("100.100.0.0/19")
PEERING_LINKS = IPv4Network("100.100.32.0/19")
COIP_LINKS = IPv4Network("100.100.64.0/18")  # the same ones on each Outpost
INTERNET_LINKS = IPv4Network("100.100.128.0/18")
TRANSIT_LINKS = IPv4Network("100.100.192.0/18")
RESOLVERS = IPv4Network("100.101.0.0/16")
OUTPOST_RESOLVERS = IPv4Network("100.102.0.0/15")
GATEWAY_LINKS = IPv4Network("100.104.0.0/14")
OVERLAY_LINKS = IPv4Network("100.108.0.0/14")
ENDPOINT_LINKS = IPv4Network("100.101.64.0/18")  # which resolvers of 512 VPCs leave free
ENDPOINT_NUMBERS = range(ENDPOINT_LINKS.num_addresses // 2)
LINKS_OF_RACK = 8  # the numbers that each rack has for itself
FURTHER_RACK_LINKS = range(LINKS_OF_RACK * (MAX_OUTPOSTS + 1), RACK_LINKS.num_addresses // 2)
VPC_GATEWAYS = 32  # of each VPC in the Region: VPC_LINKS has room for 512 VPCs
OUTPOSTS = 256  # the most that OVERLAY_LINKS and GATEWAY_LINKS leave room for with 512 VPCs

SERVICE_LINK_MTU = 1300  # facts: S1
SERVICE_LINK_PORT = 443
SERVER_PORTS = (443, 51443)  # a server's tunnels start at one address (facts: N3, 1024-65535)
FIRST_TUNNEL_ASN = 4210000000  # of servers, inside their tunnels only
TUNNELS_APART = 2  # each Outpost has two tunnels, from servers in different parts
SERVER_OFFSET = 10  # where in its part of the infrastructure CIDR the first server's address is
FABRIC_ENDPOINT = OVERLAY_ENDPOINTS.broadcast_address - 1


def overlay_endpoint(outpost: Outpost) -> IPv4Address:
    """The Outpost's end of every VPC overlay."""
    return OVERLAY_ENDPOINTS.network_address + outpost.number


def server_address(outpost: Rack, index: int) -> IPv4Address:
    """The infrastructure address of the server that opens tunnel `index`."""
    prefixes = outpost.service_link.announced
    turn = index // min(len(prefixes), TUNNELS_APART)
    return prefixes[_prefix(outpost, index)].network_address + SERVER_OFFSET + turn


def _prefix(outpost: Rack, index: int) -> int:
    """Which announced prefix has the address of a tunnel's server: far from the last one's."""
    prefixes = outpost.service_link.announced
    return index % TUNNELS_APART * len(prefixes) // TUNNELS_APART


def rack_of_tunnel(outpost: Rack, index: int) -> int:
    """The number of the compute rack with the server that opens a tunnel, from 1."""
    number = _prefix(outpost, index) * outpost.compute_racks
    return number // len(outpost.service_link.announced) + 1


def management_endpoint(topology: Topology, outpost: Outpost) -> IPv4Address:
    """The address that an Outpost's management channel leads to."""
    private = outpost.private_anchors
    return private[0].address if private else topology.region.outposts_address


def tunnel_outpost(outpost: Outpost, index: int) -> IPv4Interface:
    """The Outpost's address inside tunnel `index` (0 or 1)."""
    return IPv4Interface((TUNNELS[index].network_address + outpost.number, 16))


def tunnel_asn(outpost: Outpost) -> int:
    """The ASN of the BGP session inside an Outpost's tunnels."""
    if isinstance(outpost, Rack):
        return outpost.service_link.asn
    return FIRST_TUNNEL_ASN + outpost.number


def tunnel_anchor(index: int) -> IPv4Interface:
    """The anchor's address inside its tunnels."""
    return IPv4Interface((TUNNELS[index].broadcast_address - 1, 16))


def rack_link(
    numbers: Numbers, rack: Rack, device: int, domain: RoutingDomain | None
) -> tuple[IPv4Interface, IPv4Interface]:
    """(OND, other end) of the link from OND `device` to the local gateway, or service link (None).

    A rack's first links have numbers of its own, the others any that is free.
    """
    own = range(LINKS_OF_RACK * rack.number, LINKS_OF_RACK * (rack.number + 1))
    ends = ["sl", *(f"lgw/{entry.name}" for entry in rack.domains)]
    links = [f"{rack.name}/{end}/{number}" for end in ends for number in rack.devices]
    claimed = numbers.claim_all("rack-link", links, own, FURTHER_RACK_LINKS)
    end = "sl" if domain is None else f"lgw/{domain.name}"
    return point_to_point(RACK_LINKS, claimed[f"{rack.name}/{end}/{device}"])


def gateway_link(outpost: Outpost, vpc: Vpc) -> tuple[IPv4Interface, IPv4Interface]:
    """(local gateway, VPC router) of the link between the two."""
    return point_to_point(GATEWAY_LINKS, vpc.number * OUTPOSTS + outpost.number)


def coip_link(vpc: Vpc) -> tuple[IPv4Interface, IPv4Interface]:
    """(local gateway, translation) of the link between the two, for a VPC in CoIP mode."""
    return point_to_point(COIP_LINKS, vpc.number)


def overlay_link(outpost: Outpost, vpc: Vpc) -> tuple[IPv4Interface, IPv4Interface]:
    """(Outpost, Region) addresses of the VPC's overlay over the service link."""
    return point_to_point(OVERLAY_LINKS, vpc.number * OUTPOSTS + outpost.number)


def resolver(vpc: Vpc) -> tuple[IPv4Address, IPv4Address]:
    """(VPC router, resolver) addresses of a VPC's DNS resolver in the Region."""
    half = RESOLVERS.num_addresses // 2
    address = RESOLVERS.network_address + vpc.number
    return address + half, address


def outpost_resolver(outpost: Outpost, vpc: Vpc) -> IPv4Address:
    """The address from which a resolver on an Outpost asks the one in the Region."""
    return OUTPOST_RESOLVERS.network_address + vpc.number * OUTPOSTS + outpost.number


def overlay_vni(outpost: Outpost, vpc: Vpc) -> int:
    """The VXLAN network identifier of a VPC's overlay to an Outpost."""
    return vpc.number * OUTPOSTS + outpost.number


def vpc_link(vpc: Vpc, number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """(VPC router, gateway) of the link to the VPC's gateway `number`, in the Region."""
    return point_to_point(VPC_LINKS, vpc.number * VPC_GATEWAYS + number)


def internet_link(vpc: Vpc | None) -> tuple[IPv4Interface, IPv4Interface]:
    """(internet, other end) of the link to a VPC's internet gateway, or to the Region's edge."""
    return point_to_point(INTERNET_LINKS, vpc.number if vpc else 0)


def fabric_link(number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """(fabric, anchor) of the link to anchor `number`."""
    return point_to_point(FABRIC_LINKS, number)


def peering_link(
    connection: VpcPeeringConnection,
) -> tuple[IPv4Interface, IPv4Interface]:
    """(requester, accepter) of a peering connection's link; the same in every place."""
    return point_to_point(PEERING_LINKS, connection.number)


def transit_link(attachment: TransitGatewayAttachment) -> tuple[IPv4Interface, IPv4Interface]:
    """(transit gateway, VPC router) of an attachment's link."""
    return point_to_point(TRANSIT_LINKS, attachment.number)


def endpoint_link(number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """(control plane, interface endpoint) of the link between the two, in the Region."""
    return point_to_point(ENDPOINT_LINKS, number)
