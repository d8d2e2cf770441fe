"""The state of a whole testbed, as `testbed status` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.keeper.observer import Observer
from testbed.plan.checks import TableRouteCheck
from testbed.plan.model import HostInterface, Node, Plan, Veth

if TYPE_CHECKING:
    from testbed.keeper.processes import ProcessTable
    from testbed.kernel.apply import Kernel

STATUS_VERSION = 1
Row = dict[str, Any]


def status(plan: Plan, kernel: Kernel, processes: ProcessTable) -> Row:
    """The state of everything, as documented in docs/commands/status.md."""
    processes.reap()
    observer = Observer(plan, kernel, processes)
    result: Row = {"version": STATUS_VERSION, "name": plan.name}
    result["nodes"] = [_node_row(node, processes) for node in plan.nodes]
    result["links"] = [
        observer.link_row(node.name, interface.name) | {"peer": _far_end(interface.device)}
        for node in plan.nodes
        for interface in node.interfaces
        if isinstance(interface.device, Veth | HostInterface)
    ]
    subjects = {
        "lag": "lags",
        "bgp": "bgp",
        "tunnel": "tunnels",
        "route": "routes",
        "table_route": "route_tables",
        "listen": "listeners",
        "management": "management",
        "address": "addresses",
        "local-gateway": "local_gateways",
    }
    result |= {subject: [] for subject in subjects.values()}
    for check in plan.checks:
        if check.kind in subjects:
            result[subjects[check.kind]].append(observer.row(check))
    result["route_tables"] += _propagated(plan, observer)
    rows = [row for key in ("nodes", "links", *subjects.values()) for row in result[key]]
    result["metrics"] = observer.metrics()
    result["ok"] = bool(rows) and all(row["ok"] for row in rows)
    return result


def _propagated(plan: Plan, observer: Observer) -> list[Row]:
    """The routes that a virtual private gateway has propagated to VPC route tables."""
    checks = [check for check in plan.checks if isinstance(check, TableRouteCheck)]
    stated = {(check.node, check.table, cidr) for check in checks for cidr in check.destinations}
    rows: list[Row] = []
    for check in {(check.node, check.table): check for check in checks}.values():
        for destination, route in observer.table(check.node, check.table).items():
            if route.protocol != "bird" or (check.node, check.table, destination) in stated:
                continue
            alive = any(hop.alive for hop in route.hops)
            rows.append(
                {
                    "title": f"{check.owner} {check.route_table}: {destination}",
                    "node": check.node,
                    "owner": check.owner,
                    "route_table": check.route_table,
                    "destination": destination,
                    "target": "virtual-private-gateway",
                    "origin": "EnableVgwRoutePropagation",
                    "ok": alive,
                    "state": "active" if alive else "blackhole",
                }
            )
    return rows


def _far_end(device: Veth | HostInterface) -> str:
    if isinstance(device, Veth):
        return f"{device.peer_node} {device.peer}"
    return f"host interface {device.interface}"


def _node_row(node: Node, processes: ProcessTable) -> Row:
    entries = []
    for process in node.processes:
        running = processes.daemons.get((node.name, process.name))
        entries.append(
            {
                "name": process.name,
                "ok": running is not None and running.is_well,
                "state": running.describe() if running else "not started",
                "pid": running.pid if running else None,
            }
        )
    bad = [entry for entry in entries if not entry["ok"]]
    return {
        "title": node.title or node.name,
        "name": node.name,
        "role": node.role,
        "group": node.group,
        "ok": not bad,
        "state": f"{bad[0]['name']} {bad[0]['state']}" if bad else "up",
        "processes": entries,
    }
