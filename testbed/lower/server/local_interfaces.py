"""Local network interfaces (LNIs): an instance's own interface on the customer's LAN (N1, N2).

A server's leg 1 is a bridge of its own kind: two LNIs of one server reach each other through it,
an LNI sends from its own MAC address only, and gets nothing that is for another one. Of broadcast
and multicast, ARP, DHCP and IPv6's neighbour discovery pass, nothing else. Tags are the
guest's: frames pass with those that they have.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

from testbed.lower import dhcp_client, names
from testbed.lower.builder import Draft, NodeDraft, netem
from testbed.lower.server import ports
from testbed.lower.templating import environment
from testbed.plan.model import Bridge, Rule, Vlan
from testbed.plan.roles import Role
from testbed.topology.model import (
    LanNetwork,
    LocalNetworkInterface,
    Quality,
    Server,
    Topology,
)

FIRST_TABLE, FIRST_PRIORITY = 2000, 300
OTHER_METRIC = 512  # of the VPC's default route where the LAN's is preferred
BURST_S = 1.0  # for how long an LNI may send at its burst rate (docs/fidelity.md)


def lower(draft: Draft, topology: Topology, server: Server) -> None:
    """Add a server's LNI port with the LNIs behind it; their instances are there already."""
    if server.local_port is None:
        return
    title = f"{server.name} LNI port"
    node = draft.host(names.local_port(server), Role.LNI_PORT, server.name, title)
    node.add(names.BRIDGE, Bridge())
    far = names.local_port_of(server)
    ports.plug_in(draft, topology, server.local_port, node, names.LOCAL_UPLINK, far)
    entries = []
    for interface in topology.local_network_interfaces.values():
        running = topology.instances[interface.instance].state == "running"
        if interface.server == server.name and running:
            _attach(draft, topology, node, interface)
            entries.append(
                {
                    "name": interface.name,
                    "port": names.lni_port(interface),
                    "mac": names.lni_mac(interface),
                    "rate": round(interface.baseline_mbps * 125_000),
                    "burst": round(interface.burst_mbps * 125_000 * BURST_S),
                }
            )
    template = environment.get_template("lni.nft.j2")
    node.nftables = template.render(title=node.title, interfaces=entries)


def _attach(
    draft: Draft, topology: Topology, node: NodeDraft, interface: LocalNetworkInterface
) -> None:
    instance = draft.nodes[interface.instance]
    own = names.lni_device(interface)
    segments = {segment.name: segment for segment in topology.site.segments}
    mtus = [segments[n.segment].mtu for n in interface.networks if n.segment]
    quality = Quality(rate_mbps=interface.burst_mbps, mtu=max(mtus, default=1500))
    draft.cable(
        (instance, own),
        (node, names.lni_port(interface)),
        masters=(None, names.BRIDGE),
        mtu=quality.mtu,
        impairment=netem(quality),
        mac=names.lni_mac(interface),
    )
    for number, network in enumerate(interface.networks):
        name = own
        if network.vlan is not None:
            name = f"{own}.{network.vlan}"
            mtu = segments[network.segment].mtu if network.segment else None
            instance.add(name, Vlan(own, network.vlan), mtu=mtu)
        _configure(draft, instance, name, interface, network, _place(interface, number))
        if network.default_route == "preferred":
            _step_back(instance)


def table(interface: LocalNetworkInterface, network: int) -> int:
    """The routing table of what is from an address of a network, by its index."""
    return FIRST_TABLE + _place(interface, network)


def _place(interface: LocalNetworkInterface, network: int) -> int:
    return 16 * interface.device_index + network


def _configure(
    draft: Draft,
    instance: NodeDraft,
    name: str,
    interface: LocalNetworkInterface,
    network: LanNetwork,
    number: int,
) -> None:
    """Do in the instance what AWS's guides ask its user data to do: a lease, policy routing."""
    by_source = network.default_route != "none"
    routing = dhcp_client.Routing(
        metric=0 if network.default_route == "preferred" else None,
        table=FIRST_TABLE + number if by_source else None,
        priority=FIRST_PRIORITY + number if by_source else None,
        through=network.routes,
    )
    if network.dhcp:
        where = network.segment or "nobody"
        title = f"{interface.instance} {name}: lease of {where}"
        expected = network.segment is not None
        dhcp_client.add(draft, instance, name, network.address, routing, title, expected=expected)
    elif network.address is not None:
        _static(instance, name, network.address, network, routing)


def _static(
    instance: NodeDraft,
    name: str,
    address: IPv4Interface,
    network: LanNetwork,
    routing: dhcp_client.Routing,
) -> None:
    instance.address(name, address)
    if network.gateway is None:
        return
    default = IPv4Network("0.0.0.0/0")
    for destination in routing.through:
        instance.route(destination, via=network.gateway, dev=name)
    if routing.metric is not None:
        instance.route(default, via=network.gateway, dev=name)
    if routing.table is not None and routing.priority is not None:
        instance.route(address.network, dev=name, table=routing.table)
        instance.route(default, via=network.gateway, dev=name, table=routing.table)
        rule = Rule(routing.priority, routing.table, source=f"{address.ip}/32")
        instance.rules.append(rule)


def _step_back(instance: NodeDraft) -> None:
    """Let the VPC's default route be worse than the LAN's."""
    instance.routes = [
        replace(route, metric=OTHER_METRIC)
        if route.destination == "0.0.0.0/0" and route.dev == "eth0" and route.table == 254
        else route
        for route in instance.routes
    ]
