"""The customer's network: devices, links between them, WAN, LAN segments and hosts.

Each device has two VRFs, as AWS recommends (facts: R1): `sl` carries the
service link's VLANs and the way to the Region, `lgw` the local gateways'
VLANs, the LAN segments and the WAN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network

from testbed.lower import bgp, names, rack, region
from testbed.lower.builder import Draft, NodeDraft, interface_name, netem
from testbed.lower.site import direct_connect, firewall, segments
from testbed.lower.site.internet import LAN as INTERNET_LAN
from testbed.plan.checks import RouteCheck
from testbed.plan.roles import SITE, Role
from testbed.topology.model import Device, Lag, Outpost, Segment, Site, SiteLink, Topology, Uplink

DEFAULT = IPv4Network("0.0.0.0/0")
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
    """What a device's VRF has so far."""

    sessions: list[bgp.Session] = field(default_factory=list)
    connected: list[tuple[str, IPv4Network]] = field(default_factory=list)
    static: list[IPv4Network] = field(default_factory=list)


@dataclass
class _DeviceDraft:
    device: Device
    node: NodeDraft
    sl: _Vrf = field(default_factory=_Vrf)
    lgw: _Vrf = field(default_factory=_Vrf)


def lower(draft: Draft, topology: Topology) -> None:
    """Add everything the customer owns."""
    site = topology.site
    devices = {device.name: _add_device(draft, device) for device in site.devices}
    for outpost in topology.outposts.values():
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


def _add_device(draft: Draft, device: Device) -> _DeviceDraft:
    title = f"customer network device {device.name} (AS {device.asn})"
    node = draft.router(device.name, Role.CUSTOMER_DEVICE, SITE, title)
    rack.add_vrf(node, names.VRF_SERVICE_LINK, names.TABLE_SERVICE_LINK)
    rack.add_vrf(node, names.VRF_LOCAL_GATEWAY, names.TABLE_LOCAL_GATEWAY)
    return _DeviceDraft(device, node)


def _add_lag(
    draft: Draft, topology: Topology, entry: _DeviceDraft, outpost: Outpost, lag: Lag
) -> None:
    """The customer's side of a LAG, its two VLANs and eBGP sessions."""
    bond = names.customer_bond(outpost, lag)
    peer = (names.ond(outpost, lag.device), names.OND_BOND)
    rack.add_lag(draft, entry.node, bond, lag, peer, peer_prefix=names.OND_MEMBER)
    link = outpost.service_link
    far = topology.vpcs[link.vpc].cidr if link.vpc else topology.region.public_cidr
    to_region = bgp.only(far)
    for purpose, vif, vrf_name, vrf, exports in (
        ("service-link", lag.service_link, names.VRF_SERVICE_LINK, entry.sl, to_region),
        ("local-gateway", lag.local_gateway, names.VRF_LOCAL_GATEWAY, entry.lgw, None),
    ):
        interface = rack.add_vlan(entry.node, bond, vif, vrf_name, outpost_side=False)
        ends = f"{entry.device.name} - {outpost.name} OND{lag.device}"
        vrf.sessions.append(
            bgp.Session(
                name=f"{names.customer_bond(outpost, lag)}-{purpose}",
                interface=interface,
                local=str(vif.peer_address.ip),
                neighbor=str(vif.local_address.ip),
                remote_asn=vif.local_bgp_asn,
                title=f"{ends}, {purpose} VLAN {vif.vlan}",
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
        vrf = entry.sl if link.vrf == names.VRF_SERVICE_LINK else entry.lgw
        vrf.sessions.append(
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
        devices[device].lgw.connected.append((interface, segment.cidr))

    nodes = {name: entry.node for name, entry in devices.items()}
    segments.lower(draft, topology, nodes, connected, lambda _: names.VRF_LOCAL_GATEWAY)


def _configure(draft: Draft, entry: _DeviceDraft) -> None:
    instances = tuple(
        bgp.Instance(
            name=f"t_{name}",
            vrf=name,
            table=table,
            asn=entry.device.asn,
            sessions=tuple(vrf.sessions),
            connected=tuple((port, str(cidr)) for port, cidr in vrf.connected),
            static=tuple(map(str, vrf.static)),
        )
        for name, table, vrf in (
            (names.VRF_SERVICE_LINK, names.TABLE_SERVICE_LINK, entry.sl),
            (names.VRF_LOCAL_GATEWAY, names.TABLE_LOCAL_GATEWAY, entry.lgw),
        )
        if vrf.sessions
    )
    if not instances:
        return
    router_id = instances[0].sessions[0].local
    bgp.configure(
        draft,
        entry.node,
        bgp.Router(router_id, instances, entry.device.daemon),
        config=entry.device.config,
    )


def _expect_routes(draft: Draft, topology: Topology, devices: dict[str, _DeviceDraft]) -> None:
    """Each device learns its Outposts' subnets, each local gateway what the site can reach."""
    areas = _areas(topology.site)
    table = names.TABLE_LOCAL_GATEWAY
    for outpost in topology.outposts.values():
        for lag in outpost.lags:
            for cidr in topology.announced(outpost):
                title = f"{lag.customer_device}: {outpost.name} {_what(outpost)} {cidr}"
                draft.checks.append(RouteCheck(lag.customer_device, table, str(cidr), title))
        area = set().union(*(areas[lag.customer_device] for lag in outpost.lags))
        wanted = {cidr: f"LAN {cidr}" for name in area for _, cidr in devices[name].lgw.connected}
        for other in topology.outposts.values():
            if other is not outpost and area & {lag.customer_device for lag in other.lags}:
                for cidr in topology.announced(other):
                    wanted[cidr] = f"{other.name} {_what(other)} {cidr}"
        if area & {uplink.device for uplink in topology.site.internet_uplinks}:
            wanted[DEFAULT] = "the internet"
        node = names.local_gateway(outpost)
        for cidr in sorted(wanted):
            title = f"{outpost.name} local gateway: {wanted[cidr]}"
            draft.checks.append(RouteCheck(node, names.TABLE_VIF_GROUP, str(cidr), title))


def _what(outpost: Outpost) -> str:
    return "CoIP pool" if outpost.local_gateway.mode == "coip" else "subnet"


def _areas(site: Site) -> dict[str, set[str]]:
    """For each device, the devices that its VRF lgw reaches over links and WAN."""
    areas = {device.name: {device.name} for device in site.devices}
    groups = [set(link.devices) for link in site.links if link.vrf == names.VRF_LOCAL_GATEWAY]
    if site.wan:
        groups.append({uplink.device for uplink in site.wan.uplinks})
    for group in groups:
        merged = set().union(*(areas[name] for name in group))
        areas |= dict.fromkeys(merged, merged)
    return areas
