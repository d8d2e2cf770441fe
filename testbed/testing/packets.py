"""Packets that a test builds and packets that it waits for, both as Scapy has them.

Scapy runs in the test's process. Only bytes go into the testbed and come out
of it, so all of this works in a micro VM, too.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from scapy.packet import Packet

    from testbed.testing.node import Node
    from testbed.testing.testbed import Testbed

    Wanted = str | Callable[[Packet], object]

POLL_S = 0.02
ETHERNET, RAW_IP = 1, 101  # pcap's numbers of link types
SHOWN = 20  # packets that a failure lists at most


def scapy_layers() -> Any:
    """Return the module with all of Scapy's usual layers: slow to import, and silenced here."""
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    import scapy.layers.all  # noqa: PLC0415

    return scapy.layers.all


def send(
    node: Node,
    packets: Packet | Iterable[Packet],
    *,
    interface: str | None,
    count: int,
    interval_s: float,
) -> int:
    """Send packets from a node. Its kernel routes those that start with an IP header."""
    layers = scapy_layers()
    wanted = list(packets)  # a packet with several values, as TTL 1 to 3, is several packets
    if not wanted:
        raise UsageError("send() got no packets")
    routed = isinstance(wanted[0], layers.IP | layers.IPv6)
    if not routed and not isinstance(wanted[0], layers.Ether):
        hint = "for example Ether(dst=…)/IP(dst=…)/UDP(dport=53), or the same from IP on"
        raise UsageError("send() takes packets that begin with Ether, IP or IPv6", hint=hint)
    if any(type(packet) is not type(wanted[0]) for packet in wanted):
        raise UsageError("packets that are sent together begin with the same header")
    if not routed and interface is None:
        raise UsageError("send() needs the interface that a frame leaves by")
    return node.testbed.client.send(
        node.name,
        [bytes(_complete(node, packet, interface)) for packet in wanted],
        interface=interface,
        layer="network" if routed else "link",
        count=count,
        interval_s=interval_s,
    )


def _complete(node: Node, packet: Packet, interface: str | None) -> Packet:
    """Fill in what Scapy would take from this machine's own interfaces and routes."""
    layers = scapy_layers()
    packet = packet.copy()
    if isinstance(packet, layers.Ether):
        if "dst" not in packet.fields:
            hint = "Ether(dst=…); a packet from IP on is sent where the node's routes lead"
            raise UsageError("send() needs to know the MAC address a frame is for", hint=hint)
        packet.fields.setdefault("src", node.mac(str(interface)))
    for header, version in ((layers.IP, 4), (layers.IPv6, 6)):
        inner = packet.getlayer(header)
        if inner is not None and "src" not in inner.fields:
            inner.fields["src"] = node.source_address(version, interface)
    arp = packet.getlayer(layers.ARP)
    if arp is not None:
        arp.fields.setdefault("hwsrc", node.mac(str(interface)))
        if "psrc" not in arp.fields:
            arp.fields["psrc"] = node.source_address(4, interface)
    return packet


class Expectation:
    """A `with` block in which, or soon after which, packets must arrive at an interface.

    `packets` are the wanted ones, `seen` all that the interface saw;
    both are complete after the block.
    """

    def __init__(
        self, node: Node, interface: str, wanted: Wanted | None, *, count: int, timeout: float
    ) -> None:
        if count < 0:
            raise UsageError(f"expect() cannot wait for {count} packets")
        self._testbed: Testbed = node.testbed
        self._capture = node.capture(interface)
        self._where = f"{node.name} {interface}"
        self._wanted = wanted
        self._count = count
        self._timeout = timeout
        self._filter: Any = None
        self.seen: list[Packet] = []
        self.packets: list[Packet] = []
        scapy_layers()
        if isinstance(wanted, str):
            from testbed.probes.bpf import Filter  # noqa: PLC0415

            Filter(wanted)  # a wrong one is found before anything is done

    def __enter__(self) -> Self:
        self._capture.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._capture.__exit__(kind, error, trace)
        if kind is None:
            self._judge()

    def _wait(self) -> None:
        """Until enough has come; where nothing may come, for the whole time."""
        virtual = self._testbed.is_virtual
        now = self._testbed.elapsed if virtual else time.monotonic
        sleep = self._testbed.advance if virtual else time.sleep
        deadline = now() + self._timeout
        while True:
            self._read()
            if (self._count and len(self.packets) >= self._count) or now() >= deadline:
                return
            if not self._count and self.packets:
                return
            sleep(POLL_S)

    def _read(self) -> None:
        """Take in what the capture has so far."""
        from testbed.probes.capture import read_packets  # noqa: PLC0415

        new = list(read_packets(self._capture.pcap))[len(self.seen) :]
        self.seen += new
        self.packets += [packet for packet in new if self._is_wanted(packet)]

    def _is_wanted(self, packet: Packet) -> bool:
        if self._wanted is None:
            return True
        if not isinstance(self._wanted, str):
            return bool(self._wanted(packet))
        if self._filter is None:
            from testbed.probes.bpf import Filter  # noqa: PLC0415

            is_ethernet = isinstance(packet, scapy_layers().Ether)
            self._filter = Filter(self._wanted, ETHERNET if is_ethernet else RAW_IP)
        return bool(self._filter.matches(packet.original))

    def _judge(self) -> None:
        self._read()
        found = len(self.packets)
        if found >= self._count and (self._count or not found):
            return
        what = repr(self._wanted) if isinstance(self._wanted, str) else "the packets wanted"
        if self._count:
            text = f"{found} of {self._count} came to {self._where} within {self._timeout:g} s"
            text = f"{what}: {text}; it saw {self._summary(self.seen)}"
        else:
            text = (
                f"{what}: none should have come to {self._where}, but {self._summary(self.packets)}"
            )
        raise AssertionError(text)

    def _summary(self, packets: list[Packet]) -> str:
        if not packets:
            return "nothing"
        lines = [f"\n  {packet.summary()}" for packet in packets[:SHOWN]]
        more = len(packets) - SHOWN
        return f"{len(packets)}:" + "".join(lines) + (f"\n  and {more} more" if more > 0 else "")
