"""What services of AWS's run: from the forms to the model. One module for each service."""

from __future__ import annotations

from dataclasses import replace

from testbed.topology.derive.workloads.ecs import derive_ecs
from testbed.topology.model import ControlPlane, Ecs, Region, Workloads
from testbed.topology.schema import TopologyForm

# Of each service: where in public_cidr its control plane is, the names of its hosts, and the
# services of interface endpoints that lead to it (AWS: endpoints and quotas, PrivateLink).
CONTROL_PLANES: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "ecs": (40, ("ecs", "ecs-a", "ecs-t"), ("ecs", "ecs-agent", "ecs-telemetry")),
}

# AWS's endpoints of the services that `testbed api` answers for, at one address.
API = "api"
API_OFFSET = 41
API_HOSTS = (
    "ec2",
    "outposts",
    "sts",
    "ssm",
    "logs",
    "monitoring",
    "kms",
    "secretsmanager",
    "api.ecr",
)
API_ENDPOINTS = (
    "ec2",
    "outposts",
    "sts",
    "ssm",
    "logs",
    "monitoring",
    "kms",
    "secretsmanager",
    "ecr.api",
)


def derive_workloads(form: TopologyForm, region: Region) -> Workloads:
    """Return what is declared of all services, and the control planes of these."""
    api = _api(region) if form.region.api else {}
    given = form.workloads
    if given is None:
        return Workloads(control_planes=api)
    ecs = None if given.ecs is None else derive_ecs(given.ecs)
    found = Workloads(ecs=ecs if ecs != Ecs() else None)
    planes = dict(api)
    for service, (offset, hosts, endpoints) in CONTROL_PLANES.items():
        if getattr(found, service) is not None:
            address = region.public_cidr.network_address + offset
            planes[service] = ControlPlane(service, address, hosts, endpoints)
    return replace(found, control_planes=planes)


def _api(region: Region) -> dict[str, ControlPlane]:
    """Return AWS's endpoints as the control plane that they are to the network."""
    address = region.public_cidr.network_address + API_OFFSET
    return {API: ControlPlane(API, address, API_HOSTS, API_ENDPOINTS)}
