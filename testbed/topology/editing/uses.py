"""Who uses an object: the places in a document that name it, or that it has to be emptied of."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing.tree import ANY, Data, find

INTERFACES = ("instances", "network_interfaces")

LOCAL = "local_network_interface"


def vpc_of(data: Data, subnet: Any) -> str | None:
    """Return the VPC of a subnet's name, which may be vpc/subnet; None where there is none."""
    vpc, slash, name = str(subnet).rpartition("/")
    if slash:
        return vpc
    return next((str(path[1]) for path, _ in find(data, "vpcs", ANY, "subnets", name)), None)


def of_vpc(data: Data, vpc: str) -> Iterator[Path]:
    """Find what is in a VPC but its main route table and defaults, and who names it."""
    at = ("vpcs", vpc)
    for key in ("subnets", "route_tables", "nat_gateways", "endpoints"):
        yield from _keys(data, *at, key, but="main" if key == "route_tables" else "")
    for key in ("security_groups", "network_acls"):
        yield from _keys(data, *at, key, but="default")
    for key in ("internet_gateway", "egress_only_internet_gateway", "virtual_private_gateway"):
        if lookup(data, (*at, key), False) not in (False, None):
            yield (*at, key)
    for pattern in (
        ("hosted_zones", ANY, "vpcs", ANY),
        ("region", "vpc_peering_connections", ANY, "requester"),
        ("region", "vpc_peering_connections", ANY, "accepter"),
        ("region", "transit_gateways", ANY, "attachments", ANY, "vpc"),
        ("outposts", ANY, "service_link", "vpc"),
        ("outposts", ANY, "local_gateway", "vpcs", ANY),
        ("outposts", ANY, "local_gateway", "routing_domains", ANY, "vpcs", ANY),
        ("site", "direct_connect", ANY, "private_vif", "virtual_private_gateway"),
    ):
        yield from _naming(data, pattern, vpc)


def of_virtual_private_gateway(data: Data, vpc: str) -> Iterator[Path]:
    """Find the private virtual interfaces that end in a VPC's virtual private gateway."""
    key = "virtual_private_gateway"
    yield from _naming(data, ("site", "direct_connect", ANY, "private_vif", key), vpc)


def of_subnet(data: Data, vpc: str, subnet: str) -> Iterator[Path]:
    """Find the network interfaces in a subnet, those of gateways and endpoints among them."""
    for group in INTERFACES:
        yield from _naming(data, (group, ANY, "subnet"), subnet, f"{vpc}/{subnet}")
    yield from _naming(data, ("vpcs", vpc, "nat_gateways", ANY, "subnet"), subnet)
    yield from _naming(data, ("vpcs", vpc, "endpoints", ANY, "subnets", ANY), subnet)
    pattern = ("region", "transit_gateways", ANY, "attachments", ANY)
    for path, attachment in find(data, *pattern):
        if str(attachment.get("vpc")) == vpc:
            yield from ((*path, *rest) for rest in _naming(attachment, ("subnets", ANY), subnet))
    for path, link in find(data, "outposts", ANY, "service_link"):
        if (str(link.get("vpc")), str(link.get("subnet"))) == (vpc, subnet):
            yield (*path, "subnet")


def of_route_table(data: Data, vpc: str, table: str) -> Iterator[Path]:
    """Find the associations of a route table."""
    at = ("vpcs", vpc)
    yield from (path for path, _ in find(data, *at, "route_tables", table, "subnets", ANY))
    yield from _naming(data, (*at, "endpoints", ANY, "route_tables", ANY), table)


def of_network_acl(data: Data, vpc: str, acl: str) -> Iterator[Path]:
    """Find the subnets that name a network ACL."""
    yield from _naming(data, ("vpcs", vpc, "subnets", ANY, "network_acl"), acl)


def of_security_group(data: Data, vpc: str, group: str) -> Iterator[Path]:
    """Find the network interfaces that have a security group, and the rules that name it."""
    for interfaces in INTERFACES:
        for path, interface in find(data, interfaces, ANY):
            has = group in map(str, interface.get("security_groups", []))
            if has and vpc_of(data, interface.get("subnet")) == vpc:
                yield (*path, "security_groups")
    yield from _naming(data, ("vpcs", vpc, "endpoints", ANY, "security_groups", ANY), group)
    for end in ("source", "destination"):
        for path, peer in find(data, "vpcs", ANY, "security_groups", ANY, ANY, ANY, end):
            own = path[:4] == ("vpcs", vpc, "security_groups", group)
            here = str(peer) == (group if path[1] == vpc else f"{vpc}/{group}")
            if here and not own:
                yield path


def of_prefix_list(data: Data, name: str) -> Iterator[Path]:
    """Find the routes and rules that name a prefix list."""
    yield from _naming(data, ("vpcs", ANY, "route_tables", ANY, "routes", ANY, "destination"), name)
    for end in ("source", "destination"):
        yield from _naming(data, ("vpcs", ANY, "security_groups", ANY, ANY, ANY, end), name)


def of_nat_gateway(data: Data, vpc: str, name: str) -> Iterator[Path]:
    """Find the routes to a NAT gateway."""
    yield from _routes(data, vpc, f"{name}.nat-gateway")


def of_vpc_peering_connection(data: Data, name: str) -> Iterator[Path]:
    """Find the routes to a peering connection."""
    yield from _routes(data, ANY, f"{name}.vpc-peering-connection")


def of_transit_gateway(data: Data, name: str) -> Iterator[Path]:
    """Find a transit gateway's attachments, and the routes to it."""
    yield from _keys(data, "region", "transit_gateways", name, "attachments")
    pattern = ("site", "direct_connect", ANY, "transit_vif", "transit_gateway")
    yield from _naming(data, pattern, name)
    yield from _routes(data, ANY, f"{name}.transit-gateway")


def of_transit_gateway_route_table(data: Data, gateway: str, table: str) -> Iterator[Path]:
    """Find the associations of a transit gateway route table."""
    at = ("region", "transit_gateways", gateway, "route_tables", table, "associations", ANY)
    yield from (path for path, _ in find(data, *at))


def of_network_interface(data: Data, name: str) -> Iterator[Path]:
    """Find the routes to a network interface; an instance's name is that of its primary one."""
    yield from _routes(data, ANY, f"{name}.instance", f"{name}.network-interface")
    for domain in ((), ("routing_domains", ANY)):
        pattern = ("outposts", ANY, "local_gateway", *domain, "routes", ANY, "target")
        yield from _naming(data, pattern, f"{name}.instance", f"{name}.network-interface")


def of_instance(data: Data, name: str) -> Iterator[Path]:
    """Find what leads to an instance, and the layer-2 services that it is a node of."""
    yield from of_network_interface(data, name)
    yield from _naming(data, ("layer2_services", ANY, "nodes", ANY), name)


def of_placement_group(data: Data, name: str) -> Iterator[Path]:
    """Find the instances in a placement group."""
    yield from _naming(data, ("instances", ANY, "placement_group"), name)


def of_outpost(data: Data, name: str) -> Iterator[Path]:
    """Find the subnets on an Outpost, the routes to its local gateway, and its cables."""
    yield from _naming(data, ("vpcs", ANY, "subnets", ANY, "outpost"), name)
    yield from _routes(data, ANY, f"{name}.local-gateway")
    for path, pool in find(data, "addresses", ANY, "pool"):
        if str(pool).partition("/")[0] == name:
            yield path
    pattern = ("site", "devices", ANY, "host_interfaces", "uplinks", name)
    yield from (path for path, _ in find(data, *pattern))


def of_coip_pool(data: Data, outpost: str, pool: str, domain: str = "") -> Iterator[Path]:
    """Find the subnets that assign addresses of a pool, and the interfaces that have one."""
    on_outpost = set()
    for path, subnet in find(data, "vpcs", ANY, "subnets", ANY):
        if str(subnet.get("outpost")) == outpost:
            on_outpost |= {path[3], f"{path[1]}/{path[3]}"}
            if str(subnet.get("map_customer_owned_ip_on_launch")) == pool:
                yield (*path, "map_customer_owned_ip_on_launch")
    yield from _naming(data, ("addresses", ANY, "pool"), f"{outpost}/{pool}")
    of_domain = ("routing_domains", domain) if domain else ()
    at = ("outposts", outpost, "local_gateway", *of_domain, "coip_pools", pool, "cidrs")
    for group in INTERFACES:
        for path, address in find(data, group, ANY, "customer_owned_ip"):
            mine = str(lookup(data, (*path[:2], "subnet"))) in on_outpost
            if mine and any(_inside(address, cidr) for cidr in lookup(data, at, [])):
                yield path


def of_domains_pool(data: Data, outpost: str, domain: str, pool: str) -> Iterator[Path]:
    """Find who uses a pool of a routing domain."""
    return of_coip_pool(data, outpost, pool, domain)


def of_address(data: Data, name: str) -> Iterator[Path]:
    """Find the interfaces and NAT gateways that have an allocated address."""
    for group in INTERFACES:
        for key in ("elastic_ip", "customer_owned_ip"):
            yield from _naming(data, (group, ANY, key), name)
        yield from _naming(data, (group, ANY, "elastic_ips", ANY), name)
    yield from _naming(data, ("vpcs", ANY, "nat_gateways", ANY, "elastic_ip"), name)


def of_device(data: Data, name: str) -> Iterator[Path]:
    """Find what a customer device is part of."""
    patterns: list[tuple[str, ...]] = [
        ("outposts", ANY, "devices", ANY),
        ("site", "links", ANY, "devices", ANY),
        ("site", "region_link", "devices", ANY),
        ("site", "wan", "devices", ANY),
        ("site", "internet", "devices", ANY),
        ("site", "segments", ANY, "devices", ANY),
        ("site", "firewalls", ANY, "devices", ANY),
        ("site", "direct_connect", ANY, "device"),
    ]
    for pattern in patterns:
        yield from _naming(data, pattern, name)
    cables = find(data, "site", "devices", ANY, "host_interfaces", "links", name)
    yield from (path for path, _ in cables)


def of_segment(data: Data, name: str) -> Iterator[Path]:
    """Find the hosts on a LAN segment, and the ports of servers and of real devices."""
    yield from _naming(data, ("site", "hosts", ANY, "segment"), name)
    for keys in (("service_link", "segment"), (LOCAL, "segment"), (LOCAL, "tagged", ANY)):
        yield from _naming(data, ("outposts", ANY, *keys), name)
    pattern = ("site", "devices", ANY, "host_interfaces", "segments", name)
    yield from (path for path, _ in find(data, *pattern))


def of_attachment(data: Data, gateway: str, name: str) -> Iterator[Path]:
    """Find the route tables of a transit gateway that name an attachment."""
    at = ("region", "transit_gateways", gateway, "route_tables", ANY)
    for key in ("associations", "propagations"):
        yield from _naming(data, (*at, key, ANY), name)
    yield from _naming(data, (*at, "routes", ANY, "attachment"), name)


def of_connection(data: Data, name: str) -> Iterator[Path]:
    """Find the route tables of transit gateways that name a Direct Connect connection."""
    gateway = lookup(data, ("site", "direct_connect", name, "transit_vif", "transit_gateway"))
    if gateway is not None:
        yield from of_attachment(data, str(gateway), name)


def _naming(data: Data, pattern: tuple[str, ...], *names: str) -> Iterator[Path]:
    yield from (path for path, value in find(data, *pattern) if str(value) in names)


def _keys(data: Data, *pattern: str, but: str = "") -> Iterator[Path]:
    yield from (path for path, _ in find(data, *pattern, ANY) if path[-1] != but)


def _routes(data: Data, vpc: str, *targets: str) -> Iterator[Path]:
    yield from _naming(data, ("vpcs", vpc, "route_tables", ANY, "routes", ANY, "target"), *targets)


def _inside(address: Any, cidr: Any) -> bool:
    try:
        return ip_address(address) in ip_network(cidr)
    except ValueError:
        return False


def of_ecs_cluster(data: Data, name: str) -> Iterator[Path]:
    """Find a cluster's services."""
    yield from _keys(data, "workloads", "ecs", "clusters", name, "services")


def of_ecs_task_definition(data: Data, name: str) -> Iterator[Path]:
    """Find the services that run a task definition, by its name or as its family's revision."""
    family, colon, _ = name.partition(":")
    names = (name,) if colon else (name, f"{family}:1")
    pattern = ("workloads", "ecs", "clusters", ANY, "services", ANY, "task_definition")
    yield from _naming(data, pattern, *names)
    at = ("workloads", "ecs", "task_definitions")
    revisions = [key for key, _ in find(data, *at, ANY) if str(key[-1]).partition(":")[0] == family]
    if colon and len(revisions) == 1:
        yield from _naming(data, pattern, family)
