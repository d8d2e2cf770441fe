"""`testbed inspect`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from testbed.cli.common import (
    connect,
    echo_json,
    json_option,
    name_option,
    node_argument,
    unknown_node,
    verb,
)
from testbed.control.printable import cleaned
from testbed.errors import HostError

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.plan.model import Node, Plan

COMMANDS = {
    "interfaces": ("ip", "-json", "-details", "address", "show"),
    "routes": ("ip", "-json", "-details", "route", "show", "table", "all"),
    "rules": ("ip", "-json", "rule", "show"),
    "neighbors": ("ip", "-json", "neighbor", "show"),
}
TIMEOUT_S = 30.0


@verb("inspect", "testbed inspect\ntestbed inspect op-a.ond1\ntestbed inspect a --json")
@node_argument("node", required=False)
@name_option()
@json_option
def command(node: str | None, *, name: str | None, as_json: bool) -> None:
    """List the nodes, or show the interfaces, routes, rules and processes of one.

    Compares what the plan says with what the kernel has.
    """
    client = connect(name)
    plan, source = client.plan()
    if node is None:
        _show_nodes(plan, source, client.hello()["revision"], as_json=as_json)
        return
    known = {entry.name: entry for entry in plan.nodes}
    if node not in known:
        raise unknown_node(node, plan)
    actual = read_node(client, node)
    if as_json:
        from testbed.plan.codec import to_json  # noqa: PLC0415

        planned = next(entry for entry in to_json(plan)["nodes"] if entry["name"] == node)
        echo_json({"node": node, "planned": planned, "actual": actual})
        return
    _show_node(known[node], actual)


def read_node(client: Client, node: str) -> dict[str, Any]:
    """Return what the kernel and the keeper say about a node, in ip(8)'s own JSON."""
    actual: dict[str, Any] = {}
    for subject, argv in COMMANDS.items():
        done = client.run(node, argv, timeout=TIMEOUT_S)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise HostError(f"{' '.join(argv)} failed in {node}", hint=said or None)
        actual[subject] = [entry for entry in _rows(done.text) if entry]
    rows = client.status().get("nodes") or []
    row: dict[str, Any] = next((entry for entry in rows if entry.get("name") == node), {})
    actual["processes"] = row.get("processes") or []
    return actual


def _rows(text: str) -> list[dict[str, Any]]:
    """What ip(8) says: it puts the names of interfaces into its JSON as they are."""
    rows: list[dict[str, Any]] = cleaned(json.loads(text or "[]", strict=False))
    return rows


def _show_nodes(plan: Plan, source: Any, revision: int, *, as_json: bool) -> None:
    rows = [
        {
            "name": node.name,
            "group": node.group,
            "role": node.role,
            "title": node.title,
            "addresses": [a for i in node.interfaces for a in i.addresses],
            "processes": [process.name for process in node.processes],
        }
        for node in plan.nodes
    ]
    if as_json:
        echo_json({"name": plan.name, "revision": revision, "source": source, "nodes": rows})
        return
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.style import rows_table  # noqa: PLC0415

    columns = ("name", "group", "role", "addresses", "processes")
    lines = ([row[column] for column in columns] for row in rows)
    console().print(rows_table(f"Nodes of {plan.name}, revision {revision}", columns, lines))


def _show_node(node: Node, actual: dict[str, Any]) -> None:
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.nodes import node_tables  # noqa: PLC0415

    output = console()
    output.print(f"{node.name}: {node.title or node.role} ({node.group})", style="bold")
    for table in node_tables(node, actual):
        output.print(table)
