"""Real devices: what is left of them in a plan is the other ends of their cables.

A real device is lowered like an emulated one, and then taken out: where a
cable led to it there is an interface of the host.
"""

from __future__ import annotations

from dataclasses import replace

from testbed.lower import names
from testbed.plan.model import HostInterface, Interface, Node, Place, Plan, Veth
from testbed.topology.model import Device, Topology


def take_out(plan: Plan, topology: Topology) -> Plan:
    """The plan without the topology's real devices."""
    real = {device.name for device in topology.site.devices if device.host_interfaces}
    if not real:
        return plan
    cables: dict[Place, str] = {}
    for device in topology.site.devices:
        cables |= _cables(topology, device)
    nodes = tuple(_without(node, real, cables) for node in plan.nodes if node.name not in real)
    checks = tuple(check for check in plan.checks if check.node not in real)
    return replace(plan, nodes=nodes, checks=checks)


def _cables(topology: Topology, device: Device) -> dict[Place, str]:
    """The host's interface for each interface that the emulated device would have."""
    ports = device.host_interfaces
    if ports is None:
        return {}
    found: dict[str, str] = {}
    for outpost in topology.racks.values():
        own = [lag for lag in outpost.lags if lag.customer_device == device.name]
        members = [member for lag in own for member in names.customer_members(outpost, lag)]
        found |= dict(zip(members, ports.uplinks.get(outpost.name, ()), strict=False))
    for name, pair in ports.links.items():
        links = topology.site.links
        vrfs = [link.vrf for link in links if set(link.devices) == {device.name, name}]
        ends = [names.link_port(vrf, name) for vrf in vrfs]
        found |= dict(zip(ends, pair, strict=True))
    for name, port in ports.segments.items():
        found[names.lan_port(name)] = port
    if ports.region is not None:
        found[names.REGION_PORT] = ports.region
    if ports.wan is not None:
        found[names.WAN_PORT] = ports.wan
    return {(device.name, interface): port for interface, port in found.items()}


def _without(node: Node, real: set[str], cables: dict[Place, str]) -> Node:
    def end(interface: Interface) -> Interface:
        device = interface.device
        if not isinstance(device, Veth) or device.peer_node not in real:
            return interface
        port = cables[device.peer_node, device.peer]
        return replace(interface, mac=None, device=HostInterface(port))

    if not any(isinstance(i.device, Veth) and i.device.peer_node in real for i in node.interfaces):
        return node
    return replace(node, interfaces=tuple(end(interface) for interface in node.interfaces))
