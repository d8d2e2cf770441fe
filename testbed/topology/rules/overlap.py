"""Address ranges that must not overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.errors import Path
from testbed.topology.derive.rack import domain_path
from testbed.topology.derive.site import LINK_CIDR
from testbed.topology.form_factors import RACKS
from testbed.topology.model import INTERNAL, Rack, Subnet, Topology
from testbed.topology.report import Report
from testbed.topology.rules.rack import place_of
from testbed.topology.schema import TopologyForm

_APART = frozenset(
    {"public", "elastic", "internet", "infrastructure", "segment", "links", "internal"}
)
# which kinds must not overlap which; a service link's routes suffer from every
# overlap (S2), a routing domain's ranges must not overlap (L3)
CONFLICTS = {
    **dict.fromkeys(_APART, _APART),
    "vif": _APART,
    "coip": _APART | {"coip", "vif"},
    "vpc": frozenset({"infrastructure", "internal"}),
    "outpost subnet": frozenset({"segment", "links"}),
}


@dataclass(frozen=True, slots=True)
class Range:
    """An address range in use: what for, and where the file says so."""

    network: IPv4Network
    kind: str
    title: str
    path: Path


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Report every overlap of two ranges that must be apart, at the later of the two."""
    ranges = list(_ranges(form, topology))
    index: dict[IPv4Network, list[int]] = {}
    for number, entry in enumerate(ranges):
        index.setdefault(entry.network, []).append(number)
    for number, entry in enumerate(ranges):
        network = entry.network
        for length in range(network.prefixlen, -1, -1):
            around = network.supernet(new_prefix=length)
            for other in index.get(around, ()):
                # equal ranges meet twice: take the pair once
                if other != number and (around != network or other < number):
                    _pair(ranges, number, other, report)


def _pair(ranges: list[Range], first: int, second: int, report: Report) -> None:
    one, other = ranges[first], ranges[second]
    if other.kind not in CONFLICTS[one.kind] and one.kind not in CONFLICTS[other.kind]:
        return
    # at the one that the file writes out, the later of two
    given = [number for number in (first, second) if report.has(ranges[number].path)]
    at = max(given) if given else max(first, second)
    other = ranges[second if at == first else first]
    entry = ranges[at]
    message = f"{entry.network} overlaps {other.title} ({other.network})"
    hint = "choose a free block"
    if other.kind == "links":
        hint += ", or another site.link_cidr"
    elif other.kind == "infrastructure" and not report.has(other.path):
        hint += f", or write the Outpost's infrastructure_cidr ({other.network} is derived)"
    report.add(entry.path, message, hint)


def _ranges(form: TopologyForm, topology: Topology) -> Iterator[Range]:
    yield Range(INTERNAL, "internal", "the testbed's own addresses inside AWS", ("nowhere",))
    public = topology.region.public_cidr
    yield Range(public, "public", "the Region's public_cidr", ("region", "public_cidr"))
    if topology.region.internet:
        title = "the Region's elastic_ip_cidr"
        elastic = topology.region.elastic_ip_cidr
        yield Range(elastic, "elastic", title, ("region", "elastic_ip_cidr"))
        title, cidr = "the internet's cidr", topology.region.internet.cidr
        yield Range(cidr, "internet", title, ("region", "internet", "cidr"))
    links = form.site.link_cidr or LINK_CIDR
    yield Range(links, "links", "the site's link_cidr", ("site", "link_cidr"))
    for vpc in topology.vpcs.values():
        at: Path = ("vpcs", vpc.name)
        yield Range(vpc.cidr, "vpc", f"the VPC {vpc.name}", (*at, "cidr"))
        for subnet in vpc.subnets:
            if subnet.outpost and _is_direct(topology, subnet):
                title = f"the Outpost subnet {subnet.name}"
                path = (*at, "subnets", subnet.name, "cidr")
                yield Range(subnet.cidr, "outpost subnet", title, path)
    for rack in topology.racks.values():
        yield from _rack_ranges(rack)
    for segment in topology.site.segments:
        path = ("site", "segments", segment.name, "cidr")
        yield Range(segment.cidr, "segment", f"the segment {segment.name}", path)


def _rack_ranges(rack: Rack) -> Iterator[Range]:
    name = rack.name
    at: Path = ("outposts", name)
    path = (*at, "service_link", "infrastructure_cidr")
    several = rack.service_link.infrastructure_cidrs
    for number, cidr in enumerate(several, start=1):
        title = f"the infrastructure subnet of {name}"
        if len(several) > 1:
            title = f"infrastructure subnet {number} of {name}"
        yield Range(cidr, "infrastructure", title, path)
    for domain in rack.domains:
        for pool in domain.pools:
            for index, cidr in enumerate(pool.cidrs):
                path = (*domain_path(name, domain.name), "coip_pools", pool.name, "cidrs", index)
                yield Range(cidr, "coip", f"the customer-owned IP pool {pool.name} of {name}", path)
    for lag in rack.lags:
        on = place_of(RACKS[rack.form_factor], lag)
        for vif in lag.vifs:
            title = f"the {vif.title.replace('-', ' ', 1)} VIF of {name} on {on}"
            path = (*at, "service_link") if vif.domain is None else domain_path(name, vif.domain)
            yield Range(vif.local_address.network, "vif", title, (*path, "vifs"))


def _is_direct(topology: Topology, subnet: Subnet) -> bool:
    """Whether the site knows the subnet by its own addresses."""
    domain = topology.domain(subnet.outpost or "", subnet.vpc)
    return domain is not None and domain.mode == "direct-vpc-routing"
