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
    CoipPool,
    FormFactor,
    GatewayRoute,
    Lag,
    LocalGateway,
    LocalGatewayMode,
    Outpost,
    ServiceLink,
    Vif,
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
from testbed.topology.model.site import (
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
from testbed.topology.numbers import Numbers

__all__ = [
    "EVERYWHERE",
    "EVERYWHERE6",
    "INTERNAL",
    "MAX_OUTPOSTS",
    "MAX_ROUTE_TABLES",
    "MAX_VPCS",
    "RACKS_ONLY",
    "AllocatedAddress",
    "Anchor",
    "CoipPool",
    "Conformance",
    "Daemon",
    "Device",
    "DeviceVrf",
    "DhcpOptions",
    "DhcpServer",
    "DirectConnect",
    "Endpoint",
    "FailoverBudgets",
    "FaultDeclaration",
    "Firewall",
    "FirewallFilter",
    "FormFactor",
    "GatewayRoute",
    "Host",
    "HostInterfaces",
    "HostedZone",
    "Instance",
    "InstanceProcess",
    "InstanceState",
    "Internet",
    "InternetHost",
    "Ipv6Route",
    "Lag",
    "LocalGateway",
    "LocalGatewayMode",
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
    "Record",
    "RecordType",
    "Region",
    "Requester",
    "Resource",
    "RestartPolicy",
    "RouteTable",
    "SecurityGroup",
    "SecurityRule",
    "Segment",
    "Service",
    "ServiceLink",
    "Site",
    "SiteLink",
    "Storage",
    "Subnet",
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
    "VirtualInterface",
    "VirtualInterfaceKind",
    "VirtualPrivateGateway",
    "Vpc",
    "VpcPeeringConnection",
    "VpcRoute",
    "Vrrp",
    "Wan",
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

    def subnet(self, vpc: str, name: str) -> Subnet:
        """The subnet `name` of `vpc`."""
        return next(subnet for subnet in self.vpcs[vpc].subnets if subnet.name == name)

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

    def anchors(self, outpost: Outpost) -> tuple[Anchor, ...]:
        """The anchors of an Outpost's service link: the Region's public ones, or its own."""
        return outpost.service_link.private_anchors or self.region.anchors

    def announced_subnets(self, outpost: Outpost) -> tuple[Subnet, ...]:
        """The subnets that `outpost`'s local gateway announces in direct VPC routing.

        Only subnets on this Outpost, of an associated VPC, whose route table
        has a route that targets this local gateway (facts: R1 tip, L2), and
        none while the local gateway's route table is inactive.
        """
        found: list[Subnet] = []
        gateway = outpost.local_gateway
        if gateway.mode != "direct-vpc-routing" or gateway.lacks:
            return ()
        for vpc in (self.vpcs[name] for name in outpost.local_gateway.vpcs):
            for subnet in vpc.subnets:
                targets = {route.target for route in vpc.table_of(subnet.name).routes}
                own = Target("local-gateway", outpost.name)
                if subnet.outpost == outpost.name and own in targets:
                    found.append(subnet)
        return tuple(found)

    def announced(self, outpost: Outpost) -> tuple[IPv4Network, ...]:
        """What `outpost`'s local gateway announces: subnets, or the CoIP pools (facts: R1)."""
        gateway = outpost.local_gateway
        if gateway.mode == "coip":
            return () if gateway.lacks else gateway.pool_cidrs
        return tuple(subnet.cidr for subnet in self.announced_subnets(outpost))
