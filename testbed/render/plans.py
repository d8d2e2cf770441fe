"""A plan as a tree or as tables."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.text import Text
from rich.tree import Tree

from testbed.plan.files import files_of
from testbed.plan.model import WireGuard
from testbed.render import words
from testbed.render.style import rows_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from testbed.plan.model import Interface, Node, Plan


def plan_tree(plan: Plan, nodes: Sequence[Node], *, brief: bool) -> Tree:
    """All that the plan says of `nodes`, by group; `brief` leaves out the text of files."""
    root = Tree(Text(f"testbed {plan.name}", style="bold"))
    groups: dict[str, Tree] = {}
    checks = defaultdict(list)
    for entry in plan.checks:
        checks[entry.node].append(words.check(entry))
    for node in nodes:
        if node.group not in groups:
            groups[node.group] = root.add(Text(node.group, style="bold cyan"))
        branch = groups[node.group].add(_heading(node))
        _fill(branch, node, brief=brief)
        _section(branch, "must hold", checks[node.name])
    return root


def _heading(node: Node) -> Text:
    text = Text(node.name, style="bold")
    text.append(f"  {node.role}", style="cyan")
    return text.append(f"  {node.title}" if node.title else "", style="dim")


def _fill(branch: Tree, node: Node, *, brief: bool) -> None:
    interfaces = branch.add(Text("interfaces", style="cyan")) if node.interfaces else None
    for interface in node.interfaces:
        assert interfaces is not None
        _add_interface(interfaces, interface)
    _section(branch, "routes", [words.route(entry) for entry in node.routes])
    _section(branch, "rules", [words.rule(entry) for entry in node.rules])
    neighbors = [f"{entry.address} dev {entry.dev} lladdr {entry.mac}" for entry in node.neighbors]
    _section(branch, "neighbors", neighbors)
    _section(branch, "processes", [words.process(entry) for entry in node.processes])
    _section(branch, "sysctls", [f"{key} = {value}" for key, value in node.sysctls.items()])
    files = files_of(node) | ({"nftables": node.nftables} if node.nftables else {})
    if not files:
        return
    section = branch.add(Text("files", style="cyan"))
    for name, text in files.items():
        entry = section.add(Text(f"{name} ({len(text.splitlines())} lines)"))
        if not brief:
            entry.add(Text(text.rstrip("\n"), style="dim"))


def _add_interface(section: Tree, interface: Interface) -> None:
    entry = section.add(Text(words.interface(interface)))
    if isinstance(interface.device, WireGuard):
        for peer in interface.device.peers:
            calls = f"endpoint {peer.endpoint}" if peer.endpoint else "calls in"
            allowed = ", ".join(peer.allowed_ips)
            keepalive = f" keepalive {peer.keepalive_s}s" if peer.keepalive_s else ""
            text = f"peer {peer.name} {calls} allowed {allowed}{keepalive} key {peer.public_key}"
            entry.add(Text(text))


def _section(branch: Tree, title: str, lines: Sequence[str]) -> None:
    if lines:
        section = branch.add(Text(title, style="cyan"))
        for line in lines:
            section.add(Text(line))


def plan_tables(plan: Plan, nodes: Sequence[Node]) -> Iterator[Table]:
    """What the plan says of `nodes`, one table for each kind of thing."""
    yield rows_table(
        f"Nodes of {plan.name}",
        ("node", "group", "role", "title"),
        ((node.name, node.group, node.role, node.title) for node in nodes),
    )
    yield rows_table(
        "Interfaces",
        ("node", "interface", "what", "addresses", "master", "mtu", "mac", "netem"),
        (
            (node.name, i.name, words.device(i.device), *_set_on(i))
            for node in nodes
            for i in node.interfaces
        ),
    )
    yield _lines_table("Routes", nodes, lambda node: [words.route(e) for e in node.routes])
    yield _lines_table("Rules", nodes, lambda node: [words.rule(e) for e in node.rules])
    yield _lines_table("Processes", nodes, lambda node: [words.process(e) for e in node.processes])
    names = {node.name for node in nodes}
    rows = ((entry.node, words.check(entry)) for entry in plan.checks if entry.node in names)
    yield rows_table("Must hold", ("node", "what"), rows)


def _set_on(interface: Interface) -> tuple[Any, ...]:
    impairment = words.netem(interface.netem)
    return interface.addresses, interface.master, interface.mtu, interface.mac, impairment


def _lines_table(title: str, nodes: Sequence[Node], lines: Callable[[Node], list[str]]) -> Table:
    rows = ((node.name, line) for node in nodes for line in lines(node))
    return rows_table(title, ("node", title.lower()), rows)
