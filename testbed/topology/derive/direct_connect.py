"""Filling in what the file leaves out of Direct Connect connections."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv4Network

from testbed.topology.derive.rack import other_end
from testbed.topology.derive.site import EXTRA_LINKS, LINK_CIDR, link_pair, room
from testbed.topology.model import (
    DeviceVrf,
    DirectConnect,
    Quality,
    Region,
    VirtualInterface,
    VirtualInterfaceKind,
    Vpc,
)
from testbed.topology.numbers import Numbers
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.direct_connect import (
    DirectConnectForm,
    PrivateVirtualInterfaceForm,
    PublicVirtualInterfaceForm,
    TransitVirtualInterfaceForm,
    VirtualInterfaceForm,
)

FIRST_VLAN = 101
KINDS: tuple[VirtualInterfaceKind, ...] = ("private", "transit", "public")
LINKS_PER_CONNECTION = 8
PUBLIC_MTU = 1500


def derive_direct_connects(
    form: TopologyForm, region: Region, vpcs: Mapping[str, Vpc], numbers: Numbers
) -> tuple[DirectConnect, ...]:
    """Return the Direct Connect connections."""
    choices = range(room(form.site.link_cidr or LINK_CIDR, LINKS_PER_CONNECTION))
    claimed = numbers.claim_all("direct-connect", form.site.direct_connect, choices)
    made = []
    for name, entry in form.site.direct_connect.items():
        number = claimed.get(name, 0)
        quality = Quality(entry.delay, entry.rate, 9001)
        vifs = tuple(_virtual_interfaces(form, entry, number, region, vpcs))
        made.append(DirectConnect(name, number, entry.device, quality, vifs))
    return tuple(made)


def _virtual_interfaces(
    form: TopologyForm,
    connection: DirectConnectForm,
    number: int,
    region: Region,
    vpcs: Mapping[str, Vpc],
) -> list[VirtualInterface]:
    given = (connection.private_vif, connection.transit_vif, connection.public_vif)
    made = []
    for index, entry in enumerate(given):
        if entry is None:
            continue
        target, asn, prefixes, mtu = _far_end(entry, region, vpcs)
        amazon, customer = _ends(form, entry, LINKS_PER_CONNECTION * number + index)
        made.append(
            VirtualInterface(
                kind=KINDS[index],
                target=target,
                vlan=entry.vlan or FIRST_VLAN + index,
                vrf=entry.vrf or _vrf(form, KINDS[index], target),
                amazon_asn=asn,
                amazon_address=amazon,
                customer_address=customer,
                prefixes=prefixes,
                bfd=entry.bfd,
                mtu=mtu,
                prefix_limit=getattr(entry, "prefix_pool_allocated_count_ipv4", 0),
                auth_key=entry.auth_key,
            )
        )
    return made


def _far_end(
    entry: VirtualInterfaceForm, region: Region, vpcs: Mapping[str, Vpc]
) -> tuple[str, int, tuple[IPv4Network, ...], int]:
    """Where a virtual interface ends: (target, Amazon's ASN, what it announces, MTU)."""
    if isinstance(entry, PrivateVirtualInterfaceForm):
        vpc = vpcs[entry.virtual_private_gateway]
        asn = vpc.virtual_private_gateway.asn if vpc.virtual_private_gateway else 0
        return vpc.name, asn, (vpc.cidr,), entry.mtu
    if isinstance(entry, TransitVirtualInterfaceForm):
        gateway = region.transit_gateways[entry.transit_gateway]
        attached = [vpcs[other.vpc].cidr for other in gateway.attachments if other.vpc]
        prefixes = tuple(dict.fromkeys(entry.allowed_prefixes or attached))
        return gateway.name, entry.asn, prefixes, entry.mtu
    assert isinstance(entry, PublicVirtualInterfaceForm)
    return "", region.asn, (region.public_cidr,), PUBLIC_MTU


def _ends(
    form: TopologyForm, entry: VirtualInterfaceForm, number: int
) -> tuple[IPv4Interface, IPv4Interface]:
    """(Amazon's, the customer's) address."""
    amazon, customer = entry.amazon_address, entry.customer_address
    if amazon is not None:
        return amazon, customer or other_end(amazon)
    if customer is not None:
        return other_end(customer), customer
    low, high = link_pair(form.site.link_cidr or LINK_CIDR, EXTRA_LINKS, number)
    return high, low


def _vrf(form: TopologyForm, kind: VirtualInterfaceKind, target: str) -> DeviceVrf:
    used = {outpost.service_link.vpc for outpost in form.outposts.values()}
    return "sl" if kind == "public" or (kind == "private" and target in used) else "lgw"
