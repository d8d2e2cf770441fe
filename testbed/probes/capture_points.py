"""Where packets are captured: the words of a command line, and what they stand for in a plan."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from testbed.errors import UsageError, no_such_node
from testbed.plan.lags import lag_named
from testbed.plan.model import (
    Bond,
    HostInterface,
    Interface,
    Node,
    Plan,
    Veth,
    Vlan,
    Vxlan,
    WireGuard,
)

LOOPBACK = "lo"
BETWEEN = "--"
CABLES = (Veth, HostInterface, WireGuard, Vxlan)  # by which packets enter and leave a node
_LOOKS_LIKE_ONE = re.compile(r"[a-z0-9][\w.-]*:[a-z][\w.@-]*|[\w.:@-]+--[\w.:@-]+|.+\.lag\d+")
_NAME = re.compile(r"[a-z][\w.-]*")
# With which a filter begins (pcap-filter(7), "PRIMITIVES").
_FILTER_WORDS = (
    "aarp addr1 addr2 addr3 addr4 action ah arp atalk broadcast carp clnp decnet dir dst ecn esis "
    "es-is esp ether fddi gateway geneve greater host icmp icmp6 ifindex ifname igmp igrp inbound "
    "ip ip6 ipx is-is isis iso lat len less link llc mopdl moprc mpls multicast net netbeui not on "
    "outbound pim port portrange ppp pppoed pppoes proto protochain ra radio rarp reason rnr rset "
    "rulenum rulset sca sctp slip src stp subtype ta tcp tr type udp vlan vrrp vxlan wlan"
)
FILTER_WORDS = frozenset(_FILTER_WORDS.split())


@dataclass(frozen=True, slots=True)
class Point:
    """An interface to capture on; `description` is for people. `raw`: packets have no Ethernet."""

    node: str
    interface: str
    description: str = ""
    raw: bool = False

    @property
    def name(self) -> str:
        """How it is called in a capture file."""
        return f"{self.node}:{self.interface}"

    def to_json(self) -> dict[str, str]:
        """As the keeper is asked."""
        return {
            "node": self.node,
            "interface": self.interface,
            "description": self.description,
        }


def split(words: Sequence[str], plan: Plan) -> tuple[list[str], str]:
    """What of the words are places, and the filter that the rest is.

    The first word that is no place begins the filter; one that looks like a
    place but is none is an error.
    """
    names = {node.name for node in plan.nodes}
    for number, word in enumerate(words):
        if word not in names and not _LOOKS_LIKE_ONE.fullmatch(word):
            if _NAME.fullmatch(word) and word not in FILTER_WORDS:
                error = no_such_node(word, plan.name, sorted(names))
                text = f"{error.message}, and no filter begins like that"
                raise UsageError(text, hint=error.hint)
            return list(words[:number]), " ".join(words[number:])
    return list(words), ""


def select(plan: Plan, words: Iterable[str]) -> list[Point]:
    """The interfaces that the words name; without any, all cables and tunnels of all nodes.

    ``NODE``: its cables and tunnels; ``NODE:INTERFACE``; ``A--B``: both ends
    of the cables between two nodes; ``OUTPOST.lagN``: both ends of a LAG's
    cables. UsageError for what is not in the plan.
    """
    nodes = {node.name: node for node in plan.nodes}
    words = list(words) or [name for name, node in nodes.items() if any(_cables(node))]
    found = dict.fromkeys(pair for word in words for pair in _expand(word, nodes, plan))
    return [point(nodes[node], interface) for node, interface in found]


def _expand(word: str, nodes: dict[str, Node], plan: Plan) -> Iterator[tuple[str, str]]:
    if word in nodes:
        yield from ((word, interface.name) for interface in _cables(nodes[word]))
    elif BETWEEN in word:
        yield from _between(word, nodes, plan)
    elif lag := lag_named(plan.nodes, word):
        yield from _lag(*lag)
    else:
        name, colon, interface = word.partition(":")
        if name not in nodes or not colon:
            raise no_such_node(name, plan.name, list(nodes))
        known = [entry.name for entry in nodes[name].interfaces]
        if interface not in (*known, LOOPBACK):
            close = difflib.get_close_matches(interface, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
            raise UsageError(f"{name} has no interface {interface!r}", hint=hint)
        yield name, interface


def _between(word: str, nodes: dict[str, Node], plan: Plan) -> Iterator[tuple[str, str]]:
    """Both ends of the cables between two nodes."""
    one, _, other = word.partition(BETWEEN)
    for name in (one, other):
        if name not in nodes:
            raise no_such_node(name, plan.name, list(nodes))
    ends = [
        (interface.name, interface.device.peer)
        for interface in nodes[one].interfaces
        if isinstance(interface.device, Veth) and interface.device.peer_node == other
    ]
    if not ends:
        near = sorted({i.device.peer_node for i in nodes[one].interfaces if _is_veth(i)})  # type: ignore[union-attr]
        hint = f"{one} is cabled to {', '.join(near)}" if near else None
        raise UsageError(f"there is no cable between {one} and {other}", hint=hint)
    for near_end, far_end in ends:
        yield one, near_end
        yield other, far_end


def _lag(node: Node, bond: str) -> Iterator[tuple[str, str]]:
    """Both ends of a LAG's member links."""
    for interface in node.interfaces:
        if interface.master == bond:
            yield node.name, interface.name
            if isinstance(interface.device, Veth):
                yield interface.device.peer_node, interface.device.peer


def _cables(node: Node) -> Iterator[Interface]:
    return (entry for entry in node.interfaces if isinstance(entry.device, CABLES))


def _is_veth(interface: Interface) -> bool:
    return isinstance(interface.device, Veth)


def point(node: Node, name: str) -> Point:
    """An interface of a node, planned or not, as a place to capture at."""
    entry = next((i for i in node.interfaces if i.name == name), None)
    title = node.title or node.name
    if entry is None:
        return Point(node.name, name, title)
    text = f"{title}: {_describe(node, entry)}"
    return Point(node.name, name, text, raw=isinstance(entry.device, WireGuard))


def _describe(node: Node, interface: Interface) -> str:
    """What is at the other end of an interface."""
    match interface.device:
        case Veth(peer_node=other, peer=peer):
            text = f"cable to {other}:{peer}"
            if _in_bond(node, interface):
                text += f", member of {interface.master}"
        case HostInterface(interface=other):
            text = f"this machine's {other}"
        case Bond():
            members = [i.name for i in node.interfaces if i.master == interface.name]
            text = f"LAG of {', '.join(members)}"
        case Vlan(parent=parent, vid=vid):
            text = f"VLAN {vid} on {parent}"
        case WireGuard(peers=peers):
            text = f"WireGuard tunnel to {', '.join(peer.name for peer in peers) or 'nobody'}"
        case Vxlan(vni=vni, remote=remote):
            text = f"VXLAN {vni} to {remote}"
        case kind:
            text = kind.kind
    return text


def _in_bond(node: Node, interface: Interface) -> bool:
    master = next((i for i in node.interfaces if i.name == interface.master), None)
    return master is not None and isinstance(master.device, Bond)
