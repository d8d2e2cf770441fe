"""Handles for objects with several nodes or two ends: Outposts and cables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.errors import UsageError, no_such_node
from testbed.plan.model import Interface, Node, Place, Veth
from testbed.plan.roles import Role

if TYPE_CHECKING:
    from testbed.plan.model import Plan
    from testbed.probes.capture import Capture
    from testbed.testing import node
    from testbed.testing.states import Counters, Lag, Tunnel
    from testbed.testing.testbed import Testbed


def require_role(plan: Plan, name: str, roles: tuple[Role, ...], what: str) -> None:
    """Raise UsageError if the node `name` does not exist or has another role."""
    fitting = [node.name for node in plan.nodes if node.role in roles]
    if name in fitting:
        return
    found = next((node for node in plan.nodes if node.name == name), None)
    if found is None:
        raise no_such_node(name, plan.name, fitting)
    hint = f"there are {', '.join(fitting)}" if fitting else f"{plan.name} has none"
    raise UsageError(f"{name} has the role {found.role}, not {what}", hint=hint)


class Link:
    """The cables between two nodes: one, or the members of a LAG."""

    def __init__(self, testbed: Testbed, a: str, b: str) -> None:
        self._testbed = testbed
        self.a, self.b = testbed.node(a), testbed.node(b)
        self.cables: list[tuple[str, str]] = [
            (interface.name, interface.device.peer)
            for interface in self._plan_node(a).interfaces
            if isinstance(interface.device, Veth) and interface.device.peer_node == b
        ]
        if not self.cables:
            others = dict.fromkeys(
                interface.device.peer_node
                for interface in self._plan_node(a).interfaces
                if isinstance(interface.device, Veth)
            )
            hint = f"cables of {a} lead to {', '.join(others)}" if others else None
            raise UsageError(f"no cable between {a} and {b}", hint=hint)

    def __repr__(self) -> str:
        return f"<Link {self.a.name} - {self.b.name} of {self._testbed.name}>"

    def _plan_node(self, name: str) -> Node:
        return self._testbed.plan.node(name)

    def _first(self) -> Interface:
        return self._plan_node(self.a.name).interface(self.cables[0][0])

    @property
    def ends(self) -> list[tuple[Place, Place]]:
        """Return both ends of each cable, as (node, interface)."""
        return [((self.a.name, one), (self.b.name, other)) for one, other in self.cables]

    @property
    def up(self) -> bool:
        """Return whether every cable has carrier at both ends."""
        return all(entry.carrier for entry in self._links())

    def _links(self) -> list[node.InterfaceState]:
        names = {self.a.name: {one for one, _ in self.cables}}
        names.setdefault(self.b.name, set()).update(other for _, other in self.cables)
        return [
            state
            for name, wanted in names.items()
            for interface, state in self._testbed.node(name).interfaces().items()
            if interface in wanted
        ]

    def lag(self) -> Lag:
        """Return the cables' LAG as `a` sees it. Raises UsageError if they are in none."""
        master = self._first().master
        for lag in self.a.lacp():
            if lag.name == master:
                return lag
        raise UsageError(f"{self.a.name} - {self.b.name} is not a LAG")

    def counters(self) -> dict[str, Counters]:
        """Return the counters of each cable, by the name of its interface in `a`."""
        found = self.a.counters()
        return {one: found[one] for one, _ in self.cables}

    def capture(self, filter: str = "") -> Capture:  # noqa: A002
        """Capture at `a` on the LAG, or on the cable if it is not in a LAG."""
        device = self._first()
        master = device.master
        is_lag = master and self._plan_node(self.a.name).interface(master).device.kind == "bond"
        return self.a.capture(str(master) if is_lag else device.name, filter)


class Outpost:
    """An Outpost: its nodes, and its service link."""

    def __init__(self, testbed: Testbed, name: str) -> None:
        self._testbed = testbed
        self.name = name
        roles = {Role.NETWORKING_DEVICE, Role.SERVER, Role.SERVICE_LINK}
        groups = {node.group for node in testbed.plan.nodes if node.role in roles}
        if name not in groups:
            hint = f"Outposts: {', '.join(sorted(groups))}" if groups else None
            raise UsageError(f"no Outpost {name!r} in {testbed.name}", hint=hint)

    def __repr__(self) -> str:
        return f"<Outpost {self.name} of {self._testbed.name}>"

    def _nodes(self, role: Role) -> list[node.Node]:
        names = [n.name for n in self._testbed.plan.nodes if (n.group, n.role) == (self.name, role)]
        return [self._testbed.node(name) for name in names]

    @property
    def devices(self) -> list[node.Node]:
        """Return its Outpost networking devices."""
        return self._nodes(Role.NETWORKING_DEVICE)

    @property
    def servers(self) -> list[node.Node]:
        """Return its servers, which hold the service link's tunnels."""
        return self._nodes(Role.SERVER)

    @property
    def instances(self) -> list[node.Node]:
        """Return the instances on it."""
        return self._nodes(Role.INSTANCE)

    @property
    def local_gateway(self) -> node.Node:
        """Return its local gateway. Raises UsageError if it has none."""
        found = self._nodes(Role.LOCAL_GATEWAY)
        if not found:
            raise UsageError(f"Outpost {self.name} has no local gateway")
        return found[0]

    def service_link(self) -> list[Tunnel]:
        """Return the tunnels of its service link."""
        return [tunnel for node in self._nodes(Role.SERVICE_LINK) for tunnel in node.tunnels()]
