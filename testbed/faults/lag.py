"""Faults of LACP (IEEE 802.1AX): slow, silent, a member that does not belong."""

from __future__ import annotations

from dataclasses import replace

from testbed.errors import UsageError
from testbed.faults.editing import Editing, Target, egress, members
from testbed.faults.registry import CONFIGURATION, RULES, kind
from testbed.plan.model import Bond, Fault

SLOW_PROTOCOLS = "0x8809"  # the Ethertype of LACP (IEEE 802.3 annex 57A)


def _bond(edit: Editing, target: Target) -> str:
    """The bond that is targeted, itself or by a member."""
    node = edit.original(target.node)
    names = [i.name for i in node.interfaces if isinstance(i.device, Bond)]
    master = node.interface(target.interface).master
    for name in (target.interface, master):
        if name in names:
            return str(name)
    hint = f"its LAGs: {', '.join(names)}" if names else f"{target.node} has none"
    raise UsageError(f"{target.text} is neither a LAG nor a member of one", hint=hint)


@kind("lacp-slow", "this side asks for LACPDUs every 30 s instead of every second", "interface")
def lacp_slow(edit: Editing, target: Target, _: Fault) -> None:
    """Set the LACP rate of the bond to slow; the bond goes down for a moment."""
    name = _bond(edit, target)
    device = edit.original(target.node).interface(name).device
    assert isinstance(device, Bond)
    edit.change_interface(target.node, name, device=replace(device, lacp_rate="slow"))


@kind(
    "lacp-silent", "this side sends no LACPDUs; for a LAG, on any member", "interface", rank=RULES
)
def lacp_silent(edit: Editing, target: Target, fault: Fault) -> None:
    """Drop LACPDUs on their way out, in a hook of nftables at the interface itself."""
    bond = _bond(edit, target)
    node = edit.original(target.node)
    names = members(node, bond) if target.interface == bond else [target.interface]
    chains = egress(names, f"ether type {SLOW_PROTOCOLS} drop")
    edit.add_table(target.node, fault, chains, family="netdev")


@kind(
    "lag-member-missing",
    "the interface is not configured as a member of its LAG on this side",
    "interface",
    rank=CONFIGURATION,
)
def lag_member_missing(edit: Editing, target: Target, _: Fault) -> None:
    """Take the interface out of the bond."""
    bond = _bond(edit, target)
    if bond == target.interface:
        names = ", ".join(members(edit.original(target.node), bond))
        raise UsageError(f"{target.text} is a LAG", hint=f"target one of its members: {names}")
    edit.change_interface(target.node, target.interface, master=None)
