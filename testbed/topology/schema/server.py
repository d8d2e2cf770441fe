"""Outposts servers and local network interfaces, as the topology file has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.topology.addresses import Address, Cidr, Interface
from testbed.topology.schema.base import Form
from testbed.topology.values import Name, Vlan


class SwitchPortForm(Form):
    """The customer's switch port at a leg of a server's breakout cable, and what is in it."""

    speed: Literal["1G", "10G", "25G"] = Field(
        "10G", description="Its speed; a server's is 10G. Default: 10G."
    )
    auto_negotiation: bool = Field(
        default=False,
        description="Whether it negotiates the speed; a server does not. Default: false.",
    )
    cable: Literal["provided", "other", "none"] = Field(
        "provided",
        description="The cable: the one that comes with the server, another one, or none. Default:"
        " provided.",
    )
    mode: Literal["access", "trunk"] = Field(
        "access",
        description="access: its segment's frames have no tag; trunk: they have, which is"
        " wrong for the service link. Default: access.",
    )
    max_macs: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="How many MAC addresses its port security admits. Default: any number.",
    )


class LocalPortForm(Form):
    """Where the LNI leg of a server's breakout cable is plugged in."""

    segment: Name | None = Field(
        None, description="The segment that frames without a tag are in. Default: none."
    )
    tagged: list[Name] = Field(
        default=[],
        description="The segments that frames with their VLAN IDs are in: the port is a trunk."
        " Default: none.",
    )
    switch_port: SwitchPortForm = Field(
        SwitchPortForm(), description="The switch port. Default: as AWS asks for it."
    )


class LanNetworkForm(Form):
    """What an instance's system has on its local network interface, in one VLAN or untagged."""

    vlan: Vlan | None = Field(
        None, description="The VLAN ID with which it tags its frames. Default: none, untagged."
    )
    address: Interface | Literal["dhcp"] = Field(
        "dhcp", description="Its address with the prefix length, or dhcp. Default: dhcp."
    )
    gateway: Address | None = Field(
        None, description="With an address, its gateway. Default: the segment's."
    )
    default_route: Literal["policy", "preferred", "none"] = Field(
        "policy",
        description="Where it sends what has no other route: policy, to the gateway what is from"
        " this address, the rest to the VPC; preferred, all to the gateway; none, nothing to the"
        " gateway. Default: policy.",
    )
    routes: list[Cidr] = Field(
        default=[], description="Networks that it reaches by the gateway. Default: none."
    )


class Layer2ServiceForm(Form):
    """A service address in the customer's LAN, announced by ARP as MetalLB's layer-2 mode does."""

    address: Address = Field(
        description="The address, of the LAN segment that the nodes' local network interfaces are"
        " in. No DHCP server leases it."
    )
    nodes: list[Name] = Field(
        min_length=1,
        description="The instances that offer the service, one of which announces the address.",
    )
    heartbeats: Literal["lan", "vpc"] = Field(
        "lan",
        description="By which of their addresses the nodes watch each other: lan, those of their"
        " local network interfaces; vpc, those in the VPC. Default: lan.",
    )
