"""The customer's network: devices, links between them, WAN, LAN segments and hosts.

Each device has two VRFs, as AWS recommends (facts: R1): `sl` carries the
service link's VLANs and the way to the Region, `lgw` the local gateways'
VLANs, the LAN segments and the WAN. Routing domains with names have VRFs of their own, with
their LAN segments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network

from testbed.lower import bgp, names, rack, region
from testbed.lower.builder import Draft, NodeDraft, interface_name, netem
from testbed.lower.site import direct_connect, firewall, own_configuration, segments
from testbed.lower.site.internet import LAN as INTERNET_LAN
from testbed.plan.bird import symbol
from testbed.plan.checks import RouteCheck
from testbed.plan.roles import SITE, Role
from testbed.topology.model import (
    Device,
    Lag,
    Rack,
    RoutingDomain,
    Segment,
    Site,
    SiteLink,
    Topology,
    Uplink,
)

DEFAULT = IPv4Network("0.0.0.0/0")
TABLES = {
    names.VRF_SERVICE_LINK: names.TABLE_SERVICE_LINK,
    names.VRF_LOCAL_GATEWAY: names.TABLE_LOCAL_GATEWAY,
}
FIRST_TABLE = 1101  # of the VRFs of routing domains
PROVIDER = "isp"  # a device's interface towards the internet
TRANSLATION = """\
table ip provider {
  chain outward {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "isp" masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "isp" ct state established,related accept
    iifname "isp" counter drop comment "the provider's translation lets no connection in"
  }
}
"""


@dataclass
class _Vrf:
    """What a device's VRF has so far, and its kernel table."""

    table: int
    sessions: list[bgp.Session] = field(default_factory=list)
    connected: list[tuple[str, IPv4Network]] = field(default_factory=list)
    static: list[IPv4Network] = field(default_factory=list)


@dataclass
class _DeviceDraft:
    device: Device
    node: NodeDraft
    vrfs: dict[str, _Vrf] = field(default_factory=dict)

    @property
    def sl(self) -> _Vrf:
        """The VRF of the service link."""
        return self.vrfs[names.VRF_SERVICE_LINK]

    @property
    def lgw(self) -> _Vrf:
        """The VRF of local gateways that have no other."""
        return self.vrfs[names.VRF_LOCAL_GATEWAY]


def lower(draft: Draft, topology: Topology) -> None:
    """Add everything the customer owns."""
    site = topology.site
    devices = {device.name: _add_device(draft, topology, device) for device in site.devices}
    for outpost in topology.racks.values():
        for lag in outpost.lags:
            _add_lag(draft, topology, devices[lag.customer_device], outpost, lag)
    for link in site.links:
        _add_link(draft, devices, link)
    _add_region_uplinks(draft, topology, devices)
    for connection in site.direct_connects:
        entry = devices[connection.device]
        for interface, vif in direct_connect.attach(draft, connection, entry.node):
            vrf = entry.sl if vif.vrf == names.VRF_SERVICE_LINK else entry.lgw
            vrf.sessions.append(direct_connect.session(topology, connection, interface, vif))
    if site.wan:
        _add_wan(draft, site, devices)
    for uplink in site.internet_uplinks:
        _add_internet(draft, devices[uplink.device], uplink)
    _add_segments(draft, topology, devices)
    for entry in devices.values():
        _configure(draft, entry)
    direct_connect.expect(draft, topology)
    _expect_routes(draft, topology, devices)


def _add_device(draft: Draft, topology: Topology, device: Device) -> _DeviceDraft:
    title = f"customer network device {device.name} (AS {device.asn})"
    node = draft.router(device.name, Role.CUSTOMER_DEVICE, SITE, title)
    entry = _DeviceDraft(device, node)
    for name in topology.vrfs_of(device.name):
        table = TABLES.get(name) or draft.numbers.claim("customer-vrf", name, first=FIRST_TABLE)
        entry.vrfs[name] = _Vrf(table)
        rack.add_vrf(node, name, table)
    return entry


def _add_lag(
    draft: Draft, topology: Topology, entry: _DeviceDraft, outpost: Rack, lag: Lag
) -> None:
    """The customer's side of a LAG, its VLANs and eBGP sessions."""
    bond = names.customer_bond(outpost, lag)
    peer = (names.ond(outpost, lag.device), names.ond_members(lag))
    rack.add_lag(draft, entry.node, bond, names.customer_members(outpost, lag), peer, lag)
    link = outpost.service_link
    far = topology.vpcs[link.vpc].cidr if link.vpc else topology.region.public_cidr
    to_region = bgp.only(far)
    for vif in lag.vifs:
        vrf, exports = names.VRF_SERVICE_LINK, to_region if vif.domain is None else None
        if vif.domain is not None:
            vrf = outpost.domain(vif.domain).vrf
        interface = rack.add_vlan(entry.node, bond, vif, vrf, outpost_side=False)
        ends = f"{entry.device.name} - {outpost.name} OND{lag.device}"
        entry.vrfs[vrf].sessions.append(
            bgp.Session(
                name=names.session(outpost, lag, vif.title),
                interface=interface,
                local=str(vif.peer_address.ip),
                neighbor=str(vif.local_address.ip),
                remote_asn=vif.local_bgp_asn,
                title=f"{ends}, {vif.title} VLAN {vif.vlan}",
                exports=exports,
                bfd=bgp.Bfd() if lag.bfd else None,
            )
        )


def _add_link(draft: Draft, devices: dict[str, _DeviceDraft], link: SiteLink) -> None:
    """A link between two devices, with BGP over it in one VRF."""
    entries = [devices[name] for name in link.devices]
    interfaces = [names.link_port(link.vrf, entries[1 - index].device.name) for index in (0, 1)]
    draft.cable(
        (entries[0].node, interfaces[0]),
        (entries[1].node, interfaces[1]),
        addresses=link.addresses,
        masters=(link.vrf, link.vrf),
        mtu=link.quality.mtu,
        impairment=netem(link.quality),
    )
    for index, entry in enumerate(entries):
        other = entries[1 - index].device
        entry.vrfs[link.vrf].sessions.append(
            bgp.Session(
                name=f"{link.vrf}-{other.name}",
                interface=interfaces[index],
                local=str(link.addresses[index].ip),
                neighbor=str(link.addresses[1 - index].ip),
                remote_asn=other.asn,
                title=f"{entry.device.name} - {other.name}, VRF {link.vrf}",
            )
        )


def _add_region_uplinks(draft: Draft, topology: Topology, devices: dict[str, _DeviceDraft]) -> None:
    """The devices' ways to the Region's edge, straight or behind a firewall."""
    firewall.lower(draft, topology)
    for wall in topology.site.firewalls:
        for uplink in wall.inside:
            entry = devices[uplink.device]
            entry.sl.sessions.append(
                firewall.attach(draft, wall, uplink, entry.node, names.REGION_PORT)
            )
    for uplink in topology.site.region_uplinks:
        entry = devices[uplink.device]
        region.attach(draft, uplink, entry.node, names.REGION_PORT, names.VRF_SERVICE_LINK)
        entry.sl.sessions.append(
            bgp.Session(
                name="region",
                interface=names.REGION_PORT,
                local=str(uplink.addresses[0].ip),
                neighbor=str(uplink.addresses[1].ip),
                remote_asn=topology.region.asn,
                title=f"{entry.device.name} - Region edge",
            )
        )


def _add_wan(draft: Draft, site: Site, devices: dict[str, _DeviceDraft]) -> None:
    """The customer's WAN: a router with eBGP to each device that has a link to it."""
    wan = site.wan
    assert wan is not None
    node = draft.router(names.WAN, Role.WAN, SITE, f"customer WAN (AS {wan.asn})")
    sessions = []
    for uplink in wan.uplinks:
        entry = devices[uplink.device]
        far = names.customer_port(uplink)
        device_end, wan_end = (str(address.ip) for address in uplink.addresses)
        draft.cable(
            (entry.node, names.WAN_PORT),
            (node, far),
            addresses=uplink.addresses,
            masters=(names.VRF_LOCAL_GATEWAY, None),
            mtu=uplink.quality.mtu,
            impairment=netem(uplink.quality),
        )
        title = f"{uplink.device} - WAN"
        entry.lgw.sessions.append(bgp.Session("wan", "wan", device_end, wan_end, wan.asn, title))
        asn = entry.device.asn
        name = f"customer-{uplink.device}"
        title = f"WAN - {uplink.device}"
        sessions.append(bgp.Session(name, far, wan_end, device_end, asn, title))
    instance = bgp.Instance("t_main", None, 254, wan.asn, tuple(sessions))
    router_id = str(wan.uplinks[0].addresses[1].ip)
    bgp.configure(draft, node, bgp.Router(router_id, (instance,)))


def _add_internet(draft: Draft, entry: _DeviceDraft, uplink: Uplink) -> None:
    """An internet provider's link: the way for all that has no other, behind one address."""
    own, router = uplink.addresses
    port = interface_name("isp-", uplink.device)
    internet = draft.nodes[names.INTERNET]
    draft.cable(
        (entry.node, PROVIDER),
        (internet, port),
        addresses=(own, None),
        masters=(names.VRF_LOCAL_GATEWAY, INTERNET_LAN),
    )
    entry.node.route(DEFAULT, via=router.ip, dev=PROVIDER, table=names.TABLE_LOCAL_GATEWAY)
    entry.lgw.static.append(DEFAULT)
    entry.node.nftables = TRANSLATION


def _add_segments(draft: Draft, topology: Topology, devices: dict[str, _DeviceDraft]) -> None:
    """LAN segments, with the devices as their routers, and the hosts."""

    def connected(segment: Segment, device: str, interface: str) -> None:
        devices[device].vrfs[segment.vrf].connected.append((interface, segment.cidr))

    nodes = {name: entry.node for name, entry in devices.items()}
    segments.lower(draft, topology, nodes, connected, lambda segment: segment.vrf)


def _configure(draft: Draft, entry: _DeviceDraft) -> None:
    instances = tuple(
        bgp.Instance(
            name=f"t_{symbol(name)}",
            vrf=name,
            table=vrf.table,
            asn=entry.device.asn,
            sessions=tuple(vrf.sessions),
            connected=tuple((port, str(cidr)) for port, cidr in vrf.connected),
            static=tuple(map(str, vrf.static)),
        )
        for name, vrf in entry.vrfs.items()
        if vrf.sessions
    )
    if not instances:
        return
    router = bgp.Router(instances[0].sessions[0].local, instances, entry.device.daemon)
    if entry.device.config is None:
        bgp.configure(draft, entry.node, router)
    else:
        own_configuration.configure(draft, entry.node, router, entry.device)


def _expect_routes(draft: Draft, topology: Topology, devices: dict[str, _DeviceDraft]) -> None:
    """Each device learns its Outposts' subnets, each local gateway what the site can reach."""
    areas = {vrf: _areas(topology.site, vrf) for vrf in topology.local_gateway_vrfs}
    for outpost, domain in topology.gateways:
        here = areas[domain.vrf]
        ends = [lag for lag in outpost.lags if lag.local_gateway(domain.name) is not None]
        for lag in ends:
            table = devices[lag.customer_device].vrfs[domain.vrf].table
            for cidr in topology.announced(outpost, domain):
                title = f"{lag.customer_device}: {outpost.name} {_what(domain)} {cidr}"
                draft.checks.append(RouteCheck(lag.customer_device, table, str(cidr), title))
        area: set[str] = set().union(*(here[lag.customer_device] for lag in ends))
        wanted = {
            cidr: f"LAN {cidr}"
            for name in area
            for _, cidr in devices[name].vrfs[domain.vrf].connected
        }
        for other, another in topology.gateways:
            apart = (other, another) == (outpost, domain) or another.vrf != domain.vrf
            if not apart and area & {*other.customer_devices}:
                for cidr in topology.announced(other, another):
                    wanted[cidr] = f"{other.name} {_what(another)} {cidr}"
        internet = {uplink.device for uplink in topology.site.internet_uplinks}
        if domain.vrf == names.VRF_LOCAL_GATEWAY and area & internet:
            wanted[DEFAULT] = "the internet"
        node = names.local_gateway(outpost, domain)
        for cidr in sorted(wanted):
            title = f"{domain.title(outpost.name)}: {wanted[cidr]}"
            draft.checks.append(RouteCheck(node, names.TABLE_VIF_GROUP, str(cidr), title))


def _what(domain: RoutingDomain) -> str:
    return "CoIP pool" if domain.mode == "coip" else "subnet"


def _areas(site: Site, vrf: str) -> dict[str, set[str]]:
    """For each device, the devices that a VRF of local gateways reaches over links and WAN."""
    areas = {device.name: {device.name} for device in site.devices}
    groups = [set(link.devices) for link in site.links if link.vrf == vrf]
    if site.wan and vrf == names.VRF_LOCAL_GATEWAY:
        groups.append({uplink.device for uplink in site.wan.uplinks})
    for group in groups:
        merged = set().union(*(areas[name] for name in group))
        areas |= dict.fromkeys(merged, merged)
    return areas
