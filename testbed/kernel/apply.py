"""Carrying out steps: the only code that changes the kernel.

A `Kernel` holds the namespaces of one testbed. Steps of one kind are sent
together, in one packet for each namespace.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from testbed.errors import HostError
from testbed.kernel import connections, namespace, nftables, refusals
from testbed.kernel import messages as m
from testbed.kernel.links import LOOPBACK, Links, Namespace
from testbed.kernel.netlink import NetlinkSocket
from testbed.plan import steps as s
from testbed.plan.model import HostInterface, Vlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from testbed.kernel.host_interfaces import Outside
    from testbed.kernel.netlink import Failure, Message

    OnPhase = Callable[[str, str, float], None]

_PHASES: dict[type, str] = {
    s.StopProcess: "stop",
    s.DeleteRule: "removal",
    s.DeleteRoute: "removal",
    s.DeleteNeighbor: "removal",
    s.DeleteAddress: "removal",
    s.DeleteInterface: "removal",
    s.DeleteNode: "removal",
    s.CreateNode: "nodes",
    s.SetSysctls: "nodes",
    s.CreateInterface: "links",
    s.SetInterface: "links",
    s.SetNetem: "queueing",
    s.AwaitInterfaces: "addresses",
    s.AddAddress: "addresses",
    s.SetNeighbor: "neighbors",
    s.SetRoute: "routes",
    s.AddRule: "rules",
    s.SetRuleset: "rulesets",
    s.AbortConnections: "connections",
    s.WriteFile: "files",
    s.StartProcess: "processes",
    s.ReloadProcess: "processes",
}

_SIMPLE: dict[type, Callable[[Any, dict[str, int]], Message]] = {
    s.AddAddress: lambda step, to: m.address(to[step.interface], step.address, add=True),
    s.DeleteAddress: lambda step, to: m.address(to[step.interface], step.address, add=False),
    s.DeleteInterface: lambda step, to: m.delete_link(to[step.interface]),
    s.SetNeighbor: lambda step, to: m.neighbor(to[step.neighbor.dev], step.neighbor, add=True),
    s.DeleteNeighbor: lambda step, to: m.neighbor(to[step.neighbor.dev], step.neighbor, add=False),
    s.SetRoute: lambda step, to: m.set_route(step.route, to),
    s.DeleteRoute: lambda step, _: m.delete_route(step.route),
    s.AddRule: lambda step, _: m.rule(step.rule, add=True),
    s.DeleteRule: lambda step, _: m.rule(step.rule, add=False),
}


class Programs(Protocol):
    """What carries out the steps that are not the kernel's: the keeper.

    Each gets all steps of its kind at once, in order.
    """

    def stop(self, steps: Sequence[s.StopProcess]) -> None:
        """Stop the processes side by side and return when all have ended."""

    def wait(self, steps: Sequence[s.AwaitInterfaces]) -> None:
        """Wait until the daemons know the interfaces, for some seconds at most."""

    def write(self, steps: Sequence[s.WriteFile]) -> None:
        """Write or remove the files."""

    def start(self, steps: Sequence[s.StartProcess | s.ReloadProcess]) -> None:
        """Start or reload the processes without waiting for their readiness."""


class NoPrograms:
    """For plans without processes and files."""

    def stop(self, steps: Sequence[s.StopProcess]) -> None:
        """Do nothing."""

    def wait(self, steps: Sequence[s.AwaitInterfaces]) -> None:
        """Do nothing."""

    def write(self, steps: Sequence[s.WriteFile]) -> None:
        """Do nothing."""

    def start(self, steps: Sequence[s.StartProcess | s.ReloadProcess]) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Batch:
    """Messages for some namespaces, each with the step that it belongs to."""

    messages: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    steps: dict[str, list[s.Step]] = field(default_factory=lambda: defaultdict(list))

    def add(self, node: str, step: s.Step, *messages: Message) -> None:
        """Add messages to be sent inside `node`."""
        for message in messages:
            self.messages[node].append(message)
            self.steps[node].append(step)


class Kernel:
    """The namespaces of a testbed and everything in them.

    Not for several threads: a step moves the calling thread into a namespace
    and back. Without `outside` there are no host interfaces to attach.
    """

    def __init__(self, programs: Programs | None = None, outside: Outside | None = None) -> None:
        namespace.raise_file_limit()
        self._programs: Programs = programs or NoPrograms()
        self._nodes: dict[str, Namespace] = {}
        self._links = Links(self._nodes, outside)

    def fd(self, node: str) -> int:
        """The file descriptor of the node's namespace; KeyError when there is none."""
        return self._nodes[node].fd

    def nodes(self) -> list[str]:
        """The nodes there are, in the order in which they were made."""
        return list(self._nodes)

    def index(self, node: str, interface: str) -> int:
        """The number of an interface; KeyError when it was never made."""
        return self._nodes[node].indexes[interface]

    def close(self) -> None:
        """Let go of all namespaces; the kernel removes them and what is in them.

        Host interfaces are free at once, not when the kernel comes to it.
        """
        for node in self._nodes.values():
            attached = [
                m.delete_link(node.indexes[name])
                for name, interface in node.interfaces.items()
                if isinstance(interface.device, HostInterface)
            ]
            if attached:
                node.socket.send(attached)
            node.close()
        self._nodes.clear()
        self._links.forget()

    def apply(self, steps: Iterable[s.Step], on_phase: OnPhase | None = None) -> dict[str, float]:
        """Carry out the steps in order; milliseconds by phase.

        `on_phase` is called with the phase, "start" or "done", and the
        milliseconds that it took. Raises HostError at the first thing that
        the kernel refuses; what was done before stays done.
        """
        timings: dict[str, float] = {}
        for phase, some in groupby(steps, lambda step: _PHASES[type(step)]):
            if on_phase:
                on_phase(phase, "start", 0.0)
            start = time.perf_counter()
            for kind, same in groupby(some, _kind):
                self._carry_out(kind, list(same))
            if phase == "links":
                self._links.settle()
            taken = (time.perf_counter() - start) * 1000
            timings[phase] = timings.get(phase, 0.0) + taken
            if on_phase:
                on_phase(phase, "done", taken)
        return timings

    def check(self, steps: Iterable[s.Step]) -> None:
        """Raise HostError where a user's ruleset would be refused, before anything is changed.

        One that names an interface which is still to be made cannot be tried.
        """
        with namespace.preserved():
            for step in steps:
                if isinstance(step, s.SetRuleset) and step.apart and step.node in self._nodes:
                    namespace.enter(self.fd(step.node))
                    try:
                        nftables.replace_apart(step.node, step.nftables, dry=True)
                    except HostError as error:
                        if "Interface does not exist" not in error.message:
                            raise

    def call_again(self, node: str, interface: str) -> None:
        """Make a WireGuard interface call its peers now; sessions that it has are dropped."""
        self._links.call_again(node, interface)

    def _carry_out(self, kind: tuple[type, bool], steps: list[s.Step]) -> None:
        special = {
            s.StopProcess: self._programs.stop,
            s.AwaitInterfaces: self._programs.wait,
            s.WriteFile: self._programs.write,
            s.StartProcess: self._programs.start,
            s.ReloadProcess: self._programs.start,
            s.DeleteNode: self._delete_nodes,
            s.CreateNode: self._create_nodes,
            s.SetSysctls: self._set_sysctls,
            s.SetRuleset: self._set_rulesets,
            s.AbortConnections: self._abort_connections,
        }.get(kind[0])
        if special is not None:
            special(steps)  # type: ignore[operator]
            return
        batch = _Batch()
        for step in steps:
            self._encode(batch, step)
        self._send(batch)
        if kind[0] is s.CreateInterface or kind[0] is s.SetInterface:
            self._links.finish(steps)

    # Nodes

    def _create_nodes(self, steps: list[s.CreateNode]) -> None:
        with namespace.preserved():
            for step in steps:
                if step.node in self._nodes:
                    raise HostError(f"node {step.node} exists already")
                namespace.create()
                socket = NetlinkSocket()
                socket.keep()
                fd = namespace.out_of_the_way(socket.namespace())
                node = self._nodes[step.node] = Namespace(fd, socket)
                namespace.write_sysctls(step.node, step.sysctls)
                self._raise_first([step], node.socket.send([m.set_up(LOOPBACK, True)]))

    def _delete_nodes(self, steps: list[s.DeleteNode]) -> None:
        for step in steps:
            if node := self._nodes.pop(step.node, None):
                node.close()

    def _set_sysctls(self, steps: list[s.SetSysctls]) -> None:
        with namespace.preserved():
            for step in steps:
                namespace.enter(self.fd(step.node))
                known = self._nodes[step.node].interfaces
                own = {key for interface in known.values() for key in interface.sysctls}
                settings = namespace.for_interfaces(step.sysctls)
                settings = [(key, value) for key, value in settings if key not in own]
                namespace.write_sysctls(step.node, [*settings, *step.sysctls])

    def _set_rulesets(self, steps: list[s.SetRuleset]) -> None:
        with namespace.preserved():
            for step in steps:
                namespace.enter(self.fd(step.node))
                if step.apart:
                    nftables.replace_apart(step.node, step.nftables)
                else:
                    nftables.replace(step.node, step.nftables, step.before)

    def _abort_connections(self, steps: list[s.AbortConnections]) -> None:
        with namespace.preserved():
            for step in steps:
                namespace.enter(self.fd(step.node))
                connections.abort(step.node, step.abort)

    # Messages

    def _encode(self, batch: _Batch, step: s.Step) -> None:
        if isinstance(step, s.CreateInterface):
            if isinstance(step.interface.device, HostInterface):
                self._links.attach(step.node, step.interface, step.interface.device)
            else:
                batch.add(*self._links.create(step))
        elif isinstance(step, s.SetInterface):
            batch.add(step.node, step, *self._links.change(step))
        elif isinstance(step, s.SetNetem):
            index = self._nodes[step.node].indexes[step.interface]
            qdiscs = m.set_netem(index, step.netem) if step.netem else (m.delete_qdisc(index),)
            batch.add(step.node, step, *qdiscs)
        else:
            indexes = self._nodes[step.node].indexes
            batch.add(step.node, step, _SIMPLE[type(step)](step, indexes))

    # Sending

    def _send(self, batch: _Batch) -> None:
        for node, messages in batch.messages.items():
            failures = self._nodes[node].socket.send(messages)
            if failures:
                self._raise_first(batch.steps[node], failures)

    def _raise_first(self, steps: Sequence[s.Step], failures: list[Failure]) -> None:
        for failure in failures:
            step = steps[failure.index]
            if not refusals.tolerable(step, failure):
                what = refusals.describe(step)
                raise HostError(
                    f"{step.node}: {what}: {failure}", hint=refusals.hint(step, failure)
                )


def _kind(step: s.Step) -> tuple[type, bool]:
    """Steps with the same key may be sent together: a VLAN's parent may be made elsewhere."""
    on_parent = isinstance(step, s.CreateInterface) and isinstance(step.interface.device, Vlan)
    return type(step), on_parent
