"""The resolved topology: an AWS Outposts installation in AWS's own words.

Everything here is explicit and checked: what the file left out has been
derived, names have been resolved, and no value contradicts another. The
classes know nothing of Linux. `testbed.topology.file.load` makes a `Topology`;
`testbed.lower` turns it into a plan. One module for each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from testbed.topology.model.address import AllocatedAddress
from testbed.topology.model.base import (
    INTERNAL,
    MAX_OUTPOSTS,
    MAX_VPCS,
    Quality,
    Service,
    Time,
)
from testbed.topology.model.bgp import BgpSettings, DeviceBgp
from testbed.topology.model.conformance import Conformance, FailoverBudgets
from testbed.topology.model.direct_connect import (
    DeviceVrf,
    DirectConnect,
    VirtualInterface,
    VirtualInterfaceKind,
)
from testbed.topology.model.dns import DhcpOptions, HostedZone, Record, RecordType
from testbed.topology.model.fault import FaultDeclaration
from testbed.topology.model.instance import (
    Instance,
    InstanceState,
    MetadataOptions,
    NetworkInterface,
    Requester,
)
from testbed.topology.model.lan import DhcpServer, Vrrp
from testbed.topology.model.outpost import (
    BACKUP_PATH,
    ONLY_DOMAIN,
    CoipPool,
    GatewayRoute,
    InfrastructurePrefix,
    Lag,
    LocalGatewayMode,
    Rack,
    RoutingDomain,
    ServiceLink,
    Vif,
    VifGroupState,
    VifPurpose,
)
from testbed.topology.model.placement import RACKS_ONLY, PlacementGroup, Resource, Storage
from testbed.topology.model.process import InstanceProcess, ProcessMount, RestartPolicy
from testbed.topology.model.region import (
    Anchor,
    Internet,
    InternetHost,
    PublicService,
    Region,
)
from testbed.topology.model.security import (
    EVERYWHERE,
    EVERYWHERE6,
    NetworkAcl,
    NetworkAclEntry,
    SecurityGroup,
    SecurityRule,
    Traffic,
)
from testbed.topology.model.server import (
    SERVER_PORT_GBPS,
    DefaultRoute,
    LanNetwork,
    Layer2Service,
    LocalNetworkInterface,
    Server,
    ServerLink,
    Speaker,
    SwitchPort,
)
from testbed.topology.model.site import (
    LOCAL_GATEWAY_VRF,
    SERVICE_LINK_VRF,
    Daemon,
    Device,
    Firewall,
    FirewallFilter,
    Host,
    HostInterfaces,
    Segment,
    Site,
    SiteLink,
    Uplink,
    Wan,
)
from testbed.topology.model.transit import (
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
    VpcPeeringConnection,
)
from testbed.topology.model.vpc import (
    MAX_ROUTE_TABLES,
    Endpoint,
    Ipv6Route,
    NatGateway,
    RouteTable,
    Subnet,
    Target,
    TargetKind,
    VirtualPrivateGateway,
    Vpc,
    VpcRoute,
)
from testbed.topology.model.workloads import Cluster, ControlPlane, Ecs, Workloads
from testbed.topology.numbers import Numbers

Outpost = Rack | Server

Gateway = tuple[Rack, RoutingDomain]
"""A rack's local gateway, in one of its routing domains."""

__all__ = [
    "BACKUP_PATH",
    "EVERYWHERE",
    "EVERYWHERE6",
    "INTERNAL",
    "LOCAL_GATEWAY_VRF",
    "MAX_OUTPOSTS",
    "MAX_ROUTE_TABLES",
    "MAX_VPCS",
    "ONLY_DOMAIN",
    "RACKS_ONLY",
    "SERVER_PORT_GBPS",
    "SERVICE_LINK_VRF",
    "AllocatedAddress",
    "Anchor",
    "BgpSettings",
    "Cluster",
    "CoipPool",
    "Conformance",
    "ControlPlane",
    "Daemon",
    "DefaultRoute",
    "Device",
    "DeviceBgp",
    "DeviceVrf",
    "DhcpOptions",
    "DhcpServer",
    "DirectConnect",
    "Ecs",
    "Endpoint",
    "FailoverBudgets",
    "FaultDeclaration",
    "Firewall",
    "FirewallFilter",
    "Gateway",
    "GatewayRoute",
    "Host",
    "HostInterfaces",
    "HostedZone",
    "InfrastructurePrefix",
    "Instance",
    "InstanceProcess",
    "InstanceState",
    "Internet",
    "InternetHost",
    "Ipv6Route",
    "Lag",
    "LanNetwork",
    "Layer2Service",
    "LocalGatewayMode",
    "LocalNetworkInterface",
    "MetadataOptions",
    "NatGateway",
    "NetworkAcl",
    "NetworkAclEntry",
    "NetworkInterface",
    "Outpost",
    "PlacementGroup",
    "ProcessMount",
    "PublicService",
    "Quality",
    "Rack",
    "Record",
    "RecordType",
    "Region",
    "Requester",
    "Resource",
    "RestartPolicy",
    "RouteTable",
    "RoutingDomain",
    "SecurityGroup",
    "SecurityRule",
    "Segment",
    "Server",
    "ServerLink",
    "Service",
    "ServiceLink",
    "Site",
    "SiteLink",
    "Speaker",
    "Storage",
    "Subnet",
    "SwitchPort",
    "Target",
    "TargetKind",
    "Time",
    "Topology",
    "Traffic",
    "TransitGateway",
    "TransitGatewayAttachment",
    "TransitGatewayRoute",
    "TransitGatewayRouteTable",
    "Uplink",
    "Vif",
    "VifGroupState",
    "VifPurpose",
    "VirtualInterface",
    "VirtualInterfaceKind",
    "VirtualPrivateGateway",
    "Vpc",
    "VpcPeeringConnection",
    "VpcRoute",
    "Vrrp",
    "Wan",
    "Workloads",
]


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole installation. Mappings are keyed by name, in an order that edits do not change.

    `numbers` are those that its objects have, and those that they have had.
    """

    name: str
    region: Region
    vpcs: Mapping[str, Vpc]
    outposts: Mapping[str, Outpost]
    site: Site
    instances: Mapping[str, Instance]
    network_interfaces: Mapping[str, NetworkInterface]
    hosted_zones: Mapping[str, HostedZone]
    conformance: Conformance = field(default_factory=Conformance)
    time: Time = "real"
    seed: int = 1
    faults: tuple[FaultDeclaration, ...] = ()
    addresses: Mapping[str, AllocatedAddress] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=Numbers, compare=False, repr=False)
    local_network_interfaces: Mapping[str, LocalNetworkInterface] = field(default_factory=dict)
    workloads: Workloads = field(default_factory=Workloads)
    layer2_services: Mapping[str, Layer2Service] = field(default_factory=dict)

    def subnet(self, vpc: str, name: str) -> Subnet:
        """The subnet `name` of `vpc`."""
        for subnet in self.vpcs[vpc].subnets:
            if subnet.name == name:
                return subnet
        raise KeyError(f"{vpc}/{name}")

    def attached(self, interface: NetworkInterface) -> bool:
        """Whether it is attached to an instance that runs, or to what AWS made it for."""
        if interface.requester is not None:
            return True
        if interface.instance is None:
            return False
        return self.instances[interface.instance].state == "running"

    def place_of(self, interface: NetworkInterface) -> str | None:
        """The Outpost that the interface is on; None: it is in the Region."""
        if interface.requester is not None:
            return None
        return self.subnet(interface.vpc, interface.subnet).outpost

    @property
    def racks(self) -> Mapping[str, Rack]:
        """The Outposts that are racks."""
        return {n: outpost for n, outpost in self.outposts.items() if isinstance(outpost, Rack)}

    @property
    def servers(self) -> Mapping[str, Server]:
        """The Outposts that are servers."""
        return {n: outpost for n, outpost in self.outposts.items() if isinstance(outpost, Server)}

    @property
    def local_gateway_vrfs(self) -> tuple[str, ...]:
        """The customer's VRFs for local gateways: `lgw`, and those of routing domains."""
        domains = (domain for rack in self.racks.values() for domain in rack.domains)
        of_segments = (segment.vrf for segment in self.site.segments)
        found = (LOCAL_GATEWAY_VRF, *(domain.vrf for domain in domains), *of_segments)
        return tuple(dict.fromkeys(found))

    def vrfs_of(self, device: str) -> tuple[str, ...]:
        """The VRFs of a customer device: `sl`, `lgw`, and those of what is connected to it."""
        found = [SERVICE_LINK_VRF, LOCAL_GATEWAY_VRF]
        for rack in self.racks.values():
            if device in rack.customer_devices:
                found += [domain.vrf for domain in rack.domains]
        for segment in self.site.segments:
            if any(name == device for name, _ in segment.routers):
                found.append(segment.vrf)
        return tuple(dict.fromkeys(found))

    @property
    def gateways(self) -> tuple[Gateway, ...]:
        """All routing domains, with their racks."""
        return tuple((rack, domain) for rack in self.racks.values() for domain in rack.domains)

    def domain(self, outpost: str, vpc: str) -> RoutingDomain | None:
        """The routing domain of a VPC at an Outpost; None: it has none there."""
        place = self.outposts[outpost]
        return place.domain_of(vpc) if isinstance(place, Rack) else None

    def anchors(self, outpost: Outpost) -> tuple[Anchor, ...]:
        """The anchors of an Outpost's service link: the Region's public ones, or its own."""
        return outpost.private_anchors or self.region.anchors

    def announced_subnets(self, rack: Rack, domain: RoutingDomain) -> tuple[Subnet, ...]:
        """The subnets that a rack's local gateway announces in a domain of direct VPC routing.

        Only subnets on this Outpost, of an associated VPC, whose route table
        has a route that targets this local gateway (facts: R1 tip, L2), and
        none while the domain's route table is inactive.
        """
        if domain.mode != "direct-vpc-routing" or domain.lacks:
            return ()
        own = Target("local-gateway", rack.name)
        return tuple(
            subnet
            for vpc in (self.vpcs[name] for name in domain.vpcs)
            for subnet in vpc.subnets
            if subnet.outpost == rack.name
            and own in {route.target for route in vpc.table_of(subnet.name).routes}
        )

    def announced(self, rack: Rack, domain: RoutingDomain) -> tuple[IPv4Network, ...]:
        """What a local gateway announces in a domain: subnets, or the CoIP pools (facts: R1)."""
        if domain.mode == "coip":
            return () if domain.lacks else domain.pool_cidrs
        return tuple(subnet.cidr for subnet in self.announced_subnets(rack, domain))
