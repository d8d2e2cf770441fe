"""What is declared of ECS, in the shapes of its API."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Topology
from testbed.topology.model.workloads.ecs import (
    Cluster,
    ContainerDefinition,
    EcsService,
    PlacementConstraint,
    TaskDefinition,
)

Row = dict[str, Any]


def arn(topology: Topology, kind: str, name: str) -> str:
    """Return the Amazon Resource Name of an object of ECS."""
    return f"arn:aws:ecs:{topology.region.name}:{ACCOUNT}:{kind}/{name}"


def service_shape(topology: Topology, cluster: Cluster, service: EcsService) -> Row:
    """Return a service, without what changes by itself."""
    own = arn(topology, "service", f"{cluster.name}/{service.name}")
    daemon = service.scheduling_strategy == "DAEMON"
    return {
        "id": hashlib.sha256(own.encode()).hexdigest()[:19],
        "serviceName": service.name,
        "serviceArn": own,
        "clusterArn": arn(topology, "cluster", cluster.name),
        "status": "ACTIVE",
        "launchType": "EC2",
        "desiredCount": 0 if daemon else service.desired_count,
        "schedulingStrategy": service.scheduling_strategy,
        "taskDefinition": arn(topology, "task-definition", service.task_definition),
        "deploymentConfiguration": {
            "maximumPercent": service.maximum_percent,
            "minimumHealthyPercent": service.minimum_healthy_percent,
        },
        "placementConstraints": _constraints(service.placement_constraints),
        "placementStrategy": [
            {"type": each.type} | ({"field": each.field} if each.field else {})
            for each in service.placement_strategy
        ],
    }


def task_definition_shape(topology: Topology, definition: TaskDefinition) -> Row:
    """Return a task definition."""
    name = f"{definition.family}:{definition.revision}"
    row: Row = {
        "taskDefinitionArn": arn(topology, "task-definition", name),
        "family": definition.family,
        "revision": definition.revision,
        "status": "ACTIVE",
        "networkMode": definition.network_mode,
        "compatibilities": ["EC2"],
        "requiresCompatibilities": ["EC2"],
        "volumes": [],
        "placementConstraints": _constraints(definition.placement_constraints),
        "containerDefinitions": [_container(each) for each in definition.containers],
    }
    if definition.cpu:
        row["cpu"] = str(definition.cpu)
    if definition.memory:
        row["memory"] = str(definition.memory)
    return row


def _constraints(constraints: Iterable[PlacementConstraint]) -> list[Row]:
    return [
        {"type": each.type} | ({"expression": each.expression} if each.expression else {})
        for each in constraints
    ]


def _container(container: ContainerDefinition) -> Row:
    row: Row = {
        "name": container.name,
        "image": container.image,
        "cpu": container.cpu,
        "essential": container.essential,
        "command": list(container.command),
        "environment": [{"name": k, "value": v} for k, v in container.environment],
        "portMappings": [
            {"containerPort": p.container_port, "hostPort": p.host_port, "protocol": p.protocol}
            for p in container.port_mappings
        ],
        "mountPoints": [],
        "volumesFrom": [],
        "stopTimeout": container.stop_timeout,
        "readonlyRootFilesystem": container.read_only,
    }
    for key, value in (
        ("memory", container.memory),
        ("memoryReservation", container.memory_reservation),
        ("user", container.user),
        ("workingDirectory", container.working_directory),
    ):
        if value:
            row[key] = value
    if container.restart:
        row["restartPolicy"] = {"enabled": True}
    return row
