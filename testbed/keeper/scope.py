"""What has to be ready for a change to be, which is less than everything most of the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from testbed.plan import steps as s
from testbed.plan.checks import Check
from testbed.plan.model import Plan, Veth, WireGuard

ROUTING = {"bird", "zebra", "bgpd", "staticd", "bfdd", "ospfd"}
SPREADING = (
    s.CreateNode,
    s.DeleteNode,
    s.SetSysctls,
    s.CreateInterface,
    s.DeleteInterface,
    s.SetInterface,
    s.AddAddress,
    s.DeleteAddress,
)


@dataclass(eq=False)
class Scope:
    """The nodes whose checks are waited for, or `everything`; `told` are routing daemons."""

    everything: bool = False
    nodes: set[str] = field(default_factory=set)
    told: bool = False

    def add(self, other: Scope) -> None:
        """Wait for what another change touches, too."""
        self.everything |= other.everything
        self.nodes |= other.nodes

    def checks(self, plan: Plan) -> list[Check]:
        """Return the checks of a plan that are waited for."""
        if self.everything:
            return list(plan.checks)
        return [check for check in plan.checks if check.node in self.nodes]


def scope_of(old: Plan, new: Plan, steps: Iterable[s.Step]) -> Scope:
    """Return what the steps from one plan to another touch.

    Sessions, LAGs and tunnels take others along, and routes with them: where a routing daemon,
    its interfaces, or a tunnel's socket are touched, that is everything.
    """
    scope = Scope()
    spreading: set[str] = set()
    for step in steps:
        if isinstance(step, s.SetNetem):  # which no state depends on
            continue
        ends = set(_ends(step))
        scope.nodes |= ends
        if isinstance(step, SPREADING):
            spreading |= ends
        scope.told |= _tells_router(step)
    scope.everything = scope.told or any(_carries(plan, spreading) for plan in (old, new))
    if old.checks is not new.checks:
        known = set(old.checks)
        scope.nodes |= {check.node for check in new.checks if check not in known}
    return scope


def _tells_router(step: s.Step) -> bool:
    """Whether a step has a routing daemon start, stop or read another configuration."""
    if isinstance(step, s.StartProcess | s.ReloadProcess):
        return step.process.name in ROUTING
    return isinstance(step, s.StopProcess) and step.name in ROUTING


def _ends(step: s.Step) -> Iterator[str]:
    yield step.node
    if isinstance(step, s.CreateInterface | s.SetInterface):
        device = step.interface.device
        if isinstance(device, Veth):
            yield device.peer_node


def _carries(plan: Plan, nodes: set[str]) -> bool:
    """Whether one of the nodes is a router, or a tunnel's socket is in it."""
    if not nodes:
        return False
    for node in plan.nodes:
        if node.name in nodes and any(process.name in ROUTING for process in node.processes):
            return True
        for interface in node.interfaces:
            device = interface.device
            if isinstance(device, WireGuard) and device.socket_node in nodes:
                return True
    return False
