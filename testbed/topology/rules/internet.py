"""Rules of the internet, internet and NAT gateways, Elastic IPs and VPC endpoints."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from testbed.errors import Path
from testbed.topology.derive.instances import RESERVED_AT_START
from testbed.topology.model import Topology, Vpc
from testbed.topology.references import GATEWAY_SERVICES
from testbed.topology.report import Report
from testbed.topology.rules.instances import path_of
from testbed.topology.rules.vpc import size
from testbed.topology.schema import EndpointForm, TopologyForm

REGION: Path = ("region",)
MAX_GATEWAY_ENDPOINTS = 20  # per Region (AWS: VPC quotas)


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check everything between VPCs and the internet."""
    _internet(topology, report)
    _public_services(topology, report)
    _elastic_ips(form, topology, report)
    _gateway_endpoints(topology, report)
    for vpc in topology.vpcs.values():
        _nat_gateways(form, vpc, topology, report)
        for name, endpoint in form.vpcs[vpc.name].endpoints.items():
            _endpoint(("vpcs", vpc.name, "endpoints", name), endpoint, vpc, report)
        _one_route_per_service(vpc, report)


def _internet(topology: Topology, report: Report) -> None:
    internet = topology.region.internet
    if internet is None:
        return
    at: Path = (*REGION, "internet")
    size((*at, "cidr"), internet.cidr, 8, 28, "the internet's cidr", report)
    owners: dict[IPv4Address, str] = {internet.cidr.network_address + 1: "the internet's router"}
    for host in internet.hosts:
        path = (*at, "hosts", host.name, "address")
        _host_address(path, host.address.ip, internet.cidr, "the internet's cidr", report)
        owner = owners.setdefault(host.address.ip, host.name)
        if owner != host.name:
            message = f"{host.address.ip} is the address of {owner}"
            report.add(path, message, "choose a free address")


def _host_address(
    path: Path, address: IPv4Address, cidr: IPv4Network, what: str, report: Report
) -> None:
    if address not in cidr or address in {cidr.network_address, cidr.broadcast_address}:
        message = f"{address} is not a host address of {what} {cidr}"
        report.add(path, message, f"choose an address in {cidr}")


def _public_services(topology: Topology, report: Report) -> None:
    """The anchors stay out of the services' addresses."""
    for anchor in topology.region.anchors:
        for service in topology.region.public_services:
            if anchor.address in service.prefix:
                message = f"{anchor.address} is in {service.prefix}, which {service.name} uses"
                hint = "choose another address of public_cidr"
                report.add((*REGION, "anchors", anchor.name), message, hint)


def _elastic_ips(form: TopologyForm, topology: Topology, report: Report) -> None:
    cidr = topology.region.elastic_ip_cidr
    size((*REGION, "elastic_ip_cidr"), cidr, 8, 28, "elastic_ip_cidr", report)
    owners: dict[IPv4Address, str] = {}
    for interface in topology.network_interfaces.values():
        path = path_of(interface)
        given = form.network_interfaces.get(interface.name) or form.instances.get(interface.name)
        primary = given is None or given.elastic_ip is not None
        for private, public in interface.elastic_ips:
            at = (*path, "elastic_ip")
            if private != interface.address or not primary:
                at = (*path, "elastic_ips", str(private))
            if private not in interface.addresses:
                message = f"{private} is not an address of {interface.name}"
                report.add(at, message, "add it to secondary_addresses", key=True)
            _host_address(at, public, cidr, "elastic_ip_cidr", report)
            if not topology.vpcs[interface.vpc].internet_gateway:
                message = (
                    f"Gateway.NotAttached: Network {interface.vpc} is not attached to any internet"
                    " gateway"
                )
                hint = f"write vpcs.{interface.vpc}.internet_gateway: true"
                report.add(at, message, hint)
            owner = owners.setdefault(public, interface.name)
            if owner != interface.name or _twice(interface.elastic_ips, private, public):
                message = f"Resource.AlreadyAssociated: {owner} already has the Elastic IP {public}"
                report.add(at, message, "choose a free one, or auto")


def _twice(
    pairs: tuple[tuple[IPv4Address, IPv4Address], ...], private: IPv4Address, public: IPv4Address
) -> bool:
    """Whether an address before `private` has the same Elastic IP."""
    return next(first for first, second in pairs if second == public) != private


def _nat_gateways(form: TopologyForm, vpc: Vpc, topology: Topology, report: Report) -> None:
    for gateway in vpc.nat_gateways:
        path: Path = ("vpcs", vpc.name, "nat_gateways", gateway.name)
        subnet = topology.subnet(vpc.name, gateway.subnet)
        if subnet.outpost:
            message = (
                f"the subnet {subnet.name} is on the Outpost {subnet.outpost}: NAT gateways are in"
                " the Region; an Outpost subnet's routes may target them"
            )
            report.add((*path, "subnet"), message, "choose a subnet in the Region")
        address = form.vpcs[vpc.name].nat_gateways[gateway.name].address
        if address is None:
            continue
        offset = int(address) - int(subnet.cidr.network_address)
        if not RESERVED_AT_START <= offset < subnet.cidr.num_addresses - 1:
            message = f"{address} is not an address for interfaces of {subnet.name} ({subnet.cidr})"
            report.add((*path, "address"), message, "choose an address that is not reserved")
        for interface in topology.network_interfaces.values():
            same = interface.vpc == vpc.name and address in interface.addresses
            if same and interface.name != gateway.interface:
                message = f"{address} is the address of {interface.name}"
                report.add((*path, "address"), message, "choose a free address")


def _endpoint(path: Path, endpoint: EndpointForm, vpc: Vpc, report: Report) -> None:
    gateway = endpoint.type == "gateway"
    if gateway and endpoint.service not in GATEWAY_SERVICES:
        message = (
            f"InvalidServiceName: {endpoint.service} has no gateway endpoints; only s3"
            " and dynamodb do (AWS: gateway endpoints)"
        )
        report.add((*path, "type"), message, "use type: interface")
    foreign = ("subnets", "security_groups", "private_dns") if gateway else ("route_tables",)
    for key in foreign:
        if key in endpoint.model_fields_set:
            message = f"endpoints of type {endpoint.type} have no {key} (AWS: CreateVpcEndpoint)"
            report.add((*path, key), message, "leave it out", key=True)
    if gateway:
        return
    zones: dict[str, str] = {}
    for index, name in enumerate(endpoint.subnets):
        zone = next(subnet.zone for subnet in vpc.subnets if subnet.name == name)
        if zone in zones:
            message = (
                f"DuplicateSubnetsInSameZone: {name} is in {zone}, like {zones[zone]}; an interface"
                " endpoint has one network interface in each zone"
            )
            report.add((*path, "subnets", index), message, "keep one of them")
        zones.setdefault(zone, name)


def _gateway_endpoints(topology: Topology, report: Report) -> None:
    found = [
        (vpc.name, endpoint.name)
        for vpc in topology.vpcs.values()
        for endpoint in vpc.endpoints
        if endpoint.type == "gateway"
    ]
    for vpc, name in found[MAX_GATEWAY_ENDPOINTS:]:
        message = (
            f"is one more than the {MAX_GATEWAY_ENDPOINTS} gateway endpoints that a Region has"
            " (AWS: VPC quotas)"
        )
        report.add(("vpcs", vpc, "endpoints", name), message, key=True)


def _one_route_per_service(vpc: Vpc, report: Report) -> None:
    """A route table has one endpoint route for each service (AWS: gateway endpoints)."""
    owners: dict[tuple[str, str], str] = {}
    for endpoint in vpc.endpoints:
        for index, table in enumerate(endpoint.route_tables):
            owner = owners.setdefault((endpoint.service, table), endpoint.name)
            if owner != endpoint.name:
                message = (
                    f"RouteAlreadyExists: the route table {table} already has a route to"
                    f" {endpoint.service}, of the endpoint {owner}"
                )
                path = ("vpcs", vpc.name, "endpoints", endpoint.name, "route_tables", index)
                report.add(
                    path, message, "a route table can have one gateway endpoint for a service"
                )
