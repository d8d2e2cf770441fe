"""Names of nodes, interfaces, VRFs and tables: what the lowering makes and checks look for.

The conformance suites import nothing else of the lowering but this module and the addresses of
`testbed.lower.rack.inner`.
"""

from __future__ import annotations

from testbed.lower.builder import interface_name, mac_address
from testbed.plan.model import TABLE_MAIN
from testbed.topology.model import (
    Anchor,
    DirectConnect,
    Lag,
    LocalNetworkInterface,
    Outpost,
    Rack,
    RoutingDomain,
    Segment,
    Server,
    TransitGateway,
    Uplink,
    Vif,
    Vpc,
)

VRF_SERVICE_LINK = "sl"
VRF_LOCAL_GATEWAY = "lgw"
TABLE_SERVICE_LINK = 1001
TABLE_LOCAL_GATEWAY = 1002
TABLE_VIF_GROUP = 1003
# Of routing domains with names, by their numbers, in an OND: from the customer, and to it.
TABLES_INWARD, TABLES_OUTWARD = 1100, 1200

MAX_UPLINKS = 16  # of a LAG (facts: R1)
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
LOCAL_UPLINK = "lan"  # an Outposts server's LNI port, towards the customer's switch


def rack(outpost: str, number: int) -> str:
    """What people call a rack of an Outpost's."""
    return f"{outpost}.rack{number}"


def server(outpost: str, number: int) -> str:
    """What people call a server of an Outpost's capacity."""
    return f"{outpost}.server{number}"


def ond(outpost: Rack, device: int) -> str:
    """The node of Outpost networking device `device`."""
    return f"{outpost.name}.ond{device}"


def local_gateway(outpost: Rack, domain: RoutingDomain) -> str:
    """The node of the local gateway, or of one of its routing domains."""
    return f"{outpost.name}.lgw-{domain.name}" if domain.name else f"{outpost.name}.lgw"


def ond_vrf(domain: RoutingDomain) -> str:
    """An OND's VRF of a routing domain."""
    return interface_name("lgw-", domain.name) if domain.name else VRF_LOCAL_GATEWAY


def ond_tables(domain: RoutingDomain) -> tuple[int, int]:
    """An OND's tables of a routing domain: of what comes from the customer, and what leaves."""
    if not domain.name:
        return TABLE_LOCAL_GATEWAY, TABLE_MAIN
    return TABLES_INWARD + domain.number, TABLES_OUTWARD + domain.number


def to_local_gateway(domain: RoutingDomain) -> str:
    """An OND's interface towards a routing domain of the local gateway."""
    return interface_name("to-lgw-", domain.name) if domain.name else "to-lgw"


def ond_bond(lag: Lag) -> str:
    """The LAG's bond on its OND."""
    return f"bond{lag.index}"


def ond_members(lag: Lag) -> list[str]:
    """The names of a LAG's member interfaces on its OND."""
    first = lag.index * MAX_UPLINKS + 1
    return [f"uplink{number}" for number in range(first, first + lag.members)]


def ond_session(lag: Lag, vif: Vif) -> str:
    """The name of a VIF's session in its OND's daemon."""
    return f"customer{lag.index + 1 if lag.index else ''}-{vif.title}"


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


def local_port(server: Server) -> str:
    """The node of an Outposts server's LNI port."""
    return f"{server.name}.lni"


def link_port_of(server: Server) -> str:
    """A switch's interface towards an Outposts server's service link port."""
    return interface_name("sl-", server.name)


def local_port_of(server: Server) -> str:
    """A switch's interface towards an Outposts server's LNI port."""
    return interface_name("lni-", server.name)


def link_mac(server: Server) -> str:
    """The MAC address of a server's service link port."""
    return mac_address(service_link(server), "eth0")


def lni_device(interface: LocalNetworkInterface) -> str:
    """A local network interface's name inside its instance."""
    return f"eth{interface.device_index}"


def lni_port(interface: LocalNetworkInterface) -> str:
    """The server's interface towards a local network interface."""
    return interface_name("lni-", interface.name)


def lni_mac(interface: LocalNetworkInterface) -> str:
    """Its MAC address: locally administered, its own until it is deleted (N2)."""
    return mac_address(interface.name, "eth0")


def dhcp_server(entry: Segment) -> str:
    """The node of a LAN segment's DHCP and DNS server."""
    return f"site.dhcp-{entry.name}"


def customer_bond(outpost: Rack, lag: Lag) -> str:
    """The LAG's bond on the customer's device; leaves room for a VLAN suffix."""
    alike = [other for other in outpost.lags if other.customer_device == lag.customer_device]
    name = f"{outpost.name}-{lag.number}" if len(alike) > 1 else outpost.name
    return interface_name("", name, limit=10)


def customer_members(outpost: Rack, lag: Lag) -> list[str]:
    """The names of a LAG's member interfaces on the customer's device."""
    bond = customer_bond(outpost, lag)
    return [f"{bond}_{index}" for index in range(1, lag.members + 1)]


def session(outpost: Rack, lag: Lag, suffix: str) -> str:
    """The name of a session with an OND in the customer device's daemon."""
    return f"{customer_bond(outpost, lag)}-{suffix}"


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
