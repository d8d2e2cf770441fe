"""Rules of Direct Connect, virtual private gateways and private service link connectivity."""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed.errors import Path
from testbed.topology.model import DirectConnect, Rack, Topology, VirtualInterface
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm

POINT_TO_POINT = (30, 31)
LONGEST_CONNECTIVITY_SUBNET = 25  # facts: S2
NOT_FOR_CONNECTIVITY = IPv4Network("10.1.0.0/16")  # facts: S2


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every connection, virtual private gateway and private service link."""
    for connection in topology.site.direct_connects:
        vlans: dict[int, str] = {}
        device = next(d for d in topology.site.devices if d.name == connection.device)
        if device.host_interfaces is not None:
            at: Path = ("site", "direct_connect", connection.name, "device")
            message = f"{device.name} is a real device: Direct Connect to one cannot be built yet"
            report.add(at, message, "name an emulated device")
        for entry in connection.virtual_interfaces:
            _virtual_interface(topology, connection, entry, vlans, report)
    _routes(topology, report)
    for name in topology.racks:
        _service_link(form, topology, name, report)


def _virtual_interface(
    topology: Topology,
    connection: DirectConnect,
    entry: VirtualInterface,
    vlans: dict[int, str],
    report: Report,
) -> None:
    path: Path = ("site", "direct_connect", connection.name, f"{entry.kind}_vif")
    owner = vlans.setdefault(entry.vlan, entry.kind)
    if owner != entry.kind:
        message = (
            f"VLAN {entry.vlan} is already used by the {owner} virtual interface of this connection"
        )
        report.add((*path, "vlan"), message, "choose another VLAN")
    _addresses(path, entry, report)
    device = next(d for d in topology.site.devices if d.name == connection.device)
    if entry.kind == "private" and topology.vpcs[entry.target].virtual_private_gateway is None:
        message = f"the VPC {entry.target} has no virtual private gateway"
        hint = f"add virtual_private_gateway: {{}} to vpcs.{entry.target}"
        report.add((*path, "virtual_private_gateway"), message, hint)
        return
    if device.asn == entry.amazon_asn:
        message = (
            f"AS {device.asn} is the ASN of both {device.name} and Amazon, but the session is eBGP"
        )
        report.add(path, message, "give one of them another ASN", key=True)
    if entry.kind == "transit":
        gateway = topology.region.transit_gateways[entry.target]
        if gateway.asn == entry.amazon_asn:
            message = (
                f"AS {gateway.asn} is the transit gateway's; the Direct Connect gateway must have"
                " another one (AWS: transit gateway associations)"
            )
            report.add((*path, "asn"), message, "choose another ASN")
    _loops(path, topology, entry, report)


def _addresses(path: Path, entry: VirtualInterface, report: Report) -> None:
    network = entry.amazon_address.network
    if network.prefixlen not in POINT_TO_POINT:
        message = f"{network}: the addresses of a virtual interface are a /30 or /31"
        report.add((*path, "amazon_address"), message)
    elif entry.customer_address.network != network:
        message = f"{entry.customer_address} is not in the subnet of {entry.amazon_address}"
        report.add((*path, "customer_address"), message, "use two addresses of one /30 or /31")
    elif entry.customer_address.ip == entry.amazon_address.ip:
        report.add(
            (*path, "customer_address"), f"{entry.customer_address.ip} is also Amazon's address"
        )


def _loops(path: Path, topology: Topology, entry: VirtualInterface, report: Report) -> None:
    """An AS path with the receiver's own ASN in it is a loop, and refused (RFC 4271)."""
    for outpost in topology.racks.values():
        link = outpost.service_link
        if entry.kind == "private" and link.vpc == entry.target and link.asn == entry.amazon_asn:
            message = (
                f"AS {entry.amazon_asn} is also that of the service link of {outpost.name}: the"
                " virtual private gateway would refuse its infrastructure subnet as a loop"
            )
            hint = f"give vpcs.{entry.target}.virtual_private_gateway another asn"
            report.add((*path, "virtual_private_gateway"), message, hint)


def _routes(topology: Topology, report: Report) -> None:
    """What refers to a virtual private gateway needs one."""
    for vpc in topology.vpcs.values():
        if vpc.virtual_private_gateway is not None:
            continue
        message = f"the VPC {vpc.name} has no virtual private gateway"
        hint = f"add virtual_private_gateway: {{}} to vpcs.{vpc.name}"
        for table in vpc.route_tables:
            at: Path = ("vpcs", vpc.name, "route_tables", table.name)
            if table.propagate:
                report.add((*at, "propagate"), message, hint)
            for index, route in enumerate(table.routes):
                if route.target.kind == "virtual-private-gateway":
                    report.add((*at, "routes", index, "target"), message, hint)


def _service_link(form: TopologyForm, topology: Topology, name: str, report: Report) -> None:
    path: Path = ("outposts", name, "service_link")
    given = form.outposts[name].service_link
    outpost = topology.racks[name]
    if given.connectivity == "public":
        for key in ("vpc", "subnet"):
            if key in given.model_fields_set:
                message = "only private connectivity has a VPC and a subnet"
                report.add((*path, key), message, "write connectivity: private", key=True)
        return
    for key in ("vpc", "subnet"):
        if getattr(given, key) is None and not report.touched((*path, key)):
            message = f"private connectivity needs a {key} for the anchors"
            report.add((*path, "connectivity"), f"{message} (AWS: private connectivity)")
    if outpost.service_link.private_anchors:
        _connectivity_vpc(path, topology, outpost, report)


def _connectivity_vpc(path: Path, topology: Topology, outpost: Rack, report: Report) -> None:
    """The VPC, subnet and route of private connectivity (facts: S2)."""
    link = outpost.service_link
    assert link.vpc is not None
    assert link.subnet is not None
    vpc, subnet = topology.vpcs[link.vpc], topology.subnet(link.vpc, link.subnet)
    source = "(AWS: private connectivity)"
    if vpc.cidr.overlaps(NOT_FOR_CONNECTIVITY):
        message = f"the VPC {vpc.name} ({vpc.cidr}) conflicts with {NOT_FOR_CONNECTIVITY}"
        report.add((*path, "vpc"), f"{message} {source}", "give it another CIDR block")
    if subnet.cidr.prefixlen > LONGEST_CONNECTIVITY_SUBNET:
        message = f"the subnet {subnet.name} ({subnet.cidr}) is smaller than a /25 {source}"
        report.add((*path, "subnet"), message)
    if subnet.outpost:
        message = f"the subnet {subnet.name} is on the Outpost {subnet.outpost}, not in the Region"
        report.add((*path, "subnet"), f"{message} {source}")
    elif subnet.zone != outpost.zone:
        message = f"the subnet {subnet.name} is in {subnet.zone}, the Outpost in {outpost.zone}"
        report.add(
            (*path, "subnet"),
            f"{message} {source}",
            "choose a subnet in the Outpost's Availability Zone",
        )
    users = [i.name for i in topology.network_interfaces.values() if i.vpc == vpc.name]
    if users:
        message = (
            f"the VPC {vpc.name} must serve only the service link, but has {users[0]} {source}"
        )
        report.add((*path, "vpc"), message, "use a separate VPC")
    table = vpc.table_of(subnet.name)
    covered = any(
        isinstance(route.destination, IPv4Network)
        and all(cidr.subnet_of(route.destination) for cidr in link.infrastructure_cidrs)
        for route in table.routes
    )
    if not table.propagate and not covered:
        message = (
            f"the route table {table.name} of the subnet {subnet.name} has no route to the"
            f" infrastructure subnet {', '.join(map(str, link.infrastructure_cidrs))}"
        )
        hint = f"write propagate: true in vpcs.{vpc.name}.route_tables.{table.name}"
        report.add((*path, "subnet"), message, hint)
