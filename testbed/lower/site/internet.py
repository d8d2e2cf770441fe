"""The internet behind the Region: one router, hosts, AWS's public services on the Region's edge.

There only where the file asks for it or a VPC has an internet gateway. The
edge then announces the internet's addresses and the Elastic IPs to the
customer, as an internet provider or a Direct Connect public virtual interface
does. What has no route is dropped silently.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface

from testbed.lower import ipv6, names
from testbed.lower.builder import Draft, NodeDraft, interface_name, mac_address
from testbed.lower.rack import inner
from testbed.lower.site.services import add_services
from testbed.plan.model import Bridge, Neighbor, Route
from testbed.plan.roles import REGION, Role
from testbed.topology.model import Internet, Topology

LAN = "br0"


def lower(draft: Draft, topology: Topology) -> None:
    """Add the internet, if there is one. Internet gateways come with their VPCs."""
    internet = topology.region.internet
    if internet is None:
        return
    node = draft.router(names.INTERNET, Role.INTERNET, REGION, f"internet ({internet.cidr})")
    node.add(LAN, Bridge(), addresses=(_router(internet),))
    node.routes.append(Route("0.0.0.0/0", type="blackhole"))
    if internet.ipv6_cidr is not None:
        node.sysctls |= ipv6.ROUTER_SYSCTLS
        node.address(LAN, IPv6Interface((internet.ipv6_cidr[1], internet.ipv6_cidr.prefixlen)))
        ipv6.route(node, ipv6.DEFAULT, None)
    _add_hosts(draft, internet, node)
    edge = draft.nodes[names.EDGE]
    own_end, edge_end = inner.internet_link(None)
    draft.cable((node, "edge"), (edge, "internet"), addresses=(own_end, edge_end))
    node.route(topology.region.public_cidr, via=edge_end.ip, dev="edge")
    for cidr in (internet.cidr, topology.region.elastic_ip_cidr):
        edge.route(cidr, via=own_end.ip, dev="internet")
    _add_services(draft, topology, edge)


def _router(internet: Internet) -> IPv4Interface:
    return IPv4Interface((internet.cidr.network_address + 1, internet.cidr.prefixlen))


def _add_hosts(draft: Draft, internet: Internet, node: NodeDraft) -> None:
    for host in internet.hosts:
        title = f"internet host {host.name} ({host.address.ip})"
        machine = draft.host(host.name, Role.INTERNET_HOST, REGION, title)
        draft.cable(
            (machine, "eth0"),
            (node, interface_name("h-", host.name)),
            addresses=(host.address, None),
            masters=(None, LAN),
        )
        machine.route("0.0.0.0/0", via=_router(internet).ip, dev="eth0")
        if host.ipv6_address is not None:
            machine.sysctls |= ipv6.HOST_SYSCTLS
            machine.address("eth0", host.ipv6_address)
            gateway, own = host.ipv6_address.network[1], host.ipv6_address.ip
            ipv6.route(machine, ipv6.DEFAULT, (gateway, "eth0"))
            # the bridge forwards no multicast to who has not joined it
            machine.neighbors.append(Neighbor("eth0", str(gateway), mac_address(node.name, LAN)))
            node.neighbors.append(Neighbor(LAN, str(own), mac_address(machine.name, "eth0")))
        add_services(draft, machine, host.services)


def _add_services(draft: Draft, topology: Topology, edge: NodeDraft) -> None:
    """The services that have gateway endpoints, as the internet sees them."""
    gateway = topology.region.public_cidr.network_address + 1
    for service in topology.region.public_services:
        title = f"{topology.region.name} {service.name} ({service.address})"
        node = draft.host(names.public_service(service.name), Role.AWS_SERVICE, REGION, title)
        node.loopback(service.address)
        draft.cable((edge, service.name), (node, "edge"))
        edge.route(service.prefix, dev=service.name)
        node.route(gateway, dev="edge", source=service.address)
        node.route("0.0.0.0/0", via=gateway, dev="edge", source=service.address)
        add_services(draft, node, ("aws",))
