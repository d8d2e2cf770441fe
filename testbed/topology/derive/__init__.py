"""Filling in what a topology file leaves out.

Every derived value follows from the number that its object has (`testbed.topology.numbers`), so
that what comes or goes beside the object changes nothing of it. docs/topology.md lists the
formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

from testbed.topology import references
from testbed.topology.derive import placement as derive_placement
from testbed.topology.derive import security as derive_security
from testbed.topology.derive.allocations import derive_addresses
from testbed.topology.derive.coip import derive_coips
from testbed.topology.derive.conformance import derive_conformance
from testbed.topology.derive.direct_connect import derive_direct_connects
from testbed.topology.derive.dns import derive_dhcp, derive_zones
from testbed.topology.derive.faults import derive_faults
from testbed.topology.derive.instances import derive_instances
from testbed.topology.derive.layer2 import derive_layer2_services
from testbed.topology.derive.managed import (
    endpoints,
    managed_interfaces,
    nat_gateways,
    with_elastic_ips,
)
from testbed.topology.derive.order import ordered
from testbed.topology.derive.outposts import derive_outposts
from testbed.topology.derive.region import derive_region, internet_uplinks
from testbed.topology.derive.server import derive_local_interfaces
from testbed.topology.derive.site import derive_site
from testbed.topology.derive.transit import derive_transit_gateways
from testbed.topology.derive.workloads import derive_workloads
from testbed.topology.model import (
    MAX_ROUTE_TABLES,
    MAX_VPCS,
    Endpoint,
    Ipv6Route,
    Region,
    RouteTable,
    Subnet,
    Target,
    Topology,
    VirtualPrivateGateway,
    Vpc,
    VpcRoute,
)
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import RouteTableForm, TopologyForm, VpcForm

MAIN = "main"

ReadConfig = Callable[[str], str]


def derive(
    form: TopologyForm, report: Report, read_config: ReadConfig, numbers: Numbers | None = None
) -> Topology:
    """Return the resolved topology of a form whose references are all right.

    `read_config` returns the text of a device's own configuration file and
    raises ValueError with a sentence when it cannot. Objects claim their `numbers`, so that
    those that were there before keep what they had.
    """
    numbers = Numbers() if numbers is None else numbers
    form = ordered(form, numbers)
    site = derive_site(form, report, read_config, numbers)
    zones = tuple(references.zones(form))
    region = derive_region(form, zones, report, numbers)
    outposts = derive_outposts(form, site, region.public_resolver, report, numbers)
    vpcs = _vpcs(form, region, numbers)
    region = replace(region, transit_gateways=derive_transit_gateways(form, vpcs, numbers))
    site = replace(
        site,
        direct_connects=derive_direct_connects(form, region, vpcs, numbers),
        internet_uplinks=internet_uplinks(form, region.internet, numbers),
    )
    instances, interfaces, local = derive_instances(form, vpcs, report, numbers)
    instances = derive_placement.place(form, instances, report, numbers)
    addresses = derive_addresses(form, region.elastic_ip_cidr, outposts, report, numbers)
    interfaces = derive_coips(form, vpcs, outposts, interfaces, addresses, report, numbers)
    interfaces |= managed_interfaces(form, vpcs, interfaces, report, numbers)
    interfaces = with_elastic_ips(
        form, region.elastic_ip_cidr, interfaces, addresses, report, numbers
    )
    lnis = derive_local_interfaces(form, local, instances, site, numbers)
    return Topology(
        name=form.name,
        region=region,
        vpcs=vpcs,
        outposts=outposts,
        site=site,
        instances=instances,
        network_interfaces=interfaces,
        hosted_zones=derive_zones(form),
        conformance=derive_conformance(form.conformance),
        time=form.time,
        seed=form.seed,
        faults=derive_faults(form, report),
        addresses=addresses,
        numbers=numbers,
        local_network_interfaces=lnis,
        layer2_services=derive_layer2_services(form, site, interfaces, lnis),
        workloads=derive_workloads(form, region),
    )


def _vpcs(form: TopologyForm, region: Region, numbers: Numbers) -> dict[str, Vpc]:
    """The VPCs; those that there is no number for are refused by the rules."""
    claimed = numbers.claim_all("vpc", form.vpcs, range(1, MAX_VPCS + 1))
    return {
        name: _vpc(form, region, name, claimed.get(name, MAX_VPCS + 1), numbers)
        for name in form.vpcs
    }


def _vpc(form: TopologyForm, region: Region, name: str, number: int, numbers: Numbers) -> Vpc:
    vpc = form.vpcs[name]
    subnets = []
    for subnet_name, subnet in vpc.subnets.items():
        outpost = form.outposts[subnet.outpost] if subnet.outpost else None
        zone = subnet.zone or (outpost.zone if outpost else None) or region.zones[0]
        pool = subnet.map_customer_owned_ip_on_launch
        subnets.append(
            Subnet(
                subnet_name,
                name,
                subnet.cidr,
                zone,
                subnet.outpost,
                pool,
                network_acl=subnet.network_acl or derive_security.DEFAULT,
                ipv6_cidr=subnet.ipv6_cidr,
            )
        )
    found = endpoints(region.name, name, vpc)
    gateway = vpc.virtual_private_gateway
    return Vpc(
        name=name,
        number=number,
        cidr=vpc.cidr,
        subnets=tuple(subnets),
        dhcp_options=derive_dhcp(vpc.dhcp_options, region),
        dns_support=vpc.enable_dns_support,
        route_tables=_route_tables(region, name, vpc, found, numbers),
        ipv6_cidr=vpc.ipv6_cidr,
        egress_only_internet_gateway=vpc.egress_only_internet_gateway,
        internet_gateway=vpc.internet_gateway,
        nat_gateways=nat_gateways(name, vpc),
        endpoints=found,
        security_groups=derive_security.security_groups(form, name, region.prefix_lists),
        network_acls=derive_security.network_acls(vpc),
        virtual_private_gateway=VirtualPrivateGateway(gateway.asn) if gateway else None,
    )


def _route_tables(
    region: Region, owner: str, vpc: VpcForm, found: tuple[Endpoint, ...], numbers: Numbers
) -> tuple[RouteTable, ...]:
    names = list(vpc.route_tables)
    if MAIN not in vpc.route_tables:
        names.insert(0, MAIN)
    claimed = numbers.claim_all(f"route-table/{owner}", names, range(1, MAX_ROUTE_TABLES + 1))
    tables = []
    for name in names:
        table = vpc.route_tables.get(name, RouteTableForm())
        routes = tuple(_routes(region, name, table, found))
        ipv6 = tuple(
            Ipv6Route(route.destination, route.target)
            for route in table.routes
            if isinstance(route.destination, IPv6Network)
        )
        subnets = tuple(table.subnets)
        number = claimed.get(name, MAX_ROUTE_TABLES + 1)  # which the rules refuse
        main = name == MAIN
        tables.append(RouteTable(name, number, main, subnets, routes, table.propagate, ipv6))
    return tuple(sorted(tables, key=lambda table: table.number))


def _routes(
    region: Region, name: str, table: RouteTableForm, found: tuple[Endpoint, ...]
) -> Iterator[VpcRoute]:
    """The table's IPv4 routes; of equal ones a CIDR block goes before a prefix list (V)."""
    wanted = [(route.destination, route.target) for route in table.routes]
    wanted += [
        (region.prefix_list_of(endpoint.service), Target("vpc-endpoint", endpoint.name))
        for endpoint in found
        if name in endpoint.route_tables
    ]
    taken = {destination for destination, _ in wanted if isinstance(destination, IPv4Network)}
    for destination, target in wanted:
        if isinstance(destination, IPv4Network):
            yield VpcRoute(destination, target)
            continue
        if isinstance(destination, IPv6Network):
            continue
        for entry in region.prefix_lists.get(destination, ()):
            if entry not in taken:
                taken.add(entry)
                yield VpcRoute(entry, target, destination)
