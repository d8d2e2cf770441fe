"""Filling in what a topology file leaves out.

Every derived value depends only on the position of its object among its
siblings and on what comes before it, so that adding an Outpost, a device or
an instance at the end changes nothing that was there. docs/topology.md lists
the formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network

from testbed.topology import references
from testbed.topology.derive_dns import derive_dhcp, derive_zones
from testbed.topology.derive_instances import derive_instances
from testbed.topology.derive_rack import derive_outpost
from testbed.topology.derive_site import derive_site
from testbed.topology.model import (
    Anchor,
    Outpost,
    Region,
    RouteTable,
    Subnet,
    Topology,
    Vpc,
    VpcRoute,
)
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm, VpcForm

PUBLIC_CIDR = IPv4Network("198.51.100.0/24")  # TEST-NET-2 (RFC 5737)
FIRST_ANCHOR = 11
MAIN = "main"

ReadConfig = Callable[[str], str]


def derive(form: TopologyForm, report: Report, read_config: ReadConfig) -> Topology:
    """The resolved topology of a form whose references are all right.

    `read_config` returns the text of a device's own configuration file and
    raises ValueError with a sentence when it cannot.
    """
    site = derive_site(form, report, read_config)
    asns = {device.name: device.asn for device in site.devices}
    zones = tuple(references.zones(form))
    outposts: dict[str, Outpost] = {}
    for index, (name, outpost) in enumerate(form.outposts.items()):
        outposts[name] = derive_outpost(form, name, outpost, index, asns, report)
    region = _region(form, zones)
    vpcs = {
        name: _vpc(form, name, number, region)
        for number, (name, _) in enumerate(form.vpcs.items(), start=1)
    }
    instances, interfaces = derive_instances(form, vpcs, report)
    return Topology(
        name=form.name,
        region=region,
        vpcs=vpcs,
        outposts=outposts,
        site=site,
        instances=instances,
        network_interfaces=interfaces,
        hosted_zones=derive_zones(form),
        time=form.time,
        seed=form.seed,
    )


def _region(form: TopologyForm, zones: tuple[str, ...]) -> Region:
    public = form.region.public_cidr or PUBLIC_CIDR
    given = form.region.anchors
    if given is None:
        given = {
            f"anchor{number + 1}": public.network_address + FIRST_ANCHOR + number
            for number in range(2)
        }
    anchors = tuple(Anchor(name, address) for name, address in given.items())
    return Region(form.region.name, zones, form.region.asn, public, anchors)


def _vpc(form: TopologyForm, name: str, number: int, region: Region) -> Vpc:
    vpc = form.vpcs[name]
    subnets = []
    for subnet_name, subnet in vpc.subnets.items():
        outpost = form.outposts[subnet.outpost] if subnet.outpost else None
        zone = subnet.zone or (outpost.zone if outpost else None) or region.zones[0]
        subnets.append(Subnet(subnet_name, name, subnet.cidr, zone, subnet.outpost))
    return Vpc(
        name=name,
        number=number,
        cidr=vpc.cidr,
        subnets=tuple(subnets),
        route_tables=_route_tables(vpc),
        dhcp_options=derive_dhcp(vpc.dhcp_options, region),
        dns_support=vpc.enable_dns_support,
    )


def _route_tables(vpc: VpcForm) -> tuple[RouteTable, ...]:
    tables = []
    for name, table in vpc.route_tables.items():
        routes = tuple(VpcRoute(route.destination, route.target) for route in table.routes)
        tables.append(RouteTable(name, name == MAIN, tuple(table.subnets), routes))
    if MAIN not in vpc.route_tables:
        tables.insert(0, RouteTable(MAIN, True, (), ()))
    return tuple(tables)
