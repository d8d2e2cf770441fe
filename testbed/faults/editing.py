"""A plan under change: what the kinds of faults work with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from testbed.plan.model import Bond, Fault, Interface, Node, Place, Plan, Veth, Vlan

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE_CONNTRACK = -310  # priority of nft's chains: before `raw`


@dataclass(frozen=True, slots=True)
class Target:
    """What a fault is about: a node, one of its interfaces, an Outpost, or its hardware."""

    node: str = ""
    interface: str = ""
    outpost: str = ""
    hardware: str = ""

    @property
    def text(self) -> str:
        """As it is written."""
        place = f"{self.node}:{self.interface}" if self.interface else self.node
        return self.hardware or self.outpost or place


class Editing:
    """The nodes of a plan, to be changed one after the other.

    `base` is the plan without any fault: what a target is, is read from there,
    so that one fault does not hide another one's. `faults` are all that are in
    force.
    """

    def __init__(self, base: Plan, faults: tuple[Fault, ...]) -> None:
        self.base = base
        self.faults = faults
        self._base = {node.name: node for node in base.nodes}
        self._nodes = dict(self._base)

    def plan(self) -> Plan:
        """The plan as it has become."""
        return replace(self.base, nodes=tuple(self._nodes.values()))

    def original(self, name: str) -> Node:
        """The node without any fault."""
        return self._base[name]

    def node(self, name: str) -> Node:
        """The node as it has become."""
        return self._nodes[name]

    def nodes(self) -> Iterator[Node]:
        """All nodes without any fault."""
        return iter(self.base.nodes)

    def change(self, name: str, **members: Any) -> None:
        """Change members of a node."""
        self._nodes[name] = replace(self._nodes[name], **members)

    def change_interface(self, node: str, name: str, **members: Any) -> None:
        """Change members of an interface; one that another fault has removed stays removed."""
        interfaces = tuple(
            replace(interface, **members) if interface.name == name else interface
            for interface in self._nodes[node].interfaces
        )
        self.change(node, interfaces=interfaces)

    def interface(self, node: str, name: str) -> Interface | None:
        """The interface as it has become; None when another fault has removed it."""
        return next((i for i in self._nodes[node].interfaces if i.name == name), None)

    def change_file(self, node: str, name: str, text: str) -> None:
        """Change the text of a file of a node."""
        self.change(node, files=self._nodes[node].files | {name: text})

    def add_table(self, node: str, fault: Fault, body: str, *, family: str = "inet") -> None:
        """Add an nftables table of the fault's own to the node's ruleset."""
        table = f"table {family} fault_{fault.name.replace('-', '_')} {{\n{body}}}\n"
        before = self._nodes[node].nftables
        newline = "" if before.endswith("\n") or not before else "\n"
        self.change(node, nftables=f"{before}{newline}{table}")


def chain(hook: str, *rules: str, priority: int = BEFORE_CONNTRACK) -> str:
    """A base chain of a table that accepts what its rules don't drop."""
    lines = "".join(f"    {rule}\n" for rule in rules)
    head = f"type filter hook {hook} priority {priority}; policy accept;"
    return f"  chain {hook} {{\n    {head}\n{lines}  }}\n"


def egress(interfaces: list[str], rule: str) -> str:
    """Base chains of a table of family netdev, on what interfaces send."""
    return "".join(
        f"  chain member{index} {{\n"
        f'    type filter hook egress device "{name}" priority 0; policy accept;\n'
        f"    {rule}\n  }}\n"
        for index, name in enumerate(interfaces)
    )


def members(node: Node, bond: str) -> list[str]:
    """The members of a LAG."""
    return [interface.name for interface in node.interfaces if interface.master == bond]


def with_vlans(node: Node, name: str) -> list[str]:
    """The interface and all VLANs on it."""
    names = [name]
    for interface in node.interfaces:
        if isinstance(interface.device, Vlan) and interface.device.parent in names:
            names.append(interface.name)
    return names


def far_end(editing: Editing, node: str, name: str) -> Place | None:
    """The interface at the other end of a cable, LAG or VLAN; None where it ends elsewhere."""
    interface = editing.original(node).interface(name)
    device = interface.device
    if isinstance(device, Veth):
        return device.peer_node, device.peer
    if isinstance(device, Bond):
        for member in members(editing.original(node), name):
            if end := far_end(editing, node, member):
                master = editing.original(end[0]).interface(end[1]).master
                return (end[0], master) if master else None
    if isinstance(device, Vlan) and (end := far_end(editing, node, device.parent)):
        for other in editing.original(end[0]).interfaces:
            if isinstance(other.device, Vlan) and other.device == Vlan(end[1], device.vid):
                return end[0], other.name
    return None
