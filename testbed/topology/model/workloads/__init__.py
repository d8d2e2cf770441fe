"""What services of AWS's run for the customer: clusters and tasks, meshes, databases, buckets.

What is declared is here; what follows from it and changes by itself (tasks, health, roles) is
known by the control planes that run. One module for each service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from testbed.topology.model.workloads.ecs import Cluster, Ecs


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A service's control plane in the Region, at a public address.

    `hosts` are its names, without the Region's domain; `endpoints` the services of interface
    endpoints that lead to it, without com.amazonaws.REGION.
    """

    service: str
    address: IPv4Address
    hosts: tuple[str, ...]
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workloads:
    """The services that the document declares something of; None: nothing of that one.

    `control_planes` are those of these services, by service.
    """

    ecs: Ecs | None = None
    control_planes: Mapping[str, ControlPlane] = field(default_factory=dict)

    def control_plane_of(self, endpoint: str) -> ControlPlane | None:
        """Return the control plane that interface endpoints for a service lead to."""
        planes = self.control_planes.values()
        return next((plane for plane in planes if endpoint in plane.endpoints), None)


__all__ = ["Cluster", "ControlPlane", "Ecs", "Workloads"]
