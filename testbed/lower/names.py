"""Names of nodes, interfaces, VRFs and tables: what the lowering makes and checks look for.

The conformance suites import nothing else of the lowering but this module and the addresses of
`testbed.lower.rack.inner`.
"""

from __future__ import annotations

from testbed.lower.builder import interface_name
from testbed.topology.model import (
    Anchor,
    DirectConnect,
    Lag,
    Outpost,
    Segment,
    TransitGateway,
    Uplink,
    Vpc,
)

VRF_SERVICE_LINK = "sl"
VRF_LOCAL_GATEWAY = "lgw"
TABLE_SERVICE_LINK = 1001
TABLE_LOCAL_GATEWAY = 1002
TABLE_VIF_GROUP = 1003

OND_BOND = "bond0"
OND_MEMBER = "uplink"
REGION_PORT = "region"  # a customer device's or firewall's, towards the Region
WAN_PORT = "wan"  # a customer device's
TRUNK = "customer"  # a Direct Connect location's, towards the customer
OVERLAY_PORT = "sl"  # a VPC router's on an Outpost, towards the Region

EDGE = "region.edge"
FABRIC = "region.fabric"
OUTPOSTS_API = "region.outposts-api"
INTERNET = "region.internet"
WAN = "site.wan"
PUBLIC_DNS = "region.public-dns"
SWITCH = "site.switch"  # of all segments that have a VLAN ID
BRIDGE = "br0"  # a switch's


def ond(outpost: Outpost, device: int) -> str:
    """The node of Outpost networking device `device`."""
    return f"{outpost.name}.ond{device}"


def local_gateway(outpost: Outpost) -> str:
    """The node of the local gateway."""
    return f"{outpost.name}.lgw"


def coip(outpost: Outpost, vpc: Vpc) -> str:
    """The node that translates a VPC's customer-owned IP addresses."""
    return f"{outpost.name}.coip-{vpc.name}"


def service_link(outpost: Outpost) -> str:
    """The node in which the service link's tunnels end."""
    return f"{outpost.name}.sl"


def outpost_host(outpost: Outpost, index: int) -> str:
    """The node of the Outpost's server that opens tunnel `index` (0 or 1)."""
    return f"{outpost.name}.host{index + 1}"


def anchor(owner: Outpost | None, entry: Anchor) -> str:
    """The node of a service link anchor: a public one, or `owner`'s own."""
    return f"region.{owner.name}-{entry.name}" if owner else f"region.{entry.name}"


def fabric_port(owner: Outpost | None, entry: Anchor) -> str:
    """The fabric's interface towards an anchor."""
    return interface_name("", f"{owner.name}-{entry.name}" if owner else entry.name)


def outpost_vpc(outpost: Outpost, vpc: str) -> str:
    """The node of the VPC's router on the Outpost."""
    return f"{outpost.name}.vpc-{vpc}"


def region_vpc(vpc: str) -> str:
    """The node of the VPC's router in the Region."""
    return f"region.vpc-{vpc}"


def region_resolver(vpc: str) -> str:
    """The node of the VPC's DNS resolver in the Region."""
    return f"region.dns-{vpc}"


def outpost_resolver(outpost: Outpost, vpc: str) -> str:
    """The node of Route 53 Resolver for the VPC on the Outpost."""
    return f"{outpost.name}.dns-{vpc}"


def internet_gateway(vpc: str) -> str:
    """The node of the VPC's internet gateway."""
    return f"region.igw-{vpc}"


def egress_only_internet_gateway(vpc: str) -> str:
    """The node of the VPC's egress-only internet gateway."""
    return f"region.eigw-{vpc}"


def nat_gateway(interface: str) -> str:
    """The node of the NAT gateway with this network interface."""
    return f"region.nat-{interface}"


def endpoint(name: str) -> str:
    """The node of a gateway endpoint (VPC.ENDPOINT) or of an interface of an interface one."""
    return f"region.vpce-{name}"


def public_service(name: str) -> str:
    """The node of a service of AWS's on its public address."""
    return f"region.{name}"


def virtual_private_gateway(vpc: str) -> str:
    """The node of a VPC's virtual private gateway."""
    return f"region.vgw-{vpc}"


def direct_connect(connection: DirectConnect) -> str:
    """The node of a Direct Connect location, where the customer's connection ends."""
    return f"region.dx-{connection.name}"


def transit_gateway(gateway: TransitGateway) -> str:
    """The node of a transit gateway."""
    return f"region.tgw-{gateway.name}"


def segment(entry: Segment) -> str:
    """The node of a LAN segment's switch."""
    return f"site.lan-{entry.name}" if entry.vlan is None else SWITCH


def segment_port(entry: Segment, device: str) -> str:
    """A switch's interface towards a customer device."""
    return interface_name("" if entry.vlan is None else f"v{entry.vlan}-", device)


def dhcp_server(entry: Segment) -> str:
    """The node of a LAN segment's DHCP and DNS server."""
    return f"site.dhcp-{entry.name}"


def customer_bond(outpost: Outpost, lag: Lag) -> str:
    """The LAG's bond on the customer's device; leaves room for a VLAN suffix."""
    both = len({other.customer_device for other in outpost.lags}) == 1
    name = f"{outpost.name}-{lag.device}" if both else outpost.name
    return interface_name("", name, limit=10)


def session(outpost: Outpost, lag: Lag, suffix: str) -> str:
    """The name of a session with an OND in the customer device's daemon."""
    return f"{customer_bond(outpost, lag)}-{suffix}"


def lag_members(bond: str, lag: Lag, prefix: str | None = None) -> list[str]:
    """The names of a LAG's member interfaces on one side."""
    stem = prefix or f"{bond}_"
    return [f"{stem}{index}" for index in range(1, lag.members + 1)]


def link_port(vrf: str, other: str) -> str:
    """A customer device's interface of its link to another one."""
    return interface_name(f"{vrf}_", other)


def lan_port(segment: str) -> str:
    """A customer device's interface on a LAN segment."""
    return interface_name("lan_", segment)


def inside_port(device: str) -> str:
    """A firewall's interface towards a customer device."""
    return interface_name("in-", device)


def customer_port(uplink: Uplink) -> str:
    """The interface of the Region's edge, or of the WAN, towards a customer device or firewall."""
    return interface_name("cust-", uplink.device)


def connection_port(connection: DirectConnect) -> str:
    """The interface, of the router that a virtual interface ends in, towards the connection."""
    return interface_name("dx-", connection.name)


def connection_trunk(connection: DirectConnect) -> str:
    """The customer device's interface that is the connection; leaves room for a VLAN suffix."""
    return interface_name("dx-", connection.name, limit=10)
