"""Outposts."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Literal

from testbed.topology.model.region import Anchor

FormFactor = Literal["rack", "server"]

LocalGatewayMode = Literal["direct-vpc-routing", "coip"]


@dataclass(frozen=True, slots=True)
class Vif:
    """A virtual interface: one VLAN and one eBGP session on one LAG (facts: R1, botocore).

    `local_*` is the Outpost's side, `peer_*` the customer's.
    """

    vlan: int
    local_address: IPv4Interface
    peer_address: IPv4Interface
    local_bgp_asn: int
    peer_bgp_asn: int


@dataclass(frozen=True, slots=True)
class Lag:
    """The LAG of one Outpost networking device (OND) to one customer device."""

    device: int  # which OND: 1 or 2
    customer_device: str
    members: int
    speed_gbps: int
    bfd: bool
    service_link: Vif
    local_gateway: Vif


@dataclass(frozen=True, slots=True)
class ServiceLink:
    """The encrypted path to the Region; each OND owns one half of `infrastructure_cidr`.

    With private connectivity the anchors are network interfaces in `subnet`
    of `vpc`, with public connectivity the Region's (facts: H2, S2).
    """

    asn: int
    infrastructure_cidr: IPv4Network
    vpc: str | None = None
    subnet: str | None = None
    private_anchors: tuple[Anchor, ...] = ()

    def own_prefix(self, device: int) -> IPv4Network:
        """The /27 that OND `device` announces with path length 1 (facts: R1, R2)."""
        return list(self.infrastructure_cidr.subnets(prefixlen_diff=1))[device - 1]


@dataclass(frozen=True, slots=True)
class GatewayRoute:
    """A static route of a local gateway route table (facts: botocore, L2).

    Its target is the network interface `interface`, or the VIF group where
    that is None.
    """

    destination: IPv4Network
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class CoipPool:
    """A pool of customer-owned IP addresses (facts: L4, R1)."""

    name: str
    cidrs: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class LocalGateway:
    """A rack's local gateway with its one route table.

    `vif_group` says whether the table is associated with the VIF group, `vpcs`
    are its VPC associations, `routes` its static routes, `pools` the
    customer-owned IP pools of a table in CoIP mode.
    """

    asn: int
    mode: LocalGatewayMode
    vif_group: bool
    vpcs: tuple[str, ...]
    routes: tuple[GatewayRoute, ...]
    pools: tuple[CoipPool, ...]

    @property
    def lacks(self) -> tuple[str, ...]:
        """What the route table needs before it forwards anything (facts: L1, L3)."""
        needs = {
            "VIF group association": self.vif_group,
            "VPC association": bool(self.vpcs),
            "static route to the VIF group": any(r.interface is None for r in self.routes),
        }
        return tuple(name for name, there in needs.items() if not there)

    @property
    def pool_cidrs(self) -> tuple[IPv4Network, ...]:
        """The CIDR blocks of all pools."""
        return tuple(cidr for pool in self.pools for cidr in pool.cidrs)


@dataclass(frozen=True, slots=True)
class Outpost:
    """An Outposts rack; `number` is its own for as long as it exists, from 1 to MAX_OUTPOSTS.

    `resolver` says whether Route 53 Resolver on Outposts runs on it, `drained`
    are the ONDs that traffic is shifted off, for maintenance (facts: R1, H1).
    """

    name: str
    number: int
    form_factor: FormFactor
    zone: str
    lags: tuple[Lag, ...]
    service_link: ServiceLink
    local_gateway: LocalGateway
    resolver: bool = False
    drained: tuple[int, ...] = ()
