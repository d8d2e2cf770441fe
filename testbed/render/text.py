"""A picture in text: the Region on top, the customer's site in the middle, racks below."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from testbed.plan.roles import REGION, SITE, Role
from testbed.render.dot import heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.plan.model import Node
    from testbed.render.picture import Edge, Picture

NARROW, WIDE = 64, 100  # columns of a picture
NO_BREAK = "\u00a0"
RACK_COLUMNS = 44  # the least that a rack's box takes


def to_text(picture: Picture, columns: int = WIDE) -> str:
    """The picture with lists of LAGs, tunnels and BGP sessions below it."""
    width = max(NARROW, min(columns, WIDE))
    racks = [group for group in picture.groups if group not in {REGION, SITE}]
    lines: list[str] = []
    if REGION in picture.groups:
        lines += _box(picture, REGION, width)
        lines += _stem("│", _cross_links(picture, REGION, SITE), width)
    if SITE in picture.groups:
        lines += _box(picture, SITE, width)
    beside = max(1, min(len(racks), (width + 2) // (RACK_COLUMNS + 2)))
    for start in range(0, len(racks), beside):
        lines += _row(picture, racks[start : start + beside], width, beside)
    for title, rows in (
        ("LAGs (═), their VLANs and eBGP sessions", list(_lag_rows(picture))),
        ("Service link tunnels (WireGuard in UDP)", list(_tunnel_rows(picture))),
        ("The customer's links", list(_site_rows(picture))),
        ("Other BGP sessions", list(_session_rows(picture))),
    ):
        if rows:
            lines += ["", title, *(f"  {row}" for row in rows)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _row(picture: Picture, racks: Sequence[str], width: int, beside: int) -> list[str]:
    """Boxes of racks side by side, each with its LAGs above it."""
    each = (width - 2 * (beside - 1)) // beside
    blocks = []
    for rack in racks:
        stem = _stem("║", _lag_summary(picture, rack), each)
        blocks.append((stem, _box(picture, rack, each)))
    above = max(len(stem) for stem, _ in blocks)
    below = max(len(box) for _, box in blocks)
    padded = []
    for stem, box in blocks:
        filler = "  ║" if stem else ""
        lines = [filler.ljust(each)] * (above - len(stem))
        lines += [*stem, *box[:-1], *[_line("", each)] * (below - len(box)), box[-1]]
        padded.append(lines)
    return ["  ".join(parts) for parts in zip(*padded, strict=True)]


def _stem(symbol: str, texts: Sequence[str], width: int) -> list[str]:
    """The lines that connect two boxes, with what they are."""
    room = width - 6
    lines = [part for text in texts for part in textwrap.wrap(text, room) or [""]]
    return [f"  {symbol}  {line}".ljust(width) for line in lines]


def _line(text: str, width: int) -> str:
    return f"│ {text.ljust(width - 4)} │"


def _box(picture: Picture, group: str, width: int) -> list[str]:
    """The box of a group: a line for each role."""
    title = f"─ {heading(group)} "
    lines = ["┌" + title + "─" * (width - len(title) - 2) + "┐"]
    for label, names in _roles(picture.groups[group]):
        indent = " " * 15
        text = f"{label:<14} ".replace(" ", NO_BREAK) + ", ".join(names)
        wrapped = textwrap.wrap(text, width - 4, subsequent_indent=indent, break_on_hyphens=False)
        lines += [_line(part.replace(NO_BREAK, " "), width) for part in wrapped]
    return [*lines, "└" + "─" * (width - 2) + "┘"]


def _roles(nodes: Sequence[Node]) -> Iterator[tuple[str, list[str]]]:
    for role in Role:
        if named := [_named(node) for node in nodes if node.role == role]:
            yield role.label, named


def _named(node: Node) -> str:
    """A node's name without its group's, with its address where it has one to be reached at."""
    name = node.name.removeprefix(f"{node.group}.")
    addresses = [a for i in node.interfaces for a in i.addresses]
    if node.role.addressed and addresses:
        return f"{name}{NO_BREAK}{addresses[0].partition('/')[0]}"
    return name


def _cross_links(picture: Picture, upper: str, lower: str) -> list[str]:
    """The cables between two groups, those of one quality together."""
    found: dict[tuple[str, str], list[str]] = {}
    for edge in picture.edges:
        groups = (picture.group_of(edge.a.node), picture.group_of(edge.b.node))
        if edge.kind == "link" and groups == (upper, lower):
            found.setdefault((edge.a.node, edge.note), []).append(edge.b.node)
    return [
        f"{node} ── {', '.join(others)}" + (f"  ({note} each)" if note else "")
        for (node, note), others in found.items()
    ]


def _lag_summary(picture: Picture, rack: str) -> list[str]:
    return [
        f"{edge.a.node} ═══ {edge.members} cable{'' if edge.members == 1 else 's'} ═══ "
        + edge.b.node.removeprefix(f"{rack}.")
        for edge in picture.edges
        if edge.kind == "lag" and picture.group_of(edge.b.node) == rack
    ]


def _lag_rows(picture: Picture) -> Iterator[str]:
    for edge in picture.edges:
        if edge.kind != "lag":
            continue
        note = f"  {edge.note} each" if edge.note else ""
        ends = f"{edge.a.node} {edge.a.interface} ═{edge.members}═ {edge.b.node} {edge.b.interface}"
        yield ends + note
        width = max([8, *(len(f"VRF {vlan.vrf}") for vlan in edge.vlans)])
        for vlan in edge.vlans:
            vrf = f"VRF {vlan.vrf}" if vlan.vrf else ""
            addresses = f"{vlan.addresses[0]:>18} ── {vlan.addresses[1]:<18}"
            yield f"    VLAN {vlan.vid:<4}  {vrf:<{width}} {addresses}{' BGP' if vlan.bgp else ''}"


def _tunnel_rows(picture: Picture) -> Iterator[str]:
    for edge in picture.edges:
        if edge.kind == "tunnel":
            low, high = edge.b, edge.a
            yield f"{low.node} {low.interface} ┄┄ {high.node} {high.interface}   {edge.note}"


def _site_rows(picture: Picture) -> Iterator[str]:
    for edge in picture.edges:
        groups = {picture.group_of(edge.a.node), picture.group_of(edge.b.node)}
        if edge.kind == "link" and groups == {SITE}:
            yield _ends(edge)


def _ends(edge: Edge) -> str:
    a, b = (
        f"{end.node} {end.interface} {' '.join(end.addresses)}".strip() for end in (edge.a, edge.b)
    )
    return f"{a} ── {b}" + (f"   {edge.note}" if edge.note else "")


def _session_rows(picture: Picture) -> Iterator[str]:
    """The sessions that are not on a LAG's VLAN, which shows them already."""
    shown = {
        address.partition("/")[0]
        for edge in picture.edges
        for vlan in edge.vlans
        for address in vlan.addresses
    }
    neighbors: dict[str, list[str]] = {}
    for session in picture.sessions:
        if session.a.addresses[0] not in shown:
            neighbors.setdefault(session.a.node, []).append(session.b.node)
    for node, others in neighbors.items():
        yield f"{node} ── {', '.join(dict.fromkeys(others))}"
