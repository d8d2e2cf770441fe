"""VPC routers: one for each VPC on each Outpost that has subnets of it, and one in the Region.

The implicit router of a VPC (facts: V): every network interface has its own
link to it, there is no broadcast domain, the router answers ARP for what it
can reach. Routing has two stages. The router's main table is the VPC's local
route: a host route for each interface here, a route over the service link
for each subnet elsewhere, nothing else of the VPC's CIDR. Each VPC route
table is a table of its own, chosen by the interface a packet came from: its
custom routes, a `throw` for the VPC's CIDR that leads on to the local route,
a blackhole for everything else. A custom route that is more specific than
the local route wins by being the longer prefix.
"""

from __future__ import annotations

from ipaddress import IPv4Interface

from testbed.lower import inner, local_gateway, names
from testbed.lower.builder import Draft, NodeDraft, interface_name, mac_address
from testbed.lower.services import add_services
from testbed.plan.model import Neighbor, Route, Rule, Vxlan
from testbed.topology.model import Instance, Outpost, Subnet, Topology, Vpc

JUMBO_MTU = 9001  # facts: E mtu
PRIORITY_ROUTE_TABLE = 100
FIRST_ROUTE_TABLE = 1


def lower(draft: Draft, topology: Topology, vpc: Vpc) -> None:
    """Add the VPC's routers, the overlays between them and its instances."""
    region = _add_router(draft, topology, vpc, None)
    for outpost in topology.outposts.values():
        if not _has(topology, vpc, outpost):
            continue
        router = _add_router(draft, topology, vpc, outpost)
        _add_overlay(outpost, vpc, router, region)
        if vpc.name in outpost.local_gateway.vpcs:
            local_gateway.attach(draft, topology, outpost, vpc, router)


def _has(topology: Topology, vpc: Vpc, outpost: Outpost) -> bool:
    on_outpost = any(subnet.outpost == outpost.name for subnet in vpc.subnets)
    return on_outpost or vpc.name in topology.outposts[outpost.name].local_gateway.vpcs


def _add_router(draft: Draft, topology: Topology, vpc: Vpc, outpost: Outpost | None) -> NodeDraft:
    """The VPC's router at one place, with the instances of the subnets that are there."""
    if outpost:
        name, group = names.outpost_vpc(outpost, vpc.name), outpost.name
        title = f"{outpost.name} router of VPC {vpc.name}"
    else:
        name, group, title = (
            names.region_vpc(vpc.name),
            "region",
            f"Region router of VPC {vpc.name}",
        )
    router = draft.router(name, "vpc-router", group, title)
    here = {s.name: s for s in vpc.subnets if s.outpost == (outpost.name if outpost else None)}
    router.loopback(*(subnet.router for subnet in here.values()))
    router.routes.append(Route(str(vpc.cidr), type="blackhole"))
    instances = [i for i in topology.instances.values() if i.vpc == vpc.name and i.subnet in here]
    for instance in instances:
        _add_instance(draft, router, here[instance.subnet], instance)
    marks = _add_route_tables(router, vpc, set(here), outpost)
    router.nftables = _ruleset(vpc, router, instances, marks, region=outpost is None)
    return router


def _eni(instance: Instance) -> str:
    return interface_name("eni-", instance.name)


def _add_instance(draft: Draft, router: NodeDraft, subnet: Subnet, instance: Instance) -> None:
    title = f"instance {instance.name} ({instance.address}, subnet {subnet.name})"
    node = draft.host(instance.name, "instance", router.group, title)
    eni = _eni(instance)
    addresses = (IPv4Interface((instance.address, subnet.cidr.prefixlen)), None)
    draft.cable((node, "eth0"), (router, eni), addresses=addresses, mtu=JUMBO_MTU)
    router.set_sysctls(
        eni, {f"net/ipv4/conf/{eni}/proxy_arp": "1", f"net/ipv4/neigh/{eni}/proxy_delay": "0"}
    )
    node.route("0.0.0.0/0", via=subnet.router, dev="eth0")
    router.route(instance.address, dev=eni, source=subnet.router)
    router.neighbors.append(
        Neighbor(eni, str(instance.address), mac_address(instance.name, "eth0"))
    )
    add_services(draft, node, instance.services)


def _add_route_tables(
    router: NodeDraft, vpc: Vpc, here: set[str], outpost: Outpost | None
) -> dict[str, int]:
    """Add the route tables that subnets here use. Returns the mark of each subnet's table."""
    marks: dict[str, int] = {}
    for mark, table in enumerate(vpc.route_tables, FIRST_ROUTE_TABLE):
        users = {name for name in here if vpc.table_of(name) is table}
        if not users:
            continue
        marks |= dict.fromkeys(users, mark)
        router.rules.append(Rule(PRIORITY_ROUTE_TABLE, mark, fwmark=mark))
        router.routes.append(Route(str(vpc.cidr), type="throw", table=mark))
        if all(route.destination.prefixlen for route in table.routes):
            router.routes.append(Route("0.0.0.0/0", type="blackhole", table=mark))
        for route in table.routes:
            if outpost and route.target == outpost.name:
                via = inner.gateway_link(outpost, vpc)[0].ip
                router.route(route.destination, via=via, dev="lgw", table=mark)
            else:
                # A local gateway serves only interfaces of its own Outpost (facts: L2).
                router.routes.append(Route(str(route.destination), type="blackhole", table=mark))
    return marks


def _add_overlay(outpost: Outpost, vpc: Vpc, router: NodeDraft, region: NodeDraft) -> None:
    """Connect the VPC's two routers through the service link, and route its subnets over it."""
    far_name = interface_name("op-", outpost.name)
    near_end, far_end = inner.overlay_link(outpost, vpc)
    outpost_endpoint = str(inner.overlay_endpoint(outpost))
    fabric_endpoint = str(inner.FABRIC_ENDPOINT)
    vni = inner.overlay_vni(outpost, vpc)
    mtu = inner.SERVICE_LINK_MTU
    near = Vxlan(names.service_link(outpost), vni, outpost_endpoint, fabric_endpoint)
    far = Vxlan(names.FABRIC, vni, fabric_endpoint, outpost_endpoint)
    router.add("sl", near, mtu=mtu, addresses=(near_end,))
    region.add(far_name, far, mtu=mtu, addresses=(far_end,))
    router.neighbors.append(Neighbor("sl", str(far_end.ip), mac_address(region.name, far_name)))
    region.neighbors.append(Neighbor(far_name, str(near_end.ip), mac_address(router.name, "sl")))
    for subnet in vpc.subnets:
        if subnet.outpost == outpost.name:
            region.route(subnet.cidr, via=near_end.ip, dev=far_name)
        else:
            router.route(subnet.cidr, via=far_end.ip, dev="sl")


def _ruleset(
    vpc: Vpc, router: NodeDraft, instances: list[Instance], marks: dict[str, int], *, region: bool
) -> str:
    """Route table choice, source check, and what a VPC router never forwards.

    The source/destination check drops what an interface sends with another
    MAC or IP address than its own (facts: E eni, 3P). A packet from one
    service link never leaves by another (facts: S4, H5), nor does one from
    the local gateway by the service link.
    """
    interfaces = {_eni(instance): instance for instance in instances}
    sources = ", ".join(
        f'"{eni}" . {mac_address(instance.name, "eth0")} . {instance.address}'
        for eni, instance in interfaces.items()
    )
    tables = ", ".join(
        f'"{eni}" : {marks[instance.subnet]}' for eni, instance in interfaces.items()
    )
    blocked = 'iifname "op-*" oifname "op-*"' if region else 'iifname "lgw" oifname "sl"'
    elements = f"elements = {{ {sources} }}" if sources else ""
    table_elements = f"elements = {{ {tables} }}" if tables else ""
    return f"""\
# {router.title} ({vpc.cidr})
table inet vpc {{
  set interface_sources {{
    type ifname . ether_addr . ipv4_addr
    {elements}
  }}
  map route_tables {{
    type ifname : mark
    {table_elements}
  }}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    iifname "eni-*" jump from_interface
  }}
  chain from_interface {{
    iifname . ether saddr . ip saddr != @interface_sources counter drop
    meta mark set iifname map @route_tables
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    {blocked} counter drop
  }}
}}
"""
