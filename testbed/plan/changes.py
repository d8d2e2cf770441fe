"""What is new, gone, to be made anew or disturbed between two plans."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from testbed.plan.effective import NodeView, network_of
from testbed.plan.model import (
    Bond,
    Bridge,
    HostInterface,
    Interface,
    LinkKind,
    Loopback,
    Place,
    Plan,
    Route,
    Veth,
    Vlan,
    Vrf,
    Vxlan,
    WireGuard,
)

if TYPE_CHECKING:
    from testbed.plan.steps import Attribute


class NodeChange:
    """A node of the new plan beside what it was.

    `fresh`: its namespace is made (anew). `created` and `deleted`: interfaces
    to be made and to be removed; one to be made anew is in both.
    """

    def __init__(self, before: NodeView | None, after: NodeView) -> None:
        self.name = after.name
        self.before = before
        self.after = after
        self.fresh = before is None or _needs_new_namespace(before, after)
        self.created: dict[str, None] = {}
        self.deleted: set[str] = set()

    def old(self, name: str) -> Interface | None:
        """The interface as it was, when its namespace and itself stay."""
        if self.fresh or self.before is None or name in self.created:
            return None
        return self.before.interfaces.get(name)

    @cached_property
    def flapped(self) -> frozenset[str]:
        """Interfaces that stay, but go down and up on the way, and VLANs on them."""
        return frozenset(name for name in self.after.interfaces if self._flaps(name))

    def _flaps(self, name: str) -> bool:
        old, new = self.old(name), self.after.interfaces.get(name)
        if old is None or new is None:
            return False
        if self._master_changed(old, new) or _lacp_rate_changed(old.device, new.device):
            return True
        return isinstance(new.device, Vlan) and self._flaps(new.device.parent)

    def _master_changed(self, old: Interface, new: Interface) -> bool:
        return old.master != new.master or (new.master is not None and new.master in self.created)

    @cached_property
    def disturbed(self) -> frozenset[str]:
        """Interfaces whose routes and neighbours the kernel may have dropped."""
        names = set(self.created) | self.flapped
        if self.before is None or self.fresh:
            return frozenset(names | set(self.after.interfaces))
        for name in self.after.interfaces:
            if self._changes_mac(name) or any(self._addresses(name)):
                names.add(name)
        return frozenset(names)

    def _changes_mac(self, name: str) -> bool:
        """Whether its address changes; a VLAN without its own has its parent's."""
        old, new = self.old(name), self.after.interfaces[name]
        if old is None or old.mac != new.mac:
            return True
        return isinstance(new.device, Vlan) and self._changes_mac(new.device.parent)

    def may_have_lost(self, route: Route) -> bool:
        """Whether the route may be gone though both plans have it."""
        if route.type != "unicast" or not self.disturbed:
            return False
        if route.nexthops:
            return any(hop.dev in self.disturbed for hop in route.nexthops)
        dev = self.after.device_of(route)
        return dev is None or route.source is not None or dev in self.disturbed

    def addresses_removed(self, name: str) -> tuple[str, ...]:
        """Addresses to take off an interface that stays."""
        return self._addresses(name)[0]

    def addresses_added(self, name: str) -> tuple[str, ...]:
        """Addresses to put on an interface."""
        return self._addresses(name)[1]

    def _addresses(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        wanted = self.after.address_keys(name)
        stays = self.before is not None and not self.fresh and name not in self.created
        have = self.before.address_keys(name) if stays and self.before else ()
        if have == wanted:
            return (), ()
        kept = tuple(address for address in have if address in wanted)
        removed = tuple(address for address in have if address not in wanted)
        # The first address of a subnet is its primary one: its removal takes the others along.
        networks = {network_of(address) for address in removed}
        takes_along = any(network_of(address) in networks for address in kept)
        if wanted[: len(kept)] != kept or takes_along:
            return have, wanted
        return removed, wanted[len(kept) :]

    def attributes(self, name: str) -> tuple[Attribute, ...]:
        """The attributes to set on an interface once it exists."""
        new = self.after.interfaces[name]
        old = self.old(name)
        if old is None:
            return self._after_creation(new)
        changed: list[Attribute] = []
        if old.device != new.device and not isinstance(new.device, Veth):
            changed.append("device")
        if self._master_changed(old, new):
            changed.append("master")
        if self._must_set_port(old, new):
            changed.append("port")
        if self._must_set_mtu(name):
            changed.append("mtu")
        if old.mac != new.mac:
            changed.append("mac")
        if self._must_set_up(old, new):
            changed.append("up")
        if any(old.sysctls.get(key) != value for key, value in new.sysctls.items()):
            changed.append("sysctls")
        return tuple(changed)

    def _after_creation(self, new: Interface) -> tuple[Attribute, ...]:
        changed: list[Attribute] = []
        if isinstance(new.device, Loopback):
            if new.mtu is not None:
                changed.append("mtu")
            if not new.up:
                changed.append("up")
        else:
            if new.master is not None:
                changed.append("master")
            if new.port is not None and new.master is not None:
                changed.append("port")
            if new.name in self.after.up or not new.up:
                changed.append("up")
        if new.sysctls:
            changed.append("sysctls")
        return tuple(changed)

    def _must_set_port(self, old: Interface, new: Interface) -> bool:
        """Whether its bridge is to treat it in another way, or has forgotten how."""
        if new.master is None:
            return False
        moved = self._master_changed(old, new)
        return old.port != new.port if not moved else new.port is not None

    def _must_set_up(self, old: Interface, new: Interface) -> bool:
        is_up = self.before is not None and new.name in self.before.up
        if new.up and new.name not in self.after.up:
            return is_up  # a VLAN whose parent goes down
        changed = is_up != (new.name in self.after.up) or old.up != new.up
        return changed or new.name in self.flapped or self._parent_rises(new)

    def _parent_rises(self, new: Interface) -> bool:
        """Whether the kernel brings a VLAN up together with its parent."""
        if not isinstance(new.device, Vlan) or self.before is None:
            return False
        parent = new.device.parent
        return parent in self.after.up and parent not in self.before.up

    def _must_set_mtu(self, name: str) -> bool:
        """Whether the MTU is another, or a VLAN's may have shrunk with its parent's."""
        assert self.before is not None
        names = (name, *self.after.parents(self.after.interfaces[name]))
        return any(
            self.before.mtu(each) != self.after.mtu(each) or self._leaves_bond(each)
            for each in names
        )

    def loses_members(self, bond: str) -> bool:
        """Whether none of a bond's members stays: the kernel then gives it a random address."""
        assert self.before is not None
        members = [i.name for i in self.before.interfaces.values() if i.master == bond]
        return bool(members) and not any(
            name not in self.deleted and self.after.interfaces[name].master == bond
            for name in members
        )

    def _leaves_bond(self, name: str) -> bool:
        """Whether the kernel gives the interface back an MTU from before it joined."""
        assert self.before is not None
        old, new = self.before.interfaces.get(name), self.after.interfaces.get(name)
        if old is None or new is None or old.master is None or not self._master_changed(old, new):
            return False
        return isinstance(self.before.interfaces[old.master].device, Bond)


class Changes:
    """All nodes of both plans, with the interfaces to be made anew worked out."""

    def __init__(self, old: Plan, new: Plan) -> None:
        self.before = {node.name: NodeView(node) for node in old.nodes}
        self.after = {node.name: NodeView(node) for node in new.nodes}
        self.removed = [view for name, view in self.before.items() if name not in self.after]
        self.nodes = [NodeChange(self.before.get(name), view) for name, view in self.after.items()]
        self._by_name = {change.name: change for change in self.nodes}
        self._find_created_and_deleted()
        self._spread()

    def _find_created_and_deleted(self) -> None:
        for change in self.nodes:
            after = change.after.interfaces
            if change.fresh or change.before is None:
                change.created.update(dict.fromkeys(after))
                continue
            for name, old in change.before.interfaces.items():
                if name not in after:
                    if not isinstance(old.device, Loopback):
                        change.deleted.add(name)
                elif _needs_new_interface(old, after[name]):
                    self._remake(change, name)
            for name, new in after.items():
                if name not in change.before.interfaces and not isinstance(new.device, Loopback):
                    change.created[name] = None

    def _remake(self, change: NodeChange, name: str) -> bool:
        if name in change.created:
            return False
        change.created[name] = None
        change.deleted.add(name)
        return True

    def _spread(self) -> None:
        """Make anew what goes with what is made anew, until nothing more follows."""
        again = True
        while again:
            again = False
            for change in self.nodes:
                if change.before is None or change.fresh:
                    continue
                for name, old in change.before.interfaces.items():
                    if name in change.after.interfaces and name not in change.created:
                        follows = self._follows(change, old)
                        again = (follows and self._remake(change, name)) or again

    def _follows(self, change: NodeChange, old: Interface) -> bool:
        device = old.device
        if isinstance(device, Bond):
            return change.loses_members(old.name)
        if isinstance(device, Vlan):
            return device.parent in change.deleted
        if isinstance(device, Veth):
            return self._is_gone(device.peer_node, device.peer)
        if isinstance(device, WireGuard):
            return self._namespace_goes(device.socket_node)
        return isinstance(device, Vxlan) and self._namespace_goes(device.underlay_node)

    def _namespace_goes(self, node: str) -> bool:
        change = self._by_name.get(node)
        return change is None or change.fresh

    def _is_gone(self, node: str, interface: str) -> bool:
        change = self._by_name.get(node)
        return change is None or change.fresh or interface in change.deleted

    @cached_property
    def held_elsewhere(self) -> list[Place]:
        """Interfaces of namespaces that go, which use a namespace that stays.

        A namespace dies some time after its last user; what it still holds of
        another one (a UDP port, a host interface) would be in the way until then.
        """
        going = [change.before for change in self.nodes if change.fresh and change.before]
        ends = []
        for view in [*self.removed, *going]:
            for interface in view.interfaces.values():
                device: LinkKind = interface.device
                if isinstance(device, HostInterface):
                    ends.append((view.name, interface.name))
                held = None
                if isinstance(device, WireGuard):
                    held = device.socket_node
                elif isinstance(device, Vxlan):
                    held = device.underlay_node
                if held is not None and held != view.name and not self._namespace_goes(held):
                    ends.append((view.name, interface.name))
        return ends


def _needs_new_namespace(before: NodeView, after: NodeView) -> bool:
    """Whether a setting was taken back whose default only a new namespace has."""
    if before.node.sysctls.keys() - after.node.sysctls.keys():
        return True
    old = before.interfaces.get("lo")
    if old is None or not isinstance(old.device, Loopback):
        return False
    new = after.interfaces.get("lo")
    if new is None:
        return bool(old.sysctls) or old.mtu is not None or not old.up
    return _settings_taken_back(old, new)


def _settings_taken_back(old: Interface, new: Interface) -> bool:
    if old.sysctls.keys() - new.sysctls.keys():
        return True
    unknown_default = isinstance(new.device, Vrf) and old.mtu is not None and new.mtu is None
    return unknown_default or (old.mac is not None and new.mac is None)


def _needs_new_interface(old: Interface, new: Interface) -> bool:
    if isinstance(new.device, Loopback):
        return False
    if old.mac != new.mac and (old.master is not None or new.master is not None):
        return True  # a bond gives its members its own address, and their own back later
    return not _changes_live(old.device, new.device) or _settings_taken_back(old, new)


def _changes_live(old: LinkKind, new: LinkKind) -> bool:
    if isinstance(old, WireGuard) and isinstance(new, WireGuard):
        return old.socket_node == new.socket_node
    if isinstance(old, Bond) and isinstance(new, Bond):
        return True
    if isinstance(old, Bridge) and isinstance(new, Bridge):
        return True
    return old == new


def _lacp_rate_changed(old: LinkKind, new: LinkKind) -> bool:
    """The kernel changes the rate of a bond only while it is down."""
    return isinstance(old, Bond) and isinstance(new, Bond) and old.lacp_rate != new.lacp_rate
