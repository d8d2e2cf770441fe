"""What is derived for a rack: devices, LAGs, VLANs, ASNs and addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Literal

from testbed.errors import Path
from testbed.topology import references
from testbed.topology.form_factors import RACKS, FormFactor
from testbed.topology.model import (
    LOCAL_GATEWAY_VRF,
    ONLY_DOMAIN,
    Anchor,
    CoipPool,
    GatewayRoute,
    Lag,
    Rack,
    RoutingDomain,
    ServiceLink,
    Vif,
)
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import (
    LocalGatewayForm,
    OutpostForm,
    RouteTableAndVifGroupForm,
    RoutingDomainForm,
    TopologyForm,
    VifForm,
)

VifKind = Literal["service_link", "local_gateway"]

INFRASTRUCTURE = IPv4Network("10.200.0.0/16")
FIRST_LENGTH = 26  # of a first-generation compute rack's; the first of each Outpost comes first
FURTHER_INFRASTRUCTURE = IPv4Network("10.200.64.0/18")
LARGE_INFRASTRUCTURE = IPv4Network("10.200.128.0/17")
POOLS: dict[VifKind, IPv4Network] = {
    "service_link": IPv4Network("198.18.0.0/16"),  # benchmarking addresses (RFC 2544)
    "local_gateway": IPv4Network("198.19.0.0/16"),
}
# An Outpost's first two VIFs of a kind have numbers of its own, all others from here on.
FURTHER_VIFS = range(512, 2**15)
VLANS: dict[VifKind, range] = {
    "service_link": range(1001, 2000),
    "local_gateway": range(2001, 4095),
}
FIRST_ASN: dict[VifKind, int] = {"service_link": 64512, "local_gateway": 64513}
FIRST_LONG_ASN = 4200000000
TWO_BYTE_ASNS = 240  # Outposts; the devices' derived ASNs start at 65000
DEFAULT_ROUTE = IPv4Network("0.0.0.0/0")


def derived_asn(index: int, kind: VifKind) -> int:
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


def domains(outpost: OutpostForm) -> dict[str, RouteTableAndVifGroupForm]:
    """The routing domains that the file gives a rack, by name."""
    gateway = outpost.local_gateway or LocalGatewayForm()
    return {**gateway.routing_domains} or {ONLY_DOMAIN: gateway}


def domain_path(outpost: str, domain: str) -> Path:
    """Where the file has a routing domain of an Outpost's local gateway."""
    path: Path = ("outposts", outpost, "local_gateway")
    return (*path, "routing_domains", domain) if domain else path


def vif_forms(outpost: OutpostForm, domain: str | None) -> list[VifForm]:
    """The VIFs that the file gives for a routing domain, or for the service link (None)."""
    if domain is None:
        return outpost.service_link.vifs
    return domains(outpost)[domain].vifs or []


def lag_of(shape: FormFactor, vif: VifForm) -> int | None:
    """The number of the LAG that the file gives a VIF for; None where it does not say."""
    if vif.lag is None and vif.device is not None and shape.lags_per_device == 1:
        return vif.device
    return vif.lag


def customer_devices(form: TopologyForm, outpost: OutpostForm) -> list[str] | None:
    """The customer devices of a rack's LAGs, in turn; None when the file must say.

    A server has none.
    """
    shape = RACKS.get(outpost.form_factor)
    if shape is None:
        return []
    names = outpost.devices or references.device_names(form.site)
    if outpost.devices or len(names) in shape.customer_devices:
        return list(names)
    return None


def derive_rack(
    form: TopologyForm,
    name: str,
    index: int,
    asns: Mapping[str, int],
    report: Report,
    numbers: Numbers,
) -> Rack:
    """Return the resolved rack; `index` is its number from 0, `asns` are the devices'."""
    outpost = form.outposts[name]
    shape = RACKS[outpost.form_factor]
    vifs = _Vifs(outpost, name, index, shape, asns, numbers)
    found = _domains(form, name, index, numbers)
    return Rack(
        name=name,
        number=index + 1,
        form_factor=outpost.form_factor,
        zone=outpost.zone or references.zones(form)[0],
        resolver=outpost.resolver,
        lags=tuple(_lags(outpost, shape, _devices(form, name, shape, report), found, vifs)),
        service_link=_service_link(form, name, index, shape, numbers),
        domains=found,
        drained=tuple(outpost.drained),
        compute_racks=outpost.compute_racks,
        servers=tuple(racks_of_servers(outpost)),
        device_racks=tuple(_device_racks(outpost, shape)),
    )


def racks_of_servers(outpost: OutpostForm) -> list[int]:
    """The rack of each server that the capacity names: as many in each, in order, from 1."""
    count = len(outpost.capacity.servers) if outpost.capacity else 0
    return [place * outpost.compute_racks // count + 1 for place in range(count)]


def _device_racks(outpost: OutpostForm, shape: FormFactor) -> list[int]:
    """The rack of each networking device, from 1; none where they have a rack of their own."""
    count = shape.devices(outpost.compute_racks)
    if shape.separate:
        return []
    return [place * min(outpost.compute_racks, 2) // count + 1 for place in range(count)]


def _devices(form: TopologyForm, name: str, shape: FormFactor, report: Report) -> list[str]:
    """Return the customer devices that a rack is connected to, in the order of its LAGs."""
    if (devices := customer_devices(form, form.outposts[name])) is not None:
        return devices
    path: Path = ("outposts", name)
    names = references.device_names(form.site)
    if not names:
        return ["none"]  # which the rules of sites report
    if not report.touched((*path, "devices")):
        wanted = " or ".join(str(number) for number in shape.customer_devices)
        message = f"does not say which of the site's {len(names)} devices it is connected to"
        if len(names) < min(shape.customer_devices):
            message = f"needs {wanted} customer devices; the site has {len(names)}"
        hint = "write devices: [FIRST, SECOND]"
        if shape.customer_devices != (1, 2):
            hint = f"{shape.title} is connected to {wanted} customer devices; {hint}"
        report.add(path, message, hint, key=True)
    return names[: max(shape.customer_devices)]


def _lags(
    outpost: OutpostForm,
    shape: FormFactor,
    devices: list[str],
    found: tuple[RoutingDomain, ...],
    vifs: _Vifs,
) -> Iterator[Lag]:
    for place in range(shape.lags(outpost.compute_racks)):
        number, device = place + 1, devices[place % len(devices)]
        local = (vifs.local_gateway(domain, number, device) for domain in found)
        yield Lag(
            number=number,
            device=place // shape.lags_per_device + 1,
            index=place % shape.lags_per_device,
            customer_device=device,
            members=outpost.uplinks.per_device,
            speed_gbps=int(outpost.uplinks.speed.removesuffix("G")),
            bfd=outpost.uplinks.bfd,
            service_link=vifs.service_link(number, device),
            local_gateways=tuple(vif for vif in local if vif is not None),
        )


def _service_link(
    form: TopologyForm, name: str, index: int, shape: FormFactor, numbers: Numbers
) -> ServiceLink:
    """The service link; private anchors have the last usable addresses of their subnet."""
    outpost = form.outposts[name]
    given = outpost.service_link
    asn = given.asn or derived_asn(index, "service_link")
    cidrs = _infrastructure(outpost, name, index, shape, numbers)
    prefixes = shape.split(cidrs, shape.devices(outpost.compute_racks))
    if given.connectivity == "public" or given.vpc is None or given.subnet is None:
        return ServiceLink(asn, cidrs, prefixes)
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
    return ServiceLink(asn, cidrs, prefixes, given.vpc, given.subnet, anchors)


def _infrastructure(
    outpost: OutpostForm, name: str, index: int, shape: FormFactor, numbers: Numbers
) -> tuple[IPv4Network, ...]:
    """The infrastructure subnets: the file's, else from their pool's part for that length."""
    given = outpost.service_link
    if given.infrastructure_cidrs is not None or given.infrastructure_cidr is not None:
        own = () if given.infrastructure_cidr is None else (given.infrastructure_cidr,)
        return tuple(given.infrastructure_cidrs or ()) or own
    length = shape.infrastructure_length
    count = shape.infrastructure_subnets(outpost.compute_racks)
    names = [name, *(f"{name}/{number}" for number in range(2, count + 1))]
    part = FURTHER_INFRASTRUCTURE if length == FIRST_LENGTH else LARGE_INFRASTRUCTURE
    size = 2 ** (32 - length)
    first = int(part.network_address - int(INFRASTRUCTURE.network_address)) // size
    choices = [range(first, first + part.num_addresses // size)]
    if length == FIRST_LENGTH:
        choices.insert(0, range(index, index + 1))
    claimed = numbers.claim_all(f"infrastructure-cidr/{length}", names, *choices)
    return tuple(  # where there is no room any more they overlap, which the rules refuse
        IPv4Network((INFRASTRUCTURE.network_address + size * claimed.get(each, first), length))
        for each in names
    )


def _domains(
    form: TopologyForm, name: str, index: int, numbers: Numbers
) -> tuple[RoutingDomain, ...]:
    """The routing domains of a rack's local gateway."""
    outpost = form.outposts[name]
    forms = domains(outpost)
    claimed = numbers.claim_all(f"routing-domain/{name}", forms, range(1, len(forms) + 10))
    gateway = outpost.local_gateway or LocalGatewayForm()
    return tuple(
        RoutingDomain(
            name=domain,
            number=claimed[domain],
            asn=entry.asn or gateway.asn or derived_asn(index, "local_gateway"),
            mode=entry.mode,
            vif_group=entry.vif_group,
            vpcs=tuple(_vpcs(form, name) if entry.vpcs is None else entry.vpcs),
            routes=_routes(entry),
            pools=tuple(CoipPool(n, tuple(pool.cidrs)) for n, pool in entry.coip_pools.items()),
            vrf=(isinstance(entry, RoutingDomainForm) and entry.vrf) or domain or LOCAL_GATEWAY_VRF,
        )
        for domain, entry in forms.items()
    )


def _vpcs(form: TopologyForm, name: str) -> list[str]:
    """The VPCs that have a subnet on an Outpost."""
    return [
        vpc
        for vpc, spec in form.vpcs.items()
        if any(subnet.outpost == name for subnet in spec.subnets.values())
    ]


def _routes(entry: RouteTableAndVifGroupForm) -> tuple[GatewayRoute, ...]:
    if entry.routes is None:
        return (GatewayRoute(DEFAULT_ROUTE),)
    return tuple(
        GatewayRoute(route.destination, references.interface_of(route.target))
        for route in entry.routes
    )


@dataclass(frozen=True, slots=True)
class _Vifs:
    """The virtual interfaces of one rack."""

    outpost: OutpostForm
    name: str
    index: int
    shape: FormFactor
    asns: Mapping[str, int]
    numbers: Numbers

    def service_link(self, lag: int, device: str) -> Vif:
        """The service link's on a LAG; AWS makes it."""
        given = self._given(None, lag)
        asn = self.outpost.service_link.asn or derived_asn(self.index, "service_link")
        return self._vif(given or VifForm(lag=lag), None, asn, lag, device)

    def local_gateway(self, domain: RoutingDomain, lag: int, device: str) -> Vif | None:
        """A routing domain's on a LAG; None where it is for the customer to make, and not made."""
        given = self._given(domain.name, lag)
        entry = domains(self.outpost)[domain.name]
        if given is None and self.shape.customer_vifs and entry.vifs is not None:
            return None
        given = given or VifForm(lag=lag)
        if given.vlan is None and isinstance(entry, RoutingDomainForm) and entry.vlan:
            given = given.model_copy(update={"vlan": entry.vlan})
        return self._vif(given, domain.name, domain.asn, lag, device)

    def _given(self, domain: str | None, lag: int) -> VifForm | None:
        forms = vif_forms(self.outpost, domain)
        return next((vif for vif in forms if lag_of(self.shape, vif) == lag), None)

    def _vif(self, given: VifForm, domain: str | None, asn: int, lag: int, device: str) -> Vif:
        kind: VifKind = "service_link" if domain is None else "local_gateway"
        number = self._number(kind, domain, lag)
        local, peer = _ends(given, kind, number)
        return Vif(
            vlan=given.vlan or VLANS[kind][number % len(VLANS[kind])],
            local_address=local,
            peer_address=peer,
            local_bgp_asn=asn,
            peer_bgp_asn=given.peer_bgp_asn or self.asns.get(device, 0),
            domain=domain,
        )

    def _number(self, kind: VifKind, domain: str | None, lag: int) -> int:
        """Its number among all VIFs of a kind: an Outpost's first two have numbers of its own."""
        own = range(2 * self.index, 2 * self.index + 2)
        name = f"{self.name}/{domain}/{lag}" if domain else f"{self.name}/{lag}"
        kinds = f"vif/{kind}"
        # past the pool's end the rules refuse the number of Outposts
        return self.numbers.claim_all(kinds, [name], own, FURTHER_VIFS).get(name, own[0])


def _ends(given: VifForm, kind: VifKind, number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """(local, peer) of a VIF; `number` counts the VIFs of a kind from 0."""
    local, peer = given.local_address, given.peer_address
    if local is not None:
        return local, peer or other_end(local)
    if peer is not None:
        return other_end(peer), peer
    return point_to_point(POOLS[kind], number % 2**15)
