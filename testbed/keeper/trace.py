"""Sending one marked packet and recording all that the kernel shows of it.

Nothing is concluded here: the answer has what was seen where, in the order
of each namespace, and the kernel's own reasons. `testbed.probes.trace` makes
hops and a verdict of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, get_args

from testbed.errors import UsageError
from testbed.keeper.trace_record import Tunnels, Watch, record
from testbed.keeper.trace_sights import addresses, is_plain
from testbed.kernel import decisions, nft_trace
from testbed.kernel.marked import IPV6_MORE, LARGEST, SMALLEST, IpProtocol, Probe, Sender
from testbed.kernel.namespace import out_of_the_way
from testbed.kernel.nft_trace import RuleTrace
from testbed.kernel.tap import OUTGOING, Tap
from testbed.kernel.tap_filter import (
    ADVERTISEMENT,
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    FRAGMENT,
    FRAGMENT_HEADER,
    ICMPV6,
    IP_HEADER,
    IPV6_HEADER,
    SOLICITATION,
)
from testbed.plan.model import Vxlan

if TYPE_CHECKING:
    from testbed.kernel.tap import Sight
    from testbed.plan.model import Plan

QUIET_S = 1.0
"""A packet that has not been seen for so long, beyond what links delay it, will not come."""
NEIGHBOR_S = 3.5  # Linux asks three times, a second apart, for a neighbour that is silent
ANSWERED_S = 0.05  # for what still comes once the answer is there
LONGEST_S = 60.0
MOST_HIDDEN = 1000  # packets of a namespace that are encrypted, or fragments, of others, too
ARP_REQUEST, ARP_REPLY = b"\0\1", b"\0\2"
ICMP, ECHOES = 1, (8, 128)


def read_probe(request: dict[str, Any]) -> Probe:
    """The probe that a request asks for; UsageError for one that cannot be sent."""
    protocol: IpProtocol = request.get("protocol", "icmp")
    if protocol not in get_args(IpProtocol):
        raise UsageError(f"cannot trace protocol {protocol!r}", hint="one of icmp, tcp, udp")
    size, port = int(request.get("size") or 0), int(request.get("port") or 0)
    destination = str(request["destination"])
    smallest = SMALLEST[protocol] + (IPV6_MORE if ":" in destination else 0)
    if not smallest <= size <= LARGEST:
        hint = f"an IP packet of {smallest} to {LARGEST} bytes"
        raise UsageError(f"cannot trace a packet of {size} bytes", hint=hint)
    if protocol != "icmp" and not 1 <= port <= LARGEST:
        raise UsageError(f"no port {port}", hint=f"1 to {LARGEST}")
    cookie = int.from_bytes(os.urandom(4), "big") >> 2 | 1 << 30  # never what WireGuard has there
    return Probe(destination, protocol, port, size, bool(request.get("df")), cookie)


class Tracer:
    """One trace: opened over all namespaces (node to descriptor), run once, closed."""

    def __init__(self, nodes: dict[str, int], probe: Probe, source: str, delay_s: float) -> None:
        self._probe = probe
        self._source = source
        self._delay_s = delay_s
        self._sender = Sender(nodes[source])
        self._event = asyncio.Event()
        self._answered = False
        self._asked: set[tuple[str, str, bytes]] = set()
        self._seen: set[tuple[Any, ...]] = set()
        self._watches: list[Watch] = []
        try:
            for node, fd in nodes.items():
                own = out_of_the_way(os.dup(fd))  # an `apply` may remove the node meanwhile
                self._watches.append(self._open(node, own))
        except BaseException:
            self.close()
            raise

    def _open(self, node: str, fd: int) -> Watch:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, fd)
            tap = Tap(fd, self._probe.marks)
            stack.callback(tap.close)
            rules = RuleTrace(fd, self._probe.marks) if nft_trace.has_rules(fd) else None
            if rules is not None:
                stack.callback(rules.close)
            counters, drops = decisions.counters(fd), decisions.queue_drops(fd)
            watch = Watch(node, fd, stack.pop_all(), tap, rules, counters, drops)
        for source in (tap, rules):
            if source is not None:
                loop.add_reader(source.fileno(), self._take, watch)
                watch.stack.callback(loop.remove_reader, source.fileno())
        return watch

    def close(self) -> None:
        """Leave the namespaces as they were."""
        self._sender.close()
        for watch in self._watches:
            with contextlib.suppress(OSError, ValueError):  # gone with its namespace
                watch.stack.close()

    async def run(self, tunnels: Tunnels) -> dict[str, Any]:
        """Send the probe, wait until nothing more is seen of it; the record."""
        sent = self._sender.send(self._probe)
        await self._settle()
        for watch in self._watches:
            self._take(watch)
        return record(self._watches, self._probe, self._source, sent, tunnels)

    async def _settle(self) -> None:
        """Wait for the answer, or until nothing has been seen for a while."""
        loop = asyncio.get_running_loop()
        last = loop.time() + LONGEST_S
        while (now := loop.time()) < last:
            quiet = QUIET_S + self._delay_s
            if self._answered:
                quiet = ANSWERED_S
            elif self._asked:
                quiet = max(quiet, NEIGHBOR_S)
            self._event.clear()
            try:
                await asyncio.wait_for(self._event.wait(), min(quiet, last - now))
            except TimeoutError:
                return

    def _take(self, watch: Watch) -> None:
        """Read what a namespace has; keep the waiting up."""
        for sight in watch.tap.read():
            plain = sight.protocol not in {ETH_P_IP, ETH_P_IPV6} or is_plain(sight)
            if plain or len(watch.packets) < MOST_HIDDEN:
                watch.packets.append(sight)
            else:
                watch.overflowed = True
            if (discovery := _discovery(sight)) is not None:
                self._note_neighbor(watch, sight, *discovery)
            elif plain:
                self._note(watch, sight)
        if watch.rules is not None:
            watch.steps += watch.rules.read()

    def _note(self, watch: Watch, sight: Sight) -> None:
        """Wait on, unless it is something that TCP has sent again."""
        at = IPV6_HEADER if sight.protocol == ETH_P_IPV6 else IP_HEADER
        key = watch.node, sight.interface, sight.kind, addresses(sight), sight.data[at : at + 2]
        if key not in self._seen:
            self._seen.add(key)
            self._event.set()
        self._answered = self._answered or self._is_answer(watch, sight)

    def _note_neighbor(self, watch: Watch, sight: Sight, asks: bool, address: bytes) -> None:
        """Remember who was asked for a MAC address, until there is an answer; wait for that."""
        key = watch.node, sight.interface, address
        if not asks:
            self._asked.discard(key)
        elif sight.kind == OUTGOING and key not in self._asked:
            self._asked.add(key)
            self._event.set()

    def _is_answer(self, watch: Watch, sight: Sight) -> bool:
        """Whether it came back to the source: all but the probe itself that goes in there."""
        if watch.node != self._source or sight.kind != 0:
            return False
        data, six = sight.data, sight.protocol == ETH_P_IPV6
        at, protocol = (IPV6_HEADER, data[6]) if six else (IP_HEADER, data[9])
        if six and protocol == FRAGMENT:
            at, protocol = at + FRAGMENT_HEADER, data[at]
        if self._probe.protocol == "icmp" or protocol in {ICMP, ICMPV6}:
            return data[at] not in ECHOES
        return int.from_bytes(data[at : at + 2], "big") == self._probe.port


def _discovery(sight: Sight) -> tuple[bool, bytes] | None:
    """Of ARP and neighbour discovery: whether it asks, and the address that it is about."""
    data = sight.data
    if sight.protocol == ETH_P_ARP:
        if data[6:8] == ARP_REQUEST:
            return True, data[24:28]
        return (False, data[14:18]) if data[6:8] == ARP_REPLY else None
    if sight.protocol != ETH_P_IPV6 or data[6] != ICMPV6:
        return None
    if data[IPV6_HEADER] not in {SOLICITATION, ADVERTISEMENT}:
        return None
    target = data[IPV6_HEADER + 8 : IPV6_HEADER + 24]
    return data[IPV6_HEADER] == SOLICITATION, target


async def trace(plan: Plan, nodes: dict[str, int], request: dict[str, Any]) -> dict[str, Any]:
    """Carry out the request of a client; the record (docs/protocol.md)."""
    probe = read_probe(request)
    tracer = Tracer(nodes, probe, str(request["node"]), _longest_delay_s(plan))
    try:
        return await tracer.run(_tunnels(plan))
    finally:
        tracer.close()


def _tunnels(plan: Plan) -> Tunnels:
    return {
        (node.name, interface.name): (device.underlay_node, device.local, device.remote)
        for node in plan.nodes
        for interface in node.interfaces
        if isinstance(device := interface.device, Vxlan)
    }


def _longest_delay_s(plan: Plan) -> float:
    """The longest delay that a link of the testbed has."""
    return max(
        (
            (interface.netem.delay_ms + 3 * interface.netem.jitter_ms) / 1000
            for node in plan.nodes
            for interface in node.interfaces
            if interface.netem
        ),
        default=0.0,
    )
