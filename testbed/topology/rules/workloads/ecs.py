"""Rules of Amazon ECS, with its own error texts."""

from __future__ import annotations

from collections.abc import Iterable

from testbed.errors import Path
from testbed.programs.ecs import expressions
from testbed.topology.model import Ecs, Topology
from testbed.topology.model.workloads.ecs import (
    Cluster,
    ContainerDefinition,
    PlacementConstraint,
    TaskDefinition,
)
from testbed.topology.report import Report, choices
from testbed.topology.schema.workloads.ecs import EcsForm
from testbed.topology.values import show

AT: Path = ("workloads", "ecs")


def check(form: EcsForm, topology: Topology, ecs: Ecs, report: Report) -> None:
    """Check that what names something names what there is, and that tasks can run."""
    seen: set[tuple[str, int]] = set()
    for name in form.task_definitions:
        family, _, revision = name.partition(":")
        key = (family, int(revision or 1))
        path: Path = (*AT, "task_definitions", name)
        if key in seen or not key[1]:
            message = f"{family}:{key[1]} is there twice" if key[1] else "revisions begin with 1"
            report.add(path, message, "write another revision", key=True)
            continue
        seen.add(key)
        _task_definition(ecs.task_definitions[f"{family}:{key[1]}"], path, report)
    owners: dict[str, str] = {}
    for cluster in ecs.clusters.values():
        _instances(cluster, topology, owners, report)
        _services(cluster, ecs, report)


def _task_definition(definition: TaskDefinition, path: Path, report: Report) -> None:
    if not any(container.essential for container in definition.containers):
        message = "Invalid 'essential' setting: at least one container must be essential"
        report.add((*path, "containers"), message, "essential: true")
    for constraint in definition.placement_constraints:
        if constraint.type != "memberOf":
            message = "a task definition's placement constraints are of type memberOf (AWS: ECS)"
            report.add((*path, "placement_constraints"), message, "type: memberOf")
    _constraints(definition.placement_constraints, path, report)
    used: dict[tuple[str, int], str] = {}
    for container in definition.containers:
        at: Path = (*path, "containers", container.name)
        _ports(definition, container, used, at, report)
        memory = definition.memory or container.memory or container.memory_reservation
        if not memory:
            message = (
                "Invalid setting for container. At least one of 'memory' or 'memoryReservation'"
                " must be specified."
            )
            report.add(at, message, "memory: 64", key=True)
        if container.memory_reservation > container.memory > 0:
            message = "memory_reservation is more than memory"
            report.add((*at, "memory_reservation"), message, "at most the memory")


def _ports(
    definition: TaskDefinition,
    container: ContainerDefinition,
    used: dict[tuple[str, int], str],
    at: Path,
    report: Report,
) -> None:
    for index, mapping in enumerate(container.port_mappings):
        place: Path = (*at, "port_mappings", index)
        if definition.network_mode == "none":
            report.add(place, "network mode none has no ports", "network_mode: bridge")
        elif definition.network_mode == "host" and mapping.host_port != mapping.container_port:
            message = "in network mode host the ports of host and container are the same"
            report.add(place, message, "leave out host_port")
        if not mapping.host_port:
            continue
        owner = used.setdefault((mapping.protocol, mapping.host_port), container.name)
        if owner != container.name:
            message = f"{owner} has the instance's {mapping.protocol} port {mapping.host_port}"
            report.add(place, message, "choose another port")


def _instances(
    cluster: Cluster, topology: Topology, owners: dict[str, str], report: Report
) -> None:
    for entry in cluster.container_instances:
        path: Path = (*AT, "clusters", cluster.name, "container_instances", entry.instance)
        if entry.instance not in topology.instances:
            if not report.has(("instances", entry.instance)):
                message = f"there is no instance named {show(entry.instance)}"
                remedy = choices(entry.instance, topology.instances, "instances")
                report.add(path, message, remedy, key=True)
            continue
        owner = owners.setdefault(entry.instance, cluster.name)
        if owner != cluster.name:
            message = f"{entry.instance} is a container instance of cluster {owner}"
            report.add(path, message, "an instance is in one cluster", key=True)


def _services(cluster: Cluster, ecs: Ecs, report: Report) -> None:
    for service in cluster.services:
        path: Path = (*AT, "clusters", cluster.name, "services", service.name)
        if service.task_definition not in ecs.task_definitions:
            family = service.task_definition.partition(":")[0]
            message = f"there is no task definition named {show(service.task_definition)}"
            remedy = choices(family, ecs.task_definitions, "task definitions")
            report.add((*path, "task_definition"), message, remedy)
        _constraints(service.placement_constraints, path, report)


def _constraints(constraints: Iterable[PlacementConstraint], path: Path, report: Report) -> None:
    for index, constraint in enumerate(constraints):
        at: Path = (*path, "placement_constraints", index)
        if (constraint.type == "memberOf") != bool(constraint.expression):
            message = "memberOf has an expression, distinctInstance has none"
            report.add(at, message, "add or remove it")
        elif constraint.expression:
            try:
                expressions.parse(constraint.expression)
            except expressions.ExpressionError as error:
                remedy = "such as attribute:rack == a, or attribute:rack in [a, b]"
                report.add((*at, "expression"), f"is no expression: {error}", remedy)
