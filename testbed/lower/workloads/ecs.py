"""Amazon ECS: its control plane."""

from __future__ import annotations

from typing import Any

from testbed.lower.builder import Draft
from testbed.lower.workloads import control_plane
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Ecs, Topology

SERVICE = "ecs"


def add_control_plane(draft: Draft, topology: Topology) -> None:
    """Add the control plane, if the document declares something of ECS."""
    ecs = topology.workloads.ecs
    if ecs is None:
        return
    plane = topology.workloads.control_planes[SERVICE]
    control_plane.add(draft, topology, plane, "testbed-ecs", _declared(topology, ecs))


def _declared(topology: Topology, ecs: Ecs) -> dict[str, Any]:
    """Return what is declared, in the API's own shapes."""
    region = topology.region.name
    return {
        "region": region,
        "clusters": [
            {"clusterName": name, "clusterArn": f"arn:aws:ecs:{region}:{ACCOUNT}:cluster/{name}"}
            for name in ecs.clusters
        ],
    }
