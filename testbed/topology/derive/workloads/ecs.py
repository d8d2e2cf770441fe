"""Amazon ECS: from the form to the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from testbed.topology.model import Ecs
from testbed.topology.model.workloads.ecs import (
    Cluster,
    ContainerDefinition,
    ContainerInstance,
    EcsService,
    NetworkMode,
    PlacementConstraint,
    PlacementStrategy,
    PortMapping,
    TaskDefinition,
)
from testbed.topology.schema.workloads.ecs import (
    ClusterForm,
    ContainerForm,
    EcsForm,
    ServiceForm,
    TaskConstraintForm,
    TaskDefinitionForm,
)


def derive_ecs(form: EcsForm) -> Ecs:
    """Return what is declared of ECS."""
    definitions = {}
    for name, entry in form.task_definitions.items():
        made = _task_definition(name, entry)
        definitions[f"{made.family}:{made.revision}"] = made
    latest: dict[str, int] = {}
    for made in definitions.values():
        latest[made.family] = max(made.revision, latest.get(made.family, 0))
    clusters = {name: _cluster(name, entry, latest) for name, entry in form.clusters.items()}
    return Ecs(clusters=clusters, task_definitions=definitions)


def _cluster(name: str, form: ClusterForm, latest: Mapping[str, int]) -> Cluster:
    instances = (
        ContainerInstance(
            instance, entry.image_pull_behavior, tuple(sorted(entry.attributes.items()))
        )
        for instance, entry in form.container_instances.items()
    )
    services = (_service(service, entry, latest) for service, entry in form.services.items())
    return Cluster(name, tuple(instances), tuple(services))


def _service(name: str, form: ServiceForm, latest: Mapping[str, int]) -> EcsService:
    family, colon, _ = form.task_definition.partition(":")
    definition = form.task_definition if colon else f"{family}:{latest.get(family, 1)}"
    least = form.minimum_healthy_percent
    if least is None:
        least = 0 if form.scheduling_strategy == "DAEMON" else 100  # AWS: CreateService
    return EcsService(
        name,
        task_definition=definition,
        desired_count=1 if form.desired_count is None else form.desired_count,
        scheduling_strategy=form.scheduling_strategy,
        minimum_healthy_percent=least,
        maximum_percent=form.maximum_percent,
        placement_constraints=_constraints(form.placement_constraints),
        placement_strategy=tuple(
            PlacementStrategy(entry.type, entry.field or DEFAULT_FIELDS[entry.type])
            for entry in form.placement_strategy
        ),
    )


DEFAULT_FIELDS = {"random": "", "spread": "instanceId", "binpack": "memory"}


def _constraints(forms: Iterable[TaskConstraintForm]) -> tuple[PlacementConstraint, ...]:
    return tuple(PlacementConstraint(form.type, form.expression or "") for form in forms)


def _task_definition(name: str, form: TaskDefinitionForm) -> TaskDefinition:
    family, _, revision = name.partition(":")
    return TaskDefinition(
        family,
        int(revision or 1),
        form.network_mode,
        containers=tuple(
            _container(container, entry, form.network_mode)
            for container, entry in form.containers.items()
        ),
        cpu=form.cpu or 0,
        memory=form.memory or 0,
        placement_constraints=_constraints(form.placement_constraints),
    )


def _container(name: str, form: ContainerForm, mode: NetworkMode) -> ContainerDefinition:
    ports = []
    for entry in form.port_mappings:
        host = entry.host_port
        if host is None:
            host = 0 if mode == "bridge" else entry.container_port
        ports.append(PortMapping(entry.container_port, host, entry.protocol))
    return ContainerDefinition(
        name,
        image=form.image,
        command=tuple(form.command),
        environment=tuple(sorted(form.environment.items())),
        user=form.user or "",
        working_directory=form.working_directory or "",
        read_only=form.read_only,
        cpu=form.cpu,
        memory=form.memory or 0,
        memory_reservation=form.memory_reservation or 0,
        essential=form.essential,
        restart=form.restart,
        port_mappings=tuple(ports),
        stop_timeout=form.stop_timeout,
    )
