"""What must hold once a plan is up: `up` waits for it, and `status` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class LinkCheck:
    """The interface has carrier."""

    node: str
    interface: str
    kind: ClassVar[str] = "link"


@dataclass(frozen=True, slots=True)
class LagCheck:
    """Every member of the bond is collecting and distributing towards one partner."""

    node: str
    interface: str
    members: tuple[str, ...]
    title: str
    kind: ClassVar[str] = "lag"


@dataclass(frozen=True, slots=True)
class BgpCheck:
    """The BGP session `protocol` of the node's daemon is Established.

    For BIRD `protocol` is its name there; for FRR it is the VRF. In a configuration of the
    customer's own it is "", and the session the one with `neighbor`, whatever it is called.
    """

    node: str
    daemon: Literal["bird", "frr"]
    protocol: str
    neighbor: str
    title: str
    kind: ClassVar[str] = "bgp"


@dataclass(frozen=True, slots=True)
class TunnelCheck:
    """The WireGuard interface has a fresh handshake with `peer` (a WireGuardPeer's name)."""

    node: str
    interface: str
    peer: str
    title: str
    kind: ClassVar[str] = "tunnel"


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """The routing table has exactly this destination, or (`longest`) leads to it by any prefix."""

    node: str
    table: int
    destination: str
    title: str
    match: Literal["exact", "longest"] = "exact"
    kind: ClassVar[str] = "route"


@dataclass(frozen=True, slots=True)
class TableRouteCheck:
    """A route of a route table of AWS's is active or a blackhole, as `state` says.

    `destinations` are what the node's kernel table has for it; `owner`,
    `route_table`, `destination`, `target` and `origin` say whose it is, in
    AWS's words.
    """

    node: str
    table: int
    destinations: tuple[str, ...]
    owner: str
    route_table: str
    destination: str
    target: str
    origin: str
    title: str
    state: Literal["active", "blackhole"] = "active"
    kind: ClassVar[str] = "table_route"


@dataclass(frozen=True, slots=True)
class ListenCheck:
    """Something listens on the port in the node."""

    node: str
    protocol: Literal["tcp", "udp"]
    port: int
    title: str
    kind: ClassVar[str] = "listen"


@dataclass(frozen=True, slots=True)
class AddressCheck:
    """The interface has the IPv4 `address`, or any: a lease, a gateway that it shares."""

    node: str
    interface: str
    title: str
    address: str = ""
    kind: ClassVar[str] = "address"


@dataclass(frozen=True, slots=True)
class ManagementCheck:
    """The collector of metrics in the node says that `subject` is connected."""

    node: str
    subject: str
    title: str
    kind: ClassVar[str] = "management"


RouteState = Literal["pending", "active", "blackhole"]
VifGroupState = Literal["pending", "incomplete", "available"]  # as the API has them


@dataclass(frozen=True, slots=True)
class GatewayPort:
    """A way into and out of a route table: an interface and, if any, BIRD's session on it.

    `role` is what it stands for ("vif", "vpc").
    """

    role: str
    name: str
    node: str
    interface: str
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class GatewayRoute:
    """A route of a route table, and the state that it is expected in.

    Its state is what the kernel's `table` has for the destination; a route
    that leads `through` a kind of port also needs one that works.
    """

    destination: str
    target: str
    origin: Literal["static", "propagated"]
    table: int
    expected: RouteState = "active"
    through: str = ""


@dataclass(frozen=True, slots=True)
class LocalGatewayCheck:
    """The route table of a local gateway: its ports work, its routes are as expected.

    `mode` cannot be changed without making the table anew; `lacks` says what
    it needs before it can be active. `vif_group` is its VIF group's state: pending without any
    VIF, incomplete without one on each LAG.
    """

    node: str
    title: str
    mode: str
    ports: tuple[GatewayPort, ...] = ()
    routes: tuple[GatewayRoute, ...] = ()
    lacks: tuple[str, ...] = ()
    vif_group: VifGroupState = "available"
    kind: ClassVar[str] = "local-gateway"


Check = (
    LinkCheck
    | LagCheck
    | BgpCheck
    | TunnelCheck
    | RouteCheck
    | TableRouteCheck
    | LocalGatewayCheck
    | ListenCheck
    | ManagementCheck
    | AddressCheck
)
