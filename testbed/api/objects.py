"""Which objects there are, by AWS's identifiers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from testbed.api.racks import tables
from testbed.topology.ids import ResourceType, aws_id
from testbed.topology.model import NetworkInterface, Topology, Vpc

MAIN = "main"


class Ref(NamedTuple):
    """An object: its kind, and its names in the document, its owner's first."""

    kind: ResourceType
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.names[-1]

    @property
    def id(self) -> str:
        """Its identifier, where no record gives it another one."""
        return id_of(self.kind, *self.names)


# What a VPC has one of, which has an identifier of its own: it was there before it was attached.
ATTACHED: dict[ResourceType, str] = {
    "internet-gateway": "internet_gateway",
    "egress-only-internet-gateway": "egress_only_internet_gateway",
    "vpn-gateway": "virtual_private_gateway",
    "dhcp-options": "dhcp_options",
}


def id_of(kind: ResourceType, *names: str) -> str:
    """Return the identifier of an object."""
    return aws_id(kind, "/".join(names))


def index(topology: Topology, records: Mapping[str, Any]) -> dict[str, Ref]:
    """Return all objects of a topology, and those that only records have, by identifier."""
    found = {id_of(*_flat(ref)): ref for ref in _objects(topology)}
    for id_, record in records.items():
        if record.get("kind") and not record.get("deleted"):
            found[id_] = Ref(record["kind"], (id_,))
    return found


def _flat(ref: Ref) -> tuple[Any, ...]:
    return (ref.kind, *ref.names)


def _objects(topology: Topology) -> Iterator[Ref]:
    for vpc in topology.vpcs.values():
        yield from _of_vpc(vpc)
    for instance in topology.instances:
        yield Ref("instance", (instance,))
    for interface in topology.network_interfaces.values():
        yield Ref("network-interface", (interface.name,))
    for name in topology.addresses:
        yield Ref("elastic-ip", (name,))
    for name in topology.region.prefix_lists:
        yield Ref("prefix-list", (name,))
    for name in topology.region.vpc_peering_connections:
        yield Ref("vpc-peering-connection", (name,))
    for gateway in topology.region.transit_gateways.values():
        yield Ref("transit-gateway", (gateway.name,))
        for attachment in gateway.attachments:
            yield Ref("transit-gateway-attachment", (gateway.name, attachment.name))
        for table in gateway.route_tables:
            yield Ref("transit-gateway-route-table", (gateway.name, table.name))
    yield from _of_outposts(topology)


def _of_vpc(vpc: Vpc) -> Iterator[Ref]:
    yield Ref("vpc", (vpc.name,))
    yield Ref("vpc-cidr-block-association", (vpc.name,))
    for subnet in vpc.subnets:
        yield Ref("subnet", (vpc.name, subnet.name))
        names = (vpc.name, subnet.name, subnet.network_acl)
        yield Ref("network-acl-association", names)
    for table in vpc.route_tables:
        yield Ref("route-table", (vpc.name, table.name))
        for name in table.subnets:
            yield Ref("route-table-association", (vpc.name, table.name, name))
    yield Ref("route-table-association", (vpc.name, MAIN))
    for group in vpc.security_groups:
        yield Ref("security-group", (vpc.name, group.name))
    for acl in vpc.network_acls:
        yield Ref("network-acl", (vpc.name, acl.name))
    for gateway in vpc.nat_gateways:
        yield Ref("natgateway", (vpc.name, gateway.name))
    for endpoint in vpc.endpoints:
        yield Ref("vpc-endpoint", (vpc.name, endpoint.name))


def _of_outposts(topology: Topology) -> Iterator[Ref]:
    if topology.outposts:
        yield Ref("site", (topology.name,))
    for name in topology.outposts:
        yield Ref("outpost", (name,))
    for rack in topology.racks.values():
        yield Ref("local-gateway", (rack.name,))
        for lag in rack.lags:
            own = (rack.name, str(lag.number))
            yield Ref("service-link-virtual-interface", own)
            yield Ref("outpost-lag", own)
    for table in tables(topology):
        yield Ref("local-gateway-route-table", (table.name,))
        yield Ref("local-gateway-virtual-interface-group", (table.name,))
        kind: ResourceType = "local-gateway-route-table-virtual-interface-group-association"
        yield Ref(kind, (table.name,))
        for vpc in table.domain.vpcs:
            yield Ref("local-gateway-route-table-vpc-association", (table.name, vpc))
        for pool in table.domain.pools:
            yield Ref("coip-pool", (table.name, pool.name))
        for lag, _ in table.vifs():
            yield Ref("local-gateway-virtual-interface", table.vif_names(lag))


def attachment_id(interface: NetworkInterface) -> str:
    """Return the identifier of a network interface's attachment."""
    owner = interface.instance or ""
    return id_of("network-interface-attachment", owner, interface.name)
