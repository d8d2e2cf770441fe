"""A kernel of dicts, as unforgiving as the real one.

It carries out steps, does by itself what Linux does by itself (VLANs go with
their parent, routes with an interface that goes down, …), and refuses what
Linux refuses. Where Linux might or might not drop something, this one does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_interface
from typing import Any

from testbed.plan import steps as s
from testbed.plan.files import files_of
from testbed.plan.model import (
    Bond,
    Bridge,
    BridgePort,
    Interface,
    LinkKind,
    Loopback,
    Netem,
    Plan,
    Process,
    Route,
    Rule,
    Veth,
    Vlan,
    Vxlan,
    WireGuard,
)

DEFAULT_MTU = {"loopback": 65536, "wireguard": 1420, "vrf": 65575}


@dataclass
class Device:
    name: str
    device: LinkKind
    mac: str | None = None
    mtu: int = 1500
    up: bool = False
    master: str | None = None
    addresses: list[str] = field(default_factory=list)
    netem: Netem | None = None
    sysctls: dict[str, str] = field(default_factory=dict)
    port: BridgePort = field(default_factory=BridgePort)
    dead: bool = False

    def state(self) -> tuple[Any, ...]:
        return (
            *(self.device, self.mac, self.mtu, self.up, self.master),
            *(tuple(self.addresses), self.netem, self.sysctls, self.port),
        )


@dataclass
class Namespace:
    sysctls: dict[str, str] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    routes: dict[tuple[int, str, int], tuple[Route, tuple[str, ...]]] = field(default_factory=dict)
    neighbors: dict[tuple[str, str], str] = field(default_factory=dict)
    rules: set[Rule] = field(default_factory=set)
    nftables: str = ""
    ghosts: list[str] = field(default_factory=list)


class FakeKernel:
    """Carry out steps; `state` is what there is then."""

    def __init__(self) -> None:
        self.nodes: dict[str, Namespace] = {}
        self.files: dict[tuple[str, str], str] = {}
        self.processes: dict[tuple[str, str], tuple[Process, dict[str, str]]] = {}

    def run(self, steps: list[s.Step]) -> None:
        for step in steps:
            name = re.sub(r"\B[A-Z]", r"_\g<0>", type(step).__name__).lower()
            getattr(self, f"do_{name}")(step)
        for name, node in self.nodes.items():
            assert not node.ghosts, f"{name}: {node.ghosts} are still held by a dying namespace"
            for device in node.devices.values():
                assert not device.dead, f"{name}: {device.name} lost what it needs"

    def state(self) -> dict[str, Any]:
        return {
            "nodes": {
                name: (
                    node.sysctls,
                    {device.name: device.state() for device in node.devices.values()},
                    {key: route for key, (route, _) in node.routes.items()},
                    node.neighbors,
                    node.rules,
                    node.nftables,
                )
                for name, node in self.nodes.items()
            },
            "files": self.files,
            "processes": self.processes,
        }

    # Processes and files

    def do_stop_process(self, step: s.StopProcess) -> None:
        del self.processes[step.node, step.name]

    def do_write_file(self, step: s.WriteFile) -> None:
        if step.text is None:
            del self.files[step.node, step.file]
        else:
            assert self.files.get((step.node, step.file)) != step.text
            self.files[step.node, step.file] = step.text

    def _read(self, node: str, process: Process) -> None:
        texts = {name: self.files[node, name] for name in process.files}
        self.processes[node, process.name] = (process, texts)

    def do_start_process(self, step: s.StartProcess) -> None:
        assert (step.node, step.process.name) not in self.processes
        assert step.node in self.nodes
        self._read(step.node, step.process)

    def do_reload_process(self, step: s.ReloadProcess) -> None:
        assert step.process.reload == "bird"
        before = self.processes[step.node, step.process.name][0]
        assert (before.argv, before.env) == (step.process.argv, step.process.env)
        self._read(step.node, step.process)

    # Nodes

    def do_create_node(self, step: s.CreateNode) -> None:
        assert step.node not in self.nodes
        node = Namespace(dict(step.sysctls))
        node.devices["lo"] = Device("lo", Loopback(), mtu=65536, up=True)
        self.nodes[step.node] = node

    def do_set_sysctls(self, step: s.SetSysctls) -> None:
        self.nodes[step.node].sysctls.update(step.sysctls)

    def do_delete_node(self, step: s.DeleteNode) -> None:
        assert not [key for key in self.processes if key[0] == step.node]
        gone = self.nodes.pop(step.node)
        for device in gone.devices.values():
            for end in self._ends(device):
                end.dead = True
            if (held := _held(device.device)) in self.nodes:
                self.nodes[held].ghosts.append(f"{step.node}:{device.name}")
        for node in self.nodes.values():
            for device in node.devices.values():
                device.dead = device.dead or _held(device.device) == step.node

    def _ends(self, device: Device) -> list[Device]:
        if isinstance(device.device, Veth) and (node := self.nodes.get(device.device.peer_node)):
            return [d for d in node.devices.values() if d.name == device.device.peer]
        return []

    # Interfaces

    def do_create_interface(self, step: s.CreateInterface) -> None:
        device = step.interface.device
        self._make(step.node, step.interface)
        if isinstance(device, Veth):
            assert step.peer is not None
            assert step.peer.device == Veth(step.node, step.interface.name)
            self._make(device.peer_node, step.peer)
        assert (held := _held(device)) is None or held in self.nodes

    def _make(self, node: str, interface: Interface) -> None:
        devices = self.nodes[node].devices
        assert interface.name not in devices, f"{node}: {interface.name} exists"
        mtu = DEFAULT_MTU.get(interface.device.kind, 1500)
        if isinstance(interface.device, Vlan):
            parent = devices[interface.device.parent]
            mtu = parent.mtu
            assert (interface.mtu or 0) <= parent.mtu
        devices[interface.name] = Device(
            interface.name, interface.device, interface.mac, interface.mtu or mtu
        )

    def do_delete_interface(self, step: s.DeleteInterface) -> None:
        if device := self.nodes[step.node].devices.get(step.interface):
            ends = self._ends(device)
            self._remove(step.node, step.interface)
            if ends:
                assert isinstance(device.device, Veth)
                self._remove(device.device.peer_node, device.device.peer)

    def _remove(self, name: str, interface: str) -> None:
        node = self.nodes[name]
        self._down(node, interface)
        self._release(node, node.devices[interface], None)
        for vlan in self._vlans(node, interface):
            self._remove(name, vlan.name)
        for member in node.devices.values():
            if member.master == interface:
                member.master, member.port = None, BridgePort()
                self._down(node, member.name)
        del node.devices[interface]
        if "netdev" in node.nftables:
            node.nftables = "lost its hook"

    def _vlans(self, node: Namespace, parent: str) -> list[Device]:
        devices = node.devices.values()
        return [d for d in devices if isinstance(d.device, Vlan) and d.device.parent == parent]

    def _down(self, node: Namespace, name: str) -> None:
        node.devices[name].up = False
        for vlan in self._vlans(node, name):
            self._down(node, vlan.name)
        self._drop_routes(node, name)
        node.neighbors = {key: mac for key, mac in node.neighbors.items() if key[0] != name}

    def _drop_routes(self, node: Namespace, name: str) -> None:
        node.routes = {key: value for key, value in node.routes.items() if name not in value[1]}

    def _up(self, node: Namespace, name: str) -> None:
        device = node.devices[name]
        if isinstance(device.device, Vlan):
            assert node.devices[device.device.parent].up, f"{name}: network is down"
        rises = not device.up
        device.up = True
        for vlan in self._vlans(node, name) if rises else ():
            self._up(node, vlan.name)

    def do_set_interface(self, step: s.SetInterface) -> None:
        node, new = self.nodes[step.node], step.interface
        device = node.devices[new.name]
        assert step.changed
        for attribute in step.changed:
            getattr(self, f"set_{attribute}")(node, device, new)

    def set_device(self, node: Namespace, device: Device, new: Interface) -> None:
        if isinstance(device.device, Bond) and isinstance(new.device, Bond):
            if device.device.lacp_rate != new.device.lacp_rate:
                self._down(node, device.name)
        elif not isinstance(device.device, Bridge):
            assert isinstance(device.device, WireGuard)
            assert isinstance(new.device, WireGuard)
            assert device.device.socket_node == new.device.socket_node
        device.device = new.device

    def set_master(self, node: Namespace, device: Device, new: Interface) -> None:
        self._down(node, device.name)
        self._release(node, device, new.master)
        device.port = BridgePort()
        if new.master is not None:
            master = node.devices[new.master]
            if isinstance(master.device, Bond):
                device.mtu = master.mtu
                self._up(node, device.name)

    def _release(self, node: Namespace, device: Device, to: str | None) -> None:
        bond, device.master = device.master, to
        left = [other for other in node.devices.values() if other.master == bond]
        if bond is not None and not left and isinstance(node.devices[bond].device, Bond):
            node.devices[bond].mac = node.devices[bond].mac and "random"

    def set_port(self, node: Namespace, device: Device, new: Interface) -> None:
        assert device.master is not None
        device.port = new.port or BridgePort()

    def set_mtu(self, node: Namespace, device: Device, new: Interface) -> None:
        assert new.mtu is not None
        if isinstance(device.device, Vlan):
            assert new.mtu <= node.devices[device.device.parent].mtu
        self._resize(node, device, new.mtu)

    def _resize(self, node: Namespace, device: Device, mtu: int) -> None:
        device.mtu = mtu
        for member in node.devices.values():
            if member.master == device.name and isinstance(device.device, Bond):
                self._resize(node, member, mtu)
        for vlan in self._vlans(node, device.name):
            if vlan.mtu > mtu:
                self._resize(node, vlan, mtu)

    def set_mac(self, node: Namespace, device: Device, new: Interface) -> None:
        device.mac = new.mac
        kept = node.neighbors.items()
        node.neighbors = {key: mac for key, mac in kept if key[0] != device.name}

    def set_up(self, node: Namespace, device: Device, new: Interface) -> None:
        if new.up:
            self._up(node, device.name)
        else:
            self._down(node, device.name)

    def set_sysctls(self, node: Namespace, device: Device, new: Interface) -> None:
        device.sysctls.update(new.sysctls)

    def do_set_netem(self, step: s.SetNetem) -> None:
        device = self.nodes[step.node].devices[step.interface]
        assert device.netem != step.netem
        device.netem = step.netem

    # Addresses, neighbours, routes, rules

    def do_add_address(self, step: s.AddAddress) -> None:
        addresses = self.nodes[step.node].devices[step.interface].addresses
        assert step.address not in addresses
        addresses.append(step.address)

    def do_delete_address(self, step: s.DeleteAddress) -> None:
        node = self.nodes[step.node]
        device = node.devices[step.interface]
        self._drop_routes(node, step.interface)
        if step.address not in device.addresses:
            return
        network = ip_interface(step.address).network
        position = device.addresses.index(step.address)
        primary = all(ip_interface(a).network != network for a in device.addresses[:position])
        gone = [step.address]
        if primary:
            gone += [a for a in device.addresses[position:] if ip_interface(a).network == network]
        device.addresses = [a for a in device.addresses if a not in gone]
        sources = {address.partition("/")[0] for address in gone}
        kept = node.routes.items()
        node.routes = {key: value for key, value in kept if value[0].source not in sources}

    def do_set_neighbor(self, step: s.SetNeighbor) -> None:
        node, entry = self.nodes[step.node], step.neighbor
        assert node.devices[entry.dev].up
        node.neighbors[entry.dev, entry.address] = entry.mac

    def do_delete_neighbor(self, step: s.DeleteNeighbor) -> None:
        entry = step.neighbor
        del self.nodes[step.node].neighbors[entry.dev, entry.address]

    def do_set_route(self, step: s.SetRoute) -> None:
        node, route = self.nodes[step.node], step.route
        devices: list[str] = []
        if route.type == "unicast":
            devices = [hop.dev for hop in route.nexthops]
            if not devices:
                devices = [route.dev or self._towards(node, route.via)]
        for name in devices:
            assert node.devices[name].up, f"{route}: {name}: network is down"
        if route.source is not None:
            owned = {a.partition("/")[0] for d in node.devices.values() for a in d.addresses}
            assert route.source in owned
        key = (route.table, route.destination, route.metric)
        node.routes[key] = (route, tuple(devices))

    def _towards(self, node: Namespace, via: str | None) -> str:
        assert via is not None
        for device in node.devices.values():
            if device.up and any(
                ip_address(via) in ip_interface(address).network for address in device.addresses
            ):
                return device.name
        raise AssertionError(f"{via}: network is unreachable")

    def do_delete_route(self, step: s.DeleteRoute) -> None:
        route = step.route
        self.nodes[step.node].routes.pop((route.table, route.destination, route.metric), None)

    def do_add_rule(self, step: s.AddRule) -> None:
        rules = self.nodes[step.node].rules
        assert step.rule not in rules
        rules.add(step.rule)

    def do_delete_rule(self, step: s.DeleteRule) -> None:
        self.nodes[step.node].rules.remove(step.rule)

    def do_set_ruleset(self, step: s.SetRuleset) -> None:
        self.nodes[step.node].nftables = step.nftables


def _held(device: LinkKind) -> str | None:
    if isinstance(device, WireGuard):
        return device.socket_node
    return device.underlay_node if isinstance(device, Vxlan) else None


def wanted(plan: Plan) -> dict[str, Any]:
    """What `FakeKernel.state` must be when the plan is there."""
    files = {(n.name, name): text for n in plan.nodes for name, text in files_of(n).items()}
    return {
        "nodes": {node.name: _wanted_node(plan, node.name) for node in plan.nodes},
        "files": files,
        "processes": {
            (n.name, p.name): (p, {name: files_of(n)[name] for name in p.files})
            for n in plan.nodes
            for p in n.processes
        },
    }


def _wanted_node(plan: Plan, name: str) -> tuple[Any, ...]:
    node = plan.node(name)
    interfaces = {interface.name: interface for interface in node.interfaces}

    def is_up(interface: Interface) -> bool:
        device = interface.device
        carried = not isinstance(device, Vlan) or is_up(interfaces[device.parent])
        return interface.up and carried

    def mtu(interface: Interface) -> int:
        if interface.master == "bond0":
            return mtu(interfaces["bond0"])
        if interface.mtu is None and isinstance(interface.device, Vlan):
            return mtu(interfaces[interface.device.parent])
        return interface.mtu or DEFAULT_MTU.get(interface.device.kind, 1500)

    devices = {
        i.name: Device(
            *(i.name, i.device, i.mac, mtu(i), is_up(i), i.master),
            *(list(i.addresses), i.netem, i.sysctls, i.port or BridgePort()),
        ).state()
        for i in node.interfaces
    }
    devices.setdefault("lo", Device("lo", Loopback(), mtu=65536, up=True).state())
    up = {interface.name for interface in node.interfaces if is_up(interface)}
    return (
        node.sysctls,
        devices,
        _wanted_routes(node.routes, node.interfaces, up),
        {(n.dev, n.address): n.mac for n in node.neighbors if n.dev in up},
        set(node.rules),
        node.nftables,
    )


def _wanted_routes(
    routes: tuple[Route, ...], interfaces: tuple[Interface, ...], up: set[str]
) -> dict[tuple[int, str, int], Route]:
    found = {}
    for route in routes:
        key = (route.table, route.destination, route.metric)
        if route.type != "unicast":
            found[key] = route
        elif route.nexthops:
            alive = tuple(hop for hop in route.nexthops if hop.dev in up)
            if alive:
                found[key] = replace(route, nexthops=alive)
        else:
            dev = route.dev
            if dev is None and route.via is not None:
                dev = next(
                    interface.name
                    for interface in interfaces
                    for address in interface.addresses
                    if ip_address(route.via) in ip_interface(address).network
                )
            if dev in up:
                found[key] = replace(route, dev=dev)
    return found
