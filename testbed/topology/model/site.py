"""What the customer owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface
from typing import Literal

from testbed.topology.model.base import Quality, Service
from testbed.topology.model.bgp import DeviceBgp
from testbed.topology.model.direct_connect import DirectConnect
from testbed.topology.model.lan import DhcpServer, Vrrp

FirewallFilter = Literal["stateful", "stateless"]
Daemon = Literal["bird", "frr"]

# The VRFs that every customer device has, as AWS recommends (facts: R1).
SERVICE_LINK_VRF = "sl"
LOCAL_GATEWAY_VRF = "lgw"


@dataclass(frozen=True, slots=True)
class HostInterfaces:
    """What a real device is cabled to: interfaces of the host, by the other end.

    `uplinks` are by Outpost, `links` (VRF sl, VRF lgw) by device, `segments` by name.
    """

    uplinks: Mapping[str, tuple[str, ...]]
    region: str | None
    wan: str | None
    links: Mapping[str, tuple[str, ...]]
    segments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Device:
    """A customer network device (CND): router, LAG peer and VRF owner.

    `config` is the text of the customer's own daemon configuration, from the
    file `config_file`, which then replaces the generated one. There its interfaces may have
    other names (`config_interfaces`, the testbed's by the customer's), and it may have further
    VRFs (`vrfs`, with the interfaces that are in each instead of in sl or lgw). One with
    `host_interfaces` is real: all that is built is the other ends of its cables.
    """

    name: str
    asn: int
    daemon: Daemon
    config: str | None = None
    host_interfaces: HostInterfaces | None = None
    config_file: str | None = None
    bgp: DeviceBgp = field(default_factory=DeviceBgp)
    config_interfaces: Mapping[str, str] = field(default_factory=dict)
    vrfs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteLink:
    """A routed link between two customer devices, in one of their VRFs.

    `addresses` are the ends' addresses, in the order of `devices`.
    """

    devices: tuple[str, str]
    vrf: str
    addresses: tuple[IPv4Interface, IPv4Interface]
    quality: Quality


@dataclass(frozen=True, slots=True)
class Uplink:
    """A customer device's link to a router that stands for a whole network.

    `addresses` are (the device's, the router's).
    """

    device: str
    addresses: tuple[IPv4Interface, IPv4Interface]
    quality: Quality


@dataclass(frozen=True, slots=True)
class Firewall:
    """A firewall of the customer's between devices and the Region (VRF sl).

    `inside` are its devices' links to it, as they would be to the Region's
    edge, `outside` is its own to the edge. `ruleset` is the customer's own, in
    nft's language, which then replaces `filter` and `nat`.
    """

    name: str
    asn: int
    inside: tuple[Uplink, ...]
    outside: Uplink
    filter: FirewallFilter
    nat: bool
    ruleset: str | None = None


@dataclass(frozen=True, slots=True)
class Wan:
    """The customer's WAN between data centres: one router, eBGP to every device (VRF lgw)."""

    asn: int
    uplinks: tuple[Uplink, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A LAN: one broadcast domain in a VRF of the devices' for local gateways.

    `routers` are the devices' addresses on it, (device, address with prefix length);
    `host_interfaces` are the host's interfaces that are ports of it. With a `vlan` it is that
    VLAN of the site's switch, else it has a switch of its own. The switch forgets a MAC
    address after `mac_ageing_s`; what is for one that it does not know leaves by all ports if it
    floods. `arp_timeout_s` is how long the routers trust what ARP has told them (None: as
    long as Linux does).
    """

    name: str
    cidr: IPv4Network
    routers: tuple[tuple[str, IPv4Interface], ...]
    host_interfaces: tuple[str, ...] = ()
    vlan: int | None = None
    mtu: int = 1500
    mac_ageing_s: float = 300.0
    floods: bool = True
    arp_timeout_s: float | None = None
    dhcp: DhcpServer | None = None
    vrrp: Vrrp | None = None
    ipv6_routers: tuple[tuple[str, IPv6Interface], ...] = ()
    vrf: str = LOCAL_GATEWAY_VRF

    @property
    def gateways(self) -> tuple[IPv4Address, ...]:
        """Where its machines send what is for elsewhere: the shared address, or all routers."""
        if self.vrrp is not None:
            return (self.vrrp.address.ip,)
        return tuple(address.ip for _, address in self.routers)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the customer's on a LAN segment.

    With `dhcp` it has its address from the segment's DHCP server. `arp_timeout_s` is how long it
    trusts what ARP has told it (None: as long as Linux does).
    """

    name: str
    segment: str
    address: IPv4Interface
    services: tuple[Service, ...]
    dhcp: bool = False
    arp_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """What the customer owns.

    `region_uplinks` lead straight to the Region's edge (VRF sl),
    `internet_uplinks` to the internet (VRF lgw). With `provider_default` the provider announces
    a default route beside AWS's ranges on the former.
    """

    devices: tuple[Device, ...]
    links: tuple[SiteLink, ...]
    region_uplinks: tuple[Uplink, ...]
    wan: Wan | None
    segments: tuple[Segment, ...]
    hosts: tuple[Host, ...]
    direct_connects: tuple[DirectConnect, ...] = ()
    firewalls: tuple[Firewall, ...] = ()
    internet_uplinks: tuple[Uplink, ...] = ()
    provider_default: bool = False
