"""The record of a trace: what was seen in each namespace, and the kernel's reasons there."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from testbed.keeper import trace_sights
from testbed.kernel import decisions, nft_trace, observe
from testbed.kernel.messages import AF_INET
from testbed.kernel.tap import OUTGOING
from testbed.kernel.tap_filter import ETH_P_IPV6, IP_HEADER, IPV6_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from testbed.kernel.marked import Probe, Sent
    from testbed.kernel.nft_trace import RuleTrace, Step
    from testbed.kernel.tap import Sight, Tap

Tunnels = dict[tuple[str, str], tuple[str, str, str]]
"""Node and interface of each VXLAN: the node that routes its outer packets, their addresses."""
LOOPBACK = "lo"


@dataclass
class Watch:
    """One namespace while it is watched.

    `before` and `drops` are its counters and its queues' drops from before;
    `overflowed` says that some of what it had was left out.
    """

    node: str
    fd: int
    stack: contextlib.ExitStack
    tap: Tap
    rules: RuleTrace | None
    before: dict[str, int]
    drops: dict[str, int]
    packets: list[Sight] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    overflowed: bool = False


def record(
    watches: Sequence[Watch], probe: Probe, source: str, sent: Sent, tunnels: Tunnels
) -> dict[str, Any]:
    """All that was seen of a probe from node `source`, as JSON (docs/protocol.md)."""
    chosen = trace_sights.select([watch.packets for watch in watches])
    for watch, packets in zip(watches, chosen, strict=True):
        watch.packets = packets
    steps = [step for watch in watches for step in _steps(watch)]
    own: dict[str, list[decisions.Question]] = {source: []}
    if sent.source:
        own[source].append(decisions.Question(sent.source, probe.destination, None))
    for node, question in _outer_packets(watches, tunnels):
        own.setdefault(node, []).append(question)
    seen = {w.node for w in watches if w.packets} | {step["node"] for step in steps} | own.keys()
    return {
        "probe": asdict(probe) | {"source": source},
        "sent": asdict(sent),
        "packets": [row for watch in watches for row in _packets(watch)],
        "steps": steps,
        "chains": _chains(watches, steps),
        "nodes": {
            watch.node: _node(watch, own.get(watch.node, ()))
            for watch in watches
            if watch.node in seen
        },
        "lost": [watch.node for watch in watches if _has_lost(watch)],
    }


def _handshakes(fd: int, name: str) -> dict[str, float | None]:
    """By public key of each peer the seconds since its last handshake; None: none ever."""
    now = time.time()
    return {
        key: max(0.0, now - peer.handshake) if peer.handshake else None
        for key, peer in observe.wireguard_peers(fd, name).items()
    }


def _outer_packets(
    watches: Sequence[Watch], tunnels: Tunnels
) -> Iterator[tuple[str, decisions.Question]]:
    """What the nodes below the tunnels that something went into had to route."""
    for watch in watches:
        for name in {sight.interface for sight in watch.packets if sight.kind == OUTGOING}:
            if (watch.node, name) in tunnels:
                node, source, destination = tunnels[watch.node, name]
                yield node, decisions.Question(source, destination, None)


def _node(watch: Watch, own: Iterable[decisions.Question]) -> dict[str, Any]:
    """The kernel's reasons in a namespace; `own` is what it had to route of its own."""
    fd = watch.fd
    links = observe.links(fd)
    questions = dict.fromkeys(_questions(watch, links))
    questions |= dict.fromkeys((question, question.destination) for question in own)
    answers = [_decision(fd, *question) for question in questions]
    answers += [_way_back(fd, answer) for answer in answers if _is_local(answer)]
    asked = {answer["destination"] for answer in answers}
    families = {decisions.family_of(address) for address in asked} or {AF_INET}
    routes: dict[str, list[observe.RouteState]] = {}
    neighbors: dict[tuple[str, str], str] = {}
    for family in families:
        own_asked = {address for address in asked if decisions.family_of(address) == family}
        routes |= decisions.routes_to(fd, own_asked, family)
        neighbors |= decisions.neighbor_states(fd, family)
    rules = [
        asdict(rule) | {"family": family}
        for family in families
        for rule in decisions.rules(fd, family)
    ]
    return {
        "decisions": answers,
        "rules": rules,
        "routes": {to: [asdict(route) for route in some] for to, some in routes.items()},
        "neighbors": [[*key, state] for key, state in neighbors.items()],
        "links": {name: _link(link) for name, link in links.items()},
        "wireguard": {
            name: _handshakes(fd, name) for name, link in links.items() if link.kind == "wireguard"
        },
        "drops": _went_up(watch.drops, decisions.queue_drops(fd)),
        "counters": _went_up(watch.before, decisions.counters(fd)),
    }


def _has_lost(watch: Watch) -> bool:
    rules_lost = watch.rules is not None and watch.rules.lost
    return watch.overflowed or rules_lost or watch.tap.lost() > 0


def _packets(watch: Watch) -> list[dict[str, Any]]:
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


def _steps(watch: Watch) -> list[dict[str, Any]]:
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
        if watch.rules is None or step.table != watch.rules.table
    ]


def _chains(watches: Sequence[Watch], steps: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The chains that the packet went through, as nft lists them."""
    fds = {watch.node: watch.fd for watch in watches}
    keys = dict.fromkeys((s["node"], s["family"], s["table"], s["chain"]) for s in steps)
    return [
        {"node": node, "family": family, "table": table, "chain": chain}
        | {"text": nft_trace.chain_text(fds[node], family, table, chain)}
        for node, family, table, chain in keys
    ]


def _questions(
    watch: Watch, links: dict[str, observe.Link]
) -> list[tuple[decisions.Question, str]]:
    """What to ask the kernel: where each packet that came in was to go, and for whom it was.

    Its destination is that after a translation at prerouting, which the last
    step that has an input and the packet's header knows; its mark the last one.
    """
    found = []
    for sight in watch.packets:
        if sight.kind == OUTGOING or sight.protocol not in trace_sights.IP:
            continue
        if trace_sights.is_later(sight) or not _routes(sight, links):
            continue
        source, destination = trace_sights.addresses(sight)
        after, mark = _after_rules(watch.steps, sight)
        # What a node sends to itself has been routed when it was sent.
        iif = None if sight.interface == LOOPBACK else sight.interface
        question = decisions.Question(source, after or destination, iif, mark or 0)
        found.append((question, destination))
    return found


def _routes(sight: Sight, links: dict[str, observe.Link]) -> bool:
    """Whether the packet was routed by the interface: not by one below it, or in a bridge."""
    link = links.get(sight.interface)
    if link is None or sight.vlan is not None:
        return False
    return link.master is None or links[link.master].kind == "vrf"


def _after_rules(steps: list[Step], sight: Sight) -> tuple[str | None, int | None]:
    """Destination and mark of the packet once prerouting was over."""
    six = sight.protocol == ETH_P_IPV6
    ends, header = (slice(8, 40), IPV6_HEADER) if six else (slice(12, 20), IP_HEADER)
    ids = [
        step.packet
        for step in steps
        if step.network[ends] == sight.data[ends]
        and step.transport[:8] == sight.data[header : header + 8]
        and step.iif
    ]
    if not ids:
        return None, None
    own = [step for step in steps if step.packet == ids[-1]]
    marks = [step.mark for step in own if step.mark is not None]
    last = next(s.network for s in reversed(own) if len(s.network) >= header)
    family, to = (socket.AF_INET6, last[24:40]) if six else (socket.AF_INET, last[16:20])
    return socket.inet_ntop(family, to), marks[-1] if marks else None


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
