"""Amazon ECS: what a customer declares of it. Terms and units are ECS's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NetworkMode = Literal["bridge", "host", "none"]


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A container's port, and the instance's that leads to it; 0 is any that is free."""

    container_port: int
    host_port: int
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True)
class ContainerDefinition:
    """A container of a task definition; what is empty is the image's, a limit of 0 is none.

    `cpu` in CPU units, `memory` and `memory_reservation` in MiB, `stop_timeout` in seconds.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_directory: str = ""
    read_only: bool = False
    cpu: int = 0
    memory: int = 0
    memory_reservation: int = 0
    essential: bool = True
    restart: bool = False
    port_mappings: tuple[PortMapping, ...] = ()
    stop_timeout: int = 30


@dataclass(frozen=True, slots=True)
class PlacementConstraint:
    """Which container instances a task may be placed on."""

    type: Literal["distinctInstance", "memberOf"]
    expression: str = ""


@dataclass(frozen=True, slots=True)
class PlacementStrategy:
    """How container instances are chosen among those that have room."""

    type: Literal["random", "spread", "binpack"]
    field: str = ""


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A revision of a task definition; `cpu` and `memory` of 0 are those of its containers."""

    family: str
    revision: int
    network_mode: NetworkMode
    containers: tuple[ContainerDefinition, ...]
    cpu: int = 0
    memory: int = 0
    placement_constraints: tuple[PlacementConstraint, ...] = ()


@dataclass(frozen=True, slots=True)
class EcsService:
    """A service: `task_definition` is FAMILY:REVISION."""

    name: str
    task_definition: str
    desired_count: int
    scheduling_strategy: Literal["REPLICA", "DAEMON"]
    minimum_healthy_percent: int
    maximum_percent: int
    placement_constraints: tuple[PlacementConstraint, ...] = ()
    placement_strategy: tuple[PlacementStrategy, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerInstance:
    """An instance with an agent, by the instance's name."""

    instance: str
    image_pull_behavior: Literal["default", "always", "once", "prefer-cached"] = "default"
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of container instances."""

    name: str
    container_instances: tuple[ContainerInstance, ...] = ()
    services: tuple[EcsService, ...] = ()


@dataclass(frozen=True, slots=True)
class Ecs:
    """All that is declared of ECS; task definitions by FAMILY:REVISION."""

    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    task_definitions: Mapping[str, TaskDefinition] = field(default_factory=dict)
