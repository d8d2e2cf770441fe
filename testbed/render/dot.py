"""A picture in the languages of graphviz and Mermaid."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from testbed.errors import HostError

if TYPE_CHECKING:
    from testbed.plan.model import Node
    from testbed.render.picture import Edge, End, Picture

DOT_TIMEOUT_S = 120
COLORS = {"region": "#e8f0fe", "site": "#f3f3f3"}
RACK_COLOR = "#fff1e0"
STYLES = {
    "link": "color=gray40",
    "lag": 'penwidth=5, color="#c45500"',
    "tunnel": 'style=dashed, color="#1a73e8", constraint=false',
    "overlay": "style=dotted, color=gray60, constraint=false",
}
MERMAID_LINKS = {"link": "---", "lag": "===", "tunnel": "-.-", "overlay": "-.-"}


def heading(group: str) -> str:
    """What a picture calls a group."""
    return {"region": "Region", "site": "Customer's site"}.get(group, f"Outpost {group}")


def edge_lines(edge: Edge) -> list[str]:
    """What is written beside a connection."""
    if edge.kind == "lag":
        lines = [f"LAG of {edge.members}" + (f", {edge.note}" if edge.note else "")]
        for vlan in edge.vlans:
            vrf = f" (VRF {vlan.vrf})" if vlan.vrf else ""
            lines.append(f"VLAN {vlan.vid}{vrf}: {vlan.addresses[0]} - {vlan.addresses[1]}")
        return lines
    return [edge.note] if edge.note else []


def _end_lines(end: End) -> list[str]:
    return [end.interface, *end.addresses]


def to_dot(picture: Picture) -> str:
    """The picture as a graph for graphviz' dot."""
    numbers = _numbers(picture)
    lines = [
        f"graph {_quoted(picture.name)} {{",
        "  rankdir=TB; newrank=true; ranksep=1.1; nodesep=0.35; compound=true;",
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
        lines += [
            f"    {numbers[node.name]} [label={_quoted(*_node_lines(node))}];" for node in nodes
        ]
        lines.append("  }")
    roles = {node.name: node.role for nodes in picture.groups.values() for node in nodes}
    for edge in picture.edges:
        attributes = [STYLES[edge.kind]]
        if edge.kind == "link" and roles[edge.a.node] == roles[edge.b.node]:
            attributes.append("constraint=false")  # equals stay side by side
        if text := edge_lines(edge):
            attributes.append(f"label={_quoted(*text)}")
        if edge.kind != "overlay":
            attributes.append(f"taillabel={_quoted(*_end_lines(edge.a))}")
            attributes.append(f"headlabel={_quoted(*_end_lines(edge.b))}")
        ends = f"{numbers[edge.a.node]} -- {numbers[edge.b.node]}"
        lines.append(f"  {ends} [{', '.join(attributes)}];")
    return "\n".join([*lines, "}", ""])


def _numbers(picture: Picture) -> dict[str, str]:
    names = [node.name for nodes in picture.groups.values() for node in nodes]
    return {name: f"n{index}" for index, name in enumerate(names)}


def _node_lines(node: Node) -> list[str]:
    return [node.name, *([node.title] if node.title and node.title != node.name else [])]


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def to_svg(picture: Picture) -> str:
    """The picture as SVG; HostError without graphviz."""
    try:
        done = subprocess.run(
            ["dot", "-Tsvg"],
            input=to_dot(picture),
            capture_output=True,
            text=True,
            check=True,
            timeout=DOT_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise HostError("graphviz is not installed", hint="install the package graphviz") from None
    except subprocess.CalledProcessError as error:
        raise HostError("graphviz could not draw the picture", hint=error.stderr) from None
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
        lines += [f"    {numbers[node.name]}[{_label(*_node_lines(node))}]" for node in nodes]
        lines.append("  end")
    for edge in picture.edges:
        text = [f"{edge.a.interface} - {edge.b.interface}", *edge_lines(edge)]
        link = f"{MERMAID_LINKS[edge.kind]}|{_label(*text)}|"
        lines.append(f"  {numbers[edge.a.node]} {link} {numbers[edge.b.node]}")
    return "\n".join([*lines, ""])


def _label(*lines: str) -> str:
    escaped = (
        line.replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;").replace(">", "&gt;")
        for line in lines
    )
    return '"' + "<br/>".join(escaped) + '"'
