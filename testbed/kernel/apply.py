"""Carrying out steps: the only code that changes the kernel.

A `Kernel` holds the namespaces of one testbed. Steps of one kind are sent
together, in one packet for each namespace; interface numbers are chosen here
so that nothing has to be looked up.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from testbed.errors import HostError
from testbed.kernel import connections, namespace, nftables, refusals, wireguard
from testbed.kernel import messages as m
from testbed.kernel.netlink import NetlinkSocket, attribute, u32
from testbed.plan import steps as s
from testbed.plan.model import Bond, HostInterface, Interface, Veth, Vlan, Vxlan, WireGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from testbed.kernel.host_interfaces import Outside
    from testbed.kernel.netlink import Failure, Message

    OnPhase = Callable[[str, str, float], None]

FIRST_INDEX = 16  # the kernel makes some devices by itself: sit0, bond0, …
# For what is made from another namespace: kernel 6.1 wants the number to be free there, too.
FIRST_WIDE_INDEX = 1 << 16
_LOOPBACK = 1

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
class _Namespace:
    """A namespace with its netlink socket, and what is known of its interfaces."""

    fd: int
    socket: NetlinkSocket
    indexes: dict[str, int] = field(default_factory=lambda: {"lo": _LOOPBACK})
    interfaces: dict[str, Interface] = field(default_factory=dict)
    came_up: set[str] = field(default_factory=set)

    def index(self, name: str, *, far: bool = False) -> int:
        """The number of an interface, the same one when it is made anew.

        Odd for the `far` end of a cable: the kernel puts off for up to a second
        what follows from the carrier of a link whose other end has its number.
        """
        number = self.indexes.get(name)
        if number is None:
            number = FIRST_INDEX + 2 * len(self.indexes) + far
            self.indexes[name] = number
        return number

    def close(self) -> None:
        self.socket.close()
        os.close(self.fd)


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
        self._outside = outside
        self._nodes: dict[str, _Namespace] = {}
        self._settle: dict[str, list[int]] = {}
        self._wide_indexes = itertools.count(FIRST_WIDE_INDEX)

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
        self._settle.clear()

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
                self._settle_links()
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
            self._finish_interfaces(steps)

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
                node = self._nodes[step.node] = _Namespace(fd, socket)
                namespace.write_sysctls(step.node, step.sysctls)
                self._raise_first([step], node.socket.send([m.set_up(_LOOPBACK, True)]))

    def _delete_nodes(self, steps: list[s.DeleteNode]) -> None:
        for step in steps:
            if node := self._nodes.pop(step.node, None):
                node.close()

    def _set_sysctls(self, steps: list[s.SetSysctls]) -> None:
        with namespace.preserved():
            for step in steps:
                namespace.enter(self.fd(step.node))
                namespace.write_sysctls(step.node, step.sysctls)

    def _set_rulesets(self, steps: list[s.SetRuleset]) -> None:
        with namespace.preserved():
            for step in steps:
                namespace.enter(self.fd(step.node))
                load = nftables.replace_apart if step.apart else nftables.replace
                load(step.node, step.nftables)

    def _abort_connections(self, steps: list[s.AbortConnections]) -> None:
        with namespace.preserved():
            for step in steps:
                namespace.enter(self.fd(step.node))
                connections.abort(step.node, step.abort)

    # Messages

    def _encode(self, batch: _Batch, step: s.Step) -> None:
        if isinstance(step, s.CreateInterface):
            if isinstance(step.interface.device, HostInterface):
                self._attach(step.node, step.interface, step.interface.device)
            else:
                batch.add(*self._create(step))
        elif isinstance(step, s.SetInterface):
            batch.add(step.node, step, *self._set(self._nodes[step.node], step))
        elif isinstance(step, s.SetNetem):
            index = self._nodes[step.node].indexes[step.interface]
            qdiscs = m.set_netem(index, step.netem) if step.netem else (m.delete_qdisc(index),)
            batch.add(step.node, step, *qdiscs)
        else:
            indexes = self._nodes[step.node].indexes
            batch.add(step.node, step, _SIMPLE[type(step)](step, indexes))

    def _create(self, step: s.CreateInterface) -> tuple[str, s.Step, Message]:
        interface, device = step.interface, step.interface.device
        here = self._nodes[step.node]
        if isinstance(device, WireGuard | Vxlan) and interface.name not in here.indexes:
            here.indexes[interface.name] = next(self._wide_indexes)
        index = here.index(interface.name)
        here.interfaces[interface.name] = interface
        if isinstance(device, Veth) and step.peer is not None:
            there = self._nodes[device.peer_node]
            peer_index = there.index(device.peer, far=True)
            there.interfaces[device.peer] = step.peer
            up = interface.up and interface.master is None
            message = m.create_veth(interface, index, step.peer, peer_index, there.fd, up=up)
            if up:
                here.came_up.add(interface.name)
            return step.node, step, message
        if isinstance(device, WireGuard):
            return device.socket_node, step, m.create_link(interface, index, namespace=here.fd)
        if isinstance(device, Vxlan):
            return device.underlay_node, step, m.create_link(interface, index, namespace=here.fd)
        parent = here.indexes[device.parent] if isinstance(device, Vlan) else None
        return step.node, step, m.create_link(interface, index, parent=parent)

    def _attach(self, node: str, interface: Interface, device: HostInterface) -> None:
        if self._outside is None:
            raise HostError(f"{node}: no host interface can be attached here: {device.interface}")
        here = self._nodes[node]
        index = here.indexes.setdefault(interface.name, next(self._wide_indexes))
        here.interfaces[interface.name] = interface
        self._outside.attach(device.interface, interface, index, here.fd)

    def _set(self, here: _Namespace, step: s.SetInterface) -> Iterator[Message]:
        interface, changed = step.interface, step.changed
        name, index = interface.name, here.indexes[interface.name]
        old = here.interfaces.get(name)
        here.interfaces[name] = interface
        if "device" in changed and isinstance(interface.device, Bond):
            yield from self._change_bond(index, old, interface.device)
        if "master" in changed:
            yield m.set_up(index, False)  # a bond takes its members only while they are down
            master = here.indexes[interface.master] if interface.master else 0
            yield m.set_link(index, u32(m.IFLA_MASTER, master))
        if "mtu" in changed and interface.mtu is not None:
            yield m.set_link(index, u32(m.IFLA_MTU, interface.mtu))
        if "mac" in changed and interface.mac is not None:
            mac = m.hardware_address(interface.mac)
            yield m.set_link(index, attribute(m.IFLA_ADDRESS, mac))
        if "up" in changed:
            if name not in here.came_up:
                yield m.set_up(index, interface.up)
            if interface.up and not self._acts_at_once(index, interface):
                self._settle.setdefault(step.node, []).append(index)

    def _acts_at_once(self, index: int, interface: Interface) -> bool:
        """Whether the kernel will act on the link's carrier without being asked to."""
        device = interface.device
        if not isinstance(device, Veth):
            return False
        there = self._nodes.get(device.peer_node)
        return there is not None and there.indexes.get(device.peer) != index

    def _change_bond(self, index: int, old: Interface | None, new: Bond) -> Iterator[Message]:
        yield m.change_bond(index, m.bond_settings(new))
        if old is None or not isinstance(old.device, Bond) or old.device.lacp_rate != new.lacp_rate:
            yield m.set_up(index, False)
            yield m.change_bond(index, m.lacp_rate(new))

    def _finish_interfaces(self, steps: list[s.Step]) -> None:
        """What has to be done inside the namespaces once the interfaces are there."""
        with namespace.preserved():
            for step in steps:
                if isinstance(step, s.CreateInterface):
                    if isinstance(step.interface.device, WireGuard):
                        self._configure_wireguard(step.node, step.interface)
                elif isinstance(step, s.SetInterface):
                    self._nodes[step.node].came_up.discard(step.interface.name)
                    device = step.interface.device
                    if "device" in step.changed and isinstance(device, WireGuard):
                        self._configure_wireguard(step.node, step.interface)
                    if "sysctls" in step.changed:
                        namespace.enter(self.fd(step.node))
                        namespace.write_sysctls(step.node, step.interface.sysctls.items())

    def call_again(self, node: str, interface: str) -> None:
        """Make a WireGuard interface call its peers now; sessions that it has are dropped."""
        with namespace.preserved():
            self._configure_wireguard(node, self._nodes[node].interfaces[interface])

    def _configure_wireguard(self, node: str, interface: Interface) -> None:
        assert isinstance(interface.device, WireGuard)
        namespace.enter(self.fd(node))
        try:
            wireguard.configure(interface.name, interface.device)
        except OSError as error:
            raise HostError(f"{node}: WireGuard {interface.name}: {error.strerror}") from error

    def _settle_links(self) -> None:
        """Make the kernel act on the carrier of new links now, not up to a second later."""
        settle, self._settle = self._settle, {}
        for node, indexes in settle.items():
            self._nodes[node].socket.send([m.get_link(index) for index in indexes])

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
