"""LAN segments and what is on them, as the topology file has them."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.addresses import Address, AddressRange, Cidr, Cidr6
from testbed.topology.model import Service
from testbed.topology.schema.base import Form
from testbed.topology.values import DomainName, HostInterface, Mtu, Name, Span, Vlan


class DhcpServerForm(Form):
    """A DHCP server on a segment, which also answers DNS."""

    range: AddressRange | None = Field(
        None,
        description="The first and the last address that it leases, FIRST-LAST. Default: the"
        " segment's upper half.",
    )
    address: Address | None = Field(
        None, description="Its own address. Default: the first free one from .5 on."
    )
    router: Address | None = Field(
        None,
        description="The default gateway of the leases. Default: the VRRP address, else the first"
        " device's.",
    )
    name_servers: list[Address] | None = Field(
        None,
        max_length=3,
        description="The name servers of the leases. Default: itself; it knows the site's hosts"
        " and asks the internet's resolver for the rest.",
    )
    domain: DomainName = Field(
        "site.example", description="The domain of the leases. Default: site.example."
    )
    lease_time: Span = Field(
        3600.0, description="How long a lease holds, at least 2m. Default: 1h."
    )


class VrrpForm(Form):
    """First-hop redundancy by VRRP: the segment's devices share one gateway address."""

    address: Address | None = Field(
        None, description="The shared address. Default: the segment's first one."
    )
    virtual_router_id: int | None = Field(
        None, ge=1, le=255, description="The virtual router's ID, 1 to 255. Default: derived."
    )
    interval: Span = Field(
        1.0, description="The time between advertisements, 10ms to 40s. Default: 1s."
    )
    priorities: dict[Name, int] = Field(
        default={},
        description="The devices' priorities, 1 to 254. Default: 100 for the first device, 10 less"
        " for each further one.",
    )


class SegmentForm(Form):
    """A LAN segment, with the customer's devices as its routers."""

    cidr: Cidr = Field(description="Its CIDR block, /8 to /29.")
    devices: list[Name] = Field(min_length=1, description="The devices that are its routers.")
    addresses: dict[Name, Address] = Field(
        default={},
        description="The devices' addresses on it, device to address. Default: the first free"
        " ones from .2 on.",
    )
    host_interfaces: list[HostInterface] = Field(
        default=[],
        description="The host interfaces that are its ports, for real machines. Default: none.",
    )
    vlan: Vlan | None = Field(
        None,
        description="Its VLAN ID on the site's switch. Default: none, it has a switch of its own.",
    )
    mtu: Mtu = Field(1500, description="Its MTU in bytes. Default: 1500.")
    mac_ageing: Span = Field(
        300.0,
        description="How long its switch remembers a MAC address; the shortest of a switch's"
        " segments counts. Default: 5m.",
    )
    floods: bool = Field(
        default=True,
        description="Whether its switch sends frames for MAC addresses that it does not know to"
        " all ports. Default: true.",
    )
    arp_timeout: Span | None = Field(
        None,
        description="How long its devices trust an ARP entry. Default: Linux's, about 30s.",
    )
    dhcp: DhcpServerForm | None = Field(None, description="Its DHCP and DNS server. Default: none.")
    vrrp: VrrpForm | None = Field(
        None, description="The gateway address that its devices share. Default: none."
    )
    ipv6_cidr: Cidr6 | None = Field(
        None,
        description="Its IPv6 block, a /64, which its devices advertise. Default: no IPv6.",
    )
    vrf: Name | None = Field(
        None,
        description="The devices' VRF that it is in: lgw, or that of a routing domain. Default:"
        " lgw.",
    )


class HostForm(Form):
    """A machine on a LAN segment."""

    segment: Name = Field(description="The segment that it is on.")
    address: Address | None = Field(
        None,
        description="Its address. Default: the first free one from .10 on, or with dhcp from the"
        " server's range.",
    )
    dhcp: bool = Field(
        default=False,
        description="Whether it gets its address from the segment's DHCP server. Default: false.",
    )
    services: list[Service] = Field(
        default=[], description="Its services: http, echo. Default: nothing."
    )
    arp_timeout: Span | None = Field(
        None, description="How long it trusts an ARP entry. Default: Linux's, about 30s."
    )
