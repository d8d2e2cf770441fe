"""Steps: the difference between two plans, in an order in which it can be carried out.

`testbed.plan.diff` makes them and `testbed.kernel.apply` carries them out.
Building a testbed is the difference from an empty plan, a changed file or a
fault is the difference from what runs, taking it down the difference to an
empty plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from testbed.plan.model import Abort, Interface, Neighbor, Netem, Process, Route, Rule

Attribute = Literal["master", "mtu", "mac", "up", "sysctls", "device", "port"]


@dataclass(frozen=True, slots=True)
class StopProcess:
    """Stop the node's process and wait for its end."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class DeleteRule:
    """Remove a policy routing rule."""

    node: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    """Remove a route; one that went with its interface is not an error."""

    node: str
    route: Route


@dataclass(frozen=True, slots=True)
class DeleteNeighbor:
    """Remove a permanent neighbour entry; one that went with its interface is not an error."""

    node: str
    neighbor: Neighbor


@dataclass(frozen=True, slots=True)
class DeleteAddress:
    """Remove an address from an interface."""

    node: str
    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class DeleteInterface:
    """Remove an interface (and with a veth its other end; already gone is not an error)."""

    node: str
    interface: str


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Remove a namespace with all that is left in it."""

    node: str


@dataclass(frozen=True, slots=True)
class CreateNode:
    """Make a namespace, with its `lo` up and its sysctls (file under /proc/sys, value) set."""

    node: str
    sysctls: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SetSysctls:
    """Write sysctls (file under /proc/sys, value) of a node."""

    node: str
    sysctls: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CreateInterface:
    """Make an interface without master or addresses.

    For a veth, `peer` is its other end, made by the same message; the diff
    emits one step for each pair. Not set up yet, but for what needs no
    ordering (`apply` may create veths that have no master up at once).
    """

    node: str
    interface: Interface
    peer: Interface | None = None


@dataclass(frozen=True, slots=True)
class SetInterface:
    """Bring master, port, MTU, MAC, up/down and sysctls of an interface to what it says.

    `changed` names the attributes to set; after creation it is all of
    ``master``, ``port``, ``mtu``, ``up``, ``sysctls`` that are not the default.
    """

    node: str
    interface: Interface
    changed: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class SetNetem:
    """Set, replace or (None) remove the interface's egress impairment."""

    node: str
    interface: str
    netem: Netem | None


@dataclass(frozen=True, slots=True)
class AwaitInterfaces:
    """Wait until the node's zebra knows interfaces: (name, its VRF or None) of each.

    FRR hears of links and of addresses in two ways (two netlink sockets). An address that
    comes to it before its interface does, or while it has the one that was there before, is
    lost for as long as it runs.
    """

    node: str
    interfaces: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Add an address with prefix length to an interface."""

    node: str
    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class SetNeighbor:
    """Add or replace a permanent neighbour entry."""

    node: str
    neighbor: Neighbor


@dataclass(frozen=True, slots=True)
class SetRoute:
    """Add or replace a route."""

    node: str
    route: Route


@dataclass(frozen=True, slots=True)
class AddRule:
    """Add a policy routing rule."""

    node: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class SetRuleset:
    """Replace the node's whole nftables ruleset, atomically; empty text means none.

    `apart` where a user has written it: what it does is not ours to foresee.
    """

    node: str
    nftables: str
    apart: bool = False


@dataclass(frozen=True, slots=True)
class AbortConnections:
    """Reset TCP connections of the node."""

    node: str
    abort: Abort


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write (text None: remove) a file of the node's directory."""

    node: str
    file: str
    text: str | None


@dataclass(frozen=True, slots=True)
class StartProcess:
    """Start a process of the node."""

    node: str
    process: Process


@dataclass(frozen=True, slots=True)
class ReloadProcess:
    """Make a running process read its changed files."""

    node: str
    process: Process


Step = (
    StopProcess
    | DeleteRule
    | DeleteRoute
    | DeleteNeighbor
    | DeleteAddress
    | DeleteInterface
    | DeleteNode
    | CreateNode
    | SetSysctls
    | CreateInterface
    | SetInterface
    | SetNetem
    | AwaitInterfaces
    | AddAddress
    | SetNeighbor
    | SetRoute
    | AddRule
    | SetRuleset
    | AbortConnections
    | WriteFile
    | StartProcess
    | ReloadProcess
)
