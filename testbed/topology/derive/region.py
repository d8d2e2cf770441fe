"""The Region: anchors, public services, prefix lists, the internet behind it."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from testbed.topology.derive.addresses import free_addresses, hosts
from testbed.topology.derive.transit import derive_peering
from testbed.topology.model import (
    Anchor,
    Internet,
    InternetHost,
    PublicService,
    Quality,
    Region,
    Uplink,
)
from testbed.topology.numbers import END, Numbers
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm

PUBLIC_CIDR = IPv4Network("198.51.100.0/24")  # TEST-NET-2 (RFC 5737)
INTERNET_CIDR = IPv4Network("192.0.2.0/24")  # TEST-NET-1
INTERNET_CIDR6 = IPv6Network("2001:db8:ffff::/64")  # RFC 3849
ELASTIC_IP_CIDR = IPv4Network("203.0.113.0/24")  # TEST-NET-3
FIRST_ANCHOR = 11
PUBLIC_SERVICES = {"s3": 20, "dynamodb": 24}  # where their /30 is in public_cidr
LAST = 0xFFFFFFFC  # whatever a public_cidr that is refused may be
ROUTER, FIRST_HOST, FIRST_HOST6 = 1, 10, 0x10
INTERNET_ADDRESS = "internet-address"  # what kind of numbers they are


def derive_region(
    form: TopologyForm, zones: tuple[str, ...], report: Report, numbers: Numbers
) -> Region:
    """Return the resolved Region."""
    region = form.region
    public = region.public_cidr or PUBLIC_CIDR
    given = region.anchors
    if given is None:
        given = {
            f"anchor{number + 1}": public.network_address + FIRST_ANCHOR + number
            for number in range(2)
        }
    claimed = numbers.claim_all("service-link-anchor", given, range(1, 3))  # one for each tunnel
    anchors = sorted(given, key=lambda name: claimed.get(name, END))
    services = tuple(
        PublicService(name, IPv4Network((int(public.network_address) + offset & LAST, 30)))
        for name, offset in PUBLIC_SERVICES.items()
    )
    return Region(
        name=region.name,
        zones=zones,
        asn=region.asn,
        public_cidr=public,
        anchors=tuple(Anchor(name, given[name]) for name in anchors),
        elastic_ip_cidr=region.elastic_ip_cidr or ELASTIC_IP_CIDR,
        zone_delay_ms=region.zone_delay,
        public_services=services,
        prefix_lists=prefix_lists(form, services),
        internet=_internet(form, report, numbers),
        vpc_peering_connections=derive_peering(form, numbers),
        metrics_period_s=region.metrics_period,
    )


def prefix_lists(
    form: TopologyForm, services: tuple[PublicService, ...]
) -> dict[str, tuple[IPv4Network, ...]]:
    """AWS's prefix lists and the customer's, by name (facts: V route tables)."""
    lists = {f"com.amazonaws.{form.region.name}.{s.name}": (s.prefix,) for s in services}
    return lists | {name: tuple(cidrs) for name, cidrs in form.region.prefix_lists.items()}


def _internet(form: TopologyForm, report: Report, numbers: Numbers) -> Internet | None:
    given = form.region.internet
    cidr6 = INTERNET_CIDR6 if any(vpc.ipv6_cidr for vpc in form.vpcs.values()) else None
    if given is None:
        attached = any(
            vpc.internet_gateway or vpc.egress_only_internet_gateway for vpc in form.vpcs.values()
        )
        attached = attached or form.site.internet is not None
        return Internet(INTERNET_CIDR, cidr6, ()) if attached else None
    if cidr6 and given.ipv6_cidr:
        cidr6 = given.ipv6_cidr
    cidr = given.cidr or INTERNET_CIDR
    own = [host.address for host in given.hosts.values() if host.address]
    nameless = [name for name, host in given.hosts.items() if not host.address]
    used = [cidr.network_address + ROUTER, *own]
    free = free_addresses(numbers, INTERNET_ADDRESS, cidr, nameless, hosts(cidr, FIRST_HOST), used)
    free6: dict[str, IPv6Address] = {}
    if cidr6 is not None:
        offsets = range(FIRST_HOST6, cidr6.num_addresses)
        free6 = free_addresses(numbers, "internet-ipv6-address", cidr6, given.hosts, offsets, ())
    made: list[InternetHost] = []
    for name, host in given.hosts.items():
        address = host.address or free.get(name)
        if address is None:
            message = f"{cidr} has no free address from its base plus {FIRST_HOST} on"
            at = ("region", "internet", "hosts", name)
            report.add(at, message, "write an address", key=True)
            continue
        interface = IPv4Interface((address, cidr.prefixlen))
        ipv6 = None
        if cidr6 is not None and name in free6:
            ipv6 = IPv6Interface((free6[name], cidr6.prefixlen))
        made.append(InternetHost(name, interface, ipv6, tuple(dict.fromkeys(host.services))))
    return Internet(cidr, cidr6, tuple(made))


def internet_uplinks(
    form: TopologyForm, internet: Internet | None, numbers: Numbers
) -> tuple[Uplink, ...]:
    """Return the site's links to the internet: each device has the last free address there."""
    if form.site.internet is None or internet is None:
        return ()
    cidr, devices = internet.cidr, form.site.internet.devices
    router = IPv4Interface((cidr.network_address + ROUTER, cidr.prefixlen))
    used = [host.address.ip for host in internet.hosts]
    backwards = range(cidr.num_addresses - 2, ROUTER, -1)
    free = free_addresses(numbers, INTERNET_ADDRESS, cidr, devices, backwards, used)
    return tuple(
        Uplink(device, (IPv4Interface((address, cidr.prefixlen)), router), Quality())
        for device, address in free.items()
    )
