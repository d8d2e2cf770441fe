"""What is derived for the customer's site: ASNs, links, router and host addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from testbed.topology import references
from testbed.topology.derive.rack import device_pair, point_to_point
from testbed.topology.model import (
    Device,
    Firewall,
    Host,
    HostInterfaces,
    Quality,
    Segment,
    Site,
    SiteLink,
    Uplink,
    Wan,
)
from testbed.topology.report import Report
from testbed.topology.schema import (
    DeviceForm,
    HostInterfacesForm,
    LinkForm,
    RegionLinkForm,
    SegmentForm,
    TopologyForm,
    WanForm,
)

LINK_CIDR = IPv4Network("100.64.0.0/14")  # shared address space (RFC 6598)
LINKS, REGION_LINKS, WAN_LINKS, EXTRA_LINKS = range(4)  # which quarter of it
VRFS: tuple[Literal["sl", "lgw"], ...] = ("sl", "lgw")
LINKS_PER_FIREWALL, FIREWALL_LINK = 8, 4  # beside those of Direct Connect
FIRST_DEVICE_ASN = 65000
FIRST_ROUTER = 2
FIRST_HOST = 10


def derive_site(form: TopologyForm, report: Report, read_config: Callable[[str], str]) -> Site:
    """The resolved site."""
    names = references.device_names(form.site)
    cidr = form.site.link_cidr or LINK_CIDR
    segments = _segments(form, report)
    wan = form.site.wan
    uplinks = _uplinks(form.site.region_link, names, cidr, REGION_LINKS)
    firewalls = _firewalls(form, uplinks, cidr, report, read_config)
    behind = {uplink.device for firewall in firewalls for uplink in firewall.inside}
    return Site(
        devices=_devices(form, report, read_config),
        links=_links(form, cidr),
        region_uplinks=tuple(uplink for uplink in uplinks if uplink.device not in behind),
        firewalls=firewalls,
        wan=Wan(wan.asn, _uplinks(wan, names, cidr, WAN_LINKS)) if wan else None,
        segments=segments,
        hosts=_hosts(form, {segment.name: segment for segment in segments}, report),
    )


def _groups(form: TopologyForm, names: list[str]) -> dict[str, str]:
    """For each device the first of those that it shares Outposts with."""
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for outpost in form.outposts.values():
        pair = device_pair(form, outpost)
        if pair is None:
            continue
        first, second = sorted((find(pair[0]), find(pair[1])), key=names.index)
        leader[second] = first
    return {name: find(name) for name in names}


def _devices(
    form: TopologyForm, report: Report, read_config: Callable[[str], str]
) -> tuple[Device, ...]:
    given = form.site.devices
    forms = given if given is not None else dict.fromkeys(references.DEFAULT_DEVICES, DeviceForm())
    names = list(forms)
    groups = _groups(form, names)
    leaders = list(dict.fromkeys(groups.values()))
    asns = {leader: FIRST_DEVICE_ASN + number for number, leader in enumerate(leaders)}
    for name in reversed(names):
        # the first ASN that the file gives in a group is the group's
        asns[groups[name]] = forms[name].asn or asns[groups[name]]
    devices = []
    for name, device in forms.items():
        text = None
        if device.config is not None:
            try:
                text = read_config(device.config)
            except ValueError as error:
                report.add(("site", "devices", name, "config"), str(error))
        asn = device.asn or asns[groups[name]]
        ports = _host_interfaces(device.host_interfaces) if device.host_interfaces else None
        devices.append(Device(name, asn, device.daemon, text, ports, device.config))
    return tuple(devices)


def _host_interfaces(form: HostInterfacesForm) -> HostInterfaces:
    return HostInterfaces(
        uplinks={name: tuple(ports) for name, ports in form.uplinks.items()},
        region=form.region,
        wan=form.wan,
        links={name: tuple(ports) for name, ports in form.links.items()},
        segments=dict(form.segments),
    )


def _quarter(cidr: IPv4Network, number: int) -> IPv4Network:
    prefix = min(cidr.prefixlen + 2, 31)
    size = 2 ** (32 - prefix)
    return IPv4Network((cidr.network_address + size * number, prefix))


def link_pair(cidr: IPv4Network, quarter: int, number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """The two ends of /31 `number` of one of the quarters of the site's link_cidr."""
    pool = _quarter(cidr, quarter)
    # past the pool's end the rules refuse the number of links
    return point_to_point(pool, number % max(1, pool.num_addresses // 2))


def _links(form: TopologyForm, cidr: IPv4Network) -> tuple[SiteLink, ...]:
    forms = form.site.links
    if forms is None:
        pairs = [device_pair(form, outpost) for outpost in form.outposts.values()]
        distinct = dict.fromkeys(pair for pair in pairs if pair and pair[0] != pair[1])
        seen: set[frozenset[str]] = set()
        forms = []
        for pair in distinct:
            if frozenset(pair) not in seen:
                seen.add(frozenset(pair))
                forms.append(LinkForm(devices=list(pair)))
    links = []
    for number, link in enumerate(forms):
        quality = Quality(link.delay, link.rate, link.mtu)
        first, second = link.devices
        for offset, vrf in enumerate(VRFS):
            addresses = link_pair(cidr, LINKS, 2 * number + offset)
            links.append(SiteLink((first, second), vrf, addresses, quality))
    return tuple(links)


def _uplinks(
    form: RegionLinkForm | WanForm, names: list[str], cidr: IPv4Network, quarter: int
) -> tuple[Uplink, ...]:
    chosen = names if form.devices is None else form.devices
    quality = Quality(form.delay, form.rate, form.mtu)
    return tuple(
        Uplink(name, link_pair(cidr, quarter, number), quality)
        for number, name in enumerate(names)
        if name in chosen
    )


def _firewalls(
    form: TopologyForm,
    uplinks: tuple[Uplink, ...],
    cidr: IPv4Network,
    report: Report,
    read_config: Callable[[str], str],
) -> tuple[Firewall, ...]:
    """The firewalls; a device's link to one has the addresses of its link to the Region."""
    link = form.site.region_link
    quality = Quality(link.delay, link.rate, link.mtu)
    made = []
    for number, (name, entry) in enumerate(form.site.firewalls.items()):
        text = None
        if entry.ruleset is not None:
            try:
                text = read_config(entry.ruleset)
            except ValueError as error:
                report.add(("site", "firewalls", name, "ruleset"), str(error))
        addresses = link_pair(cidr, EXTRA_LINKS, LINKS_PER_FIREWALL * number + FIREWALL_LINK)
        made.append(
            Firewall(
                name=name,
                asn=entry.asn,
                inside=tuple(
                    replace(uplink, quality=Quality(mtu=link.mtu))
                    for uplink in uplinks
                    if uplink.device in entry.devices
                ),
                outside=Uplink(name, addresses, quality),
                filter=entry.filter,
                nat=entry.nat and text is None,
                ruleset=text,
            )
        )
    return tuple(made)


def _segments(form: TopologyForm, report: Report) -> tuple[Segment, ...]:
    segments = []
    for name, segment in form.site.segments.items():
        routers = _routers(segment)
        if len(routers) < len(segment.devices):
            message = f"{segment.cidr} has no room for {len(segment.devices)} routers"
            report.add(("site", "segments", name, "cidr"), message)
        ports = tuple(segment.host_interfaces)
        segments.append(Segment(name, segment.cidr, tuple(routers), ports))
    return tuple(segments)


def _routers(segment: SegmentForm) -> list[tuple[str, IPv4Interface]]:
    routers: list[tuple[str, IPv4Interface]] = []
    used: set[IPv4Address] = set(segment.addresses.values())
    for device in segment.devices:
        address = segment.addresses.get(device) or first_free(segment.cidr, FIRST_ROUTER, used)
        if address is not None:
            used.add(address)
            routers.append((device, IPv4Interface((address, segment.cidr.prefixlen))))
    return routers


def first_free(
    network: IPv4Network, offset: int, used: Iterable[IPv4Address]
) -> IPv4Address | None:
    """The first address of `network` from `offset` on that is neither used nor its last."""
    taken = set(used)
    for number in range(offset, network.num_addresses - 1):
        address = network.network_address + number
        if address not in taken:
            return address
    return None


def _hosts(form: TopologyForm, segments: dict[str, Segment], report: Report) -> tuple[Host, ...]:
    used = {
        name: {router.ip for _, router in segment.routers} for name, segment in segments.items()
    }
    hosts = []
    for name, host in form.site.hosts.items():
        segment = segments[host.segment]
        address = host.address or first_free(segment.cidr, FIRST_HOST, used[host.segment])
        if address is None:
            message = f"{segment.cidr} has no free address from its base plus {FIRST_HOST} on"
            report.add(("site", "hosts", name), message, "write an address", key=True)
            continue
        used[host.segment].add(address)
        interface = IPv4Interface((address, segment.cidr.prefixlen))
        hosts.append(Host(name, host.segment, interface, tuple(dict.fromkeys(host.services))))
    return tuple(hosts)
