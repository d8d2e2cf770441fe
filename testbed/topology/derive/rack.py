"""What is derived for a rack: devices, LAGs, VLANs, ASNs and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv4Network
from typing import Literal

from testbed.errors import Path
from testbed.topology import references
from testbed.topology.model import (
    MAX_OUTPOSTS,
    Anchor,
    CoipPool,
    GatewayRoute,
    Lag,
    LocalGateway,
    Outpost,
    ServiceLink,
    Vif,
)
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import LocalGatewayForm, OutpostForm, TopologyForm, VifForm

VifPurpose = Literal["service_link", "local_gateway"]

INFRASTRUCTURE = IPv4Network("10.200.0.0/16")
POOLS: dict[VifPurpose, IPv4Network] = {
    "service_link": IPv4Network("198.18.0.0/16"),  # benchmarking addresses (RFC 2544)
    "local_gateway": IPv4Network("198.19.0.0/16"),
}
FIRST_VLAN: dict[VifPurpose, int] = {"service_link": 1000, "local_gateway": 2000}
FIRST_ASN: dict[VifPurpose, int] = {"service_link": 64512, "local_gateway": 64513}
FIRST_LONG_ASN = 4200000000
TWO_BYTE_ASNS = 240  # Outposts; the devices' derived ASNs start at 65000
DEFAULT_ROUTE = IPv4Network("0.0.0.0/0")


def derived_asn(index: int, kind: VifPurpose) -> int:
    """The Outpost's ASN: two-byte private ones, four-byte ones when those run out."""
    if index < TWO_BYTE_ASNS:
        return FIRST_ASN[kind] + 2 * index
    return FIRST_LONG_ASN + 2 * index + (kind == "local_gateway")


def point_to_point(pool: IPv4Network, number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """The two ends of /31 `number` of a pool."""
    first = pool.network_address + 2 * number
    return IPv4Interface((first, 31)), IPv4Interface((first + 1, 31))


def other_end(end: IPv4Interface) -> IPv4Interface:
    """The other address of a /30 or /31; the same one where there is no other."""
    network = end.network
    if network.prefixlen not in (30, 31):
        return end
    for address in list(network.hosts()):
        if address != end.ip:
            return IPv4Interface((address, network.prefixlen))
    return end


def vifs(outpost: OutpostForm, kind: VifPurpose) -> list[VifForm]:
    """The VIFs that the file gives for one side of the Outpost."""
    if kind == "service_link":
        return outpost.service_link.vifs
    return outpost.local_gateway.vifs if outpost.local_gateway else []


def device_pair(form: TopologyForm, outpost: OutpostForm) -> tuple[str, str] | None:
    """The customer devices of OND 1 and 2; None when the file must say."""
    names = outpost.devices or references.device_names(form.site)
    if not outpost.devices and len(names) > 2:
        return None
    return (names[0], names[-1]) if names else None


def derive_outposts(
    form: TopologyForm, asns: Mapping[str, int], report: Report, numbers: Numbers
) -> dict[str, Outpost]:
    """Return the Outposts by name; `asns` are the customer devices'."""
    claimed = numbers.claim_all("outpost", form.outposts, range(1, MAX_OUTPOSTS + 1))
    return {
        # those that there is no room for are refused by the rules
        name: _outpost(form, name, claimed.get(name, MAX_OUTPOSTS + 1) - 1, asns, report, numbers)
        for name in form.outposts
    }


def _devices(form: TopologyForm, name: str, report: Report) -> tuple[str, str]:
    """Return the customer devices that an Outpost is connected to."""
    if (devices := device_pair(form, form.outposts[name])) is not None:
        return devices
    path: Path = ("outposts", name)
    names = references.device_names(form.site) or ["none"]
    if len(names) > 2 and not report.touched((*path, "devices")):
        message = f"does not say which of the site's {len(names)} devices it is connected to"
        report.add(path, message, "write devices: [FIRST, SECOND]", key=True)
    return names[0], names[1 % len(names)]


def _outpost(
    form: TopologyForm,
    name: str,
    index: int,
    asns: Mapping[str, int],
    report: Report,
    numbers: Numbers,
) -> Outpost:
    """Return the resolved Outpost; `index` is its number from 0."""
    outpost = form.outposts[name]
    gateway = outpost.local_gateway or LocalGatewayForm()
    own = {
        "service_link": outpost.service_link.asn or derived_asn(index, "service_link"),
        "local_gateway": gateway.asn or derived_asn(index, "local_gateway"),
    }
    lags = tuple(
        Lag(
            device=number,
            customer_device=device,
            members=outpost.uplinks.per_device,
            speed_gbps=int(outpost.uplinks.speed.removesuffix("G")),
            bfd=outpost.uplinks.bfd,
            service_link=_vif(outpost, "service_link", index, number, own, asns.get(device, 0)),
            local_gateway=_vif(outpost, "local_gateway", index, number, own, asns.get(device, 0)),
        )
        for number, device in enumerate(_devices(form, name, report), start=1)
    )
    infrastructure = outpost.service_link.infrastructure_cidr
    if infrastructure is None:
        # past the pool's 1024 the rules refuse the number of Outposts
        base = INFRASTRUCTURE.network_address + 64 * (index % 1024)
        infrastructure = IPv4Network((base, 26))
    return Outpost(
        name=name,
        number=index + 1,
        form_factor=outpost.form_factor,
        zone=outpost.zone or references.zones(form)[0],
        resolver=outpost.resolver,
        lags=lags,
        service_link=_service_link(form, name, own["service_link"], infrastructure, numbers),
        local_gateway=_gateway(form, name, gateway, own["local_gateway"]),
        drained=tuple(outpost.drained),
    )


def _service_link(
    form: TopologyForm, name: str, asn: int, infrastructure: IPv4Network, numbers: Numbers
) -> ServiceLink:
    """The service link; private anchors have the last usable addresses of their subnet."""
    given = form.outposts[name].service_link
    if given.connectivity == "public" or given.vpc is None or given.subnet is None:
        return ServiceLink(asn, infrastructure)
    cidr = form.vpcs[given.vpc].subnets[given.subnet].cidr
    at = (given.vpc, given.subnet)
    users = (
        n for n, o in form.outposts.items() if (o.service_link.vpc, o.service_link.subnet) == at
    )
    places = range(max(1, cidr.num_addresses // 2 - 3))  # pairs, without the reserved addresses
    kind = f"private-anchors/{given.vpc}/{given.subnet}"
    before = 2 * numbers.claim_all(kind, users, places).get(name, 0)
    anchors = tuple(
        Anchor(f"anchor{number + 1}", cidr.broadcast_address - 1 - before - number)
        for number in range(2)
    )
    return ServiceLink(asn, infrastructure, given.vpc, given.subnet, anchors)


def _gateway(form: TopologyForm, name: str, gateway: LocalGatewayForm, asn: int) -> LocalGateway:
    vpcs = gateway.vpcs
    if vpcs is None:
        vpcs = [
            vpc
            for vpc, spec in form.vpcs.items()
            if any(subnet.outpost == name for subnet in spec.subnets.values())
        ]
    routes: tuple[GatewayRoute, ...] = (GatewayRoute(DEFAULT_ROUTE),)
    if gateway.routes is not None:
        routes = tuple(
            GatewayRoute(route.destination, references.interface_of(route.target))
            for route in gateway.routes
        )
    return LocalGateway(
        asn=asn,
        mode=gateway.mode,
        vif_group=gateway.vif_group,
        vpcs=tuple(vpcs),
        routes=routes,
        pools=tuple(CoipPool(n, tuple(pool.cidrs)) for n, pool in gateway.coip_pools.items()),
    )


def _vif(
    outpost: OutpostForm,
    kind: VifPurpose,
    index: int,
    device: int,
    own: Mapping[str, int],
    customer: int,
) -> Vif:
    given = next((vif for vif in vifs(outpost, kind) if vif.device == device), None)
    given = given or VifForm(device=1 if device == 1 else 2)
    number = 2 * index + device
    local, peer = _ends(given, kind, number - 1)
    return Vif(
        vlan=given.vlan or FIRST_VLAN[kind] + number,
        local_address=local,
        peer_address=peer,
        local_bgp_asn=own[kind],
        peer_bgp_asn=given.peer_bgp_asn or customer,
    )


def _ends(given: VifForm, kind: VifPurpose, number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """(local, peer) of a VIF; `number` counts the VIFs of a kind from 0."""
    local, peer = given.local_address, given.peer_address
    if local is not None:
        return local, peer or other_end(local)
    if peer is not None:
        return other_end(peer), peer
    # past the pool's end the rules refuse the number of Outposts
    return point_to_point(POOLS[kind], number % 2**15)
