"""What users run: processes of instances, and the services of AWS's that run workloads.

A service's control plane is a node of the Region with a program; `control_planes` adds these
before the VPCs are, whose interface endpoints lead to them, `lower` what runs in instances.
"""

from __future__ import annotations

from testbed.lower.builder import Draft
from testbed.lower.workloads import control_plane, ecs
from testbed.topology.model import Topology


def add_control_planes(draft: Draft, topology: Topology) -> None:
    """Add the control planes of the services that the document declares something of."""
    if (api := topology.workloads.control_planes.get("api")) is not None:
        control_plane.add_node(draft, topology, api)
    ecs.add_control_plane(draft, topology)


def lower(draft: Draft, topology: Topology) -> None:
    """Add what services of AWS's run in instances."""
    ecs.add_agents(draft, topology)
