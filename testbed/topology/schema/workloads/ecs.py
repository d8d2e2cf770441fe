"""Amazon ECS, as the topology file has it. Terms are ECS's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from testbed.topology.processes import FilePath, Image, User
from testbed.topology.schema.base import Form
from testbed.topology.values import Name

EcsName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
TaskDefinitionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,255}(:[0-9]+)?$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class PortMappingForm(Form):
    """A port of a container that its instance's address leads to."""

    container_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        description="The port at which the container listens."
    )
    host_port: Port | None = Field(
        None,
        description="The instance's port; 0 is a free one from 49153 on. Default: 0 in network"
        " mode bridge, else the container's.",
    )
    protocol: Literal["tcp", "udp"] = Field("tcp", description="tcp or udp. Default: tcp.")


class ContainerForm(Form):
    """A container of a task definition."""

    image: Image = Field(
        description="Its image: busybox, the path of an OCI bundle or root file system,"
        " oci:DIRECTORY[:TAG], docker-archive:FILE, docker://REGISTRY/NAME[:TAG]."
    )
    command: list[str] = Field(
        default=[], description="Its program and arguments. Default: the image's."
    )
    environment: dict[str, str] = Field(
        default={}, description="Environment variables, beside the image's. Default: none."
    )
    user: User | None = Field(
        None, description="USER[:GROUP], names or numbers. Default: the image's, or root."
    )
    working_directory: FilePath | None = Field(
        None, description="Its working directory. Default: the image's, or /."
    )
    read_only: bool = Field(
        default=False, description="Whether its root file system is read-only. Default: false."
    )
    cpu: int = Field(0, ge=0, le=196_608, description="CPU units, 1024 of a vCPU. Default: 0.")
    memory: int | None = Field(
        None, ge=6, le=1_048_576, description="Its memory in MiB, at most. Default: the task's."
    )
    memory_reservation: int | None = Field(
        None,
        ge=6,
        le=1_048_576,
        description="MiB that are kept for it. Default: memory.",
    )
    essential: bool = Field(
        default=True, description="Whether the task ends when it ends. Default: true."
    )
    restart: bool = Field(
        default=False,
        description="Whether its agent starts it again when it has ended (restartPolicy)."
        " Default: false.",
    )
    port_mappings: list[PortMappingForm] = Field(
        default=[], description="Its ports. Default: none."
    )
    stop_timeout: int = Field(
        30, ge=0, le=120, description="Seconds from SIGTERM to SIGKILL. Default: 30."
    )


class TaskConstraintForm(Form):
    """Which container instances a task may be placed on."""

    type: Literal["distinctInstance", "memberOf"] = Field(
        description="distinctInstance (services only) or memberOf."
    )
    expression: str | None = Field(
        None, description="For memberOf: in the cluster query language, attribute:rack == a."
    )


class TaskDefinitionForm(Form):
    """A task definition: the containers that run together on a container instance."""

    network_mode: Literal["bridge", "host", "none"] = Field(
        "bridge",
        description="bridge: a network of its own behind the instance's address; host: the"
        " instance's; none: a loopback interface only. Default: bridge.",
    )
    cpu: int | None = Field(
        None, ge=128, le=196_608, description="The task's CPU units. Default: its containers'."
    )
    memory: int | None = Field(
        None, ge=6, le=1_048_576, description="The task's memory in MiB. Default: its containers'."
    )
    containers: dict[EcsName, ContainerForm] = Field(
        min_length=1, max_length=10, description="Its containers, by name, at most 10."
    )
    placement_constraints: list[TaskConstraintForm] = Field(
        default=[], max_length=10, description="Its placement constraints. Default: none."
    )


class PlacementStrategyForm(Form):
    """How container instances are chosen among those that have room."""

    type: Literal["random", "spread", "binpack"] = Field(description="random, spread or binpack.")
    field: str | None = Field(
        None,
        description="spread: instanceId, or attribute:NAME; binpack: cpu or memory."
        " Default: instanceId or memory.",
    )


class ServiceForm(Form):
    """A service: as many tasks of a task definition as are desired."""

    task_definition: TaskDefinitionName = Field(
        description="FAMILY, which is its latest revision, or FAMILY:REVISION."
    )
    desired_count: int | None = Field(
        None, ge=0, le=5000, description="How many tasks there are to be. Default: 1."
    )
    scheduling_strategy: Literal["REPLICA", "DAEMON"] = Field(
        "REPLICA",
        description="REPLICA: desired_count; DAEMON: one on each container instance."
        " Default: REPLICA.",
    )
    minimum_healthy_percent: int | None = Field(
        None,
        ge=0,
        le=100,
        description="How many of the desired tasks go on while it is deployed, in percent."
        " Default: 100; DAEMON: 0.",
    )
    maximum_percent: int = Field(
        200,
        ge=100,
        le=200,
        description="How many tasks there are at most while it is deployed, in percent."
        " Default: 200.",
    )
    placement_constraints: list[TaskConstraintForm] = Field(
        default=[], max_length=10, description="Its placement constraints. Default: none."
    )
    placement_strategy: list[PlacementStrategyForm] = Field(
        default=[], max_length=5, description="Its placement strategies, in order. Default: none."
    )


class ContainerInstanceForm(Form):
    """A container instance: an instance whose agent registers with the cluster."""

    image_pull_behavior: Literal["default", "always", "once", "prefer-cached"] = Field(
        "default", description="ECS_IMAGE_PULL_BEHAVIOR. Default: default."
    )
    attributes: dict[str, str] = Field(
        default={}, description="Attributes for placement constraints. Default: none."
    )


class ClusterForm(Form):
    """A cluster of container instances."""

    container_instances: dict[Name, ContainerInstanceForm] = Field(
        default={}, description="Its container instances, by the instances' names. Default: none."
    )
    services: dict[EcsName, ServiceForm] = Field(
        default={}, description="Its services, by name. Default: none."
    )


class EcsForm(Form):
    """What is declared of Amazon ECS."""

    clusters: dict[EcsName, ClusterForm] = Field(
        default={}, description="The clusters, by name. Default: none."
    )
    task_definitions: dict[TaskDefinitionName, TaskDefinitionForm] = Field(
        default={},
        description="The task definitions, by FAMILY:REVISION; FAMILY is revision 1."
        " Default: none.",
    )
