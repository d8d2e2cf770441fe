"""The service link's management channel: TCP 443 from the rack to the Region.

The agent runs on the rack's first server, with the infrastructure subnet's
address and an ephemeral source port (facts: S4). Its endpoint has a public
address of the Region's; with private connectivity it is the first anchor's
network interface (facts: T1, C5). `testbed.programs.management` has both programs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from testbed.lower import names, region
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.rack import inner
from testbed.plan.bird import symbol
from testbed.plan.checks import ManagementCheck
from testbed.plan.model import NODE_DIRECTORY, Process
from testbed.plan.roles import REGION, Role
from testbed.topology.model import Lag, Outpost, Rack, Topology

CONFIG = "management.json"
AGENT, COLLECTOR = "agent", "collector"


def lower(draft: Draft, topology: Topology) -> None:
    """Add the agents, and the endpoints that they connect to."""
    outposts = list(topology.outposts.values())
    public = [o for o in outposts if not o.private_anchors]
    address = topology.region.outposts_address
    if public:
        title = f"{topology.region.name} Outposts endpoint ({address})"
        node = draft.host(names.OUTPOSTS_API, Role.OUTPOSTS_API, REGION, title)
        gateway = topology.region.public_cidr.network_address + 1
        edge = draft.nodes[names.EDGE]
        region.attach_public(draft, edge, node, "outposts-api", address, gateway)
        _collect(draft, topology, node, str(address), public)
    for outpost in outposts:
        endpoint = str(inner.management_endpoint(topology, outpost))
        if outpost.private_anchors:
            anchor = outpost.private_anchors[0]
            _collect(
                draft, topology, draft.nodes[names.anchor(outpost, anchor)], endpoint, [outpost]
            )
        if isinstance(outpost, Rack):
            host = draft.nodes[names.outpost_host(outpost, 0)]
            devices = [_device(outpost, lag) for lag in outpost.lags]
            source = str(inner.server_address(outpost, 0))
            report(topology, outpost, host, source, endpoint, devices)


def _run(node: NodeDraft, role: str, config: dict[str, Any]) -> None:
    node.files[CONFIG] = json.dumps(config, indent=1) + "\n"
    path = f"{NODE_DIRECTORY}/{node.name}/{CONFIG}"
    node.processes.append(Process(role, ("testbed-management", role, path), files=(CONFIG,)))


def _collect(
    draft: Draft, topology: Topology, node: NodeDraft, address: str, outposts: list[Outpost]
) -> None:
    config = {
        "directory": f"{NODE_DIRECTORY}/{node.name}",
        "address": address,
        "period_s": topology.region.metrics_period_s,
        "outposts": [outpost.name for outpost in outposts],
    }
    _run(node, COLLECTOR, config)
    for outpost in outposts:
        title = f"{outpost.name} management channel"
        draft.checks.append(ManagementCheck(node.name, outpost.name, title))


def report(
    topology: Topology,
    outpost: Outpost,
    host: NodeDraft,
    source: str,
    endpoint: str,
    devices: Sequence[dict[str, Any]] = (),
) -> None:
    """Run the agent in a node; it reports from address `source`, of `devices` and the tunnels."""
    control = f"{NODE_DIRECTORY}/{names.service_link(outpost)}/bird.ctl"
    config = {
        "outpost": outpost.name,
        "endpoint": endpoint,
        "source": source,
        "period_s": topology.region.metrics_period_s,
        "spool": f"{NODE_DIRECTORY}/{host.name}/spool.jsonl",
        "tunnels": {
            "control": control,
            "sessions": [symbol(anchor.name) for anchor in topology.anchors(outpost)],
        },
        "devices": list(devices),
    }
    _run(host, AGENT, config)


def _device(outpost: Rack, lag: Lag) -> dict[str, Any]:
    """What there is to measure of a LAG, under CloudWatch's dimensions (facts: M1, M3, M4)."""
    lag_id = f"{outpost.name}-lag{lag.number}"
    vifs = []
    for vif in (*lag.local_gateways, lag.service_link):
        dimensions = {"OutpostsId": outpost.name, "LagId": lag_id}
        kind, of = "sl-vif", ""
        if vif.domain is not None:
            kind, of = "lgw-vif", f"-{vif.domain}" if vif.domain else ""
            dimensions["VirtualInterfaceGroupId"] = f"{outpost.name}-lgw-vif-group{of}"
        dimensions["VirtualInterfaceId"] = f"{outpost.name}-{kind}{lag.number}{of}"
        vifs.append(
            {
                "session": symbol(names.ond_session(lag, vif)),
                "interface": f"{names.ond_bond(lag)}.{vif.vlan}",
                "dimensions": dimensions,
            }
        )
    return {
        "control": f"{NODE_DIRECTORY}/{names.ond(outpost, lag.device)}/bird.ctl",
        "bond": names.ond_bond(lag),
        "dimensions": {"OutpostId": outpost.name, "LagId": lag_id},
        "vifs": vifs,
    }
