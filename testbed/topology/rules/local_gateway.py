"""Rules of local gateways: their route table's associations and routes, customer-owned IPs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from testbed.errors import Path
from testbed.topology.model import LocalGateway, NetworkInterface, Outpost, Subnet, Topology
from testbed.topology.report import Report, choices
from testbed.topology.rules.instances import path_of
from testbed.topology.rules.vpc import size
from testbed.topology.schema import TopologyForm

MAX_INTERFACE_ROUTES = 100  # L2
MAX_POOLS, MAX_POOL_CIDRS = 10, 100  # L2
POOL_LENGTH = 26  # R1, R2
LIMIT = "(AWS: local gateway route tables)"


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every local gateway, and every customer-owned IP address."""
    for name, outpost in topology.outposts.items():
        path: Path = ("outposts", name, "local_gateway")
        _vpcs(path, outpost.local_gateway, topology, report)
        _routes(path, outpost, topology, report)
        _pools(path, outpost.local_gateway, report)
        for index, device in enumerate(outpost.drained):
            if device in outpost.drained[:index]:
                at: Path = ("outposts", name, "drained", index)
                report.add(at, f"device {device} is named twice", "keep one of them")
    for vpc in topology.vpcs.values():
        for subnet in vpc.subnets:
            if subnet.customer_owned_ip_pool:
                _subnet(subnet, topology, report)
    owners: dict[tuple[str, IPv4Address], str] = {}
    for interface in topology.network_interfaces.values():
        if interface.requester is None:
            _interface(form, topology, interface, owners, report)


def _vpcs(path: Path, gateway: LocalGateway, topology: Topology, report: Report) -> None:
    """VPCs of one routing domain may not overlap (L3), unless CoIPs tell them apart (R1)."""
    if gateway.mode == "coip":
        return
    for first, second in combinations(dict.fromkeys(gateway.vpcs), 2):
        one, other = topology.vpcs[first], topology.vpcs[second]
        if one.cidr.overlaps(other.cidr):
            message = (
                f"the VPCs {first} ({one.cidr}) and {second} ({other.cidr}) overlap: ranges must"
                " not overlap within a routing domain (AWS: routing domains)"
            )
            hint = "associate one of them, change a CIDR block, or use mode: coip"
            report.add((*path, "vpcs"), message, hint)


def _routes(path: Path, outpost: Outpost, topology: Topology, report: Report) -> None:
    gateway = outpost.local_gateway
    if sum(route.interface is not None for route in gateway.routes) > MAX_INTERFACE_ROUTES:
        message = f"a local gateway route table has at most {MAX_INTERFACE_ROUTES} network"
        report.add((*path, "routes"), f"{message} interface routes (AWS: local gateway routes)")
    seen: set[IPv4Network] = set()
    for index, route in enumerate(gateway.routes):
        at = (*path, "routes", index)
        if route.destination in seen:
            message = f"this table already has a route to {route.destination}"
            report.add((*at, "destination"), message, "keep one of them")
        seen.add(route.destination)
        interface = topology.network_interfaces.get(route.interface or "")
        if interface is not None:
            _target(at, outpost, interface, route.destination, topology, report)


def _target(
    path: Path,
    outpost: Outpost,
    interface: NetworkInterface,
    destination: IPv4Network,
    topology: Topology,
    report: Report,
) -> None:
    """A route's interface is in a subnet of this Outpost (L2)."""
    place = topology.subnet(interface.vpc, interface.subnet).outpost
    if place != outpost.name:
        where = f"on the Outpost {place}" if place else "in the Region"
        message = f"the network interface {interface.name} is {where}: a local gateway route"
        hint = f"choose an interface in a subnet of {outpost.name}"
        end = "can only target one on its own Outpost (AWS: local gateway routes)"
        report.add((*path, "target"), f"{message} {end}", hint)
    cidr = topology.vpcs[interface.vpc].cidr
    if outpost.local_gateway.mode == "coip" and destination.subnet_of(cidr):
        message = f"{destination} is inside the VPC {interface.vpc} ({cidr}), which the local"
        end = "network cannot reach by its own addresses in CoIP mode"
        report.add((*path, "destination"), f"{message} {end}", "use addresses of the local network")


def _pools(path: Path, gateway: LocalGateway, report: Report) -> None:
    at = (*path, "coip_pools")
    if gateway.pools and gateway.mode != "coip" and not report.touched((*path, "mode")):
        message = "customer-owned IP pools belong to a route table in CoIP mode"
        report.add(at, f"{message} (AWS: CoIP pools)", "write mode: coip", key=True)
    if len(gateway.pools) > MAX_POOLS:
        message = f"has {len(gateway.pools)} pools; a local gateway route table has at most"
        report.add(at, f"{message} {MAX_POOLS} customer-owned IP pools {LIMIT}", key=True)
    if len(gateway.pool_cidrs) > MAX_POOL_CIDRS:
        message = f"has {len(gateway.pool_cidrs)} CIDR blocks in its pools; a local gateway"
        report.add(at, f"{message} route table has at most {MAX_POOL_CIDRS} {LIMIT}", key=True)
    for pool in gateway.pools:
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
    gateway = topology.outposts[subnet.outpost].local_gateway
    pools = [pool.name for pool in gateway.pools]
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
    gateway = topology.outposts[place].local_gateway
    if gateway.mode != "coip":
        message = f"the local gateway of {place} is in direct VPC routing mode, without CoIPs"
        report.add(
            at, f"{message} (AWS: CoIP pools)", f"write outposts.{place}.local_gateway.mode: coip"
        )
        return
    if not gateway.pools:
        report.add(
            at, f"the local gateway of {place} has no customer-owned IP pool", "add coip_pools"
        )
        return
    if interface.vpc not in gateway.vpcs:
        message = f"the VPC {interface.vpc} is not associated with the local gateway of {place}"
        report.add(at, message, f"add it to outposts.{place}.local_gateway.vpcs")
    address = interface.customer_owned_ip
    if address is None:
        return
    block = next((cidr for cidr in gateway.pool_cidrs if address in cidr), None)
    if block is None:
        blocks = ", ".join(str(cidr) for cidr in gateway.pool_cidrs)
        report.add(at, f"{address} is not in a pool of {place}", f"the pools have {blocks}")
    elif address in (block.network_address, block.broadcast_address):
        report.add(at, f"{address} is not a host address of {block}")
    owner = owners.setdefault((place, address), interface.name)
    if owner != interface.name:
        message = f"{address} is already the customer-owned IP address of {owner}"
        report.add(at, message, "an address belongs to one interface (AWS: CoIP pools)")
