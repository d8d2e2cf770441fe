"""VPC endpoints: small nodes that stand for services of AWS's.

An interface endpoint is a network interface in each of its subnets; it is in
the Region even where the subnet is on an Outpost, so that what uses it crosses
the service link and the local gateway cannot reach it (facts: L2, H3). A
gateway endpoint is the target of a route to the service's public addresses.
"""

from __future__ import annotations

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft, interface_name
from testbed.lower.rack import inner
from testbed.lower.site.services import add_services
from testbed.lower.vpc import gateways
from testbed.lower.vpc.router import VpcRouter
from testbed.lower.workloads import control_plane
from testbed.plan.roles import REGION, Role
from testbed.topology.model import NetworkInterface, Target, Topology

NUMBERS = range(8, inner.VPC_GATEWAYS)  # of gateway endpoints among a VPC's gateways


def add_node(draft: Draft, topology: Topology, interface: NetworkInterface) -> NodeDraft:
    """Add the node that answers on a network interface of an interface endpoint."""
    assert interface.requester is not None
    endpoint = topology.vpcs[interface.vpc].endpoint(interface.requester.name)
    title = f"VPC endpoint {endpoint.name} for {endpoint.service} ({interface.address})"
    node = draft.host(names.endpoint(interface.name), Role.ENDPOINT, REGION, title)
    plane = topology.workloads.control_plane_of(endpoint.service)
    if plane is None:
        add_services(draft, node, ("aws",))
    else:
        control_plane.lead(draft, topology, plane, node)
    return node


def attach_gateways(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Add the VPC's gateway endpoints to its router in the Region."""
    services = {service.name: service for service in topology.region.public_services}
    found = [endpoint for endpoint in router.vpc.endpoints if endpoint.type == "gateway"]
    kind = f"gateway-endpoint/{router.vpc.name}"
    numbers = draft.numbers.claim_all(kind, (e.name for e in found), NUMBERS)
    for endpoint in found:
        service = services[endpoint.service]
        title = f"gateway endpoint {endpoint.name} for {service.name} ({service.address})"
        name = names.endpoint(f"{router.vpc.name}.{endpoint.name}")
        node = draft.host(name, Role.ENDPOINT, REGION, title)
        node.loopback(service.address)
        port = interface_name("vpce-", endpoint.name)
        target = Target("vpc-endpoint", endpoint.name)
        gateways.connect(draft, router, numbers[endpoint.name], port, (node, "vpc"), target)
        add_services(draft, node, ("aws",))
