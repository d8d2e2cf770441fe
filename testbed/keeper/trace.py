"""Sending one marked packet and recording all that the kernel shows of it.

Nothing is concluded here: the answer has what was seen where, in the order
of each namespace, and the kernel's own reasons. `testbed.probes.trace` makes
hops and a verdict of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from testbed.errors import UsageError
from testbed.kernel import decisions, nft_trace, observe
from testbed.kernel.marked import LARGEST, SMALLEST, IpProtocol, Probe, Sender, Sent
from testbed.kernel.tap import (
    ETH_P_ARP,
    ETH_P_IP,
    IP_HEADER,
    OFFSETS,
    OUTGOING,
    WIREGUARD_DATA,
    Tap,
)

if TYPE_CHECKING:
    from testbed.kernel.nft_trace import RuleTrace, Step
    from testbed.kernel.tap import Sight
    from testbed.plan.model import Plan

QUIET_S = 1.0
"""A packet that has not been seen for so long, beyond what links delay it, will not come."""
NEIGHBOR_S = 3.5  # Linux asks three times, a second apart, for a neighbour that is silent
ANSWERED_S = 0.05  # for what still comes once the answer is there
LONGEST_S = 60.0
MOST_PACKETS = 4000


@dataclass
class _Watch:
    """One namespace while it is watched."""

    node: str
    fd: int
    tap: Tap
    rules: RuleTrace | None = None
    packets: list[Sight] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)


def read_probe(request: dict[str, Any]) -> Probe:
    """The probe that a request asks for; UsageError for one that can't be sent."""
    protocol: IpProtocol = request.get("protocol", "icmp")
    if protocol not in get_args(IpProtocol):
        raise UsageError(f"can't trace protocol {protocol!r}", hint="one of icmp, tcp, udp")
    size, port = int(request.get("size") or 0), int(request.get("port") or 0)
    if not SMALLEST[protocol] <= size <= LARGEST:
        hint = f"an IP packet of {SMALLEST[protocol]} to {LARGEST} bytes"
        raise UsageError(f"can't trace a packet of {size} bytes", hint=hint)
    if protocol != "icmp" and not 1 <= port <= LARGEST:
        raise UsageError(f"no port {port}", hint=f"1 to {LARGEST}")
    cookie = int.from_bytes(os.urandom(4), "big") >> 2 | 1 << 30  # never what WireGuard has there
    return Probe(str(request["destination"]), protocol, port, size, bool(request.get("df")), cookie)


class Tracer:
    """One trace: opened over all namespaces (node to descriptor), run once, closed."""

    def __init__(self, nodes: dict[str, int], probe: Probe, source: str, delay_s: float) -> None:
        self._probe = probe
        self._source = source
        self._delay_s = delay_s
        self._sender = Sender(nodes[source])
        self._event = asyncio.Event()
        self._count = 0
        self._answered = False
        self._asked = False
        self._seen: set[tuple[Any, ...]] = set()
        self._watches: list[_Watch] = []
        try:
            for node, fd in nodes.items():
                self._watches.append(self._open(node, fd))
        except BaseException:
            self.close()
            raise

    def _open(self, node: str, fd: int) -> _Watch:
        watch = _Watch(node, fd, Tap(fd, self._probe.cookie))
        loop = asyncio.get_running_loop()
        try:
            watch.before, watch.drops = decisions.counters(fd), decisions.queue_drops(fd)
            if nft_trace.has_rules(fd):
                watch.rules = nft_trace.RuleTrace(fd, self._probe.cookie)
                loop.add_reader(watch.rules.fileno(), self._take, watch)
        except BaseException:
            watch.tap.close()
            raise
        loop.add_reader(watch.tap.fileno(), self._take, watch)
        return watch

    def close(self) -> None:
        """Leave the namespaces as they were."""
        loop = asyncio.get_running_loop()
        self._sender.close()
        for watch in self._watches:
            loop.remove_reader(watch.tap.fileno())
            watch.tap.close()
            if watch.rules is not None:
                loop.remove_reader(watch.rules.fileno())
                with contextlib.suppress(OSError, ValueError):  # gone with its namespace
                    watch.rules.close()

    async def run(self) -> dict[str, Any]:
        """Send the probe, wait until nothing more is seen of it; the record."""
        sent = self._sender.send(self._probe)
        await self._settle()
        return self._record(sent)

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

    def _take(self, watch: _Watch) -> None:
        """Read what a namespace has; keep the waiting up."""
        for sight in watch.tap.read():
            if self._count < MOST_PACKETS:
                watch.packets.append(sight)
                self._count += 1
            if sight.protocol == ETH_P_ARP:
                self._asked = True
            elif _is_plain(sight):
                key = watch.node, sight.interface, sight.kind, sight.data[8:10], sight.data[12:22]
                if key not in self._seen:  # what TCP sends again is nothing new
                    self._seen.add(key)
                    self._event.set()
                self._answered = self._answered or self._is_answer(watch, sight)
        if watch.rules is not None:
            watch.steps += watch.rules.read()

    def _is_answer(self, watch: _Watch, sight: Sight) -> bool:
        """Whether it came back to the source: all but the probe itself that goes in there."""
        if watch.node != self._source or sight.kind != 0:
            return False
        data = sight.data
        if self._probe.protocol == "icmp" or data[9] == 1:
            return data[IP_HEADER] != 8
        return int.from_bytes(data[IP_HEADER : IP_HEADER + 2], "big") == self._probe.port

    # The record

    def _record(self, sent: Sent) -> dict[str, Any]:
        for watch in self._watches:
            self._take(watch)
        steps = [step for watch in self._watches for step in _steps(watch)]
        seen = {watch.node for watch in self._watches if watch.packets or watch.steps}
        seen.add(self._source)
        return {
            "probe": asdict(self._probe) | {"source": self._source},
            "sent": asdict(sent),
            "packets": [row for watch in self._watches for row in _packets(watch)],
            "steps": steps,
            "chains": _chains(self._watches, steps),
            "nodes": {w.node: self._node(w, sent) for w in self._watches if w.node in seen},
            "lost": [w.node for w in self._watches if _has_lost(w)],
        }

    def _node(self, watch: _Watch, sent: Sent) -> dict[str, Any]:
        fd = watch.fd
        questions = dict.fromkeys(_questions(watch))
        if watch.node == self._source and sent.source:
            own = decisions.Question(sent.source, self._probe.destination, None)
            questions[own, self._probe.destination] = None
        answers = [_decision(fd, *question) for question in questions]
        answers += [_way_back(fd, answer) for answer in answers if _is_local(answer)]
        destinations = {answer["destination"] for answer in answers}
        return {
            "decisions": answers,
            "rules": [asdict(rule) for rule in decisions.rules(fd)],
            "routes": {to: [asdict(r) for r in decisions.routes_to(fd, to)] for to in destinations},
            "neighbors": [[*key, state] for key, state in decisions.neighbor_states(fd).items()],
            "links": {name: _link(link) for name, link in observe.links(fd).items()},
            "drops": _went_up(watch.drops, decisions.queue_drops(fd)),
            "counters": _went_up(watch.before, decisions.counters(fd)),
        }


def _is_plain(sight: Sight) -> bool:
    """Whether the packet shows its mark; WireGuard's others come at any time."""
    word = int.from_bytes(sight.data[OFFSETS[1] : OFFSETS[1] + 4], "big")
    return not (sight.data[9:10] == b"\x11" and word == WIREGUARD_DATA)


def _has_lost(watch: _Watch) -> bool:
    return watch.tap.lost() > 0 or (watch.rules is not None and watch.rules.lost)


def _packets(watch: _Watch) -> list[dict[str, Any]]:
    return [
        {
            "node": watch.node,
            "interface": sight.interface,
            "at": sight.at,
            "kind": sight.kind,
            "protocol": sight.protocol,
            "vlan": sight.vlan,
            "length": sight.length,
            "data": sight.data.hex(),
        }
        for sight in watch.packets
    ]


def _steps(watch: _Watch) -> list[dict[str, Any]]:
    names: dict[int, str] = {}
    if watch.steps:
        names = {link.index: link.name for link in observe.links(watch.fd).values()}
    return [
        {
            "node": watch.node,
            "packet": step.packet,
            "family": step.family,
            "table": step.table,
            "chain": step.chain,
            "kind": step.kind,
            "handle": step.handle,
            "verdict": step.verdict,
            "target": step.target,
            "mark": step.mark,
            "iif": names.get(step.iif),
            "oif": names.get(step.oif),
            "network": step.network.hex(),
            "transport": step.transport.hex(),
        }
        for step in watch.steps
    ]


def _chains(watches: list[_Watch], steps: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The chains that the packet went through, as nft lists them."""
    fds = {watch.node: watch.fd for watch in watches}
    keys = dict.fromkeys((s["node"], s["family"], s["table"], s["chain"]) for s in steps)
    return [
        {"node": node, "family": family, "table": table, "chain": chain}
        | {"text": nft_trace.chain_text(fds[node], family, table, chain)}
        for node, family, table, chain in keys
    ]


def _questions(watch: _Watch) -> list[tuple[decisions.Question, str]]:
    """What to ask the kernel: where each packet that came in was to go, and for whom it was.

    Its destination is that after a translation at prerouting, which the last
    step that has an input and the packet's header knows; its mark the last one.
    """
    found = []
    for sight in watch.packets:
        if sight.kind == OUTGOING or sight.protocol != ETH_P_IP or len(sight.data) < IP_HEADER:
            continue
        source, destination = (_address(sight.data[o : o + 4]) for o in (12, 16))
        after, mark = _after_rules(watch.steps, sight)
        question = decisions.Question(source, after or destination, sight.interface, mark or 0)
        found.append((question, destination))
    return found


def _after_rules(steps: list[Step], sight: Sight) -> tuple[str | None, int | None]:
    """Destination and mark of the packet once prerouting was over."""
    ids = [
        step.packet
        for step in steps
        if step.network[12:20] == sight.data[12:20]
        and step.transport[:8] == sight.data[IP_HEADER : IP_HEADER + 8]
        and step.iif
    ]
    if not ids:
        return None, None
    own = [step for step in steps if step.packet == ids[-1]]
    marks = [step.mark for step in own if step.mark is not None]
    headers = [step.network for step in own if len(step.network) >= IP_HEADER]
    return _address(headers[-1][16:20]), marks[-1] if marks else None


def _address(data: bytes) -> str:
    return ".".join(str(byte) for byte in data)


def _decision(fd: int, question: decisions.Question, asked: str) -> dict[str, Any]:
    try:
        answer = asdict(decisions.route(fd, question))
    except (OSError, KeyError) as error:
        answer = {"route": None, "refusal": None, "error": str(error)}
    return asdict(question) | {"asked": asked} | answer


def _is_local(answer: dict[str, Any]) -> bool:
    return bool(answer["route"] and answer["route"]["type"] == "local")


def _way_back(fd: int, answer: dict[str, Any]) -> dict[str, Any]:
    """Where an answer to the packet goes, from where it was delivered."""
    question = decisions.Question(answer["destination"], answer["source"], None)
    return _decision(fd, question, question.destination)


def _link(link: observe.Link) -> dict[str, Any]:
    return {
        "kind": link.kind,
        "admin_up": link.admin_up,
        "carrier": link.carrier,
        "mtu": link.mtu,
        "master": link.master,
    }


def _went_up(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {
        key: value - before.get(key, 0)
        for key, value in after.items()
        if value > before.get(key, 0)
    }


async def trace(plan: Plan, nodes: dict[str, int], request: dict[str, Any]) -> dict[str, Any]:
    """Carry out the request of a client; the record (docs/protocol.md)."""
    probe = read_probe(request)
    tracer = Tracer(nodes, probe, str(request["node"]), _longest_delay_s(plan))
    try:
        return await tracer.run()
    finally:
        tracer.close()


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
