"""Services."""

from __future__ import annotations

from testbed.api.ecs.common import (
    SERVICE,
    Row,
    cluster_of,
    constraints,
    declared,
    own_name,
    refuse_fargate,
    refuse_others,
)
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Params, Work, changes, edit
from testbed.api.world import World
from testbed.lower.workloads.ecs_shapes import service_shape
from testbed.topology import editing
from testbed.topology.model.workloads.ecs import Cluster, EcsService

SHARED = (
    *("cluster", "taskDefinition", "desiredCount", "deploymentConfiguration"),
    *("placementConstraints", "placementStrategy", "tags", "propagateTags"),
    *("enableECSManagedTags", "platformVersion"),
)
CREATED = (*SHARED, "serviceName", "launchType", "schedulingStrategy", "clientToken", "role")
UPDATED = (*SHARED, "service")
DEPLOYMENT = {
    "minimumHealthyPercent": "minimum_healthy_percent",
    "maximumPercent": "maximum_percent",
}


def _values(given: Params) -> Row:
    """Return what calls have in common, as the document has it."""
    refuse_fargate(given)
    values: Row = {}
    if given.get("taskDefinition"):
        values["task_definition"] = own_name(str(given["taskDefinition"]))
    if given.get("desiredCount") is not None:
        values["desired_count"] = given["desiredCount"]
    configuration = given.get("deploymentConfiguration") or {}
    refuse_others(configuration, (*DEPLOYMENT, "strategy"))
    for key, ours in DEPLOYMENT.items():
        if configuration.get(key) is not None:
            values[ours] = configuration[key]
    if "placementConstraints" in given:
        values["placement_constraints"] = constraints(given)
    if given.get("placementStrategy"):
        keys = ("type", "field")
        rows = given["placementStrategy"]
        values["placement_strategy"] = [{k: r[k] for k in keys if r.get(k)} for r in rows]
    return values


def _shape(world: World, cluster: str, service: str) -> Row:
    """Return a service as it is declared: nothing of it is known to run yet."""
    found = declared(world).clusters[cluster]
    [entry] = [each for each in found.services if each.name == service]
    row = service_shape(world.topology, found, entry)
    return row | {"runningCount": 0, "pendingCount": 0, "deployments": [], "events": []}


def _known(ask: Ask, definition: str | None) -> None:
    if definition is None:
        return
    found = declared(ask.world).task_definitions
    families = {entry.family for entry in found.values()}
    if definition not in found and definition not in families:
        raise ApiError("ClientException", "TaskDefinition not found.")


@changes("CreateService", SERVICE)
def create_service(ask: Ask) -> Work:
    """Create a service."""
    values = _values(ask.parameters)
    refuse_others(ask.parameters, CREATED)
    cluster, name = cluster_of(ask), str(ask["serviceName"])
    if "task_definition" not in values:
        raise ApiError("InvalidParameterException", "TaskDefinition can not be blank.")
    _known(ask, values["task_definition"])
    if ask.get("schedulingStrategy"):
        values["scheduling_strategy"] = ask["schedulingStrategy"]
    change = editing.create_ecs_service(cluster=cluster.name, service=name, **values)
    return Work(
        change=edit(change),
        answer=lambda world: {"service": _shape(world, cluster.name, name)},
    )


def _found(ask: Ask) -> tuple[Cluster, EcsService]:
    cluster, name = cluster_of(ask), own_name(str(ask["service"]))
    for entry in cluster.services:
        if entry.name == name:
            return cluster, entry
    raise ApiError("ServiceNotFoundException", "Service not found.")


@changes("UpdateService", SERVICE)
def update_service(ask: Ask) -> Work:
    """Change a service; with another task definition that is a deployment."""
    values = _values(ask.parameters)
    refuse_others(ask.parameters, UPDATED)
    _known(ask, values.get("task_definition"))
    cluster, entry = _found(ask)
    change = editing.update_ecs_service(cluster=cluster.name, service=entry.name, **values)
    return Work(
        change=edit(change),
        answer=lambda world: {"service": _shape(world, cluster.name, entry.name)},
    )


@changes("DeleteService", SERVICE)
def delete_service(ask: Ask) -> Work:
    """Delete a service that is scaled to 0, or any by force."""
    cluster, entry = _found(ask)
    if entry.desired_count and entry.scheduling_strategy == "REPLICA" and not ask.get("force"):
        message = "The service cannot be stopped while it is scaled above 0."
        raise ApiError("InvalidParameterException", message)
    row = _shape(ask.world, cluster.name, entry.name) | {"status": "DRAINING"}
    change = editing.delete_ecs_service(cluster=cluster.name, service=entry.name)
    return Work(change=edit(change), answer=lambda _: {"service": row})
