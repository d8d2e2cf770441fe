"""Outposts racks: networking devices, LAGs, virtual interfaces, service link, local gateway."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Literal

from testbed.topology.model.region import Anchor

LocalGatewayMode = Literal["direct-vpc-routing", "coip"]
VifPurpose = Literal["service-link", "local-gateway"]
VifGroupState = Literal["pending", "incomplete", "available"]

BACKUP_PATH = 4  # AS numbers in a path that is not to be preferred (facts: R1, R2)
ONLY_DOMAIN = ""  # the name of a local gateway's routing domain where it has just the one


@dataclass(frozen=True, slots=True)
class Vif:
    """A virtual interface: one VLAN and one eBGP session on one LAG (facts: R1, botocore).

    `local_*` is the Outpost's side, `peer_*` the customer's. `domain` is the routing domain whose
    VIF group it is in; None: it is of the service link.
    """

    vlan: int
    local_address: IPv4Interface
    peer_address: IPv4Interface
    local_bgp_asn: int
    peer_bgp_asn: int
    domain: str | None = None

    @property
    def purpose(self) -> VifPurpose:
        """What it is for."""
        return "service-link" if self.domain is None else "local-gateway"

    @property
    def title(self) -> str:
        """``service-link``, ``local-gateway``, or ``local-gateway-DOMAIN``."""
        return f"{self.purpose}-{self.domain}" if self.domain else self.purpose


@dataclass(frozen=True, slots=True)
class Lag:
    """A LAG of an Outpost networking device (OND) to one customer device.

    `number` is its own in the Outpost and `device` its OND's, both from 1; `index` says
    which of its OND's LAGs it is, from 0.
    """

    number: int
    device: int
    index: int
    customer_device: str
    members: int
    speed_gbps: int
    bfd: bool
    service_link: Vif
    local_gateways: tuple[Vif, ...]  # at most one for each routing domain

    @property
    def vifs(self) -> tuple[Vif, ...]:
        """All its virtual interfaces, the service link's first."""
        return (self.service_link, *self.local_gateways)

    def local_gateway(self, domain: str) -> Vif | None:
        """The virtual interface of a routing domain; None: the customer has made none here."""
        return next((vif for vif in self.local_gateways if vif.domain == domain), None)


@dataclass(frozen=True, slots=True)
class InfrastructurePrefix:
    """A prefix of the infrastructure subnets as the service link's sessions announce it.

    The networking devices that are its `owners` announce it with AS path length 1, the others
    with 4, as a backup (facts: R1, R2).
    """

    prefix: IPv4Network
    owners: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServiceLink:
    """A rack's encrypted path to the Region.

    `infrastructure_cidrs` are its infrastructure subnets, `prefixes` what is announced of them.
    With private connectivity the anchors are network interfaces in `subnet`
    of `vpc`, with public connectivity the Region's (facts: H2, S2).
    """

    asn: int
    infrastructure_cidrs: tuple[IPv4Network, ...]
    prefixes: tuple[InfrastructurePrefix, ...]
    vpc: str | None = None
    subnet: str | None = None
    private_anchors: tuple[Anchor, ...] = ()

    @property
    def announced(self) -> tuple[IPv4Network, ...]:
        """All prefixes that are announced, whoever owns them."""
        return tuple(entry.prefix for entry in self.prefixes)

    def path_length(self, device: int, prefix: IPv4Network, drained: tuple[int, ...] = ()) -> int:
        """How long the AS path is with which networking device `device` announces a prefix.

        A `drained` device announces all with length 4; what only drained ones own, all others
        announce with 1 (facts: R1, H1; docs/fidelity.md).
        """
        owners = next(entry.owners for entry in self.prefixes if entry.prefix == prefix)
        if device in drained:
            return BACKUP_PATH
        return 1 if device in owners or set(owners) <= set(drained) else BACKUP_PATH


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
class RoutingDomain:
    """A route table of a rack's local gateway, and the VIF group that it is associated with.

    `name` is ONLY_DOMAIN where the local gateway has just the one; `number` is its own in the
    Outpost, from 1. `vif_group` says whether the association is there, `vpcs` are the
    table's VPC associations, `routes` its static routes, `pools` the customer-owned
    IP pools of a table in CoIP mode. `vrf` is the customer's devices' for its VLANs.
    """

    name: str
    number: int
    asn: int
    mode: LocalGatewayMode
    vif_group: bool
    vpcs: tuple[str, ...]
    routes: tuple[GatewayRoute, ...]
    pools: tuple[CoipPool, ...]
    vrf: str

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

    def title(self, outpost: str) -> str:
        """Its local gateway as people call it."""
        name = f", routing domain {self.name}" if self.name else ""
        return f"{outpost} local gateway{name}"

    def route_table(self, outpost: str) -> str:
        """Its route table in sentences."""
        name = f", routing domain {self.name}," if self.name else ""
        return f"local gateway route table of {outpost}{name}"


@dataclass(frozen=True, slots=True)
class Rack:
    """An Outpost of racks; `number` is its own for as long as it exists, from 1 to MAX_OUTPOSTS.

    `form_factor` is the topology file's word for what it is, `compute_racks` how many racks have
    servers. `resolver` says whether Route 53 Resolver on Outposts runs on it, `drained`
    are the ONDs that traffic is shifted off, for maintenance (facts: R1, H1). `servers` are the
    racks of the servers that its capacity names, `device_racks` those of its ONDs: empty where they
    are in a rack of their own (ACE, network rack).
    """

    name: str
    number: int
    form_factor: str
    zone: str
    lags: tuple[Lag, ...]
    service_link: ServiceLink
    domains: tuple[RoutingDomain, ...]
    resolver: bool = False
    drained: tuple[int, ...] = ()
    compute_racks: int = 1
    servers: tuple[int, ...] = ()
    device_racks: tuple[int, ...] = ()

    @property
    def private_anchors(self) -> tuple[Anchor, ...]:
        """The service link's anchors in a VPC; none with public connectivity."""
        return self.service_link.private_anchors

    @property
    def devices(self) -> tuple[int, ...]:
        """The numbers of its networking devices."""
        return tuple(dict.fromkeys(lag.device for lag in self.lags))

    @property
    def customer_devices(self) -> tuple[str, ...]:
        """The customer devices that its LAGs end in, each once."""
        return tuple(dict.fromkeys(lag.customer_device for lag in self.lags))

    def lags_of(self, device: int) -> tuple[Lag, ...]:
        """The LAGs of a networking device."""
        return tuple(lag for lag in self.lags if lag.device == device)

    def domain(self, name: str) -> RoutingDomain:
        """The routing domain of that name."""
        return next(domain for domain in self.domains if domain.name == name)

    def vif_group_state(self, domain: str) -> VifGroupState:
        """The state of a routing domain's VIF group as the API has it (facts: L3, botocore)."""
        made = sum(lag.local_gateway(domain) is not None for lag in self.lags)
        if made == len(self.lags):
            return "available"
        return "incomplete" if made else "pending"

    def domain_of(self, vpc: str) -> RoutingDomain | None:
        """The routing domain that a VPC is associated with: one at most (facts: L3)."""
        return next((domain for domain in self.domains if vpc in domain.vpcs), None)
