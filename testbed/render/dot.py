"""A picture in the languages of graphviz and Mermaid."""

from __future__ import annotations

import html
import subprocess
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.plan.roles import REGION, SITE, Role

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from testbed.plan.model import Node
    from testbed.render.picture import Edge, EdgeEnd, Picture

DOT_TIMEOUT_S = 120
COLORS = {REGION: "#e8f0fe", SITE: "#f3f3f3"}
RACK_COLOR = "#fff1e0"
VISITED_COLOR, DROPPED_COLOR = "#137333", "#c5221f"
STYLES = {
    "link": "color=gray40",
    "lag": 'penwidth=5, color="#c45500", weight=20',
    "tunnel": 'style=dashed, color="#1a73e8", fontcolor="#1a73e8"',
    "overlay": "style=dotted, color=gray50, fontcolor=gray40",
}
# From top to bottom, by group and role: what is connected most is next to each other.
ROWS = {
    REGION: {
        Role.INSTANCE: 0,
        Role.VPC_ROUTER: 1,
        Role.REGION_FABRIC: 1,
        Role.REGION_EDGE: 3,
    },
    SITE: {Role.HOST: 4, Role.LAN_SEGMENT: 5, Role.WAN: 5, Role.CUSTOMER_DEVICE: 6},
}
RACK_ROWS = {
    Role.NETWORKING_DEVICE: 7,
    Role.VPC_ROUTER: 9,
    Role.SERVER: 9,
    Role.INSTANCE: 10,
}
OTHER_ROW = {REGION: 2, SITE: 5}
RACK_OTHER_ROW = 8
MARKED = ', color="#d1242f", penwidth=3, class=marked'
MERMAID_LINKS = {"link": "---", "lag": "===", "tunnel": "-.-", "overlay": "-.-"}


def heading(group: str) -> str:
    """What a picture calls a group."""
    return {REGION: "Region", SITE: "Customer's site"}.get(group, f"Outpost {group}")


def edge_lines(edge: Edge) -> list[str]:
    """What is written beside a connection."""
    if edge.kind == "lag":
        lines = [f"LAG of {edge.members}" + (f", {edge.note}" if edge.note else "")]
        for vlan in edge.vlans:
            vrf = f" (VRF {vlan.vrf})" if vlan.vrf else ""
            lines.append(f"VLAN {vlan.vid}{vrf}: {vlan.addresses[0]} - {vlan.addresses[1]}")
        return lines
    return [edge.note] if edge.note else []


def to_dot(picture: Picture, marked: Collection[str] = ()) -> str:
    """The picture as a graph for graphviz' dot, the nodes `marked` in red."""
    numbers, ends = _numbers(picture), _ends(picture)
    lines = [
        f"graph {_quoted(picture.name)} {{",
        "  rankdir=TB; newrank=true; ranksep=0.6; nodesep=0.3;",
        '  graph [fontname="Helvetica", labeljust=l];',
        '  node [shape=box, style="rounded,filled", fillcolor=white];',
        '  node [fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=8];',
    ]
    for index, (group, nodes) in enumerate(picture.groups.items()):
        color = COLORS.get(group, RACK_COLOR)
        lines.append(f"  subgraph cluster_{index} {{")
        lines.append(
            f'    label={_quoted(heading(group))}; style="rounded,filled"; color="{color}";'
        )
        for node in nodes:
            label = _html(node, ends[node.name], _hops(picture, node.name))
            style = MARKED if node.name in marked else _marked(picture, node.name)
            lines.append(f"    {numbers[node.name]} [label={label}{style}];")
        lines.append("  }")
    rows = _rows(picture)
    lines += _ranks(rows, numbers)
    for edge in picture.edges:
        attributes = [STYLES[edge.kind]]
        text = edge_lines(edge)
        if edge.hops:
            text = [f"after {_listed(edge.hops)}", *text]
            attributes.append(f'color="{VISITED_COLOR}", penwidth=4, fontcolor="{VISITED_COLOR}"')
        if text:
            attributes.append(f"label={_quoted(*text)}")
        upper, lower = sorted((edge.a.node, edge.b.node), key=lambda name: rows[name])
        lines.append(f"  {numbers[upper]} -- {numbers[lower]} [{', '.join(attributes)}];")
    return "\n".join([*lines, "}", ""])


def _listed(hops: Sequence[int]) -> str:
    return f"hop{'s' * (len(hops) > 1)} {', '.join(str(number) for number in hops)}"


def _hops(picture: Picture, node: str) -> str:
    """Which hops of the packet were at a node, and whether it was dropped there."""
    if not (hops := picture.hops_at(node)):
        return ""
    return _listed(hops) + (": dropped" if picture.drops_at(node) else "")


def _marked(picture: Picture, node: str) -> str:
    """Attributes of a node that the packet was at."""
    if not picture.hops_at(node):
        return ""
    color = DROPPED_COLOR if picture.drops_at(node) else VISITED_COLOR
    return f', color="{color}", penwidth=3'


def _rows(picture: Picture) -> dict[str, int]:
    """The row of each node."""
    return {
        node.name: ROWS.get(group, RACK_ROWS).get(node.role, OTHER_ROW.get(group, RACK_OTHER_ROW))
        for group, nodes in picture.groups.items()
        for node in nodes
    }


def _ranks(rows: dict[str, int], numbers: dict[str, str]) -> list[str]:
    """Statements that keep each row on one line, and the rows in order."""
    used = sorted(set(rows.values()))
    lines = [f"  {' -- '.join(f'row{row}' for row in used)} [style=invis];"]
    for row in used:
        same = "; ".join(numbers[name] for name, its in rows.items() if its == row)
        point = f"row{row} [shape=point, style=invis]"
        lines.append(f"  {{ rank=same; {point}; {same}; }}")
    return lines


def _ends(picture: Picture) -> dict[str, list[EdgeEnd]]:
    """The ends of cables at each node, those without an address left out."""
    found: dict[str, list[EdgeEnd]] = {
        node.name: [] for nodes in picture.groups.values() for node in nodes
    }
    for edge in picture.edges:
        for end in (edge.a, edge.b):
            if edge.kind == "link" and end.addresses:
                found[end.node].append(end)
    return found


def _html(node: Node, ends: list[EdgeEnd], hops: str) -> str:
    """A node's label: its name, the packet's hops, what it is, its interfaces, their addresses."""
    lines = [f"<b>{_escaped(node.name)}</b>"]
    if hops:
        color = DROPPED_COLOR if hops.endswith("dropped") else VISITED_COLOR
        lines.append(f'<font color="{color}"><b>{_escaped(hops)}</b></font>')
    if node.title and node.title != node.name:
        lines.append(f'<font point-size="9">{_escaped(node.title)}</font>')
    for end in ends:
        text = _escaped(f"{end.interface}  {' '.join(end.addresses)}")
        lines.append(f'<font point-size="8" color="gray35">{text}</font>')
    return f"<{'<br/>'.join(lines)}>"


def _escaped(text: str) -> str:
    return html.escape(text)


def _numbers(picture: Picture) -> dict[str, str]:
    names = [node.name for nodes in picture.groups.values() for node in nodes]
    return {name: f"n{index}" for index, name in enumerate(names)}


def _node_lines(node: Node, hops: str) -> list[str]:
    return [
        node.name,
        *([hops] if hops else []),
        *([node.title] if node.title and node.title != node.name else []),
    ]


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def to_image(picture: Picture, form: str, marked: Collection[str] = ()) -> bytes:
    """The picture as ``svg``, ``png`` or ``pdf``; HostError without graphviz."""
    try:
        done = subprocess.run(
            ["dot", f"-T{form}"],
            input=to_dot(picture, marked).encode(),
            capture_output=True,
            check=True,
            timeout=DOT_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise HostError("graphviz is not installed", hint="install the package graphviz") from None
    except subprocess.CalledProcessError as error:
        hint = error.stderr.decode(errors="replace")
        raise HostError("graphviz could not draw the picture", hint=hint) from None
    except subprocess.TimeoutExpired:
        message = f"graphviz took longer than {DOT_TIMEOUT_S} s"
        raise HostError(message, hint="use --format dot and another layout engine") from None
    return done.stdout


def to_mermaid(picture: Picture) -> str:
    """The picture as a Mermaid flow chart."""
    numbers = _numbers(picture)
    lines = ["flowchart TB"]
    for index, (group, nodes) in enumerate(picture.groups.items()):
        lines.append(f"  subgraph g{index}[{_label(heading(group))}]")
        lines += [
            f"    {numbers[node.name]}[{_label(*_node_lines(node, _hops(picture, node.name)))}]"
            for node in nodes
        ]
        lines.append("  end")
    for edge in picture.edges:
        text = [f"{edge.a.interface} - {edge.b.interface}", *edge_lines(edge)]
        text += [f"after {_listed(edge.hops)}"] if edge.hops else []
        link = f"{MERMAID_LINKS[edge.kind]}|{_label(*text)}|"
        lines.append(f"  {numbers[edge.a.node]} {link} {numbers[edge.b.node]}")
    return "\n".join([*lines, ""])


def _label(*lines: str) -> str:
    escaped = (
        line.replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;").replace(">", "&gt;")
        for line in lines
    )
    return '"' + "<br/>".join(escaped) + '"'
