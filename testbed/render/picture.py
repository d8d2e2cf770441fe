"""What a plan looks like from above: groups of nodes, and what connects them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING, Any, Literal

from testbed.plan.checks import BgpCheck
from testbed.plan.model import Bond, Interface, Node, Plan, Veth, Vlan, Vxlan, WireGuard
from testbed.plan.roles import REGION, SITE
from testbed.render import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class EdgeEnd:
    """One end of a connection."""

    node: str
    interface: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VlanPair:
    """A VLAN on a LAG: its interfaces' addresses at both ends, and whether BGP runs over it."""

    vid: int
    vrf: str | None
    addresses: tuple[str, str]
    bgp: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection of two nodes. `members` counts the cables of a LAG; `note` is its quality.

    `hops` are the numbers of those by which a packet took it.
    """

    kind: Literal["link", "lag", "tunnel", "overlay"]
    a: EdgeEnd
    b: EdgeEnd
    members: int = 1
    note: str = ""
    vlans: tuple[VlanPair, ...] = ()
    hops: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """A packet at a node: the interfaces that it left by, or that it was dropped there."""

    node: str
    leaves: tuple[str, ...] = ()
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session between two nodes, and what its check calls it."""

    a: EdgeEnd
    b: EdgeEnd
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Nodes by group, in the order top, middle, others; connections; BGP sessions.

    `visits` are the hops of a packet whose way is drawn in.
    """

    name: str
    groups: dict[str, tuple[Node, ...]]
    edges: tuple[Edge, ...]
    sessions: tuple[Session, ...]
    visits: tuple[Visit, ...] = ()

    def hops_at(self, node: str) -> tuple[int, ...]:
        """The numbers of the packet's hops at a node."""
        return tuple(n for n, visit in enumerate(self.visits, 1) if visit.node == node)

    def drops_at(self, node: str) -> bool:
        """Whether the packet was dropped at a node."""
        return any(visit.dropped and visit.node == node for visit in self.visits)

    def group_of(self, node: str) -> str:
        """The group that a node belongs to."""
        return next(
            name for name, nodes in self.groups.items() if any(n.name == node for n in nodes)
        )

    def to_json(self) -> dict[str, Any]:
        """As `testbed graph --json` prints it."""
        groups = {
            name: [{"name": n.name, "role": n.role, "title": n.title} for n in nodes]
            for name, nodes in self.groups.items()
        }
        edges = [asdict(edge) for edge in self.edges]
        for edge in edges:
            del edge["hops"]
        sessions = [asdict(session) for session in self.sessions]
        return {"name": self.name, "groups": groups, "edges": edges, "bgp": sessions}


def draw(plan: Plan) -> Picture:
    """The picture of a plan."""
    groups: dict[str, list[Node]] = {REGION: [], SITE: []}
    for node in plan.nodes:
        groups.setdefault(node.group, []).append(node)
    sessions = tuple(_sessions(plan))
    over = {
        address for session in sessions for address in (*session.a.addresses, *session.b.addresses)
    }
    ranks = {node.name: _rank(node.group) for node in plan.nodes}
    edges = [
        _downwards(edge, ranks)
        for edge in (*_cables(plan, over), *_tunnels(plan), *_overlays(plan))
    ]
    filled = {name: tuple(nodes) for name, nodes in groups.items() if nodes}
    return Picture(plan.name, filled, tuple(edges), sessions)


def visited(picture: Picture, visits: Sequence[Visit]) -> Picture:
    """The picture with the way of a packet drawn in: its hops, numbered from 1."""
    edges = tuple(replace(edge, hops=tuple(_hops_over(edge, visits))) for edge in picture.edges)
    return replace(picture, edges=edges, visits=tuple(visits))


def _hops_over(edge: Edge, visits: Sequence[Visit]) -> Iterator[int]:
    """The numbers of the hops that a packet left by a connection: a LAG by its bond."""
    ends = {(end.node, end.interface) for end in (edge.a, edge.b)}
    for number, visit in enumerate(visits, 1):
        if any((visit.node, name) in ends for name in visit.leaves):
            yield number


def _rank(group: str) -> int:
    return {REGION: 0, SITE: 1}.get(group, 2)


def _downwards(edge: Edge, ranks: dict[str, int]) -> Edge:
    """The edge with its upper end first."""
    if ranks[edge.a.node] <= ranks[edge.b.node]:
        return edge
    vlans = tuple(
        VlanPair(v.vid, v.vrf, (v.addresses[1], v.addresses[0]), v.bgp) for v in edge.vlans
    )
    return Edge(edge.kind, edge.b, edge.a, edge.members, edge.note, vlans)


def _end(node: Node, interface: Interface) -> EdgeEnd:
    return EdgeEnd(node.name, interface.name, interface.addresses)


def _cables(plan: Plan, over: set[str]) -> Iterator[Edge]:
    """Cables, those between two bonds put together as one LAG."""
    nodes = {node.name: node for node in plan.nodes}
    lags: dict[tuple[str, str, str, str], int] = {}
    done: set[tuple[str, str]] = set()
    for node in plan.nodes:
        for interface in node.interfaces:
            device = interface.device
            if not isinstance(device, Veth) or (node.name, interface.name) in done:
                continue
            done.add((device.peer_node, device.peer))
            far_node = nodes[device.peer_node]
            far = far_node.interface(device.peer)
            bonds = (_bond(node, interface), _bond(far_node, far))
            if bonds[0] and bonds[1]:
                key = (node.name, bonds[0], far_node.name, bonds[1])
                lags[key] = lags.get(key, 0) + 1
            else:
                yield Edge(
                    "link", _end(node, interface), _end(far_node, far), note=_note(interface)
                )
    for (near, near_bond, far_name, far_bond), members in lags.items():
        yield _lag(nodes[near], near_bond, nodes[far_name], far_bond, members, over)


def _bond(node: Node, interface: Interface) -> str | None:
    if interface.master and isinstance(node.interface(interface.master).device, Bond):
        return interface.master
    return None


def _note(interface: Interface) -> str:
    entry = interface.netem
    return words.netem(entry).partition(" limit")[0] if entry else ""


def _lag(a: Node, a_bond: str, b: Node, b_bond: str, members: int, over: set[str]) -> Edge:
    far = _vlans(b, b_bond)
    pairs = []
    for vid, entry in _vlans(a, a_bond).items():
        if vid not in far:
            continue
        ends = (_first(entry), _first(far[vid]))
        bgp = any(address.partition("/")[0] in over for address in ends)
        vrf = far[vid].master if b.group == SITE else entry.master  # the customer's
        pairs.append(VlanPair(vid, vrf, ends, bgp))
    member = next(i for i in a.interfaces if i.master == a_bond)
    ends_of = (_end(a, a.interface(a_bond)), _end(b, b.interface(b_bond)))
    return Edge("lag", *ends_of, members, _note(member), tuple(pairs))


def _vlans(node: Node, bond: str) -> dict[int, Interface]:
    return {
        interface.device.vid: interface
        for interface in node.interfaces
        if isinstance(interface.device, Vlan) and interface.device.parent == bond
    }


def _first(interface: Interface) -> str:
    return interface.addresses[0] if interface.addresses else ""


def _tunnels(plan: Plan) -> Iterator[Edge]:
    """WireGuard tunnels, from the end that calls to the one that has the endpoint's address."""
    owner = _owners(plan)
    anchors = {
        (interface.device.socket_node, interface.device.listen_port): (node, interface)
        for node in plan.nodes
        for interface in node.interfaces
        if isinstance(interface.device, WireGuard)
    }
    for node in plan.nodes:
        for interface in node.interfaces:
            device = interface.device
            if not isinstance(device, WireGuard):
                continue
            for peer in device.peers:
                address, _, port = (peer.endpoint or "").partition(":")
                far = anchors.get((owner.get(address, ""), int(port or 0)))
                if far:
                    note = f"{device.socket_node} to {peer.endpoint}"
                    yield Edge("tunnel", _end(node, interface), _end(*far), note=note)


def _overlays(plan: Plan) -> Iterator[Edge]:
    """VXLANs, each pair of ends once."""
    ends: dict[tuple[int, str, str], tuple[Node, Interface]] = {}
    for node in plan.nodes:
        for interface in node.interfaces:
            device = interface.device
            if not isinstance(device, Vxlan):
                continue
            far = ends.get((device.vni, device.remote, device.local))
            if far:
                yield Edge("overlay", _end(*far), _end(node, interface), note=f"VNI {device.vni}")
            ends[device.vni, device.local, device.remote] = (node, interface)


def _owners(plan: Plan) -> dict[str, str]:
    """Which node has an address."""
    return {
        address.partition("/")[0]: node.name
        for node in plan.nodes
        for interface in node.interfaces
        for address in interface.addresses
    }


def _sessions(plan: Plan) -> Iterator[Session]:
    """The BGP sessions that have a check, those checked at both ends once."""
    owner = _owners(plan)
    nodes = {node.name: node for node in plan.nodes}
    seen: set[frozenset[str]] = set()
    for check in plan.checks:
        if not isinstance(check, BgpCheck) or check.neighbor not in owner:
            continue
        local = _local(nodes[check.node], check.neighbor)
        pair = frozenset({local.addresses[0], check.neighbor}) if local else frozenset()
        if local is None or pair in seen:
            continue
        seen.add(pair)
        far = EdgeEnd(owner[check.neighbor], "", (check.neighbor,))
        yield Session(local, far, check.title)


def _local(node: Node, neighbor: str) -> EdgeEnd | None:
    """The node's end of its subnet with the neighbour."""
    for interface in node.interfaces:
        for address in interface.addresses:
            entry = IPv4Interface(address)
            if IPv4Interface(neighbor).ip in entry.network and str(entry.ip) != neighbor:
                return EdgeEnd(node.name, interface.name, (str(entry.ip),))
    return None
