"""Amazon ECS: changes, and those that take them back."""

from __future__ import annotations

from typing import Any

from testbed.topology import editing as edit
from testbed.topology.editing import Change

CONTAINER: dict[str, Any] = {
    "image": "busybox",
    "command": ["httpd", "-f"],
    "environment": {"COLOR": "green"},
    "user": "nobody",
    "working_directory": "/srv",
    "read_only": True,
    "cpu": 10,
    "memory": 64,
    "memory_reservation": 32,
    "essential": True,
    "restart": True,
    "port_mappings": [{"container_port": 80, "host_port": 8080, "protocol": "tcp"}],
    "stop_timeout": 5,
}
MEMBER: dict[str, Any] = {"type": "memberOf", "expression": "attribute:rack == a"}

ROUND_TRIPS: list[tuple[Change, Change]] = [
    (edit.create_ecs_cluster(cluster="new"), edit.delete_ecs_cluster(cluster="new")),
    (
        edit.register_ecs_task_definition(
            task_definition="new:2",
            network_mode="bridge",
            cpu=128,
            memory=128,
            containers={"web": CONTAINER},
            placement_constraints=[MEMBER],
        ),
        edit.deregister_ecs_task_definition(task_definition="new:2"),
    ),
    (
        edit.modify_ecs_task_definition(task_definition="web", cpu=256),
        edit.modify_ecs_task_definition(task_definition="web", cpu=None),
    ),
    (
        edit.create_ecs_service(
            cluster="edge",
            service="new",
            task_definition="web",
            desired_count=3,
            scheduling_strategy="DAEMON",
            minimum_healthy_percent=50,
            maximum_percent=150,
            placement_constraints=[MEMBER],
            placement_strategy=[{"type": "spread", "field": "instanceId"}],
        ),
        edit.delete_ecs_service(cluster="edge", service="new"),
    ),
    (
        edit.update_ecs_service(cluster="edge", service="web", desired_count=2),
        edit.update_ecs_service(cluster="edge", service="web", desired_count=None),
    ),
    (
        edit.register_ecs_container_instance(
            cluster="edge",
            instance="app",
            image_pull_behavior="once",
            attributes={"rack": "a"},
        ),
        edit.deregister_ecs_container_instance(cluster="edge", instance="app"),
    ),
    (
        edit.modify_ecs_container_instance(
            cluster="edge", instance="web", image_pull_behavior="always"
        ),
        edit.modify_ecs_container_instance(
            cluster="edge", instance="web", image_pull_behavior=None
        ),
    ),
]

WRITTEN: list[Change] = [
    edit.modify_ecs_task_definition(
        task_definition="web",
        network_mode="host",
        containers={"other": {**CONTAINER, "essential": False}},
    ),
]

REFUSED: list[tuple[Change, str | None, str]] = [
    (
        edit.create_ecs_service(cluster="none", service="web", task_definition="web"),
        "ClusterNotFoundException",
        "workloads.ecs.clusters.none",
    ),
    (
        edit.delete_ecs_cluster(cluster="edge"),
        "ClusterContainsServicesException",
        "workloads.ecs.clusters.edge",
    ),
    (
        edit.delete_ecs_service(cluster="edge", service="none"),
        "ServiceNotFoundException",
        "workloads.ecs.clusters.edge.services.none",
    ),
    (
        edit.create_ecs_service(cluster="edge", service="web", task_definition="web"),
        "InvalidParameterException",
        "workloads.ecs.clusters.edge.services.web",
    ),
    (
        edit.deregister_ecs_task_definition(task_definition="web"),
        "ClientException",
        "workloads.ecs.task_definitions.web",
    ),
]
