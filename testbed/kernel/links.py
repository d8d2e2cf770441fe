"""Making and changing interfaces: their messages, and what comes before and after those.

Interface numbers are chosen here, so that nothing has to be looked up.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.kernel import messages as m
from testbed.kernel import namespace, wireguard
from testbed.kernel.bridge_ports import bridge_port
from testbed.kernel.netlink import NetlinkSocket, attribute, u32
from testbed.plan import steps as s
from testbed.plan.model import Bond, Bridge, HostInterface, Interface, Veth, Vlan, Vxlan, WireGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed.kernel.host_interfaces import Outside
    from testbed.kernel.netlink import Message

FIRST_INDEX = 16  # the kernel makes some devices by itself: sit0, bond0, …
# For what is made from another namespace: kernel 6.1 wants the number to be free there, too.
FIRST_WIDE_INDEX = 1 << 16
LOOPBACK = 1


@dataclass(slots=True)
class Namespace:
    """A namespace with its netlink socket, and what is known of its interfaces."""

    fd: int
    socket: NetlinkSocket
    indexes: dict[str, int] = field(default_factory=lambda: {"lo": LOOPBACK})
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
        """Let go of it; the kernel removes it with all that is in it."""
        self.socket.close()
        os.close(self.fd)


class Links:
    """The interfaces of a testbed's namespaces, `nodes`, which are the `Kernel`'s.

    Without `outside` there are no host interfaces to attach.
    """

    def __init__(self, nodes: Mapping[str, Namespace], outside: Outside | None) -> None:
        self._nodes = nodes
        self._outside = outside
        self._settle: dict[str, list[int]] = {}
        self._wide_indexes = itertools.count(FIRST_WIDE_INDEX)

    def create(self, step: s.CreateInterface) -> tuple[str, s.Step, Message]:
        """Return the message that makes an interface, and the node that it is sent in."""
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

    def attach(self, node: str, interface: Interface, device: HostInterface) -> None:
        """Put an interface of the host's into a node."""
        if self._outside is None:
            raise HostError(f"{node}: no host interface can be attached here: {device.interface}")
        here = self._nodes[node]
        index = here.indexes.setdefault(interface.name, next(self._wide_indexes))
        here.interfaces[interface.name] = interface
        self._outside.attach(device.interface, interface, index, here.fd)

    def change(self, step: s.SetInterface) -> Iterator[Message]:
        """Yield the messages that change an interface, in order, to be sent in its node."""
        here, interface, changed = self._nodes[step.node], step.interface, step.changed
        name, index = interface.name, here.indexes[interface.name]
        old = here.interfaces.get(name)
        here.interfaces[name] = interface
        if "device" in changed and isinstance(interface.device, Bond):
            yield from self._change_bond(index, old, interface.device)
        if "device" in changed and isinstance(interface.device, Bridge):
            settings = m.bridge_settings(interface.device, old.device if old else None)
            yield m.change_device(index, "bridge", settings)
        if "master" in changed:
            yield m.set_up(index, False)  # a bond takes its members only while they are down
            master = here.indexes[interface.master] if interface.master else 0
            yield m.set_link(index, u32(m.IFLA_MASTER, master))
        if "port" in changed:
            before = old.port if old and "master" not in changed else None
            yield from bridge_port(index, before, interface.port)
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
        yield m.change_device(index, "bond", m.bond_settings(new))
        if old is None or not isinstance(old.device, Bond) or old.device.lacp_rate != new.lacp_rate:
            yield m.set_up(index, False)
            yield m.change_device(index, "bond", m.lacp_rate(new))

    def finish(self, steps: list[s.Step]) -> None:
        """Do what has to be done inside the namespaces once the interfaces are there."""
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
                        namespace.enter(self._nodes[step.node].fd)
                        namespace.write_sysctls(step.node, step.interface.sysctls.items())

    def call_again(self, node: str, interface: str) -> None:
        """Make a WireGuard interface call its peers now; sessions that it has are dropped."""
        with namespace.preserved():
            self._configure_wireguard(node, self._nodes[node].interfaces[interface])

    def _configure_wireguard(self, node: str, interface: Interface) -> None:
        assert isinstance(interface.device, WireGuard)
        namespace.enter(self._nodes[node].fd)
        try:
            wireguard.configure(interface.name, interface.device)
        except OSError as error:
            raise HostError(f"{node}: WireGuard {interface.name}: {error.strerror}") from error

    def forget(self) -> None:
        """Drop what was still to be done to links, as their namespaces go."""
        self._settle.clear()

    def settle(self) -> None:
        """Make the kernel act on the carrier of new links now, not up to a second later."""
        settle, self._settle = self._settle, {}
        for node, indexes in settle.items():
            self._nodes[node].socket.send([m.get_link(index) for index in indexes])
