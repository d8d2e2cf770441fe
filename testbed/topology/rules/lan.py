"""Rules of LAN segments: addresses, DHCP, VRRP, VLANs, IPv6."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from testbed.errors import Path
from testbed.topology.model import (
    LOCAL_GATEWAY_VRF,
    SERVICE_LINK_VRF,
    DhcpServer,
    Host,
    Segment,
    Topology,
    Vrrp,
)
from testbed.topology.report import Report, choices
from testbed.topology.rules.vpc import size
from testbed.topology.schema import SegmentForm, TopologyForm

SHORTEST_LEASE_S = 120  # dnsmasq's own least
LONGEST_INTERVAL_S = 40.95  # of VRRP advertisements (RFC 5798, 5.2.7)
RA_PREFIX = 64  # what stateless address configuration needs (RFC 4862, RFC 7421)


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the LAN segments and the hosts on them."""
    vlans: dict[int, str] = {}
    routers: dict[tuple[bool, int], str] = {}
    for segment in topology.site.segments:
        _vrf(segment, topology, report)
        at: Path = ("site", "segments", segment.name)
        _addresses(segment, topology, report)
        given = form.site.segments[segment.name]
        if segment.dhcp is not None:
            _dhcp(at, segment, segment.dhcp, report)
        if segment.vrrp is not None:
            _vrrp(at, given, segment, segment.vrrp, report)
            key = (segment.vlan is None, segment.vrrp.virtual_router_id)
            owner = routers.setdefault(key, segment.name)
            if owner != segment.name and segment.vlan is not None:
                message = f"{key[1]} is the virtual router of {owner}, on the same switch"
                report.add((*at, "vrrp", "virtual_router_id"), message, "choose another one")
        if given.ipv6_cidr is not None and given.ipv6_cidr.prefixlen != RA_PREFIX:
            message = f"{given.ipv6_cidr} is not a /64: its machines could make no address of it"
            report.add((*at, "ipv6_cidr"), f"{message} (RFC 4862)")
        if segment.vlan is not None:
            owner = vlans.setdefault(segment.vlan, segment.name)
            if owner != segment.name:
                message = f"VLAN {segment.vlan} is the segment {owner}"
                report.add((*at, "vlan"), message, "a segment has a VLAN of its own")


class _Owned:
    """The addresses of a segment, each of one owner."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._owners: dict[IPv4Address, str] = {}

    def claim(self, at: Path, address: IPv4Address, name: str, hint: str | None = None) -> None:
        """Report an address that somebody else has."""
        owner = self._owners.setdefault(address, name)
        if owner != name:
            self._report.add(at, f"{address} is already the address of {owner}", hint)


def usable(address: IPv4Address, network: IPv4Network) -> bool:
    """Return whether an address is a host's in its subnet."""
    ends = (network.network_address, network.broadcast_address)
    return address in network and address not in ends


def _addresses(segment: Segment, topology: Topology, report: Report) -> None:
    path: Path = ("site", "segments", segment.name)
    size((*path, "cidr"), segment.cidr, 8, 29, "a segment", report)
    owned = _Owned(report)
    for device, router in segment.routers:
        at = (*path, "addresses", device)
        if not usable(router.ip, segment.cidr):
            report.add(at, f"{router.ip} is not a host address of {segment.cidr}")
        owned.claim(at, router.ip, device)
    if segment.vrrp is not None:
        owned.claim((*path, "vrrp", "address"), segment.vrrp.address.ip, "the virtual router")
    if segment.dhcp is not None:
        owned.claim((*path, "dhcp", "address"), segment.dhcp.address.ip, "the DHCP server")
    for host in topology.site.hosts:
        if host.segment == segment.name:
            _host(segment, host, owned, report)


def _host(segment: Segment, host: Host, owned: _Owned, report: Report) -> None:
    at: Path = ("site", "hosts", host.name, "address")
    if not usable(host.address.ip, segment.cidr):
        message = f"{host.address.ip} is not a host address of {segment.name} ({segment.cidr})"
        report.add(at, message, f"choose an address in {segment.cidr}")
    if host.dhcp and segment.dhcp is None:
        message = f"there is no DHCP server on the segment {segment.name}"
        report.add(("site", "hosts", host.name, "dhcp"), message, "leave it out, or add one")
    owned.claim(at, host.address.ip, host.name, "choose a free address")


def _dhcp(path: Path, segment: Segment, server: DhcpServer, report: Report) -> None:
    at = (*path, "dhcp")
    for key, address in (("address", server.address.ip), ("router", server.router)):
        if address is not None and not usable(address, segment.cidr):
            report.add((*at, key), f"{address} is not a host address of {segment.cidr}")
    for address in (server.first, server.last):
        if not usable(address, segment.cidr):
            message = f"{address} is not a host address of {segment.cidr}"
            report.add((*at, "range"), message)
            break
    own = {"the server": server.address.ip, **{name: a.ip for name, a in segment.routers}}
    if segment.vrrp is not None:
        own["the virtual router"] = segment.vrrp.address.ip
    for name, address in own.items():
        if server.first <= address <= server.last:
            message = f"leases {address}, which is the address of {name}"
            report.add((*at, "range"), message, "choose a range beside it")
    if server.lease_s < SHORTEST_LEASE_S:
        message = f"is {server.lease_s}s, but dnsmasq leases for 2m at least"
        report.add((*at, "lease_time"), message)


def _vrrp(path: Path, form: SegmentForm, segment: Segment, vrrp: Vrrp, report: Report) -> None:
    at = (*path, "vrrp")
    if not usable(vrrp.address.ip, segment.cidr):
        message = f"{vrrp.address.ip} is not a host address of {segment.cidr}"
        report.add((*at, "address"), message)
    if vrrp.interval_s > LONGEST_INTERVAL_S:
        message = f"is {vrrp.interval_s:g}s; advertisements come every 10ms to 40s (RFC 5798)"
        report.add((*at, "interval"), message)
    seen: dict[int, str] = {}
    for device, priority in (form.vrrp.priorities if form.vrrp else {}).items():
        place = (*at, "priorities", device)
        if device not in form.devices:
            message = f"{device} is not one of the segment's devices"
            report.add(place, message, f"they are {', '.join(form.devices)}", key=True)
        if not 1 <= priority <= 254:
            message = f"is {priority}; a priority is 1 to 254 (RFC 5798; 255 is the owner's)"
            report.add(place, message)
        owner = seen.setdefault(priority, device)
        if owner != device:
            report.add(place, f"{priority} is the priority of {owner}, too", "choose another one")


def _vrf(segment: Segment, topology: Topology, report: Report) -> None:
    """A segment is in a VRF that its devices have, and says which if there are several."""
    path: Path = ("site", "segments", segment.name)
    devices = {name for name, _ in segment.routers}
    ending = [
        domain.vrf for rack, domain in topology.gateways if devices & {*rack.customer_devices}
    ]
    known = list(dict.fromkeys([LOCAL_GATEWAY_VRF, *ending, SERVICE_LINK_VRF]))
    if segment.vrf not in known:
        message = f"its devices have no VRF named '{segment.vrf}'"
        report.add((*path, "vrf"), message, choices(segment.vrf, known, "VRFs"))
    elif ending and LOCAL_GATEWAY_VRF not in ending and not report.has((*path, "vrf")):
        message = "does not say which VRF it is in, and no local gateway is in VRF lgw"
        names = " or ".join(f"vrf: {vrf}" for vrf in dict.fromkeys(ending))
        report.add(path, message, f"write {names}, or vrf: lgw to keep it apart", key=True)
