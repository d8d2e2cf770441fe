"""LAN segments: their switch, the devices' ports, hosts, DHCP servers, shared gateways.

A segment without a VLAN ID is a switch of its own. All others are VLANs of one switch that
filters by VLAN (IEEE 802.1Q): what hangs on them is on access ports, but for the ports of
Outposts servers, which may be trunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from testbed.lower import dhcp_client, dnsmasq, names
from testbed.lower.builder import Draft, NodeDraft, interface_name, mac_address
from testbed.lower.site import router_advertisements, vrrp
from testbed.lower.site.services import add_services
from testbed.plan.model import RESOLV_CONF, Bridge, BridgePort, HostInterface
from testbed.plan.roles import SITE, Role
from testbed.topology.model import Host, Segment, Topology

PORT = "eth0"  # of hosts and servers
Connected = Callable[[Segment, str, str], None]
"""Told of a device's interface on a segment: (segment, device, interface)."""


def lower(
    draft: Draft,
    topology: Topology,
    devices: Mapping[str, NodeDraft],
    connected: Connected,
    vrf_of: Callable[[Segment], str],
) -> None:
    """Add the segments with what is on them, but for Outposts."""
    site = topology.site
    for segment in site.segments:
        switch = _switch(draft, topology, segment)
        for name, address in segment.routers:
            lan = names.lan_port(segment.name)
            draft.cable(
                (devices[name], lan),
                (switch, names.segment_port(segment, name)),
                addresses=(address, None),
                masters=(vrf_of(segment), names.BRIDGE),
                mtu=segment.mtu,
            )
            switch.set_port(names.segment_port(segment, name), access(segment))
            _trust(devices[name], lan, segment.arp_timeout_s)
            connected(segment, name, lan)
        for port in segment.host_interfaces:
            real = interface_name("real-", port)
            switch.add(real, HostInterface(port), mtu=segment.mtu, master=names.BRIDGE)
            switch.set_port(real, access(segment))
        for host in site.hosts:
            if host.segment == segment.name:
                _add_host(draft, switch, segment, host)
    for segment in site.segments:
        if segment.dhcp is not None:
            _add_dhcp_server(draft, topology, segment)
    vrrp.lower(draft, site.segments, devices)
    router_advertisements.lower(site.segments, devices)


def access(segment: Segment) -> BridgePort | None:
    """Return how a switch treats a port that is in one segment only."""
    if segment.vlan is None and segment.floods:
        return None
    return BridgePort(untagged=segment.vlan, flood=segment.floods)


def _switch(draft: Draft, topology: Topology, segment: Segment) -> NodeDraft:
    """The segment's switch, added if it is the first one that needs it."""
    name = names.segment(segment)
    if name in draft.nodes:
        return draft.nodes[name]
    if segment.vlan is None:
        node = draft.host(name, Role.LAN_SEGMENT, SITE, f"LAN {segment.name} ({segment.cidr})")
        node.add(names.BRIDGE, Bridge(ageing_s=segment.mac_ageing_s))
        return node
    vlans = [entry for entry in topology.site.segments if entry.vlan is not None]
    listed = ", ".join(f"{entry.name} VLAN {entry.vlan}" for entry in vlans)
    node = draft.host(name, Role.LAN_SEGMENT, SITE, f"switch ({listed})")
    ageing = min(entry.mac_ageing_s for entry in vlans)
    node.add(names.BRIDGE, Bridge(ageing_s=ageing, vlan_filtering=True))
    return node


def _trust(node: NodeDraft, interface: str, seconds: float | None) -> None:
    """Set how long a node trusts what ARP has told it at an interface."""
    if seconds is not None:
        entry = f"net/ipv4/neigh/{interface}/base_reachable_time_ms"
        node.set_sysctls(interface, {entry: str(round(seconds * 1000))})


def _add_host(draft: Draft, switch: NodeDraft, segment: Segment, host: Host) -> None:
    node = draft.host(host.name, Role.HOST, SITE, f"host {host.name} ({host.address.ip})")
    # The kernel leaves out a gateway that does not answer ARP any more.
    node.sysctls["net/ipv4/fib_multipath_use_neigh"] = "1"
    router_advertisements.listen(segment, node)
    port = interface_name("h-", host.name)
    attach(draft, switch, segment, node, port)
    _trust(node, PORT, host.arp_timeout_s)
    if host.dhcp and segment.dhcp is not None:
        node.files[RESOLV_CONF] = resolv_conf(segment)
        title = f"{host.name}: lease of {segment.name}"
        dhcp_client.add(draft, node, PORT, host.address, dhcp_client.Routing(), title)
    else:
        node.address(PORT, host.address)
        gateways = tuple((address, PORT) for address in segment.gateways)
        if len(gateways) == 1:
            node.route("0.0.0.0/0", via=gateways[0][0], dev=PORT)
        elif gateways:
            node.route("0.0.0.0/0", nexthops=gateways)
    add_services(draft, node, host.services)


def attach(draft: Draft, switch: NodeDraft, segment: Segment, node: NodeDraft, port: str) -> None:
    """Cable a machine's PORT to an access port of a segment's switch."""
    ends = ((node, PORT), (switch, port))
    draft.cable(*ends, masters=(None, names.BRIDGE), mtu=segment.mtu)
    switch.set_port(port, access(segment))


def resolv_conf(segment: Segment) -> str:
    """Return the resolv.conf(5) of a machine with a lease of the segment's server."""
    server = segment.dhcp
    assert server is not None
    return resolv_conf_of(server.name_servers, server.domain)


def resolv_conf_of(servers: Iterable[IPv4Address], domain: str | None = None) -> str:
    """Return a resolv.conf(5) with these name servers."""
    lines = [f"search {domain}"] if domain else []
    lines += [f"nameserver {address}" for address in servers]
    return "\n".join([*lines, "options timeout:2 attempts:2", ""])


def _add_dhcp_server(draft: Draft, topology: Topology, segment: Segment) -> None:
    server = segment.dhcp
    assert server is not None
    title = f"DHCP and DNS server of {segment.name} ({server.address.ip})"
    node = draft.host(names.dhcp_server(segment), Role.DHCP_SERVER, SITE, title)
    attach(
        draft,
        draft.nodes[names.segment(segment)],
        segment,
        node,
        interface_name("dhcp-", segment.name),
    )
    node.address(PORT, server.address)
    if segment.gateways:
        node.route("0.0.0.0/0", via=segment.gateways[0], dev=PORT)
    known = {f"{host.name}.{server.domain}": host.address.ip for host in topology.site.hosts}
    leases = [
        dnsmasq.Lease(mac_address(host.name, PORT), host.address.ip, host.name)
        for host in topology.site.hosts
        if host.segment == segment.name and host.dhcp
    ]
    leases += _leases_of_servers(topology, segment)
    upstream = [topology.region.public_resolver]
    dnsmasq.configure(
        draft, node, server.address.ip, known, upstream=upstream, segment=segment, leases=leases
    )


def _leases_of_servers(topology: Topology, segment: Segment) -> Iterator[dnsmasq.Lease]:
    """The leases of Outposts servers and of local network interfaces."""
    for server in topology.servers.values():
        port = server.link.port
        here = segment.name in {port.segment, *port.tagged}
        if here and server.link.dhcp and server.link.address:
            yield dnsmasq.Lease(names.link_mac(server), server.link.address.ip, server.name)
    for interface in topology.local_network_interfaces.values():
        for network in interface.networks:
            if network.segment == segment.name and network.dhcp and network.address:
                name = interface.instance
                yield dnsmasq.Lease(names.lni_mac(interface), network.address.ip, name)
