"""What is derived for the customer's site: devices' ASNs, links, firewalls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from itertools import count, pairwise

from testbed.topology import references
from testbed.topology.derive.bgp import derive_bgp
from testbed.topology.derive.lan import derive_hosts, derive_segments
from testbed.topology.derive.rack import customer_devices, domains, point_to_point
from testbed.topology.model import (
    LOCAL_GATEWAY_VRF,
    SERVICE_LINK_VRF,
    Device,
    Firewall,
    HostInterfaces,
    Quality,
    Site,
    SiteLink,
    Uplink,
    Wan,
)
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import (
    DeviceForm,
    HostInterfacesForm,
    LinkForm,
    RegionLinkForm,
    RoutingDomainForm,
    TopologyForm,
    WanForm,
)

LINK_CIDR = IPv4Network("100.64.0.0/14")  # shared address space (RFC 6598)
LINKS, REGION_LINKS, WAN_LINKS, EXTRA_LINKS = range(4)  # which quarter of it
VRFS = (SERVICE_LINK_VRF, LOCAL_GATEWAY_VRF)
LINKS_PER_FIREWALL, FIREWALL_LINK = 8, 4  # beside those of Direct Connect
FIRST_DEVICE_ASN = 65000


def derive_site(
    form: TopologyForm, report: Report, read_config: Callable[[str], str], numbers: Numbers
) -> Site:
    """Return the resolved site."""
    names = references.device_names(form.site)
    cidr = form.site.link_cidr or LINK_CIDR
    claimed = numbers.claim_all("customer-device", names, range(room(cidr)))
    places = {name: claimed.get(name, 0) for name in names}  # the rules refuse what has no room
    segments = derive_segments(form, report, numbers)
    wan = form.site.wan
    uplinks = _uplinks(form.site.region_link, places, cidr, REGION_LINKS)
    firewalls = _firewalls(form, uplinks, cidr, report, read_config, numbers)
    behind = {uplink.device for firewall in firewalls for uplink in firewall.inside}
    return Site(
        devices=_devices(form, report, read_config, numbers),
        links=_links(form, cidr, numbers),
        region_uplinks=tuple(uplink for uplink in uplinks if uplink.device not in behind),
        firewalls=firewalls,
        wan=Wan(wan.asn, _uplinks(wan, places, cidr, WAN_LINKS)) if wan else None,
        segments=segments,
        hosts=derive_hosts(form, segments, report, numbers),
        provider_default=form.site.region_link.default_route,
    )


def _groups(form: TopologyForm, names: list[str]) -> dict[str, str]:
    """For each device the first of those that it shares Outposts with."""
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for outpost in form.outposts.values():
        for one, other in pairwise(customer_devices(form, outpost) or []):
            first, second = sorted((find(one), find(other)), key=names.index)
            leader[second] = first
    return {name: find(name) for name in names}


def _asns(form: TopologyForm, forms: Mapping[str, DeviceForm], numbers: Numbers) -> dict[str, int]:
    """The ASN of each device: its own, else the first that the file gives in its group.

    Else it is a new one of the group's, which the device keeps, whatever becomes of the group.
    """
    groups = _groups(form, list(forms))
    before = {name: asn for name, asn in numbers.before("device-asn").items() if name in forms}
    free = (asn for asn in count(FIRST_DEVICE_ASN) if asn not in before.values())
    asns = {}
    for leader in dict.fromkeys(groups.values()):
        members = [name for name in forms if groups[name] == leader]
        new = next((before[name] for name in members if name in before), None) or next(free)
        given = next((asn for name in members if (asn := forms[name].asn)), None)
        for name in members:
            own = before.get(name, new)
            numbers.record("device-asn", name, own)
            asns[name] = forms[name].asn or given or own
    return asns


def _devices(
    form: TopologyForm, report: Report, read_config: Callable[[str], str], numbers: Numbers
) -> tuple[Device, ...]:
    given = form.site.devices
    forms = given if given is not None else dict.fromkeys(references.DEFAULT_DEVICES, DeviceForm())
    asns = _asns(form, forms, numbers)
    devices = []
    for name, device in forms.items():
        text = None
        if device.config is not None:
            try:
                text = read_config(device.config)
            except ValueError as error:
                report.add(("site", "devices", name, "config"), str(error))
        ports = _host_interfaces(device.host_interfaces) if device.host_interfaces else None
        vrfs = {vrf: tuple(members) for vrf, members in device.vrfs.items()}
        devices.append(
            Device(
                name=name,
                asn=asns[name],
                daemon=device.daemon,
                config=text,
                host_interfaces=ports,
                config_file=device.config,
                config_interfaces=device.config_interfaces,
                vrfs=vrfs,
                bgp=derive_bgp(device.bgp),
            )
        )
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


def room(cidr: IPv4Network, step: int = 1) -> int:
    """Return how many objects with `step` links each a quarter of link_cidr has room for."""
    return max(1, _quarter(cidr, 0).num_addresses // 2 // step)


def link_pair(cidr: IPv4Network, quarter: int, number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """Return the two ends of /31 `number` of one of the quarters of the site's link_cidr."""
    # past the pool's end the rules refuse the number of links
    return point_to_point(_quarter(cidr, quarter), number % room(cidr))


def _links(form: TopologyForm, cidr: IPv4Network, numbers: Numbers) -> tuple[SiteLink, ...]:
    forms = form.site.links
    if forms is None:
        forms = [LinkForm(devices=pair) for pair in _neighbours(form)]
    ends = {"/".join(sorted(link.devices)): link for link in forms}  # two have one link at most
    claimed = numbers.claim_all("site-link", ends, range(room(cidr, len(VRFS))))
    of_domains = _vrfs_of_domains(form)
    links = []
    for name, link in ends.items():
        quality = Quality(link.delay, link.rate, link.mtu)
        first, second = link.devices
        number = claimed.get(name, 0)
        for offset, vrf in enumerate(VRFS):
            addresses = link_pair(cidr, LINKS, 2 * number + offset)
            links.append(SiteLink((first, second), vrf, addresses, quality))
        for vrf in (v for v in of_domains.get(first, {}) if v in of_domains.get(second, {})):
            # from the quarter's other end on
            choices = range(room(cidr) - 1, -1, -1)
            number = numbers.claim_all("site-link-vrf", [f"{name}/{vrf}"], choices).popitem()[1]
            addresses = link_pair(cidr, LINKS, number)
            links.append(SiteLink((first, second), vrf, addresses, quality))
    return tuple(links)


def _neighbours(form: TopologyForm) -> list[list[str]]:
    """The pairs of devices that are linked by default: of each Outpost, a ring of more than two."""
    found: dict[frozenset[str], list[str]] = {}
    for outpost in form.outposts.values():
        devices = list(dict.fromkeys(customer_devices(form, outpost) or []))
        ring = [*devices, devices[0]] if len(devices) > 2 else devices
        for pair in pairwise(ring):
            found.setdefault(frozenset(pair), list(pair))
    return list(found.values())


def _vrfs_of_domains(form: TopologyForm) -> dict[str, dict[str, None]]:
    """For each device its VRFs of named routing domains, other than those that all have."""
    found: dict[str, dict[str, None]] = {}
    for outpost in form.outposts.values():
        for name, domain in domains(outpost).items():
            vrf = (isinstance(domain, RoutingDomainForm) and domain.vrf) or name
            for device in customer_devices(form, outpost) or []:
                if vrf and vrf not in VRFS:
                    found.setdefault(device, {})[vrf] = None
    return found


def _uplinks(
    form: RegionLinkForm | WanForm, places: Mapping[str, int], cidr: IPv4Network, quarter: int
) -> tuple[Uplink, ...]:
    chosen = places if form.devices is None else form.devices
    quality = Quality(form.delay, form.rate, form.mtu)
    return tuple(
        Uplink(name, link_pair(cidr, quarter, number), quality)
        for name, number in places.items()
        if name in chosen
    )


def _firewalls(
    form: TopologyForm,
    uplinks: tuple[Uplink, ...],
    cidr: IPv4Network,
    report: Report,
    read_config: Callable[[str], str],
    numbers: Numbers,
) -> tuple[Firewall, ...]:
    """The firewalls; a device's link to one has the addresses of its link to the Region."""
    link = form.site.region_link
    quality = Quality(link.delay, link.rate, link.mtu)
    choices = range(room(cidr, LINKS_PER_FIREWALL))
    claimed = numbers.claim_all("firewall", form.site.firewalls, choices)
    made = []
    for name, entry in form.site.firewalls.items():
        number = claimed.get(name, 0)
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
