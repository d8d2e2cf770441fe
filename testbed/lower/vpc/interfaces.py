"""Network interfaces: an instance's own link to its VPC's router, and what the router checks."""

from __future__ import annotations

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft, interface_name, mac_address
from testbed.lower.site.services import add_services
from testbed.lower.vpc import dns, endpoints, nat_gateway
from testbed.lower.vpc.router import VpcRouter
from testbed.lower.workloads.processes import add_processes
from testbed.plan.model import Neighbor, Rule
from testbed.plan.roles import Role
from testbed.topology.model import NetworkInterface, Subnet, Topology

JUMBO_MTU = 9001  # facts: EC2 mtu
ENDPOINT_MTU = 8500  # AWS PrivateLink: interface endpoints
PRIORITY_SECONDARY = 200
FIRST_SECONDARY_TABLE = 1000


def port(interface: NetworkInterface) -> str:
    """The VPC router's interface towards a network interface."""
    return interface_name("eni-", interface.name)


def device(interface: NetworkInterface) -> str:
    """The network interface's name inside its instance."""
    return f"eth{interface.device_index}"


def mac(interface: NetworkInterface) -> str:
    """The network interface's MAC address; it keeps it when it is moved."""
    return mac_address(interface.name, "eth0")


def _mtu(interface: NetworkInterface) -> int:
    endpoint = interface.requester is not None and interface.requester.kind == "vpc-endpoint"
    return ENDPOINT_MTU if endpoint else JUMBO_MTU


def attach(
    draft: Draft,
    topology: Topology,
    router: VpcRouter,
    interface: NetworkInterface,
    node: NodeDraft | None = None,
) -> None:
    """Add a network interface to `node`, by default what it belongs to, and to the router."""
    node = node or _owner(draft, topology, router, interface)
    subnet = topology.subnet(interface.vpc, interface.subnet)
    addresses = [f"{address}/{subnet.cidr.prefixlen}" for address in interface.addresses]
    inside, outside = device(interface), port(interface)
    draft.cable((node, inside), (router.node, outside), mtu=_mtu(interface), mac=mac(interface))
    node.address(inside, *addresses)
    router.node.set_sysctls(
        outside,
        {f"net/ipv4/conf/{outside}/proxy_arp": "1", f"net/ipv4/neigh/{outside}/proxy_delay": "0"},
    )
    if interface.device_index:
        _route_secondary(node, interface, inside, subnet)
    else:
        node.route("0.0.0.0/0", via=subnet.router, dev=inside)
    source = subnet.router if subnet.name in router.subnets else None
    for address in interface.addresses:
        router.node.route(address, dev=outside, source=source)
        router.node.neighbors.append(Neighbor(outside, str(address), mac(interface)))
    _check(router, interface)


def _owner(
    draft: Draft, topology: Topology, router: VpcRouter, interface: NetworkInterface
) -> NodeDraft:
    """The node that the interface is in, added if this is its first."""
    if interface.requester is None:
        assert interface.instance is not None
        name = interface.instance
        return draft.nodes.get(name) or _add_instance(draft, topology, router, name)
    if interface.requester.kind == "nat-gateway":
        return nat_gateway.add_node(draft, interface)
    return endpoints.add_node(draft, topology, interface)


def _add_instance(draft: Draft, topology: Topology, router: VpcRouter, name: str) -> NodeDraft:
    instance = topology.instances[name]
    where = f", {instance.type} on server {instance.server}" if instance.server else ""
    title = f"instance {name} ({instance.address}, subnet {instance.subnet}{where})"
    node = draft.host(name, Role.INSTANCE, router.node.group, title)
    rack = topology.racks.get(router.node.group)
    if rack is not None and instance.server:
        in_rack = rack.servers[instance.server - 1]
        node.hardware = (names.rack(rack.name, in_rack), names.server(rack.name, instance.server))
    elif rack is not None and rack.compute_racks == 1:
        node.hardware = (names.rack(rack.name, 1),)
    add_services(draft, node, instance.services)
    add_processes(draft, node, instance.processes)
    dns.configure_instance(node, router.vpc)
    return node


def _route_secondary(
    node: NodeDraft, interface: NetworkInterface, inside: str, subnet: Subnet
) -> None:
    """What is from this interface's addresses leaves by it, as Amazon Linux sets it up (EC2)."""
    table = FIRST_SECONDARY_TABLE + interface.device_index
    node.route("0.0.0.0/0", via=subnet.router, dev=inside, table=table)
    for address in interface.addresses:
        priority = PRIORITY_SECONDARY + interface.device_index
        node.rules.append(Rule(priority, table, source=f"{address}/32"))


def _check(router: VpcRouter, interface: NetworkInterface) -> None:
    """What an interface sends is from its own MAC and IP addresses, what it gets is for them.

    Without the source/destination check any IP address passes, so that what
    is routed to the interface reaches it (facts: EC2 eni, 3P).
    """
    name, hardware = port(interface), mac(interface)
    if interface.source_destination_check:
        for address in interface.addresses:
            router.ruleset.sources.append(f'"{name}" . {hardware} . {address}')
            router.ruleset.addresses.append(f'"{name}" . {address}')
    else:
        router.ruleset.unchecked_ports.append(f'"{name}"')
        router.ruleset.unchecked.append(f'"{name}" . {hardware}')
