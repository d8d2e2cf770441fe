"""What the customer owns, as the topology file has it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.topology.addresses import Cidr
from testbed.topology.model import FirewallFilter
from testbed.topology.schema.base import Form
from testbed.topology.schema.bgp import BgpForm
from testbed.topology.schema.direct_connect import DirectConnectForm
from testbed.topology.schema.lan import HostForm, SegmentForm
from testbed.topology.values import (
    CustomerAsn,
    Delay,
    HostInterface,
    InterfaceName,
    Mtu,
    Name,
    Rate,
)


class HostInterfacesForm(Form):
    """The cabling of a real customer device: a host interface for each link."""

    uplinks: dict[Name, list[HostInterface]] = Field(
        default={},
        description="For each of its Outposts, one for each link, in the LAG's order; if both ONDs"
        " are connected to it, OND 1's first.",
    )
    region: HostInterface | None = Field(
        None, description="For its link to the Region, if site.region_link has one."
    )
    wan: HostInterface | None = Field(
        None, description="For its connection to the WAN, if site.wan has one."
    )
    links: dict[Name, Annotated[list[HostInterface], Field(min_length=2, max_length=12)]] = Field(
        default={},
        description="Those of its link to each emulated device: for the VRF of the service link,"
        " then for that of the local gateway, then for those of routing domains.",
    )
    segments: dict[Name, HostInterface] = Field(
        default={}, description="For each LAN segment of which it is a router."
    )


class DeviceForm(Form):
    """A customer network device: router, LAG peer and VRF owner."""

    asn: CustomerAsn | None = Field(
        None,
        description="Its ASN. Default: one for all devices that share Outposts, 65000 for the"
        " first such group, 65001 for the next.",
    )
    daemon: Literal["bird", "frr"] = Field(
        "bird", description="Its routing daemon: bird or frr. Default: bird."
    )
    config: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="A file with its own daemon configuration, instead of a generated one; its"
        " path is below the topology file's folder.",
    )
    bgp: BgpForm = Field(
        BgpForm(), description="Its BGP settings. Default: all as the sessions' keys say."
    )
    config_interfaces: dict[InterfaceName, InterfaceName] = Field(
        default={},
        description="What its interfaces are called in `config`: the name there to the testbed's,"
        " such as bond0: op. VLANs follow. Default: the testbed's names.",
    )
    vrfs: dict[InterfaceName, list[InterfaceName]] = Field(
        default={},
        description="Further VRFs that `config` uses, each with the interfaces that are in it"
        " instead of in sl or lgw. Default: none.",
    )
    host_interfaces: HostInterfacesForm | None = Field(
        None,
        description="The host interfaces that a real device is cabled to. Default: it is emulated.",
    )


class LinkForm(Form):
    """A link between two customer devices; carries the VRFs of service link and local gateway."""

    devices: list[Name] = Field(
        min_length=2, max_length=2, description="The two devices that it connects."
    )
    delay: Delay = Field(0.0, description="One-way delay. Default: none.")
    rate: Rate = Field(0.0, description="Rate in each direction. Default: unlimited.")
    mtu: Mtu = Field(1500, description="MTU in bytes. Default: 1500.")


class RegionLinkForm(Form):
    """The path from the customer's devices to the Region's edge (VRF of the service link)."""

    devices: list[Name] | None = Field(
        None,
        description="The devices that have one; [] if Direct Connect is the only path. Default:"
        " all.",
    )
    delay: Delay = Field(10.0, description="One-way delay. Default: 10ms.")
    rate: Rate = Field(1000.0, description="Rate in each direction. Default: 1G.")
    mtu: Mtu = Field(1500, description="MTU in bytes. Default: 1500.")
    default_route: bool = Field(
        default=False,
        description="Whether the provider announces a default route beside AWS's ranges."
        " Default: false.",
    )


class FirewallForm(Form):
    """A firewall of the customer between devices and the Region."""

    devices: list[Name] = Field(
        min_length=1, description="The devices whose path to the Region it is on."
    )
    asn: CustomerAsn = Field(65400, description="Its ASN. Default: 65400.")
    filter: FirewallFilter = Field(
        "stateful",
        description="How it allows the traffic that AWS requires: stateful, or stateless with"
        " mirrored rules. Default: stateful.",
    )
    nat: bool = Field(
        default=False,
        description="Whether it translates addresses and ports to its own. Default: false.",
    )
    ruleset: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="A file with its own rules in nft's language, instead of filter and nat; its"
        " path is below the topology file's folder. Default: none.",
    )


class WanForm(Form):
    """The customer's WAN between data centres: one router (VRF of the local gateway)."""

    asn: CustomerAsn = Field(65500, description="The WAN router's ASN. Default: 65500.")
    devices: list[Name] | None = Field(
        None, min_length=1, description="The devices that connect to it. Default: all."
    )
    delay: Delay = Field(1.0, description="One-way delay of each connection. Default: 1ms.")
    rate: Rate = Field(1000.0, description="Rate in each direction. Default: 1G.")
    mtu: Mtu = Field(1500, description="MTU in bytes. Default: 1500.")


class InternetAccessForm(Form):
    """The site's own internet access: an internet provider's link of some devices (VRF lgw)."""

    devices: list[Name] = Field(min_length=1, description="The devices that have a link.")


class SiteForm(Form):
    """What the customer owns."""

    devices: dict[Name, DeviceForm] | None = Field(
        None, description="The customer network devices, by name. Default: cnd1 and cnd2."
    )
    links: list[LinkForm] | None = Field(
        None,
        description="The links between devices. Default: one between the two devices of each"
        " Outpost, a ring of more.",
    )
    region_link: RegionLinkForm = Field(
        RegionLinkForm(), description="The path to the Region. Default: every device has one."
    )
    wan: WanForm | None = Field(None, description="The WAN between data centres. Default: none.")
    internet: InternetAccessForm | None = Field(
        None, description="The site's own internet access. Default: none."
    )
    segments: dict[Name, SegmentForm] = Field(default={}, description="The LAN segments, by name.")
    hosts: dict[Name, HostForm] = Field(default={}, description="The hosts on them, by name.")
    link_cidr: Cidr | None = Field(
        None,
        description="The range of addresses of links, Region links and WAN connections, /8 to /20."
        " Default: 100.64.0.0/14.",
    )
    firewalls: dict[Name, FirewallForm] = Field(
        default={},
        description="The firewalls between devices and the Region, by name. Default: none.",
    )
    direct_connect: dict[Name, DirectConnectForm] = Field(
        default={}, description="The Direct Connect connections, by name. Default: none."
    )
