"""Faults of cables, LAGs and VLANs as links: down, too small, slow, lossy."""

from __future__ import annotations

from dataclasses import replace

from testbed.errors import UsageError
from testbed.faults.editing import Editing, Target, far_end, members, with_vlans
from testbed.faults.registry import QUEUES, REMOVALS, kind, number, text
from testbed.faults.values import Parameter
from testbed.plan.effective import NodeView
from testbed.plan.model import Bond, Bridge, Fault, Netem, Place, Vlan
from testbed.plan.queueing import queue_limit

QUALITY = (
    Parameter("delay", "duration", "the added one-way delay"),
    Parameter("jitter", "duration", "how much the delay varies, up or down"),
    Parameter("loss", "percent", "the share of packets that are lost at random"),
    Parameter("reorder", "percent", "the share of packets that overtake delayed ones"),
    Parameter("duplicate", "percent", "the share of packets that arrive twice"),
    Parameter("rate", "rate", "the highest rate"),
)
ENDS = Parameter(
    "ends",
    "choice",
    "only this interface, or both ends",
    "one",
    choices=("one", "both"),
    narrows=True,
)


@kind("link-down", "an interface goes down; for a LAG, all its members do", "interface")
def link_down(edit: Editing, target: Target, _: Fault) -> None:
    """Set the interface down: the other end of a cable loses its carrier."""
    node = edit.original(target.node)
    is_bond = isinstance(node.interface(target.interface).device, Bond)
    for name in members(node, target.interface) if is_bond else [target.interface]:
        edit.change_interface(target.node, name, up=False)


def _require_vlan(edit: Editing, target: Target) -> Vlan:
    node = edit.original(target.node)
    device = node.interface(target.interface).device
    if isinstance(device, Vlan):
        return device
    vlans = [i.name for i in node.interfaces if isinstance(i.device, Vlan)]
    hint = f"its VLANs: {', '.join(vlans)}" if vlans else f"{target.node} has none"
    raise UsageError(f"{target.text} is not a VLAN interface", hint=hint)


@kind("vlan-removed", "the VLAN is not configured on this side", "interface", rank=REMOVALS)
def vlan_removed(edit: Editing, target: Target, _: Fault) -> None:
    """Remove the VLAN interface with its addresses; what needs it goes with it."""
    _require_vlan(edit, target)
    gone = with_vlans(edit.original(target.node), target.interface)
    node = edit.node(target.node)
    kept = tuple(
        replace(interface, master=None) if interface.master in gone else interface
        for interface in node.interfaces
        if interface.name not in gone
    )
    edit.change(target.node, interfaces=kept)


@kind(
    "vlan-wrong",
    "the VLAN has a different VID on this side",
    "interface",
    parameters=(
        Parameter("vid", "number", "the wrong VID", required=True, lowest=1, highest=4094),
    ),
)
def vlan_wrong(edit: Editing, target: Target, fault: Fault) -> None:
    """Change the VID of the 802.1Q interface."""
    device = _require_vlan(edit, target)
    vid = int(number(fault, "vid"))
    for other in edit.node(target.node).interfaces:
        if other.device == Vlan(device.parent, vid) and other.name != target.interface:
            hint = "vlans-swapped swaps two VLANs"
            raise UsageError(f"{target.node}:{other.name} already has VID {vid}", hint=hint)
    edit.change_interface(target.node, target.interface, device=Vlan(device.parent, vid))


@kind("vlans-swapped", "the VIDs of a LAG's two VLANs are swapped on this side", "interface")
def vlans_swapped(edit: Editing, target: Target, _: Fault) -> None:
    """Exchange the VIDs of the VLANs on a bond (or any interface with two of them)."""
    node = edit.original(target.node)
    device = node.interface(target.interface).device
    parent = device.parent if isinstance(device, Vlan) else target.interface
    vlans = [
        (i.name, i.device.vid)
        for i in node.interfaces
        if isinstance(i.device, Vlan) and i.device.parent == parent
    ]
    if len(vlans) != 2:
        hint = "target a bond: NODE:INTERFACE or OUTPOST.lagN"
        raise UsageError(f"{target.node}:{parent} has {len(vlans)} VLANs, not two", hint=hint)
    (first, first_vid), (second, second_vid) = vlans
    edit.change_interface(target.node, first, device=Vlan(parent, second_vid))
    edit.change_interface(target.node, second, device=Vlan(parent, first_vid))


@kind(
    "vlan-untagged",
    "the VLAN is the native one on this side: its frames are untagged",
    "interface",
    rank=REMOVALS,
)
def vlan_untagged(edit: Editing, target: Target, _: Fault) -> None:
    """Send and take the VLAN's frames without a tag, by a bridge in its place.

    The other VLANs of the port stay tagged: the kernel takes their frames before the bridge does.
    """
    device = _require_vlan(edit, target)
    if edit.interface(target.node, target.interface) is None:
        return
    port = edit.interface(target.node, device.parent)
    if port is not None and port.master:
        hint = "only one VLAN of a port can be the native one"
        raise UsageError(f"{target.node}:{device.parent} is part of {port.master}", hint=hint)
    edit.change_interface(target.node, target.interface, device=Bridge())
    edit.change_interface(target.node, device.parent, master=target.interface)


@kind(
    "fibre-one-way",
    "everything the interface sends is lost, although both ends have carrier",
    "interface",
    rank=QUEUES,
)
def fibre_one_way(edit: Editing, target: Target, fault: Fault) -> None:
    """Lose every frame on its way out, LACPDUs among them; of a LAG on all members."""
    node = edit.original(target.node)
    is_bond = isinstance(node.interface(target.interface).device, Bond)
    for name in members(node, target.interface) if is_bond else [target.interface]:
        add_netem(edit, target.node, name, replace(fault, values={"loss": 100.0}))


def _ends(edit: Editing, target: Target, fault: Fault) -> list[Place]:
    """The interface, and the other end's if that was asked for."""
    own = (target.node, target.interface)
    if text(fault, "ends") != "both":
        return [own]
    far = far_end(edit, *own)
    if far is None:
        raise UsageError(f"{target.text} has no other end in the plan", hint="use --ends one")
    return [own, far]


@kind(
    "mtu",
    "an interface and its VLANs, or both ends, have a smaller MTU",
    "interface",
    parameters=(
        Parameter(
            "mtu",
            "number",
            "the MTU in bytes",
            required=True,
            lowest=576,
            highest=9216,
            example="1400",
        ),
        ENDS,
    ),
)
def mtu(edit: Editing, target: Target, fault: Fault) -> None:
    """Lower the MTU; several faults leave the lowest."""
    for node, name in _ends(edit, target, fault):
        master = edit.original(node).interface(name).master
        if master and isinstance(edit.original(node).interface(master).device, Bond):
            hint = f"target the LAG: {node}:{master}"
            raise UsageError(f"{node}:{name} is a member of a LAG and has the LAG's MTU", hint=hint)
        view = NodeView(edit.node(node))
        for each in with_vlans(edit.original(node), name):
            now = view.mtu(each)
            lower = int(number(fault, "mtu"))
            if each in view.interfaces and (now is None or now > lower):
                edit.change_interface(node, each, mtu=lower)


@kind(
    "impair",
    "packets that the interface sends are delayed, lost, reordered, duplicated, limited",
    "interface",
    parameters=(
        *QUALITY,
        ENDS,
    ),
    rank=QUEUES,
    at_least_one=True,
    measured=True,
)
def impair(edit: Editing, target: Target, fault: Fault) -> None:
    """Add netem to the interface, of a LAG to each member."""
    if number(fault, "reorder") and not number(fault, "delay"):
        hint = "add --delay: a packet can only overtake packets that wait"
        raise UsageError("--reorder needs a delay", hint=hint)
    for node, name in _ends(edit, target, fault):
        device = edit.original(node).interface(name).device
        names = members(edit.original(node), name) if isinstance(device, Bond) else [name]
        for each in names:
            add_netem(edit, node, each, fault)


def add_netem(edit: Editing, node: str, name: str, fault: Fault) -> None:
    """Add the fault's impairment to what there is: delays add up, the lowest rate counts."""
    interface = edit.interface(node, name)
    if interface is None:
        return
    old = interface.netem or Netem()
    if old.classified:
        text = f"{node}:{name} delays some of its packets, those between Availability Zones"
        raise UsageError(text, hint="impair the network interfaces at its ends instead")
    rates = [rate for rate in (old.rate_mbps, number(fault, "rate")) if rate]
    rate = min(rates, default=0.0)
    delay = old.delay_ms + number(fault, "delay")
    jitter = old.jitter_ms + number(fault, "jitter")
    netem = Netem(
        delay_ms=delay,
        jitter_ms=jitter,
        loss_percent=_either(old.loss_percent, number(fault, "loss")),
        rate_mbps=rate,
        limit=queue_limit(rate, delay + jitter, NodeView(edit.node(node)).mtu(name) or 1500),
        reorder_percent=_either(old.reorder_percent, number(fault, "reorder")),
        duplicate_percent=_either(old.duplicate_percent, number(fault, "duplicate")),
    )
    edit.change_interface(node, name, netem=netem)


def _either(one: float, other: float) -> float:
    """The probability in percent that one or the other happens."""
    return round(100 - (100 - one) * (100 - other) / 100, 9)
