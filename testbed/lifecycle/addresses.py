"""By which address a node of a testbed is reached."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING

from testbed.plan.roles import SITE

if TYPE_CHECKING:
    from testbed.plan.model import Node, Plan


def address_of(
    plan: Plan, name: str, *, version: int | None = None, source: str | None = None
) -> str:
    """The first address of a node that others can reach: not on `lo` where it has another.

    IPv4 before IPv6 without a `version`; never a link-local one. Where it has leases of the
    customer's network, those go first for a `source` that is the customer's, or is on the same
    segment. KeyError when there is no such node, nor such an address of no one node; ValueError
    when it has no address.
    """
    if name in plan.names and version in {None, 4}:
        return plan.names[name]
    node = plan.node(name)
    if version in {None, 4} and (leased := _leased(plan, node, source)):
        return leased
    own = [
        (":" in address, interface.device.kind == "loopback", address)
        for interface in node.interfaces
        for address in interface.addresses
        if not address.startswith("fe80:")
    ]
    for six, _, address in sorted(own, key=lambda entry: entry[:2]):
        if version in {None, 6 if six else 4}:
            return address.partition("/")[0]
    raise ValueError(name)


def _leased(plan: Plan, node: Node, source: str | None) -> str | None:
    """The address on the customer's network by which `source` reaches a node, if it has one."""
    leases = [address for interface in node.interfaces for address in interface.leased]
    others = any(i.addresses for i in node.interfaces if i.device.kind != "loopback")
    own = next((entry for entry in plan.nodes if entry.name == source), None)
    networks = {
        ip_interface(address).network
        for interface in (own.interfaces if own else ())
        for address in (*interface.addresses, *interface.leased)
    }
    for address in leases:
        near = ip_interface(address).network in networks
        if not others or near or (own is not None and own.group == SITE):
            return address.partition("/")[0]
    return None
