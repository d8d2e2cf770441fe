"""What is derived for LAN segments: routers, gateways, DHCP servers, hosts."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

from testbed.topology.derive.addresses import free_addresses, hosts
from testbed.topology.model import (
    LOCAL_GATEWAY_VRF,
    SERVICE_LINK_VRF,
    DhcpServer,
    Host,
    Segment,
    Vrrp,
)
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import HostForm, SegmentForm, TopologyForm

FIRST_ROUTER = 2
FIRST_HOST = 10
FIRST_SERVER = 5
FIRST_PRIORITY, PRIORITY_STEP = 100, 10
SERVER = "dhcp server"  # among the names of devices and hosts, which have no spaces


def derive_segments(form: TopologyForm, report: Report, numbers: Numbers) -> tuple[Segment, ...]:
    """Return the segments, with their routers' addresses and their servers."""
    segments = []
    for name, segment in form.site.segments.items():
        routers = _routers(form, name, segment, numbers)
        if len(routers) < len(segment.devices):
            message = f"{segment.cidr} has no room for {len(segment.devices)} routers"
            report.add(("site", "segments", name, "cidr"), message)
        vrrp = _vrrp(name, segment, numbers)
        segments.append(
            Segment(
                name,
                segment.cidr,
                routers,
                tuple(segment.host_interfaces),
                vlan=segment.vlan,
                mtu=segment.mtu,
                mac_ageing_s=segment.mac_ageing,
                floods=segment.floods,
                arp_timeout_s=segment.arp_timeout,
                dhcp=_dhcp(form, name, segment, routers, vrrp, numbers),
                vrrp=vrrp,
                ipv6_routers=_ipv6_routers(name, segment, numbers),
                vrf=segment.vrf or _vrf(form, name),
            )
        )
    return tuple(segments)


def _vrf(form: TopologyForm, name: str) -> str:
    """The VRF of a segment that says none: the service link's, if it is that of a server."""
    links = (outpost.service_link.segment for outpost in form.outposts.values())
    return SERVICE_LINK_VRF if name in links else LOCAL_GATEWAY_VRF


def _routers(
    form: TopologyForm, name: str, segment: SegmentForm, numbers: Numbers
) -> tuple[tuple[str, IPv4Interface], ...]:
    nameless = [device for device in segment.devices if device not in segment.addresses]
    addresses = _free(form, name, segment, nameless, FIRST_ROUTER, numbers) | segment.addresses
    length = segment.cidr.prefixlen
    return tuple(
        (device, IPv4Interface((addresses[device], length)))
        for device in dict.fromkeys(segment.devices)
        if device in addresses
    )


def _ipv6_routers(
    name: str, segment: SegmentForm, numbers: Numbers
) -> tuple[tuple[str, IPv6Interface], ...]:
    cidr = segment.ipv6_cidr
    if cidr is None:
        return ()
    kind = f"segment-ipv6-address/{name}"
    offsets = range(FIRST_ROUTER, cidr.num_addresses)
    free = free_addresses(numbers, kind, cidr, segment.devices, offsets, ())
    return tuple((n, IPv6Interface((address, cidr.prefixlen))) for n, address in free.items())


def _given(form: TopologyForm, name: str, segment: SegmentForm) -> set[IPv4Address]:
    """Return the addresses of a segment that the file gives to anything."""
    on_it = (host for host in form.site.hosts.values() if host.segment == name)
    given: list[IPv4Address | None] = [*segment.addresses.values()]
    given += [host.address for host in on_it]
    links = (outpost.service_link for outpost in form.outposts.values())
    given += [link.address for link in links if link.segment == name]
    for interface in form.network_interfaces.values():
        for entry in interface.lan:
            if isinstance(entry.address, IPv4Interface) and entry.address.ip in segment.cidr:
                given.append(entry.address.ip)
    if segment.dhcp is not None:
        given.append(segment.dhcp.address)
    if segment.vrrp is not None:
        given.append(segment.vrrp.address or segment.cidr.network_address + 1)
    return {address for address in given if address is not None}


def _leased(segment: SegmentForm) -> tuple[IPv4Address, IPv4Address] | None:
    """Return the first and the last address that a segment's DHCP server leases."""
    if segment.dhcp is None:
        return None
    cidr = segment.cidr
    half = cidr.network_address + cidr.num_addresses // 2
    return segment.dhcp.range or (half, cidr.broadcast_address - 1)


def _free(
    form: TopologyForm,
    name: str,
    segment: SegmentForm,
    names: list[str],
    first: int,
    numbers: Numbers,
) -> dict[str, IPv4Address]:
    """Return addresses on a segment for devices or hosts; none of those that are leased."""
    offsets = hosts(segment.cidr, first)
    if (leased := _leased(segment)) is not None:
        begin, end = (int(address) - int(segment.cidr.network_address) for address in leased)
        below = range(first, min(begin, offsets.stop))
        offsets = below or range(max(first, end + 1), offsets.stop)
    kind = f"segment-address/{name}"
    given = _given(form, name, segment)
    return free_addresses(numbers, kind, segment.cidr, names, offsets, given)


def _vrrp(name: str, segment: SegmentForm, numbers: Numbers) -> Vrrp | None:
    given = segment.vrrp
    if given is None:
        return None
    claimed = numbers.claim_all("virtual-router", [name], range(1, 256)).get(name, 255)
    address = given.address or segment.cidr.network_address + 1
    priorities = {
        device: given.priorities.get(device, max(1, FIRST_PRIORITY - PRIORITY_STEP * index))
        for index, device in enumerate(dict.fromkeys(segment.devices))
    }
    return Vrrp(
        IPv4Interface((address, segment.cidr.prefixlen)),
        given.virtual_router_id or claimed,
        given.interval,
        tuple(sorted(priorities.items(), key=lambda entry: -entry[1])),
    )


def _dhcp(
    form: TopologyForm,
    name: str,
    segment: SegmentForm,
    routers: tuple[tuple[str, IPv4Interface], ...],
    vrrp: Vrrp | None,
    numbers: Numbers,
) -> DhcpServer | None:
    given, leased = segment.dhcp, _leased(segment)
    if given is None or leased is None:
        return None
    own = given.address
    if own is None:
        own = _free(form, name, segment, [SERVER], FIRST_SERVER, numbers).get(SERVER)
    if own is None:
        own = leased[0]  # which the rules refuse
    router = given.router
    if router is None:
        router = vrrp.address.ip if vrrp else next((a.ip for _, a in routers), None)
    return DhcpServer(
        address=IPv4Interface((own, segment.cidr.prefixlen)),
        first=leased[0],
        last=leased[1],
        router=router,
        name_servers=(own,) if given.name_servers is None else tuple(given.name_servers),
        domain=given.domain,
        lease_s=round(given.lease_time),
    )


def lease(
    form: TopologyForm, segment: Segment, owner: str, numbers: Numbers
) -> IPv4Interface | None:
    """Return the address that a segment's DHCP server leases to `owner`; None: it has none left.

    `owner` is unique among all that ask on the segment, such as ``host/till``.
    """
    server = segment.dhcp
    if server is None:
        return None
    base = int(segment.cidr.network_address)
    taken = {int(a) - base for a in _given(form, segment.name, form.site.segments[segment.name])}
    choice = range(int(server.first) - base, int(server.last) - base + 1)
    found = numbers.claim_all(f"lease/{segment.name}", [owner], choice, taken=taken)
    if owner not in found:
        return None
    address = segment.cidr.network_address + found[owner]
    return IPv4Interface((address, segment.cidr.prefixlen))


def static_address(
    form: TopologyForm, segment: Segment, owner: str, numbers: Numbers
) -> IPv4Address | None:
    """Return an address of a segment that no DHCP server leases; None: there is none left."""
    entry = form.site.segments[segment.name]
    return _free(form, segment.name, entry, [owner], FIRST_HOST, numbers).get(owner)


def derive_hosts(
    form: TopologyForm, segments: tuple[Segment, ...], report: Report, numbers: Numbers
) -> tuple[Host, ...]:
    """Return the hosts on the segments."""
    by_name = {segment.name: segment for segment in segments}
    addresses = {name: host.address for name, host in form.site.hosts.items() if host.address}
    for segment in segments:
        wanted = [
            name
            for name, host in form.site.hosts.items()
            if host.segment == segment.name and name not in addresses and not host.dhcp
        ]
        entry = form.site.segments[segment.name]
        addresses |= _free(form, segment.name, entry, wanted, FIRST_HOST, numbers)
    found = []
    for name, host in form.site.hosts.items():
        segment = by_name[host.segment]
        interface = _interface(addresses.get(name), segment.cidr)
        if interface is None and host.dhcp:
            interface = lease(form, segment, f"host/{name}", numbers)
        if interface is None:
            report.add(("site", "hosts", name), *_without(host, segment), key=True)
            continue
        services = tuple(dict.fromkeys(host.services))
        made = Host(name, host.segment, interface, services, host.dhcp, host.arp_timeout)
        found.append(made)
    return tuple(found)


def _interface(address: IPv4Address | None, cidr: IPv4Network) -> IPv4Interface | None:
    return None if address is None else IPv4Interface((address, cidr.prefixlen))


def _without(host: HostForm, segment: Segment) -> tuple[str, str]:
    """Return why a host has no address, and the remedy."""
    if not host.dhcp:
        message = f"{segment.cidr} has no free address from its base plus {FIRST_HOST} on"
        return message, "write an address"
    if segment.dhcp is None:
        message = f"there is no DHCP server on the segment {segment.name}"
        return message, f"give site.segments.{segment.name} a dhcp: {{}}, or the host an address"
    message = f"the DHCP server of {segment.name} has no address left for it"
    return message, "widen its range, or give the host an address"
