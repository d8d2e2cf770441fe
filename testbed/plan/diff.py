"""The steps from one plan to another.

`diff` is pure and deterministic. Its result can be carried out from top to
bottom, and it knows what the kernel takes away by itself: what hangs on an
interface that goes, routes and neighbours of an interface that goes down,
the other end of a veth.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from testbed.plan import steps as s
from testbed.plan.changes import Changes, NodeChange
from testbed.plan.model import ZEBRA, Interface, Node, Plan, Process, Veth, Vlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.plan.effective import NodeView

    Phase = Callable[[Changes], Iterator[s.Step]]

_RANK = {
    "vrf": 0,
    "bond": 1,
    "bridge": 2,
    "dummy": 3,
    "veth": 4,
    "wireguard": 5,
    "vxlan": 6,
    "host": 7,
}
_MASTERS = {"vrf": 0, "bond": 2, "bridge": 2}
_ENSLAVED, _OTHERS = 1, 3


def diff(old: Plan, new: Plan) -> list[s.Step]:
    """The steps that turn a running `old` into `new`; none when they are the same."""
    changes = Changes(old, new)
    phases: tuple[Phase, ...] = (
        _stop_processes,
        _remove_files,
        _per_node(_delete_rules),
        _per_node(_delete_routes),
        _per_node(_delete_neighbors),
        _per_node(_delete_addresses),
        _delete_interfaces,
        _delete_nodes,
        _create_nodes,
        _per_node(_set_sysctls),
        _interfaces,
        _per_node(_set_netem),
        _per_node(_await_interfaces),
        _per_node(_add_addresses),
        _per_node(_set_neighbors),
        _per_node(_set_routes),
        _per_node(_add_rules),
        _per_node(_set_ruleset),
        _per_node(_abort_connections),
        _per_node(_write_files),
        _per_node(_start_processes),
    )
    return list(chain.from_iterable(phase(changes) for phase in phases))


def _per_node(
    phase: Callable[[NodeChange], Iterator[s.Step]],
) -> Callable[[Changes], Iterator[s.Step]]:
    def run(changes: Changes) -> Iterator[s.Step]:
        for change in changes.nodes:
            yield from phase(change)

    return run


# Processes and files


def _changed_files(change: NodeChange) -> set[str]:
    before, after = change.before, change.after
    if before and (before.node.files, before.node.router) == (after.node.files, after.node.router):
        return set()
    old, new = before.files if before else {}, after.files
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


OF_A_START = ("argv", "env", "container", "restart")


def _must_restart(change: NodeChange, old: Process, new: Process) -> bool:
    if change.fresh or any(getattr(old, name) != getattr(new, name) for name in OF_A_START):
        return True
    touched = old != new or not _changed_files(change).isdisjoint(new.files)
    return touched and new.reload == "restart"


def _processes(node: Node) -> dict[str, Process]:
    return {process.name: process for process in node.processes}


def _stop_processes(changes: Changes) -> Iterator[s.Step]:
    for view in changes.removed:
        for process in view.node.processes:
            yield s.StopProcess(view.name, process.name)
    for change in changes.nodes:
        if change.before is None:
            continue
        wanted = _processes(change.after.node)
        for process in change.before.node.processes:
            successor = wanted.get(process.name)
            if successor is None or _must_restart(change, process, successor):
                yield s.StopProcess(change.name, process.name)


def _remove_files(changes: Changes) -> Iterator[s.Step]:
    for view in changes.removed:
        for name in view.files:
            yield s.WriteFile(view.name, name, None)


def _write_files(change: NodeChange) -> Iterator[s.Step]:
    for name in sorted(_changed_files(change)):
        yield s.WriteFile(change.name, name, change.after.files.get(name))


def _start_processes(change: NodeChange) -> Iterator[s.Step]:
    running = _processes(change.before.node) if change.before else {}
    for process in change.after.node.processes:
        old = running.get(process.name)
        if old is None or _must_restart(change, old, process):
            yield s.StartProcess(change.name, process)
        elif old != process or not _changed_files(change).isdisjoint(process.files):
            yield s.ReloadProcess(change.name, process)


# What goes


def _kept(change: NodeChange) -> NodeView | None:
    """The node as it was, when its namespace stays."""
    return None if change.fresh else change.before


def _delete_rules(change: NodeChange) -> Iterator[s.Step]:
    if before := _kept(change):
        wanted = set(change.after.node.rules)
        for rule in dict.fromkeys(before.node.rules):
            if rule not in wanted:
                yield s.DeleteRule(change.name, rule)


def _delete_routes(change: NodeChange) -> Iterator[s.Step]:
    if before := _kept(change):
        for key, route in before.routes.items():
            if key not in change.after.routes:
                yield s.DeleteRoute(change.name, route)


def _delete_neighbors(change: NodeChange) -> Iterator[s.Step]:
    if before := _kept(change):
        for key, neighbor in before.neighbors.items():
            if key not in change.after.neighbors and neighbor.dev not in change.deleted:
                yield s.DeleteNeighbor(change.name, neighbor)


def _delete_addresses(change: NodeChange) -> Iterator[s.Step]:
    if before := _kept(change):
        for name in before.interfaces:
            if name not in change.deleted:
                for address in change.addresses_removed(name):
                    yield s.DeleteAddress(change.name, name, address)


def _delete_interfaces(changes: Changes) -> Iterator[s.Step]:
    gone: set[tuple[str, str]] = set()
    for change in changes.nodes:
        before = _kept(change)
        if before is None:
            continue
        for name in before.interfaces:
            if name not in change.deleted or (change.name, name) in gone:
                continue
            device = before.interfaces[name].device
            if isinstance(device, Vlan) and device.parent in change.deleted:
                continue
            if isinstance(device, Veth):
                gone.add((device.peer_node, device.peer))
            yield s.DeleteInterface(change.name, name)
    for node, name in changes.held_elsewhere:
        if (node, name) not in gone:
            yield s.DeleteInterface(node, name)


def _delete_nodes(changes: Changes) -> Iterator[s.Step]:
    for view in changes.removed:
        yield s.DeleteNode(view.name)
    for change in changes.nodes:
        if change.fresh and change.before is not None:
            yield s.DeleteNode(change.name)


# What comes


def _create_nodes(changes: Changes) -> Iterator[s.Step]:
    for change in changes.nodes:
        if change.fresh:
            yield s.CreateNode(change.name, tuple(change.after.node.sysctls.items()))


def _set_sysctls(change: NodeChange) -> Iterator[s.Step]:
    if before := _kept(change):
        old, new = before.node.sysctls, change.after.node.sysctls
        if changed := tuple((key, value) for key, value in new.items() if old.get(key) != value):
            yield s.SetSysctls(change.name, changed)


def _interfaces(changes: Changes) -> Iterator[s.Step]:
    """Make and set interfaces: VLANs once their parent is as it shall be.

    A bond gets its members before it is set up, and they are set up last: a
    bond that is up without members waits six seconds more to distribute.
    """
    order: list[tuple[tuple[int, int, int], s.Step]] = []
    made: set[tuple[str, str]] = set()
    for change in changes.nodes:
        for name, interface in change.after.interfaces.items():
            depth = len(change.after.parents(interface))
            kind = interface.device.kind
            if name in change.created and kind != "loopback" and (change.name, name) not in made:
                creation = _creation(changes, change, interface, made)
                order.append(((depth, 0, _RANK.get(kind, 0)), creation))
            if changed := change.attributes(name):
                target = _target(change, interface, changed)
                if "master" in changed and _is_bond(change, target.master):
                    enslave = tuple(attribute for attribute in changed if attribute != "up")
                    setting = s.SetInterface(change.name, target, enslave)
                    order.append(((depth, 1, _ENSLAVED), setting))
                    changed = ("up",) if "up" in changed else ()
                if changed:
                    setting = s.SetInterface(change.name, target, changed)
                    order.append(((depth, 1, _MASTERS.get(kind, _OTHERS)), setting))
    order.sort(key=lambda item: item[0])
    return (step for _, step in order)


def _target(
    change: NodeChange, interface: Interface, changed: tuple[s.Attribute, ...]
) -> Interface:
    """The interface with what it cannot say by itself."""
    if "mtu" in changed:
        interface = replace(interface, mtu=change.after.mtu(interface.name))
    if "up" in changed and interface.name not in change.after.up and interface.up:
        # The kernel sets a VLAN down with its parent, but some kernels do it later.
        interface = replace(interface, up=False)
    return interface


def _is_bond(change: NodeChange, name: str | None) -> bool:
    return name is not None and change.after.interfaces[name].device.kind == "bond"


def _creation(
    changes: Changes, change: NodeChange, interface: Interface, made: set[tuple[str, str]]
) -> s.Step:
    device, peer = interface.device, None
    if isinstance(device, Veth):
        made.add((device.peer_node, device.peer))
        peer = changes.after[device.peer_node].interfaces[device.peer]
    return s.CreateInterface(change.name, interface, peer)


def _set_netem(change: NodeChange) -> Iterator[s.Step]:
    for name, interface in change.after.interfaces.items():
        before = _standing(change, name)
        if interface.netem != (before.netem if before else None):
            yield s.SetNetem(change.name, name, interface.netem)
    if before_view := _kept(change):
        for name, old in before_view.interfaces.items():
            vanished = name not in change.after.interfaces and name not in change.deleted
            if vanished and old.netem is not None:
                yield s.SetNetem(change.name, name, None)


def _standing(change: NodeChange, name: str) -> Interface | None:
    """The interface as it was, when it is not made anew."""
    if change.before is None or name in change.created:
        return None
    return change.before.interfaces.get(name)


def _await_interfaces(change: NodeChange) -> Iterator[s.Step]:
    """Let a zebra that runs on take in what is new before it gets addresses."""
    before = _kept(change)
    old = _processes(before.node).get(ZEBRA) if before else None
    new = _processes(change.after.node).get(ZEBRA)
    if old is None or new is None or _must_restart(change, old, new):
        return
    changed = tuple(
        (name, _vrf(change, interface.master))
        for name, interface in change.after.interfaces.items()
        if name in change.created or "master" in change.attributes(name)
    )
    if changed:
        yield s.AwaitInterfaces(change.name, changed)


def _vrf(change: NodeChange, master: str | None) -> str | None:
    """The master, where it is a VRF."""
    if master is None or change.after.interfaces[master].device.kind != "vrf":
        return None
    return master


def _add_addresses(change: NodeChange) -> Iterator[s.Step]:
    for name in change.after.interfaces:
        for address in change.addresses_added(name):
            yield s.AddAddress(change.name, name, address)


def _set_neighbors(change: NodeChange) -> Iterator[s.Step]:
    before = _kept(change)
    for key, neighbor in change.after.neighbors.items():
        known = before.neighbors.get(key) if before else None
        if neighbor != known or neighbor.dev in change.disturbed:
            yield s.SetNeighbor(change.name, neighbor)


def _set_routes(change: NodeChange) -> Iterator[s.Step]:
    before = _kept(change)
    for key, route in change.after.routes.items():
        known = before.routes.get(key) if before else None
        if route != known or change.may_have_lost(route):
            yield s.SetRoute(change.name, route)


def _add_rules(change: NodeChange) -> Iterator[s.Step]:
    before = _kept(change)
    known = set(before.node.rules) if before else set()
    for rule in dict.fromkeys(change.after.node.rules):
        if rule not in known:
            yield s.AddRule(change.name, rule)


def _set_ruleset(change: NodeChange) -> Iterator[s.Step]:
    before = _kept(change)
    text = change.after.node.nftables
    # Hooks of these name devices and are gone with them.
    bound = bool(change.created or change.deleted) and ("netdev" in text or "flowtable" in text)
    if text != (before.node.nftables if before else "") or (bound and before is not None):
        yield s.SetRuleset(change.name, text, change.after.node.own_ruleset)


def _abort_connections(change: NodeChange) -> Iterator[s.Step]:
    before = _kept(change)
    for abort in change.after.node.aborts:
        if before and abort not in before.node.aborts:
            yield s.AbortConnections(change.name, abort)
