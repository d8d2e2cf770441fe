"""Rules of local gateways: their route table's associations and routes, customer-owned IPs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from testbed.errors import Path, dotted
from testbed.topology.derive.rack import domain_path
from testbed.topology.form_factors import RACKS
from testbed.topology.model import NetworkInterface, Rack, RoutingDomain, Subnet, Topology
from testbed.topology.report import Report, choices
from testbed.topology.rules.instances import path_of
from testbed.topology.rules.vpc import size
from testbed.topology.schema import TopologyForm

MAX_INTERFACE_ROUTES = 100  # L2
MAX_POOLS, MAX_POOL_CIDRS = 10, 100  # L2
POOL_LENGTH = 26  # R1, R2
TAKEN_VRFS = {"sl", "region", "site", "wan", "isp", "lo"}
LIMIT = "(AWS: local gateway route tables)"


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every local gateway, and every customer-owned IP address."""
    for name, rack in topology.racks.items():
        _domains(form, rack, report)
        for domain in rack.domains:
            path = domain_path(name, domain.name)
            _vpcs(path, domain, topology, report)
            _routes(path, rack, domain, topology, report)
            _pools(path, domain, report)
    for vpc in topology.vpcs.values():
        for subnet in vpc.subnets:
            if subnet.customer_owned_ip_pool:
                _subnet(subnet, topology, report)
    owners: dict[tuple[str, IPv4Address], str] = {}
    for interface in topology.network_interfaces.values():
        if interface.requester is None:
            _interface(form, topology, interface, owners, report)


def _domains(form: TopologyForm, rack: Rack, report: Report) -> None:
    """Routing domains are for second-generation racks, and a VPC is in one of them (L3)."""
    path: Path = ("outposts", rack.name, "local_gateway")
    gateway = form.outposts[rack.name].local_gateway
    if gateway is None or not gateway.routing_domains:
        return
    shape = RACKS[rack.form_factor]
    if shape.routing_domains == 1:
        message = f"{shape.title} has no routing domains: its local gateway has one route table"
        hint = "leave the key out, and write its contents beside it"
        at = (*path, "routing_domains")
        report.add(at, f"{message} and one VIF group (AWS: routing domains)", hint, key=True)
    for key in sorted(gateway.model_fields_set - {"routing_domains", "asn"}):
        message = "belongs to a routing domain, and the local gateway has several"
        report.add((*path, key), message, "write it inside of one", key=True)
    vpcs: dict[str, str] = {}
    pools: dict[str, str] = {}
    for domain in rack.domains:
        at = (*path, "routing_domains", domain.name)
        for index, vpc in enumerate(domain.vpcs):
            if (other := vpcs.setdefault(vpc, domain.name)) != domain.name:
                message = f"the VPC {vpc} is in the routing domain {other} already: a VPC can be"
                end = "associated with one local gateway route table of an Outpost"
                report.add((*at, "vpcs", index), f"{message} {end} (AWS: routing domains)")
        for pool in domain.pools:
            if (other := pools.setdefault(pool.name, domain.name)) != domain.name:
                message = f"the routing domain {other} has a pool of that name"
                report.add((*at, "coip_pools", pool.name), message, "rename one", key=True)
        if domain.vrf in TAKEN_VRFS or domain.vrf == rack.name:
            message = f"'{domain.vrf}' cannot be the VRF's name: the devices have something else"
            at = (*at, "vrf") if report.has((*at, "vrf")) else at
            report.add(at, f"{message} of that name", "write another vrf", key=at[-1] != "vrf")


def _vpcs(path: Path, domain: RoutingDomain, topology: Topology, report: Report) -> None:
    """VPCs of one routing domain may not overlap (L3), unless CoIPs tell them apart (R1)."""
    if domain.mode == "coip":
        return
    for first, second in combinations(dict.fromkeys(domain.vpcs), 2):
        one, other = topology.vpcs[first], topology.vpcs[second]
        if one.cidr.overlaps(other.cidr):
            message = (
                f"the VPCs {first} ({one.cidr}) and {second} ({other.cidr}) overlap: ranges must"
                " not overlap within a routing domain (AWS: routing domains)"
            )
            hint = "associate one of them, change a CIDR block, or use mode: coip"
            report.add((*path, "vpcs"), message, hint)


def _routes(
    path: Path, rack: Rack, domain: RoutingDomain, topology: Topology, report: Report
) -> None:
    if sum(route.interface is not None for route in domain.routes) > MAX_INTERFACE_ROUTES:
        message = f"a local gateway route table has at most {MAX_INTERFACE_ROUTES} network"
        report.add((*path, "routes"), f"{message} interface routes (AWS: local gateway routes)")
    seen: set[IPv4Network] = set()
    for index, route in enumerate(domain.routes):
        at = (*path, "routes", index)
        if route.destination in seen:
            message = f"this table already has a route to {route.destination}"
            report.add((*at, "destination"), message, "keep one of them")
        seen.add(route.destination)
        interface = topology.network_interfaces.get(route.interface or "")
        if interface is not None:
            _target(at, (rack, domain), interface, route.destination, topology, report)


def _target(
    path: Path,
    table: tuple[Rack, RoutingDomain],
    interface: NetworkInterface,
    destination: IPv4Network,
    topology: Topology,
    report: Report,
) -> None:
    """A route's interface is in a subnet of this Outpost (L2)."""
    rack, domain = table
    place = topology.subnet(interface.vpc, interface.subnet).outpost
    if place != rack.name:
        where = f"on the Outpost {place}" if place else "in the Region"
        message = f"the network interface {interface.name} is {where}: a local gateway route"
        hint = f"choose an interface in a subnet of {rack.name}"
        end = "can only target one on its own Outpost (AWS: local gateway routes)"
        report.add((*path, "target"), f"{message} {end}", hint)
    cidr = topology.vpcs[interface.vpc].cidr
    if domain.mode == "coip" and destination.subnet_of(cidr):
        message = f"{destination} is inside the VPC {interface.vpc} ({cidr}), which the local"
        end = "network cannot reach by its own addresses in CoIP mode"
        report.add((*path, "destination"), f"{message} {end}", "use addresses of the local network")


def _pools(path: Path, domain: RoutingDomain, report: Report) -> None:
    at = (*path, "coip_pools")
    if domain.pools and domain.mode != "coip" and not report.touched((*path, "mode")):
        message = "customer-owned IP pools belong to a route table in CoIP mode"
        report.add(at, f"{message} (AWS: CoIP pools)", "write mode: coip", key=True)
    if len(domain.pools) > MAX_POOLS:
        message = f"has {len(domain.pools)} pools; a local gateway route table has at most"
        report.add(at, f"{message} {MAX_POOLS} customer-owned IP pools {LIMIT}", key=True)
    if len(domain.pool_cidrs) > MAX_POOL_CIDRS:
        message = f"has {len(domain.pool_cidrs)} CIDR blocks in its pools; a local gateway"
        report.add(at, f"{message} route table has at most {MAX_POOL_CIDRS} {LIMIT}", key=True)
    for pool in domain.pools:
        for index, cidr in enumerate(pool.cidrs):
            place = (*at, pool.name, "cidrs", index)
            if cidr.prefixlen > POOL_LENGTH:
                message = f"{cidr}: a customer-owned IP pool's CIDR block is a /26 or larger"
                hint = f"did you mean {cidr.supernet(new_prefix=POOL_LENGTH)}?"
                report.add(place, f"{message} (AWS: requirements checklist)", hint)
            else:
                size(place, cidr, 8, POOL_LENGTH, "a customer-owned IP pool's block", report)


def _subnet(subnet: Subnet, topology: Topology, report: Report) -> None:
    """Only an Outpost subnet assigns CoIPs, from a pool of its local gateway (API)."""
    at: Path = ("vpcs", subnet.vpc, "subnets", subnet.name, "map_customer_owned_ip_on_launch")
    if subnet.outpost is None:
        message = "only a subnet on an Outpost assigns customer-owned IP addresses"
        report.add(at, f"{message} (AWS: CoIP pools)", "leave it out")
        return
    domain = topology.domain(subnet.outpost, subnet.vpc)
    pools = [pool.name for pool in domain.pools] if domain else []
    if domain is None and isinstance(rack := topology.outposts[subnet.outpost], Rack):
        pools = [pool.name for entry in rack.domains for pool in entry.pools]
    if subnet.customer_owned_ip_pool not in pools:
        message = f"the local gateway of {subnet.outpost} has no pool"
        hint = choices(subnet.customer_owned_ip_pool or "", pools, "pools")
        report.add(at, f"{message} named '{subnet.customer_owned_ip_pool}'", hint)


def _interface(
    form: TopologyForm,
    topology: Topology,
    interface: NetworkInterface,
    owners: dict[tuple[str, IPv4Address], str],
    report: Report,
) -> None:
    """A CoIP is of a pool of the interface's Outpost and stands for one interface (L4, R1)."""
    at = (*path_of(interface), "customer_owned_ip")
    forms = form.network_interfaces if interface.device_index else form.instances
    place = topology.subnet(interface.vpc, interface.subnet).outpost
    none = forms[interface.name].customer_owned_ip is None and interface.customer_owned_ip is None
    if none or (place and report.touched(("outposts", place, "local_gateway"))):
        return
    if place is None:
        message = "an interface in the Region has no customer-owned IP address"
        report.add(at, f"{message} (AWS: CoIP pools)", "use an Elastic IP address")
        return
    domain = _domain_of(at, topology, place, interface, report)
    if domain is None:
        return
    address = interface.customer_owned_ip
    if address is None:
        return
    block = next((cidr for cidr in domain.pool_cidrs if address in cidr), None)
    if block is None:
        blocks = ", ".join(str(cidr) for cidr in domain.pool_cidrs)
        report.add(at, f"{address} is not in a pool of {place}", f"the pools have {blocks}")
    elif address in (block.network_address, block.broadcast_address):
        report.add(at, f"{address} is not a host address of {block}")
    owner = owners.setdefault((place, address), interface.name)
    if owner != interface.name:
        message = f"{address} is already the customer-owned IP address of {owner}"
        report.add(at, message, "an address belongs to one interface (AWS: CoIP pools)")


def _domain_of(
    at: Path, topology: Topology, place: str, interface: NetworkInterface, report: Report
) -> RoutingDomain | None:
    """The routing domain that a CoIP may be of; None: there is none, which was reported."""
    rack = topology.outposts[place]
    if not isinstance(rack, Rack):
        message = f"{place} is a server: it has no local gateway, and so no customer-owned IPs"
        report.add(at, f"{message} (AWS: local gateways)", "leave it out")
        return None
    domain = rack.domain_of(interface.vpc) or rack.domains[0]
    where = dotted(domain_path(place, domain.name))
    if domain.mode != "coip":
        message = f"the local gateway of {place} is in direct VPC routing mode, without CoIPs"
        report.add(at, f"{message} (AWS: CoIP pools)", f"write {where}.mode: coip")
        return None
    if not domain.pools:
        message = f"the local gateway of {place} has no customer-owned IP pool"
        report.add(at, message, "add coip_pools")
        return None
    if interface.vpc not in domain.vpcs:
        message = f"the VPC {interface.vpc} is not associated with the local gateway of {place}"
        report.add(at, message, f"add it to {where}.vpcs")
    return domain
