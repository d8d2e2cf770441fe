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
from testbed.lower.site.tuning import lets, matched, tuned
from testbed.plan.bird import symbol
from testbed.plan.checks import RouteCheck
from testbed.plan.roles import SITE, Role
from testbed.topology.model import (
    BgpSettings,
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
WAN = "wan"  # as the settings of devices know it
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

    def add_session(self, vrf: str, neighbor: str, which: str, session: bgp.Session) -> None:
        """Add a session in a VRF; the device's settings know it by `neighbor` and `which`."""
        settings = self.device.bgp.of(neighbor, which)
        self.vrfs[vrf].sessions.append(tuned(session, self.device.asn, settings))

    def has(self, vrf: str, cidr: IPv4Network) -> bool:
        """Whether it is a router of the LAN itself."""
        return cidr in (own for _, own in self.vrfs[vrf].connected)

    def has_rules(self, vrf: str, area: set[str]) -> bool:
        """Whether it has rules for what it and other devices, or the WAN, tell each other."""
        settings = (self.device.bgp.of(name, vrf) for name in (*area, WAN))
        return any(each.inbound or each.outbound for each in settings)


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
            made = direct_connect.session(topology, connection, interface, vif)
            entry.add_session(vif.vrf, connection.name, vif.kind, made)
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
        entry.add_session(
            vrf,
            names.ond(outpost, lag.device),
            vif.title,
            bgp.Session(
                name=names.session(outpost, lag, vif.title),
                interface=interface,
                local=str(vif.peer_address.ip),
                neighbor=str(vif.local_address.ip),
                remote_asn=vif.local_bgp_asn,
                title=f"{ends}, {vif.title} VLAN {vif.vlan}",
                exports=exports,
                bfd=bgp.Bfd() if lag.bfd else None,
            ),
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
        entry.add_session(
            link.vrf,
            other.name,
            link.vrf,
            bgp.Session(
                name=f"{link.vrf}-{other.name}",
                interface=interfaces[index],
                local=str(link.addresses[index].ip),
                neighbor=str(link.addresses[1 - index].ip),
                remote_asn=other.asn,
                title=f"{entry.device.name} - {other.name}, VRF {link.vrf}",
            ),
        )


def _add_region_uplinks(draft: Draft, topology: Topology, devices: dict[str, _DeviceDraft]) -> None:
    """The devices' ways to the Region's edge, straight or behind a firewall."""
    firewall.lower(draft, topology)
    for wall in topology.site.firewalls:
        for uplink in wall.inside:
            entry = devices[uplink.device]
            session = firewall.attach(draft, wall, uplink, entry.node, names.REGION_PORT)
            entry.add_session(names.VRF_SERVICE_LINK, wall.name, names.VRF_SERVICE_LINK, session)
    for uplink in topology.site.region_uplinks:
        entry = devices[uplink.device]
        region.attach(draft, uplink, entry.node, names.REGION_PORT, names.VRF_SERVICE_LINK)
        entry.add_session(
            names.VRF_SERVICE_LINK,
            "region",
            names.VRF_SERVICE_LINK,
            bgp.Session(
                name="region",
                interface=names.REGION_PORT,
                local=str(uplink.addresses[0].ip),
                neighbor=str(uplink.addresses[1].ip),
                remote_asn=topology.region.asn,
                title=f"{entry.device.name} - Region edge",
            ),
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
        own = bgp.Session("wan", "wan", device_end, wan_end, wan.asn, title)
        entry.add_session(names.VRF_LOCAL_GATEWAY, WAN, names.VRF_LOCAL_GATEWAY, own)
        asn = entry.device.asn
        name = f"customer-{uplink.device}"
        title = f"WAN - {uplink.device}"
        other = bgp.Session(name, far, wan_end, device_end, asn, title)
        sessions.append(matched(other, entry.device.bgp.of(WAN, names.VRF_LOCAL_GATEWAY)))
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
    device = entry.device
    router_id = instances[0].sessions[0].local
    router = bgp.Router(router_id, instances, device.daemon, device.bgp.restart_time)
    if device.config is None:
        bgp.configure(draft, entry.node, router)
    else:
        own_configuration.configure(draft, entry.node, router, device)


def _expect_routes(draft: Draft, topology: Topology, devices: dict[str, _DeviceDraft]) -> None:
    """Each device learns its Outposts' subnets, each local gateway what the site can reach."""
    areas = {vrf: _areas(topology.site, vrf) for vrf in topology.local_gateway_vrfs}
    for outpost, domain in topology.gateways:
        ends = _ends(devices, outpost, domain)
        for entry, rules in ends:
            table = entry.vrfs[domain.vrf].table
            for cidr in topology.announced(outpost, domain):
                title = f"{entry.device.name}: {outpost.name} {_what(domain)} {cidr}"
                check = RouteCheck(entry.device.name, table, str(cidr), title)
                draft.checks += [check] if lets(rules.inbound, cidr) else []
        here = areas[domain.vrf]
        area: set[str] = set().union(*(here[entry.device.name] for entry, _ in ends))
        passed = not any(devices[name].has_rules(domain.vrf, area) for name in area)
        node = names.local_gateway(outpost, domain)
        wanted = _reachable(topology, (outpost, domain), devices, area)
        for cidr, what in sorted(wanted.items()):
            known = [rules for entry, rules in ends if passed or entry.has(domain.vrf, cidr)]
            if any(lets(rules.outbound, cidr) for rules in known):
                title = f"{domain.title(outpost.name)}: {what}"
                draft.checks.append(RouteCheck(node, names.TABLE_VIF_GROUP, str(cidr), title))


def _ends(
    devices: dict[str, _DeviceDraft], outpost: Rack, domain: RoutingDomain
) -> list[tuple[_DeviceDraft, BgpSettings]]:
    """The devices at the virtual interfaces of a routing domain, and what holds there."""
    found = []
    for lag in outpost.lags:
        if vif := lag.local_gateway(domain.name):
            entry = devices[lag.customer_device]
            found.append((entry, entry.device.bgp.of(names.ond(outpost, lag.device), vif.title)))
    return found


def _reachable(
    topology: Topology,
    gateway: tuple[Rack, RoutingDomain],
    devices: dict[str, _DeviceDraft],
    area: set[str],
) -> dict[IPv4Network, str]:
    """What a routing domain's devices have routes to, by their connections and each other."""
    vrf = gateway[1].vrf
    connected = (entry for name in area for entry in devices[name].vrfs[vrf].connected)
    found = {cidr: f"LAN {cidr}" for _, cidr in connected}
    for other, another in topology.gateways:
        apart = (other, another) == gateway or another.vrf != vrf
        if not apart and area & {*other.customer_devices}:
            for cidr in topology.announced(other, another):
                found[cidr] = f"{other.name} {_what(another)} {cidr}"
    internet = {uplink.device for uplink in topology.site.internet_uplinks}
    if vrf == names.VRF_LOCAL_GATEWAY and area & internet:
        found[DEFAULT] = "the internet"
    return found


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
