"""Outposts servers, and local network interfaces of their instances."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from testbed.topology.model.region import Anchor

SERVER_PORT_GBPS = 10  # of either leg of the breakout cable (facts: N1, T2)
DefaultRoute = Literal["policy", "preferred", "none"]


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """The customer's switch port at one leg of a server's breakout cable.

    It is in `segment` without tags (None: such frames are dropped), and in the segments `tagged`
    with tags. `problems` says why the link does not come up, `max_macs` how many MAC addresses
    its port security admits (None: any number).
    """

    segment: str | None
    tagged: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    max_macs: int | None = None


@dataclass(frozen=True, slots=True)
class ServerLink:
    """A server's service link: one address on an untagged port (facts: N1).

    Without an `address` the segment's DHCP server has none left for it.
    """

    port: SwitchPort
    address: IPv4Interface | None
    dhcp: bool
    gateway: IPv4Address | None
    name_servers: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """An Outposts server; `number` is its own for as long as it exists, as a rack's is.

    It has no local gateway, no BGP and no private connectivity (facts: N1). `local_port` is the
    switch port of its local network interfaces, if it is connected. `wrong_key` says that the key
    which it gives AWS at its installation is not the one that AWS knows; `public_keys` are those
    that AWS knows of its two tunnels, None its own.
    """

    name: str
    number: int
    form_factor: str
    zone: str
    link: ServerLink
    local_port: SwitchPort | None = None
    wrong_key: bool = False
    public_keys: tuple[str | None, str | None] = (None, None)

    @property
    def private_anchors(self) -> tuple[Anchor, ...]:
        """None: a server's service link goes to the Region's public addresses (facts: N1)."""
        return ()

    @property
    def resolver(self) -> bool:
        """False: Route 53 Resolver on Outposts is for racks (AWS: what is AWS Outposts)."""
        return False


@dataclass(frozen=True, slots=True)
class LanNetwork:
    """What an instance's system has on a local network interface, in one VLAN or untagged.

    `segment` is where its frames end up (None: nowhere). Without an `address` nobody has given
    it one. What it does with the `gateway`: with ``policy`` what is from its own address goes
    there, with ``preferred`` all that has no other route, too; `routes` are the networks that it
    reaches by it anyway.
    """

    vlan: int | None
    segment: str | None
    address: IPv4Interface | None
    dhcp: bool
    gateway: IPv4Address | None
    default_route: DefaultRoute
    routes: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalNetworkInterface:
    """A local network interface (LNI): an instance's own interface on the customer's LAN.

    No security groups, network ACLs or route tables of the VPC hold for it (facts: N1, N2).
    Bandwidths are in Mbit/s.
    """

    name: str
    server: str
    instance: str
    device_index: int
    networks: tuple[LanNetwork, ...]
    baseline_mbps: float
    burst_mbps: float


@dataclass(frozen=True, slots=True)
class Speaker:
    """A node of a layer-2 service: an instance, its local network interface and VLAN there.

    `address` is where the other nodes' heartbeats reach it (None: it has none): in the LAN the
    first one of its local network interface. `network` is the LAN's index among those of the
    interface.
    """

    instance: str
    interface: str
    network: int
    address: IPv4Address | None


@dataclass(frozen=True, slots=True)
class Layer2Service:
    """A service address in a LAN segment, which one of its speakers announces by ARP."""

    name: str
    address: IPv4Address
    segment: str | None
    speakers: tuple[Speaker, ...]
    heartbeats: Literal["lan", "vpc"] = "lan"
