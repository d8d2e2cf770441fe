"""What is derived for an Outposts server, and for local network interfaces on it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface

from testbed.topology import references
from testbed.topology.derive.addresses import subnet_of
from testbed.topology.derive.lan import lease, static_address
from testbed.topology.form_factors.server import LNI_BANDWIDTH
from testbed.topology.model import (
    SERVER_PORT_GBPS,
    Instance,
    LanNetwork,
    LocalNetworkInterface,
    Segment,
    Server,
    ServerLink,
    Site,
    SwitchPort,
)
from testbed.topology.numbers import Numbers
from testbed.topology.schema import (
    LanNetworkForm,
    NetworkInterfaceForm,
    OutpostForm,
    SwitchPortForm,
    TopologyForm,
)

NO_PORT = SwitchPort(None)


def derive_server(
    form: TopologyForm, name: str, index: int, site: Site, resolver: IPv4Address, numbers: Numbers
) -> Server:
    """Return the resolved server; `index` is its number from 0, `resolver` the internet's."""
    outpost = form.outposts[name]
    local = outpost.local_network_interface
    port = None
    if local is not None:
        port = _port(local.switch_port, local.segment, tuple(local.tagged))
    return Server(
        name=name,
        number=index + 1,
        form_factor=outpost.form_factor,
        zone=outpost.zone or references.zones(form)[0],
        link=_link(form, name, outpost, site, resolver, numbers),
        local_port=port,
        wrong_key=outpost.service_link.key == "wrong",
        public_keys=(
            outpost.service_link.tunnel1_public_key,
            outpost.service_link.tunnel2_public_key,
        ),
    )


def _port(form: SwitchPortForm, segment: str | None, tagged: tuple[str, ...] = ()) -> SwitchPort:
    problems = []
    if form.cable == "none":
        problems.append("no cable is plugged in")
    elif form.cable == "other":
        problems.append("the cable is not the one that came with the server")
    if form.auto_negotiation:
        problems.append("auto-negotiation is on")
    if form.speed != f"{SERVER_PORT_GBPS}G":
        problems.append(f"its speed is {form.speed}")
    untagged = segment
    if form.mode == "trunk" and segment is not None:
        untagged, tagged = None, (segment, *tagged)
    return SwitchPort(untagged, tagged, tuple(problems), form.max_macs)


def _link(
    form: TopologyForm,
    name: str,
    outpost: OutpostForm,
    site: Site,
    resolver: IPv4Address,
    numbers: Numbers,
) -> ServerLink:
    given = outpost.service_link
    segment = next((s for s in site.segments if s.name == given.segment), None)
    if segment is None:  # which the rules refuse
        return ServerLink(NO_PORT, None, dhcp=False, gateway=None, name_servers=())
    port = _port(given.switch_port or SwitchPortForm(), segment.name)
    if given.address is None and given.dhcp is not False:
        found = lease(form, segment, f"server/{name}", numbers)
        servers = segment.dhcp.name_servers if segment.dhcp else ()
        gateway = segment.dhcp.router if segment.dhcp else None
        return ServerLink(port, found, dhcp=True, gateway=gateway, name_servers=servers)
    address = given.address or static_address(form, segment, f"server/{name}", numbers)
    return ServerLink(
        port,
        IPv4Interface((address, segment.cidr.prefixlen)) if address else None,
        dhcp=False,
        gateway=given.gateway or next(iter(segment.gateways), None),
        name_servers=(resolver,) if given.name_servers is None else tuple(given.name_servers),
    )


def local_index(form: TopologyForm, interface: NetworkInterfaceForm) -> int | None:
    """Return the device index at which interfaces of an interface's subnet are local ones."""
    vpc, subnet = subnet_of(form, interface)
    return form.vpcs[vpc].subnets[subnet].enable_lni_at_device_index


def derive_local_interfaces(
    form: TopologyForm,
    names: Mapping[str, int],
    instances: Mapping[str, Instance],
    site: Site,
    numbers: Numbers,
) -> dict[str, LocalNetworkInterface]:
    """Return the local network interfaces: those `names`, by device index, that are attached."""
    segments = {segment.name: segment for segment in site.segments}
    made = {}
    for name, index in names.items():
        given = form.network_interfaces[name]
        vpc, subnet = subnet_of(form, given)
        server = form.vpcs[vpc].subnets[subnet].outpost
        if given.instance is None or given.instance not in instances or server is None:
            continue
        instance = instances[given.instance]
        local = form.outposts[server].local_network_interface
        port = _port(local.switch_port, local.segment, tuple(local.tagged)) if local else NO_PORT
        baseline, burst = LNI_BANDWIDTH.get(instance.type, (0.0, 0.0))
        made[name] = LocalNetworkInterface(
            name=name,
            server=server,
            instance=instance.name,
            device_index=index,
            networks=tuple(
                _network(form, name, entry, port, segments, numbers)
                for entry in given.lan or [LanNetworkForm()]
            ),
            baseline_mbps=baseline,
            burst_mbps=burst,
        )
    return made


def _network(
    form: TopologyForm,
    name: str,
    given: LanNetworkForm,
    port: SwitchPort,
    segments: Mapping[str, Segment],
    numbers: Numbers,
) -> LanNetwork:
    tagged = (segments[n] for n in port.tagged if n in segments)
    if given.vlan is None:
        segment = segments.get(port.segment or "")
    else:
        segment = next((entry for entry in tagged if entry.vlan == given.vlan), None)
    routes = tuple(given.routes)
    where = segment.name if segment else None
    if given.address == "dhcp":
        owner = f"lni/{name}/{given.vlan or 0}"
        address = lease(form, segment, owner, numbers) if segment else None
        gateway = segment.dhcp.router if segment and segment.dhcp else None
    else:
        address = given.address
        gateway = given.gateway or (next(iter(segment.gateways), None) if segment else None)
    return LanNetwork(
        given.vlan,
        where,
        address,
        dhcp=given.address == "dhcp",
        gateway=gateway,
        default_route=given.default_route,
        routes=routes,
    )
